//! Sessions: a cookie with a random id of which only the hash is kept.

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use certmill_vault::ApiToken;
use http::{
    HeaderMap, HeaderValue, StatusCode, Uri,
    header::{COOKIE, HOST, ORIGIN},
    request::Parts,
};
use time::Duration;

use super::pages::{self, SignedOutPage};
use crate::{PublicUrl, WebState, problem::Problem};

/// A session ends when it is not used for so long.
const IDLE: Duration = Duration::minutes(30);

/// A session ends after this time, however much it is used.
pub(super) const LASTS: Duration = Duration::hours(12);

/// An open session of an operator; refused with the page that says how to open one.
pub(super) struct Session(ApiToken);

impl Session {
    pub(super) async fn close(&self, state: &WebState) -> Result<(), Problem> {
        Ok(state.store.log_out(&self.0.hash()).await?)
    }
}

impl FromRequestParts<WebState> for Session {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Response> {
        let signed_out = || pages::answer(StatusCode::UNAUTHORIZED, &SignedOutPage);
        let id = session_id(&parts.headers, &state.settings.public_url).ok_or_else(signed_out)?;
        match state.store.use_session(&id.hash(), state.now(), IDLE).await {
            Ok(true) => Ok(Self(id)),
            Ok(false) => Err(signed_out()),
            Err(error) => Err(Problem::from(error).into_response()),
        }
    }
}

/// The `Set-Cookie` that opens a session in the browser.
pub(super) fn cookie(id: &ApiToken, url: &PublicUrl) -> HeaderValue {
    set_cookie(id.expose(), LASTS.whole_seconds(), url)
}

/// The `Set-Cookie` that makes the browser forget it.
pub(super) fn no_cookie(url: &PublicUrl) -> HeaderValue {
    set_cookie("", 0, url)
}

/// Refuses a form that another site sent: a browser says with every `POST` where the form stood.
pub(super) fn require_own_form(headers: &HeaderMap, uri: &Uri, url: &PublicUrl) -> Result<(), Problem> {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).or(uri.host());
    let is_own = |origin: &str| {
        // Also at an address other than the public one: no other site has our host.
        let (_, authority) = origin.split_once("://").unwrap_or_default();
        origin == url.origin() || (!authority.is_empty() && Some(authority) == host)
    };
    if origin.is_some_and(is_own) {
        return Ok(());
    }
    let detail = "This form can only be sent from certmill's own pages.";
    Err(Problem::new(StatusCode::FORBIDDEN, "foreign_form", "Not allowed", detail))
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

fn session_id(headers: &HeaderMap, url: &PublicUrl) -> Option<ApiToken> {
    let name = cookie_name(url);
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).and_then(|(_, value)| ApiToken::parse(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, headers: &[(&'static str, &'static str)]) -> bool {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        require_own_form(&headers.collect(), &Uri::from_static("/logout"), &PublicUrl::parse(url).unwrap())
            .is_ok()
    }

    #[test]
    fn only_our_own_pages_may_send_forms() {
        let url = "https://certmill.example.com";
        assert!(check(url, &[("origin", url)]));
        assert!(check(url, &[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")]));
        assert!(!check(url, &[("origin", "https://evil.example.com"), ("host", "certmill.example.com")]));
        assert!(!check(url, &[("origin", "null"), ("host", "certmill.example.com")]));
        assert!(!check(url, &[("host", "certmill.example.com")]));
        assert!(!check(url, &[("origin", "null")]));
    }

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
