//! The lab itself, on the real parts.

mod acme_zone;
mod lifetime;
mod load_balancers;
mod names;
mod parts;
mod support;
