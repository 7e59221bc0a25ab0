//! The URL of a webhook endpoint.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// The longest that a URL may be, in bytes.
const LONGEST: usize = 2_000;

/// Where a webhook goes: `https://host/path?query`, without a user, a password or a fragment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebhookUrl {
    is_https: bool,
    host: WebhookHost,
    port: u16,
    path: String,
}

/// A host in a URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WebhookHost {
    /// A name, in A-label form and lower case.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// Why a text is no URL for webhooks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidWebhookUrl {
    /// It is too long.
    #[error("a URL has {LONGEST} characters at most")]
    TooLong,
    /// Another scheme, or none.
    #[error("a URL begins with https://")]
    Scheme,
    /// It holds a user or a password.
    #[error("a URL holds no user and no password; check the signature instead")]
    Credentials,
    /// Its host is neither a name nor an address.
    #[error("the host is neither a DNS name nor an address")]
    Host,
    /// Its port is none.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// Something else that has no place in a URL.
    #[error(
        "a URL holds no spaces, control characters, quotes, backslashes or fragments: encode them as %20 and the like"
    )]
    Character,
}

impl WebhookUrl {
    /// Whether it is sent over TLS.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Its host.
    pub fn host(&self) -> &WebhookHost {
        &self.host
    }

    /// Its port, given or not.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host, with the port where that is not the usual one: all that a log may hold of it.
    pub fn authority(&self) -> String {
        let usual = if self.is_https { 443 } else { 80 };
        if self.port == usual { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl FromStr for WebhookUrl {
    type Err = InvalidWebhookUrl;

    fn from_str(text: &str) -> Result<Self, InvalidWebhookUrl> {
        if text.len() > LONGEST {
            return Err(InvalidWebhookUrl::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(InvalidWebhookUrl::Scheme)?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(InvalidWebhookUrl::Scheme),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(InvalidWebhookUrl::Credentials);
        }
        let allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte);
        if !path.bytes().all(allowed) {
            return Err(InvalidWebhookUrl::Character);
        }
        let (host, port) = split_port(authority)?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self {
            is_https,
            host: host.parse()?,
            port: port.unwrap_or(if is_https { 443 } else { 80 }),
            path,
        })
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), InvalidWebhookUrl> {
    let end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    if authority[end..].matches(':').count() > 1 {
        return Err(InvalidWebhookUrl::Host);
    }
    let Some(colon) = authority[end..].find(':') else { return Ok((authority, None)) };
    let port = &authority[end + colon + 1..];
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| is_number && *port != 0).ok_or(InvalidWebhookUrl::Port)?;
    Ok((&authority[..end + colon], Some(port)))
}

impl FromStr for WebhookHost {
    type Err = InvalidWebhookUrl;

    fn from_str(text: &str) -> Result<Self, InvalidWebhookUrl> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Ipv6Addr = inner.parse().map_err(|_| InvalidWebhookUrl::Host)?;
            return Ok(Self::Address(IpAddr::V6(address)));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        let name = idna::domain_to_ascii(text).map_err(|_| InvalidWebhookUrl::Host)?;
        let name = name.strip_suffix('.').unwrap_or(&name);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        // `0x7f.1`, `2130706433`, `127.1`: what looks like a number is an address to some, and to others a name.
        let last = name.rsplit('.').next().unwrap_or_default();
        let is_number = last.strip_prefix("0x").unwrap_or(last).bytes().all(|byte| byte.is_ascii_hexdigit())
            && last.starts_with(|first: char| first.is_ascii_digit());
        if name.len() > 253 || is_number || !name.split('.').all(is_label) {
            return Err(InvalidWebhookUrl::Host);
        }
        Ok(Self::Name(name.to_owned()))
    }
}

impl fmt::Display for WebhookHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, InvalidWebhookUrl> {
        text.parse::<WebhookUrl>().map(|url| url.to_string())
    }

    #[test]
    fn a_url_comes_back_in_its_plain_form() {
        for (given, plain) in [
            ("https://hooks.example.com/certmill?a=b%20c", "https://hooks.example.com/certmill?a=b%20c"),
            ("HTTPS://Hooks.Example.COM", "https://hooks.example.com/"),
            ("https://hooks.example.com:443/x", "https://hooks.example.com/x"),
            ("https://hooks.example.com:8443?x", "https://hooks.example.com:8443/?x"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/"),
            ("https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443/"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("https://backend/", "https://backend/"),
            ("https://a.example./", "https://a.example/"),
        ] {
            assert_eq!(parsed(given).as_deref(), Ok(plain), "{given}");
            assert_eq!(parsed(plain).as_deref(), Ok(plain), "{plain}");
        }
    }

    #[test]
    fn what_is_no_url_for_webhooks_is_told_apart() {
        use InvalidWebhookUrl as E;
        let long = format!("https://a.example/{}", "x".repeat(2_000));
        for (given, why) in [
            (long.as_str(), E::TooLong),
            ("", E::Scheme),
            ("a.example/x", E::Scheme),
            ("ftp://a.example/", E::Scheme),
            ("javascript://a.example/", E::Scheme),
            ("file:///etc/passwd", E::Scheme),
            ("https://user:secret@a.example/", E::Credentials),
            ("https://a.example@10.0.0.1/", E::Credentials),
            ("https:///x", E::Host),
            ("https://.example/", E::Host),
            ("https://a..example/", E::Host),
            ("https://a b.example/", E::Host),
            ("https://0x7f.1/", E::Host),
            ("https://127.1/", E::Host),
            ("https://2130706433/", E::Host),
            ("https://0177.0.0.1/", E::Host),
            ("https://1.2.3.4.5/", E::Host),
            ("https://[::1/", E::Host),
            ("https://[fe80::1%25eth0]/", E::Host),
            ("https://::1/", E::Host),
            ("https://a.example:/", E::Port),
            ("https://a.example:0/", E::Port),
            ("https://a.example:65536/", E::Port),
            ("https://a.example:+1/", E::Port),
            ("https://a.example/ x", E::Character),
            ("https://a.example/\r\nHost: b", E::Character),
            ("https://a.example/#x", E::Character),
            ("https://a.example\\@b.example/", E::Character),
            ("https://a.example/ü", E::Character),
        ] {
            assert_eq!(parsed(given), Err(why), "{given}");
        }
    }

    #[test]
    fn a_log_is_told_the_host_and_never_the_path() {
        let url: WebhookUrl = "https://a.example:8443/secret?token=1".parse().unwrap();
        assert_eq!(url.authority(), "a.example:8443");
    }
}
