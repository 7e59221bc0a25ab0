//! An event as programs read it: in the feed, in a stream and in a webhook, always the same.

use serde::Serialize;
use time::OffsetDateTime;

use super::EventKind;
use crate::{EventId, Health, ProblemCode, Severity, TenantId};

/// The longest that an event may be as JSON, in bytes (Standard Webhooks: payloads below 20 kB).
pub const LONGEST_EVENT: usize = 20_000;

/// An event. `type` and `timestamp` stand where Standard Webhooks wants them.
#[derive(Clone, Debug, Serialize)]
pub struct EventDocument {
    /// Its id.
    pub id: EventId,
    /// What happened.
    #[serde(rename = "type", serialize_with = "public_type")]
    pub kind: EventKind,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub timestamp: OffsetDateTime,
    /// To whom.
    pub data: EventData,
}

/// To whom something happened, and how it stood when the event took its place in the feed.
#[derive(Clone, Debug, Serialize)]
pub struct EventData {
    /// The id of the domain, or of whatever else it is about.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The shop's id in the commerce system.
    pub external_id: Option<String>,
    /// Whose it is; null: the platform's.
    pub tenant: Option<TenantId>,
    /// Its status after what happened.
    pub status: Option<String>,
    /// Its status before, where that changed.
    pub previous_status: Option<String>,
    /// How a domain fares.
    pub health: Option<Health>,
    /// What is wrong with it.
    pub problems: Vec<EventProblem>,
    /// The particulars, for people; may be empty.
    pub detail: String,
}

/// A problem that was open then.
#[derive(Clone, Debug, Serialize)]
pub struct EventProblem {
    /// Which.
    pub code: ProblemCode,
    /// How much it matters.
    pub severity: Severity,
    /// The kind of problem, for people.
    pub title: &'static str,
    /// The particulars.
    pub detail: String,
    /// What mends it.
    pub fix: &'static str,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
}

impl EventProblem {
    /// What is said of a problem with this code.
    pub fn new(code: ProblemCode, detail: String, since: OffsetDateTime) -> Self {
        Self { code, severity: code.severity(), title: code.title(), detail, fix: code.fix(), since }
    }
}

impl EventDocument {
    /// The event as JSON, of [`LONGEST_EVENT`] bytes at most: what is too long is cut where it is for people.
    pub fn to_json(&self) -> String {
        let whole = json(self);
        if whole.len() <= LONGEST_EVENT {
            return whole;
        }
        let mut short = self.clone();
        cut(&mut short.data.detail);
        for problem in &mut short.data.problems {
            cut(&mut problem.detail);
        }
        let mut text = json(&short);
        while text.len() > LONGEST_EVENT && short.data.problems.pop().is_some() {
            text = json(&short);
        }
        text
    }
}

fn json(document: &EventDocument) -> String {
    serde_json::to_string(document).expect("a document is text, numbers and lists")
}

/// Each text then takes 6 bytes a character at most, as JSON writes control characters.
fn cut(text: &mut String) {
    const CHARACTERS: usize = 300;
    if let Some((end, _)) = text.char_indices().nth(CHARACTERS) {
        text.truncate(end);
        text.push('…');
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
fn public_type<S: serde::Serializer>(kind: &EventKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.public_type())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chance, DomainId};

    fn document(detail: &str, problems: usize) -> EventDocument {
        let (chance, now) = (Chance::seeded(1), OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000));
        let problem = || EventProblem::new(ProblemCode::CaaForbids, detail.to_owned(), now);
        EventDocument {
            id: EventId::new(&chance, now),
            kind: EventKind::ProblemOpened,
            timestamp: now,
            data: EventData {
                id: DomainId::new(&chance, now).to_string(),
                name: "shop.example.com".to_owned(),
                external_id: Some("shop-1".to_owned()),
                tenant: Some(TenantId::new(&chance, now)),
                status: Some("active".to_owned()),
                previous_status: None,
                health: Some(Health::Warning),
                problems: (0..problems).map(|_| problem()).collect(),
                detail: detail.to_owned(),
            },
        }
    }

    #[test]
    fn an_event_has_the_members_of_the_standard_and_of_ours() {
        let value: serde_json::Value = serde_json::from_str(&document("why", 1).to_json()).unwrap();
        assert_eq!(value["type"], "domain.problem_opened");
        assert_eq!(value["timestamp"], "2024-10-04T00:00:00Z");
        assert_eq!(
            (&value["data"]["name"], &value["data"]["status"]),
            (&"shop.example.com".into(), &"active".into())
        );
        assert_eq!(value["data"]["problems"][0]["code"], "caa_forbids");
        assert!(value["data"]["tenant"].as_str().unwrap().starts_with("ten_"), "{value}");
        assert!(value["data"]["previous_status"].is_null());
    }

    #[test]
    fn no_event_is_longer_than_20_kb_whatever_stands_in_it() {
        for detail in ["\u{1}".repeat(40_000), "\u{1f512}".repeat(9_000), "x".repeat(1_000_000)] {
            for problems in [0, 1, 25] {
                let text = document(&detail, problems).to_json();
                assert!(text.len() <= LONGEST_EVENT, "{} bytes with {problems} problems", text.len());
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(value["data"]["name"], "shop.example.com");
            }
        }
    }
}
