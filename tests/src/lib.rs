//! Helpers of the end-to-end tests: a lab with the real certmill on it, and eyes of our own on what they do.
//!
//! Every test waits for a state with a deadline ([`until`]), never for a time.

mod browser;
mod ca;
mod database;
mod faults;
mod files;
mod gate;
mod memory;
mod plain;
mod receiver;
mod stage;
mod templates;
mod wait;

pub use browser::{Audience, HOSTILE};
pub use ca::CaLog;
pub use database::Database;
pub use faults::{FaultStage, fault_lab, recovered};
pub use files::{Found, files_below};
pub use gate::Gate;
pub use memory::Growth;
pub use plain::{PlainPage, own_page, plain_page, send_form};
pub use receiver::{Received, Receiver};
pub use stage::{Stage, events, has_problem, instant, problem};
pub use templates::Template;
pub use wait::{MINUTE, SOON, until, until_all};
