//! Lookups that explain themselves: which addresses a name has, by which way, and what is wrong with them.

mod answer;
mod compare;
mod error;
mod provider;
mod query;
mod resolver;
#[cfg(test)]
mod testing;

pub use compare::{PointsElsewhere, compare};
pub use error::LookupError;
pub use provider::{
    AzureSettings, CloudflareSettings, Credentials, DnsProvider, ExecSettings, InvalidProvider, ProviderError,
    ProviderSettings, Rfc2136Settings, Route53Settings, TxtRecord,
};
pub use resolver::{Addresses, NoServers, Resolver};
