//! Mail: a [`certmill_model::Letter`] becomes a text and its HTML twin ([`Written`]), a message with its headers ([`compose`]),
//! and goes out over SMTP ([`Mailer`]).
//!
//! Whatever comes from outside is one line that can be shown before it is put anywhere: neither a header nor markup can be
//! added by it.
//!
//! Webhooks are a matter of their own: [`webhook`].

mod compose;
mod document;
mod error;
mod letters;
mod mailer;
pub mod webhook;
mod when;

pub use compose::{Envelope, Unsubscribe, compose, thread_id};
pub use document::{Site, Written};
pub use error::MailError;
pub use letters::write;
pub use lettre::Message;
pub use mailer::{Conversation, Mailer, Password, Security, SmtpSettings};
