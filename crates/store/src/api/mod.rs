//! The door for people and programs.

mod access;
mod domains;
mod history;
mod holds;
mod setup;
mod targets;
mod tenants;
mod transactions;
mod wishes;
mod zones;

pub use access::Caller;
pub use domains::{Domain, DomainCertificate, DomainFilter};
pub use history::DomainEvent;
pub use setup::Setup;
pub use targets::{NewTarget, TargetRow};
pub use tenants::Tenant;
pub use transactions::{Api, PlatformTx, TenantTx};
pub use wishes::{DomainWish, Put};
pub use zones::{NewZone, ZoneRow};
