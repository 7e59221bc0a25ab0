//! What a rule does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::answer::Answer;

/// What a rule does with a request.
#[derive(Clone)]
pub enum Action {
    /// Answers this, and pebble is not asked.
    Answer(Box<Answer>),
    /// Waits before pebble is asked.
    Delay(Duration),
    /// Never answers.
    Hang,
    /// Breaks the connection, and pebble is not asked.
    Cut,
    /// Lets pebble do what was asked, and breaks the connection before the answer.
    CutAfterwards,
    /// Answers 200 and so many bytes.
    Flood(usize),
    /// Passes pebble's answer on a byte at a time, with this pause between two.
    Trickle(Duration),
    /// Changes pebble's answer, a JSON document.
    Edit(Edit),
    /// Shows an order that pebble has issued as `processing` for so long after it was first seen, and each time
    /// asks for this `Retry-After`, in seconds.
    Processing(Duration, Option<u32>),
    /// Leaves `error` out of an order, as Let's Encrypt does when a validation failed.
    HideOrderError,
    /// Answers with another certificate than was ordered.
    WrongCertificate(WrongCertificate),
}

/// A change of a JSON document.
pub type Edit = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// What is wrong with a certificate; all the rest is right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WrongCertificate {
    /// It is for `other.test`.
    Names,
    /// It is for another key.
    Key,
    /// The certificate behind it has not signed it.
    Chain,
    /// It is not signed by the CA, but by one that nobody knows.
    Root,
    /// It has expired.
    Expired,
    /// It is not for servers.
    Purpose,
}

impl Action {
    /// Changes pebble's answer, a JSON document.
    pub fn edit(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Edit(Arc::new(edit))
    }
}

impl From<Answer> for Action {
    fn from(answer: Answer) -> Self {
        Self::Answer(Box::new(answer))
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => write!(formatter, "answers {answer}"),
            Self::Delay(delay) => write!(formatter, "waits {delay:?}"),
            Self::Hang => formatter.write_str("hangs"),
            Self::Cut => formatter.write_str("cuts the connection"),
            Self::CutAfterwards => formatter.write_str("cuts the connection afterwards"),
            Self::Flood(bytes) => write!(formatter, "answers {bytes} bytes"),
            Self::Trickle(pause) => write!(formatter, "answers a byte every {pause:?}"),
            Self::Edit(_) => formatter.write_str("edits the answer"),
            Self::Processing(time, _) => write!(formatter, "shows the order as processing for {time:?}"),
            Self::HideOrderError => formatter.write_str("hides the order's error"),
            Self::WrongCertificate(wrong) => write!(formatter, "issues wrongly: {wrong:?}"),
        }
    }
}
