//! What an operator says about a zone's provider.

use std::{sync::Arc, time::Duration};

use certmill_model::Clock;
use serde::{Deserialize, Serialize};

use super::{
    AzureSettings, CloudflareSettings, Credentials, DnsProvider, ExecSettings, InvalidProvider,
    Rfc2136Settings, Route53Settings, azure::Azure, cloudflare::Cloudflare, exec::Exec, rfc2136::Rfc2136,
    route53::Route53, zone::Zone,
};

/// Longer than any provider takes, and short enough for a step.
const LONGEST_TIMEOUT: u16 = 600;

/// Who runs a zone, and how to reach them. Nothing here is secret.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "provider", rename_all = "kebab-case")]
pub enum ProviderSettings {
    /// A name server that takes signed updates (RFC 2136, RFC 8945): BIND, Knot …
    Rfc2136(Rfc2136Settings),
    /// Programs with certbot's hook variables.
    Exec(ExecSettings),
    /// Cloudflare.
    Cloudflare(CloudflareSettings),
    /// Amazon Route 53.
    Route53(Route53Settings),
    /// Azure DNS.
    Azure(AzureSettings),
}

impl ProviderSettings {
    /// What the one secret is called that goes with these settings; `None` where there is none.
    pub fn secret_name(&self) -> Option<&'static str> {
        match self {
            Self::Rfc2136(_) => Some(Rfc2136Settings::SECRET),
            Self::Exec(_) => None,
            Self::Cloudflare(_) => Some(CloudflareSettings::SECRET),
            Self::Route53(_) => Some(Route53Settings::SECRET),
            Self::Azure(_) => Some(AzureSettings::SECRET),
        }
    }

    /// Where the TXT records of `label` belong. Programs written for certbot write at `_acme-challenge` below the
    /// domain that they are given, so for them the domain is the label.
    pub fn record_name(&self, label: &str, zone: &str) -> String {
        match self {
            Self::Exec(_) => format!("_acme-challenge.{label}.{zone}"),
            _ => format!("{label}.{zone}"),
        }
    }

    /// Makes ready to write in `zone`. Asks nobody; what is returned keeps its connections, so it is to be kept.
    pub fn open(
        &self,
        zone: &str,
        credentials: Option<&Credentials>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn DnsProvider>, InvalidProvider> {
        let zone = Zone::parse(zone)?;
        let credentials = || match (credentials, self.secret_name()) {
            (Some(credentials), _) if !credentials.secret().is_empty() => Ok(credentials),
            (_, name) => Err(InvalidProvider::new(name.unwrap_or("secret"), "it is not set")),
        };
        Ok(match self {
            Self::Rfc2136(settings) => Arc::new(Rfc2136::new(settings, zone, credentials()?, clock)?),
            Self::Exec(settings) => Arc::new(Exec::new(settings, zone)?),
            Self::Cloudflare(settings) => Arc::new(Cloudflare::new(settings, zone, credentials()?)?),
            Self::Route53(settings) => Arc::new(Route53::new(settings, zone, credentials()?, clock)?),
            Self::Azure(settings) => Arc::new(Azure::new(settings, zone, credentials()?)?),
        })
    }
}

/// The default of `timeout_seconds` for everybody who is asked over the network.
pub(super) fn ten_seconds() -> u16 {
    10
}

pub(super) fn timeout(seconds: u16) -> Result<Duration, InvalidProvider> {
    if (1..=LONGEST_TIMEOUT).contains(&seconds) {
        return Ok(Duration::from_secs(seconds.into()));
    }
    Err(InvalidProvider::new("timeout_seconds", format!("it is not between 1 and {LONGEST_TIMEOUT}")))
}

/// An id that a provider gave, which becomes a part of a path: letters, digits and hyphens.
pub(super) fn id(setting: &'static str, text: &str) -> Result<String, InvalidProvider> {
    let is_id = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_id {
        return Ok(text.to_owned());
    }
    Err(InvalidProvider::new(
        setting,
        "it has other characters than letters, digits and hyphens, or too many",
    ))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
