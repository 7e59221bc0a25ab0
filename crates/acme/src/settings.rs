//! Where a CA is and how to talk to it.

use std::time::Duration;

use http::Uri;
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::{ExternalAccount, Pace};

/// How to reach a CA. Made by [`CaSettings::new`] with the usual values; change what differs.
#[derive(Clone, Debug)]
pub struct CaSettings {
    directory_url: Uri,
    /// The roots of a private CA's own server, trusted instead of the system's; `None` trusts the system's.
    pub trust: Option<TrustedRoots>,
    /// Contact URLs of the account (`mailto:ops@platform.example`), where the CA may write to.
    pub contacts: Vec<String>,
    /// The account at the CA that a new ACME account is bound to, where the CA wants that.
    pub external_account: Option<ExternalAccount>,
    /// What has a say in when each request is sent; `None` sends each at once.
    pub pace: Option<Pace>,
    /// What the CA sees as our name; it contacts operators by it.
    pub user_agent: String,
    /// The longest wait for a TCP connection.
    pub connect_timeout: Duration,
    /// The longest wait for a whole request: connection, TLS and body included.
    pub request_timeout: Duration,
    /// The wait before the first look at an order that the CA works on, until it is known how long the CA usually takes:
    /// then up to 16 times as long. Further waits are shorter at first, then each twice as long as the one before, up to
    /// 10 s. A `Retry-After` of the CA that is longer goes before them.
    pub poll_initial_delay: Duration,
}

/// A CA that cannot be talked to safely.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidCaSettings {
    /// Not an `https://` URL with a host.
    #[error("the directory of a CA must be an https:// URL, not {0:?}")]
    DirectoryUrl(String),
    /// No PEM with at least one certificate.
    #[error("the trusted roots must be PEM with at least one certificate")]
    Roots,
    /// The machine has no root certificates, and the settings name none.
    #[error("this machine has no root certificates: install ca-certificates")]
    NoSystemRoots,
    /// A name that no HTTP header can hold.
    #[error("the user agent must be plain ASCII text")]
    UserAgent,
}

impl CaSettings {
    /// The usual settings for the CA with this directory; refuses anything but `https://`.
    pub fn new(directory_url: &str) -> Result<Self, InvalidCaSettings> {
        let parsed: Option<Uri> = directory_url.parse().ok();
        let directory_url = parsed
            .filter(|uri| {
                uri.scheme_str() == Some("https") && uri.host().is_some_and(|host| !host.is_empty())
            })
            .filter(|uri| uri.authority().is_some_and(|authority| !authority.as_str().contains('@')))
            .ok_or_else(|| InvalidCaSettings::DirectoryUrl(directory_url.to_owned()))?;
        Ok(Self {
            directory_url,
            trust: None,
            contacts: Vec::new(),
            external_account: None,
            pace: None,
            user_agent: concat!("certmill/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            poll_initial_delay: Duration::from_millis(250),
        })
    }

    /// The URL of the CA's directory (RFC 8555 section 7.1.1).
    pub fn directory_url(&self) -> &Uri {
        &self.directory_url
    }
}

/// Root certificates that are trusted for a purpose.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustedRoots(Vec<CertificateDer<'static>>);

impl TrustedRoots {
    /// Reads one or more certificates in PEM.
    pub fn from_pem(pem: &str) -> Result<Self, InvalidCaSettings> {
        let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        match roots {
            Ok(roots) if !roots.is_empty() => Ok(Self(roots)),
            _ => Err(InvalidCaSettings::Roots),
        }
    }

    pub(crate) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_https_directory_is_accepted() {
        assert!(CaSettings::new("https://ca.example:14000/dir").is_ok());
        for bad in [
            "http://ca.example/dir",
            "ca.example",
            "/dir",
            "https://",
            "ftp://ca.example",
            "https://a@ca.example/",
        ] {
            assert!(CaSettings::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn roots_without_a_certificate_are_refused() {
        assert_eq!(TrustedRoots::from_pem("hello"), Err(InvalidCaSettings::Roots));
    }
}
