//! The client of certificate authorities: orders, challenges, problems.
//!
//! RFC 8555 step by step, so that the caller can store what it has between any two steps and go on after a crash:
//! [`register`] once, then [`Client::place`] (store [`Order::url`]), [`Order::challenges`] (publish them),
//! [`Order::answer`], [`Order::await_ready`], [`Order::finalize`], [`Order::await_certificate`], [`verify_issued`].
//! Every step of an [`Order`] may be repeated from any state; [`Client::resume`] brings an order back from its URL.

mod account;
mod authorization;
mod chain;
mod client;
mod document;
mod error;
mod exchange;
mod issued;
mod keys;
mod nonces;
mod order;
mod problem;
mod reaction;
mod retry_after;
mod settings;
mod transport;

pub use account::{AccountCredentials, Registration, register};
pub use authorization::{Challenge, Dns01Challenge, Http01Challenge};
pub use client::Client;
pub use error::{AcmeError, FailedName, Failure};
pub use issued::{IssuedCertificate, WrongCertificate, verify_issued};
pub use keys::{AccountKey, InvalidKey, PrivateKey};
pub use order::Order;
pub use problem::{CaProblem, CaSubproblem};
pub use settings::{CaSettings, InvalidCaSettings, TrustedRoots};
