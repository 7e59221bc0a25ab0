//! Webhooks as Standard Webhooks 1.0 has them: signed, sent once, and what came of it.
//!
//! When a message is sent again, and to whom, is decided elsewhere. Here it is made sure of where it goes: the addresses of a
//! name are looked up once, judged, and connected to, in one place, so that no DNS server can show one thing to the judge and
//! another to the connection.

mod connector;
mod error;
mod sender;
mod signature;

pub use connector::{Lookup, system_lookup};
pub use error::SendError;
pub use sender::{Answer, Message, Sender, SenderError};
pub use signature::sign;
