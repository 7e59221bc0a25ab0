//! A message with its headers.

use certmill_model::{AlertId, one_line};
use data_encoding::HEXLOWER;
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::{MailError, Written};

/// What stands on the outside of a mail.
pub struct Envelope {
    /// Who gets it.
    pub to: String,
    /// From which address.
    pub from: String,
    /// In whose name.
    pub from_name: String,
    /// When it is sent.
    pub date: OffsetDateTime,
    /// Its own id, `local@domain` without brackets.
    pub message_id: String,
    /// The first mail of its thread, unless it is the first itself.
    pub in_reply_to: Option<String>,
    /// What it belongs to, as in `alerts.certmill.example.com`; `None`: it belongs to no list.
    pub list_id: Option<String>,
    /// How whoever gets it ends that.
    pub unsubscribe: Option<Unsubscribe>,
}

/// How whoever gets a mail ends that.
pub struct Unsubscribe {
    /// A page that asks, and that acts on POST alone (RFC 8058).
    pub url: String,
    /// The address that a person reads.
    pub mailto: String,
}

/// The id of the first mail about an alert to somebody: those that follow name it, without knowing more than both.
pub fn thread_id(alert: AlertId, recipient: &str, host: &str) -> String {
    let recipient = HEXLOWER.encode(&Sha256::digest(recipient.as_bytes())[..6]);
    format!("{alert}.{recipient}@{host}")
}

/// The message. [`MailError::Never`]: the recipient's address is none; [`MailError::Misconfigured`]: our own is.
pub fn compose(envelope: &Envelope, written: &Written) -> Result<Message, MailError> {
    let to: Address = envelope.to.parse().map_err(|error| MailError::Never(Box::new(error)))?;
    let from: Address = envelope.from.parse().map_err(|error| MailError::Misconfigured(Box::new(error)))?;
    let name = one_line(&envelope.from_name, 100);
    let mut message = Message::builder()
        .from(Mailbox::new((!name.is_empty()).then_some(name), from))
        .to(Mailbox::new(None, to))
        .date(envelope.date.into())
        .subject(one_line(&written.subject, 200))
        .message_id(Some(bracketed(&envelope.message_id)));
    if let Some(first) = &envelope.in_reply_to {
        message = message.in_reply_to(bracketed(first)).references(bracketed(first));
    }
    for (name, value) in further_headers(envelope) {
        // Nothing of these is a text of somebody else's, and folding would break a link.
        let value = one_line(&value, 900);
        message = message.raw_header(HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value));
    }
    let body = MultiPart::alternative_plain_html(written.text.clone(), written.html.clone());
    message.multipart(body).map_err(|error| MailError::Misconfigured(Box::new(error)))
}

fn further_headers(envelope: &Envelope) -> Vec<(HeaderName, String)> {
    let mut headers = vec![(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned())];
    if let Some(list) = &envelope.list_id {
        headers.push((HeaderName::new_from_ascii_str("List-Id"), bracketed(list)));
    }
    if let Some(Unsubscribe { url, mailto }) = &envelope.unsubscribe {
        let ways = format!("<{url}>, <mailto:{mailto}?subject=unsubscribe>");
        headers.push((HeaderName::new_from_ascii_str("List-Unsubscribe"), ways));
        // One click is allowed over https alone (RFC 8058 section 3.1).
        if url.starts_with("https://") {
            let one_click = "List-Unsubscribe=One-Click".to_owned();
            headers.push((HeaderName::new_from_ascii_str("List-Unsubscribe-Post"), one_click));
        }
    }
    headers
}

/// An id between angle brackets, with nothing in it that would end it.
fn bracketed(id: &str) -> String {
    let kept: String = id.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>')).collect();
    format!("<{kept}>")
}
