//! Not shipped: the real parts on one machine, for demo, tests and benchmarks.
//!
//! A [`Lab`] is a PostgreSQL, an ACME server (pebble), two authoritative DNS servers (BIND), load balancers
//! (nginx and sshd each), a shop behind them and a mail sink, all on loopback addresses of its own and in a
//! directory of its own. Any number of labs run side by side, as root and as a plain user.
//!
//! [`service`] runs certmill itself on a lab, and [`shopper`] looks at what its load balancers serve.
//!
//! Nothing is left behind: [`Lab::down`] and dropping end every process of the lab and remove its directory,
//! and when the process that holds a lab is killed, a guard process does the same.

mod certificates;
mod description;
mod error;
pub mod fault_ca;
pub mod guard;
mod lab;
mod names;
mod network;
mod part;
mod parts;
mod process;
mod processor_time;
mod programs;
pub mod service;
pub mod shopper;
mod sweep;

pub use crate::description::{AcmeZone, Description, LoadBalancer, TsigKey};
pub use crate::error::LabError;
pub use crate::fault_ca::FaultCa;
pub use crate::lab::{Lab, Options};
pub use crate::names::Record;
pub use crate::part::Part;
pub use crate::parts::pebble::{PebbleOptions, PebbleRelease};
pub use crate::processor_time::processor_time;
