//! The client of certificate authorities: orders, challenges, problems.
//!
//! RFC 8555 step by step, so that the caller can store what it has between any two steps and go on after a crash:
//! [`register`] once, then [`Client::place`] (store [`Order::url`]), [`Order::challenges`] (publish them),
//! [`Order::answer`], [`Order::await_ready`], [`Order::finalize`], [`Order::await_certificate`], [`verify_issued`].
//! Every step of an [`Order`] may be repeated from any state; [`Client::resume`] brings an order back from its URL.
//!
//! Between orders, [`Client::renewal_info`] tells when a certificate should be renewed (RFC 9773), and [`roll_over()`] gives
//! the account a new key. [`AcmeError`] says what to do about each refusal.

mod account;
mod answer;
mod authorization;
mod chain;
mod client;
mod directory;
mod document;
mod error;
mod exchange;
mod external_account;
mod issued;
mod jws;
mod keys;
mod limit;
mod nonces;
mod order;
mod pace;
mod polling;
mod problem;
mod reaction;
mod refusal;
mod renewal_info;
mod roll_over;
mod settings;
mod signed;
mod transport;

pub use account::{AccountCredentials, Registration, find_account, register};
pub use authorization::{Challenge, Dns01Challenge, Http01Challenge};
pub use client::{Client, PlaceOrder};
pub use directory::DirectoryMeta;
pub use error::{AcmeError, FailedName, Failure};
pub use external_account::{ExternalAccount, InvalidExternalAccount};
pub use issued::{IssuedCertificate, WrongCertificate, verify_issued};
pub use keys::{AccountKey, InvalidKey, PrivateKey};
pub use limit::LimitHit;
pub use order::Order;
pub use pace::Pace;
pub use problem::{CaProblem, CaSubproblem};
pub use renewal_info::certificate_id;
pub use roll_over::roll_over;
pub use settings::{CaSettings, InvalidCaSettings, TrustedRoots};
