//! Writing TXT records in our own zones, at whoever runs them.

mod azure;
mod cloudflare;
mod error;
mod exec;
mod https;
mod rfc2136;
mod route53;
mod settings;
mod zone;

use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

pub use azure::AzureSettings;
pub use cloudflare::CloudflareSettings;
pub use error::{InvalidProvider, ProviderError};
pub use exec::ExecSettings;
pub use rfc2136::Rfc2136Settings;
pub use route53::Route53Settings;
pub use settings::ProviderSettings;

/// How long resolvers may remember a record of ours, in seconds. It is read once, right after it was written.
const TTL: u32 = 60;

/// One TXT value at one name.
#[derive(Clone, Copy, Debug)]
pub struct TxtRecord<'a> {
    /// The whole name, without a trailing dot; in the zone that the provider was opened for.
    pub name: &'a str,
    /// The value, without quotes.
    pub value: &'a str,
}

/// Whoever runs a zone of ours. Every call ends within the time limit of its settings.
pub trait DnsProvider: Send + Sync {
    /// Adds the value beside whatever is there. Repeating it is harmless.
    fn present<'a>(&'a self, record: TxtRecord<'a>) -> BoxFuture<'a, Result<(), ProviderError>>;

    /// Removes this one value; others stay. Harmless when it is not there.
    fn remove<'a>(&'a self, record: TxtRecord<'a>) -> BoxFuture<'a, Result<(), ProviderError>>;
}

/// The secret that belongs to the settings of a provider ([`ProviderSettings::secret_name`] says which). Wiped from
/// memory when dropped.
pub struct Credentials(Zeroizing<String>);

impl Credentials {
    /// The secret as an operator gave it; white space at the ends, which pasting leaves, is no part of it.
    pub fn new(secret: &str) -> Self {
        Self(Zeroizing::new(secret.trim().to_owned()))
    }

    fn secret(&self) -> &str {
        &self.0
    }
}
