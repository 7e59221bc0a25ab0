//! The lab itself, on the real parts.

mod lifetime;
mod load_balancers;
mod names;
mod parts;
mod support;
