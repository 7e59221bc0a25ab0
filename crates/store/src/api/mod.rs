//! The door for people and programs.

mod access;
mod alerts;
mod audit;
mod domains;
mod feed;
mod history;
mod holds;
mod of_domain;
mod ownership;
mod search;
mod setup;
mod setup_links;
mod targets;
mod tenants;
mod tokens;
mod transactions;
mod users;
mod wishes;
mod zones;

pub use access::{Credentials, LoginFailures, SessionHolder};
pub use alerts::{AlertRow, MailRow, MailState, RuleRow, Subscription};
pub use audit::{Actor, AuditEntry, AuditRow};
pub use domains::{Domain, DomainCertificate};
pub use feed::{FeedPage, FeedPlace};
pub use history::DomainEvent;
pub use of_domain::{CertificateOfDomain, OrderOfDomain, PlacementOfDomain};
pub use search::{CappedCount, DomainFilter, DomainPage, DomainPosition, DomainSort, Found, InvalidPosition};
pub use setup::Setup;
pub use setup_links::{NewSetupLink, SetupLinkHolder};
pub use targets::{NewTarget, TargetRow};
pub use tenants::Tenant;
pub use tokens::{NewToken, TokenHolder, TokenRow};
pub use transactions::{Api, PlatformTx, Reach, ScopedTx, TenantTx};
pub use users::{NewUser, User, UserChange};
pub use wishes::{DomainWish, Put};
pub use zones::{NewZone, ZoneRow};
