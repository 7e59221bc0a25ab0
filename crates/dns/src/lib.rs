//! Looks at DNS that explain themselves: where a name points, whether it is delegated, which CAs it allows, what every
//! name server of a zone shows; and whether its challenge path leads to us. Beside them, the providers that write TXT
//! records into zones of our own.

mod addresses;
mod answer;
mod caa;
mod compare;
mod delegation;
mod error;
#[cfg(test)]
mod hostile_tests;
mod name;
mod name_servers;
mod ownership;
mod provider;
mod query;
mod reach;
mod record_text;
mod resolver;
#[cfg(test)]
mod testing;
mod visibility;

pub use addresses::Addresses;
pub use caa::{CaaForbids, CaaPermission, CaaPlace, CaaQuestion, CaaRecord, CaaRecords};
pub use compare::{PointsElsewhere, compare};
pub use delegation::{Delegation, DelegationFault, NotDelegated};
pub use error::LookupError;
pub use name_servers::{NameServer, ServerTrouble, values_at};
pub use ownership::OwnershipValues;
pub use provider::{
    AzureSettings, CloudflareSettings, Credentials, DnsProvider, ExecSettings, InvalidProvider,
    ProviderError, ProviderSettings, Rfc2136Settings, Route53Settings, TxtRecord,
};
pub use reach::{ReachTrouble, Unreachable, challenge_path};
pub use resolver::{NoServers, Resolver};
pub use visibility::{NotVisible, wait_until_visible};
