//! Where people find the dashboard.

use std::fmt;

use certmill_vault::ApiToken;
use http::{Uri, uri::Scheme};

/// Scheme, host and port under which browsers reach the dashboard, such as `https://certmill.example.com`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicUrl {
    origin: String,
    https: bool,
}

/// A text that is no public URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the public URL is http:// or https://, a host and perhaps a port, and nothing behind them")]
pub struct InvalidPublicUrl;

impl PublicUrl {
    /// Parses a URL; a slash at the end is allowed.
    pub fn parse(text: &str) -> Result<Self, InvalidPublicUrl> {
        let uri: Uri = text.parse().map_err(|_| InvalidPublicUrl)?;
        let https = uri.scheme() == Some(&Scheme::HTTPS);
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or(InvalidPublicUrl)?.as_str().to_ascii_lowercase();
        if !(https || uri.scheme() == Some(&Scheme::HTTP)) || uri.path() != "/" || uri.query().is_some() {
            return Err(InvalidPublicUrl);
        }
        let (scheme, usual_port) = if https { ("https", ":443") } else { ("http", ":80") };
        // Browsers leave the usual port out of the Origin header (RFC 6454 section 6.1).
        let authority = authority.strip_suffix(usual_port).unwrap_or(&authority);
        Ok(Self { origin: format!("{scheme}://{authority}"), https })
    }

    /// The URL that opens a session for whoever holds `link`: to be shown once, to its owner.
    pub fn login_link(&self, link: &ApiToken) -> String {
        format!("{}/login/{}", self.origin, link.expose())
    }

    /// The URL at which whoever holds `link` sets a password: to be shown once, to its owner.
    pub fn password_link(&self, link: &ApiToken) -> String {
        format!("{}/password/{}", self.origin, link.expose())
    }

    /// The URL of the page for the owner of a shop, for whoever holds `link`: to be shown once.
    pub fn setup_link(&self, link: &ApiToken) -> String {
        format!("{}/setup/{}", self.origin, link.expose())
    }

    /// As in a browser's `Origin` header, without a slash at the end.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether browsers reach us over TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_no_usual_port_and_no_slash() {
        let origin = |text| PublicUrl::parse(text).map(|url| url.to_string());
        assert_eq!(
            origin("https://Certmill.Example.com:443/").as_deref(),
            Ok("https://certmill.example.com")
        );
        assert_eq!(origin("http://127.0.0.1:8080").as_deref(), Ok("http://127.0.0.1:8080"));
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused() {
        for bad in ["", "certmill", "ftp://x", "http://", "https://a/b", "https://a/?q", "https://u@a"] {
            assert!(PublicUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
