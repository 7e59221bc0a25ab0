//! What the browser tells with a page's request: what the reader chose, and what the last form has to say.

use axum::{
    Form,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use http::{
    HeaderMap, HeaderValue, Method, Uri,
    header::{COOKIE, SET_COOKIE},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::login::local_path;
use crate::{PublicUrl, WebState, access::Caller};

const THEME: &str = "certmill-theme";
const KEYS: &str = "certmill-keys";
const FLASH: &str = "certmill-flash";

/// The longest words that the last form may have for the next page, in bytes.
const FLASH_LIMIT: usize = 600;

/// A year, in seconds.
const FOR_LONG: u32 = 31_536_000;

/// What the browser told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visit {
    /// `light` or `dark`; `None`: as the system has it.
    pub(crate) theme: Option<&'static str>,
    /// Whether the reader wants no keys for shortcuts.
    pub(crate) is_without_keys: bool,
    /// What the last form said.
    pub(crate) flash: Option<String>,
    /// The address of the page, to come back to it.
    pub(crate) here: String,
}

/// What the reader wants.
#[derive(Deserialize)]
pub(super) struct PreferencesForm {
    #[serde(default)]
    theme: String,
    #[serde(default)]
    keys: String,
    #[serde(default)]
    back: String,
}

impl Visit {
    /// What `headers` tell, to a session whose forms carry `csrf`.
    pub(crate) fn of(method: &Method, uri: &Uri, headers: &HeaderMap, csrf: &str) -> Self {
        let path = uri.path_and_query().filter(|_| *method == Method::GET);
        // What updates a part of a page by itself leaves the words to the next page.
        let takes_flash = *method == Method::GET && !headers.contains_key("hx-request");
        let flash = cookie(headers, FLASH).filter(|_| takes_flash);
        Self {
            theme: theme(headers),
            is_without_keys: cookie(headers, KEYS) == Some("off"),
            flash: flash.and_then(|value| opened(csrf, value)),
            here: path.map_or_else(|| "/".to_owned(), ToString::to_string),
        }
    }
}

/// The colours that the reader chose.
pub(crate) fn theme(headers: &HeaderMap) -> Option<&'static str> {
    let chosen = cookie(headers, THEME)?;
    ["light", "dark"].into_iter().find(|theme| *theme == chosen)
}

/// Keeps what the reader wants, and leads back.
pub(super) async fn prefer(
    State(state): State<WebState>,
    caller: Caller,
    Form(form): Form<PreferencesForm>,
) -> Response {
    let url = &state.settings.public_url;
    let theme = ["light", "dark"].into_iter().find(|theme| *theme == form.theme).unwrap_or("system");
    let keys = if form.keys == "on" { "on" } else { "off" };
    let mut answer = done(&state, &caller, local_path(&form.back), "Your choice is kept in this browser.");
    for (name, value) in [(THEME, theme), (KEYS, keys)] {
        answer.headers_mut().append(SET_COOKIE, set_cookie(name, value, FOR_LONG, url));
    }
    answer
}

/// Leads to `path` after a form, whose page then says `words`.
pub(crate) fn done(state: &WebState, caller: &Caller, path: &str, words: &str) -> Response {
    let mut answer = Redirect::to(path).into_response();
    let end =
        (0..=FLASH_LIMIT.min(words.len())).rev().find(|end| words.is_char_boundary(*end)).unwrap_or_default();
    let value = sealed(&caller.csrf, &words[..end]);
    answer.headers_mut().append(SET_COOKIE, set_cookie(FLASH, &value, 60, &state.settings.public_url));
    answer
}

/// The `Set-Cookie` that makes the browser forget what was said.
pub(crate) fn said(url: &PublicUrl) -> HeaderValue {
    set_cookie(FLASH, "", 0, url)
}

/// Nobody else than we puts words on a page: they are signed with what only this session's forms carry.
fn sealed(csrf: &str, words: &str) -> String {
    format!("{}.{}", signature(csrf, words), BASE64URL_NOPAD.encode(words.as_bytes()))
}

fn opened(csrf: &str, value: &str) -> Option<String> {
    let (found, words) = value.split_once('.')?;
    let words = String::from_utf8(BASE64URL_NOPAD.decode(words.as_bytes()).ok()?).ok()?;
    (found == signature(csrf, &words)).then_some(words)
}

fn signature(csrf: &str, words: &str) -> String {
    let mut digest = Sha256::new();
    for part in ["certmill words", csrf, words] {
        digest.update(part);
        digest.update([0]);
    }
    HEXLOWER.encode(&digest.finalize()[..16])
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

fn set_cookie(name: &str, value: &str, seconds: u32, url: &PublicUrl) -> HeaderValue {
    let secure = if url.is_https() { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&cookie).expect("names and encoded words are plain characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_shown_only_to_the_session_that_they_were_said_to() {
        let value = sealed("ours", "3 domains “renewed” <b>");
        assert_eq!(opened("ours", &value).as_deref(), Some("3 domains “renewed” <b>"));
        assert_eq!(opened("theirs", &value), None);
        for made_up in ["", ".", "x.aGFsbG8", &value[1..]] {
            assert_eq!(opened("ours", made_up), None, "{made_up}");
        }
    }

    #[test]
    fn only_known_colours_are_chosen() {
        let with =
            |cookie: &'static str| theme(&[(COOKIE, HeaderValue::from_static(cookie))].into_iter().collect());
        assert_eq!(with("a=b; certmill-theme=dark"), Some("dark"));
        assert_eq!(with("certmill-theme=\"><script>"), None);
    }
}
