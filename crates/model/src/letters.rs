//! What mails say, as data: whoever has something to tell writes it down, and the engine renders and sends it.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{AlertId, AlertLevel, DigestFrequency, ProblemCode};

/// A letter, as it is kept until it is sent. Links that let somebody in stand in it in the clear, so that the store wipes it
/// once it is sent.
#[derive(Clone, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Letter {
    /// An alert was opened, has grown more pressing, or is over.
    Alert(Box<AlertLetter>),
    /// What happened lately, and what is to come.
    Digest(Box<DigestLetter>),
    /// Somebody may use the dashboard.
    Invitation {
        /// Who says so.
        invited_by: String,
        /// To work for whom.
        organisation: String,
        /// Where the password is chosen; works once.
        link: String,
        /// Until when.
        expires_at: OffsetDateTime,
    },
    /// Somebody forgot a password.
    PasswordReset {
        /// Where a new one is chosen; works once.
        link: String,
        /// Until when.
        expires_at: OffsetDateTime,
    },
    /// An operator tries whether mail works.
    Test,
    /// A shop's owner is to set DNS records.
    OwnerSetUp {
        /// In whose name it is written.
        brand: Brand,
        /// The domain.
        name: String,
        /// What is to be set.
        records: Vec<Record>,
        /// The page that shows it live.
        link: String,
    },
    /// A shop's domain works.
    OwnerWorks {
        /// In whose name it is written.
        brand: Brand,
        /// The domain.
        name: String,
    },
}

/// What a letter says of an alert.
#[derive(Clone, Deserialize, Serialize)]
pub struct AlertLetter {
    /// The alert.
    pub alert_id: AlertId,
    /// Why there is a letter.
    pub occasion: Occasion,
    /// How pressing it is.
    pub level: AlertLevel,
    /// What is wrong.
    pub code: ProblemCode,
    /// Whose names; `None`: the platform's own trouble.
    pub tenant: Option<String>,
    /// The CA or load balancer, by the name that people know.
    pub about: Option<String>,
    /// How many names have it (had it, when it is over).
    pub names: u64,
    /// Those that end soonest.
    pub first: Vec<Listed>,
    /// Since when.
    pub since: OffsetDateTime,
    /// The last attempt.
    pub last_attempt_at: OffsetDateTime,
    /// The next one, if one is planned.
    pub next_attempt_at: Option<OffsetDateTime>,
    /// What was said, in the CA's or nginx's own words where they are the source.
    pub detail: String,
    /// When this was so.
    pub at: OffsetDateTime,
}

/// Why there is a letter of an alert.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// The first.
    Opened,
    /// It has grown more pressing.
    Reminder,
    /// Many names have it.
    Incident,
    /// It is over.
    Resolved,
}

/// A name in a letter.
#[derive(Clone, Deserialize, Serialize)]
pub struct Listed {
    /// The name.
    pub name: String,
    /// When what is served for it ends.
    pub ends_at: Option<OffsetDateTime>,
}

/// What a digest tells.
#[derive(Clone, Deserialize, Serialize)]
pub struct DigestLetter {
    /// Daily or weekly.
    pub frequency: DigestFrequency,
    /// Whose names; `None`: all.
    pub tenant: Option<String>,
    /// What it tells of.
    pub from: OffsetDateTime,
    /// Its end.
    pub until: OffsetDateTime,
    /// How many domains are in which status, the words of [`crate::DomainStatus`].
    pub domains: Vec<(String, u64)>,
    /// Certificates that were issued in the time.
    pub issued: u64,
    /// Orders that failed in the time.
    pub failed: u64,
    /// Alerts that were opened in the time.
    pub opened: Vec<DigestAlert>,
    /// Alerts that were resolved in the time.
    pub resolved: Vec<DigestAlert>,
    /// Alerts that are open.
    pub open: Vec<DigestAlert>,
    /// How many renewals are planned for each of the next seven days.
    pub forecast: Vec<(OffsetDateTime, u64)>,
}

/// An alert in a digest.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DigestAlert {
    /// What was wrong.
    pub code: ProblemCode,
    /// The CA or load balancer.
    pub about: Option<String>,
    /// How pressing it was.
    pub level: AlertLevel,
    /// How many names had it.
    pub names: u64,
}

/// In whose name shops' owners are written to.
#[derive(Clone, Deserialize, Serialize)]
pub struct Brand {
    /// What the product is called.
    pub product: String,
    /// Who the letter is from.
    pub sender_name: String,
    /// Where owners get help: an https or mailto link.
    pub support_link: Option<String>,
}

/// A DNS record that somebody is to set.
#[derive(Clone, Deserialize, Serialize)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// Its type, as in `CNAME`.
    pub kind: String,
    /// Its value.
    pub value: String,
}

impl Letter {
    /// Whether it is one of those that a rule asks for, and that can be unsubscribed from.
    pub fn is_subscribed(&self) -> bool {
        matches!(self, Self::Alert(_) | Self::Digest(_))
    }

    /// Whether it holds a link that lets somebody in.
    pub fn holds_secret(&self) -> bool {
        matches!(self, Self::Invitation { .. } | Self::PasswordReset { .. } | Self::OwnerSetUp { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_comes_back_from_its_stored_form() {
        let letter = Letter::PasswordReset {
            link: "https://certmill.example/reset/x".into(),
            expires_at: OffsetDateTime::UNIX_EPOCH,
        };
        let stored = serde_json::to_value(&letter).unwrap();
        assert_eq!(stored["kind"], "password_reset");
        let back: Letter = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(&back).unwrap(), stored);
        assert!(back.holds_secret() && !back.is_subscribed());
    }
}
