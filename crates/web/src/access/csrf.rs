//! Proof that a form stood on a page of ours, given to this very session; beside the `Origin` that browsers send.

use certmill_vault::ApiToken;
use data_encoding::HEXLOWER;
use http::{
    HeaderMap, StatusCode, Uri,
    header::{HOST, ORIGIN},
};
use sha2::{Digest, Sha256};

use crate::{PublicUrl, problem::Problem};

/// The name of the field.
pub(super) const FIELD: &str = "csrf";

/// What forms for the holder of `session` carry. Nobody who has not the session can compute it, and it opens nothing.
pub(super) fn token(session: &ApiToken) -> String {
    let mut digest = Sha256::new();
    digest.update(b"certmill form\0");
    digest.update(session.expose());
    HEXLOWER.encode(&digest.finalize())
}

/// Refuses a form that another site sent: a browser says with every `POST` where the form stood.
pub(super) fn require_own_origin(headers: &HeaderMap, uri: &Uri, url: &PublicUrl) -> Result<(), Problem> {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).or(uri.host());
    let is_own = |origin: &str| {
        // Also at an address other than the public one: no other site has our host.
        let (_, authority) = origin.split_once("://").unwrap_or_default();
        origin == url.origin() || (!authority.is_empty() && Some(authority) == host)
    };
    if origin.is_some_and(is_own) { Ok(()) } else { Err(foreign_form()) }
}

/// Refuses a form without the token: in its address, or the field of its body.
pub(super) fn require_token(uri: &Uri, body: &[u8], token: &str) -> Result<(), Problem> {
    let found = |pairs: &[u8]| {
        pairs.split(|byte| *byte == b'&').any(|pair| {
            let value = pair.strip_prefix(FIELD.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
            value.is_some_and(|value| value == token.as_bytes())
        })
    };
    if found(body) || found(uri.query().unwrap_or_default().as_bytes()) { Ok(()) } else { Err(stale_form()) }
}

fn foreign_form() -> Problem {
    let detail = "This form can only be sent from certmill's own pages.";
    Problem::new(StatusCode::FORBIDDEN, "foreign_form", "Not allowed", detail)
}

fn stale_form() -> Problem {
    let detail = "The page that this form stood on belongs to another session. Go back, reload the page, and send it again.";
    Problem::new(StatusCode::FORBIDDEN, "stale_form", "The page is out of date", detail)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(url: &str, headers: &[(&'static str, &'static str)]) -> bool {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        require_own_origin(&headers.collect(), &Uri::from_static("/logout"), &PublicUrl::parse(url).unwrap())
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
    fn a_form_of_another_session_is_refused() {
        let (ours, theirs) = (token(&ApiToken::generate()), token(&ApiToken::generate()));
        let plain = Uri::from_static("/users");
        assert!(require_token(&plain, format!("name=x&csrf={ours}").as_bytes(), &ours).is_ok());
        assert!(require_token(&format!("/logo?csrf={ours}").parse().unwrap(), b"", &ours).is_ok());
        assert!(require_token(&plain, format!("name=x&csrf={theirs}").as_bytes(), &ours).is_err());
        assert!(require_token(&plain, b"csrf=", &ours).is_err());
        assert!(require_token(&plain, b"", &ours).is_err());
    }
}
