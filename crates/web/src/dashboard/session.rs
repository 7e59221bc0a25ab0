//! Sessions: a cookie with a random id of which only the hash is kept.

use certmill_vault::ApiToken;
use http::{HeaderMap, HeaderValue, header::COOKIE};
use time::Duration;

use crate::PublicUrl;

/// A session ends after this time, however much it is used.
pub(super) const LASTS: Duration = Duration::hours(12);

/// The `Set-Cookie` that opens a session in the browser.
pub(super) fn cookie(id: &ApiToken, url: &PublicUrl) -> HeaderValue {
    set_cookie(id.expose(), LASTS.whole_seconds(), url)
}

/// The `Set-Cookie` that makes the browser forget it.
pub(super) fn no_cookie(url: &PublicUrl) -> HeaderValue {
    set_cookie("", 0, url)
}

fn set_cookie(value: &str, seconds: i64, url: &PublicUrl) -> HeaderValue {
    let secure = if url.is_https() { "; Secure" } else { "" };
    let name = cookie_name(url);
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&cookie).expect("tokens and names are plain characters")
}

/// Browsers take a `__Host-` cookie only over TLS, and only from this host itself.
fn cookie_name(url: &PublicUrl) -> &'static str {
    if url.is_https() { "__Host-certmill" } else { "certmill" }
}

/// The id of the session that a browser says it has.
pub(crate) fn session_id(headers: &HeaderMap, url: &PublicUrl) -> Option<ApiToken> {
    let name = cookie_name(url);
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).and_then(|(_, value)| ApiToken::parse(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_bound_to_the_host_where_there_is_tls() {
        let id = ApiToken::generate();
        let over_tls = cookie(&id, &PublicUrl::parse("https://a.example").unwrap());
        let over_tls = over_tls.to_str().unwrap();
        assert!(over_tls.starts_with("__Host-certmill=certmill_") && over_tls.ends_with("; Secure"));
        let plain = cookie(&id, &PublicUrl::parse("http://a.example").unwrap());
        assert!(plain.to_str().unwrap().starts_with("certmill=certmill_"));
    }
}
