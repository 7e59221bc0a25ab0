//! The lab itself, on the real parts.

mod acme_zone;
mod fault_ca;
mod fault_limits;
mod issuance;
mod lifetime;
mod load_balancers;
mod names;
mod parts;
mod pebble;
mod support;
