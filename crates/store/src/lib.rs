//! Everything in Postgres: rows, leases, tenancy and migrations. The only crate with SQL.
//!
//! Two doors lead in. [`Api`] serves people and programs: a [`TenantTx`] sees one tenant, by row level security as well
//! as by every query. [`Engine`] serves the workers: claims with a lease and a fencing token, and records under it.

mod api;
mod connect;
mod engine;
mod error;
mod mails;
mod ownership;
mod quota;
mod redelivery;
mod registration;
mod removal;
mod rows;
mod steering;
mod templates;
mod webhooks;
mod zones;

pub use api::*;
pub use connect::{connect_api, connect_engine, connect_server, migrate};
pub use engine::*;
pub use error::StoreError;
pub use mails::NewMail;

/// The channel on which writers wake the planner.
pub const WAKE_CHANNEL: &str = "certmill_wake";

/// The channel on which readers of the feed hear that there is more of it.
pub const FEED_CHANNEL: &str = "certmill_feed";
