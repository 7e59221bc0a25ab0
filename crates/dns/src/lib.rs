//! Lookups that explain themselves: which addresses a name has, by which way, and what is wrong with them.

mod answer;
mod compare;
mod error;
mod query;
mod resolver;
#[cfg(test)]
mod testing;

pub use compare::{PointsElsewhere, compare};
pub use error::LookupError;
pub use resolver::{Addresses, NoServers, Resolver};
