//! The door for people and programs.

mod access;
mod domains;
mod targets;
mod tenants;
mod transactions;

pub use access::Caller;
pub use domains::{Domain, DomainCertificate, DomainEvent, DomainFilter, DomainWish, Put};
pub use targets::{NewTarget, TargetRow};
pub use tenants::Tenant;
pub use transactions::{Api, PlatformTx, TenantTx};
