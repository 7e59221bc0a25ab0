//! States, events and times in plain words, each with an icon and a tone.

use certmill_model::{DomainStatus, EventKind, Health, TargetState};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

/// How something is shown: the icon and the word say it, the tone (a colour) only repeats it.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// The id of a symbol in `icons.html`.
    pub(super) icon: &'static str,
    /// A class in the style sheet: `good`, `busy`, `warn`, `bad` or `idle`.
    pub(super) tone: &'static str,
    pub(super) words: &'static str,
}

/// An instant: for programs, for people, and how far it is from now.
pub(super) struct Moment {
    pub(super) iso: String,
    pub(super) date: String,
    pub(super) full: String,
    pub(super) distance: String,
}

const fn look(icon: &'static str, tone: &'static str, words: &'static str) -> Look {
    Look { icon, tone, words }
}

/// A domain's status in a few words.
pub(super) fn status(status: DomainStatus) -> Look {
    match status {
        DomainStatus::PendingDns => look("clock", "busy", "Waiting for DNS"),
        DomainStatus::PendingIssuance => look("clock", "busy", "Getting certificate"),
        DomainStatus::PendingDeployment => look("clock", "busy", "Going live"),
        DomainStatus::Active => look("check", "good", "Active"),
        DomainStatus::Moved => look("alert", "warn", "Moved away"),
        DomainStatus::Expired => look("cross", "bad", "Certificate expired"),
        DomainStatus::Failed => look("cross", "bad", "Not working"),
        DomainStatus::Paused => look("pause", "idle", "Paused"),
        DomainStatus::Blocked => look("cross", "bad", "Blocked"),
        DomainStatus::PendingDeletion => look("bin", "idle", "Being removed"),
        DomainStatus::Deleted => look("bin", "idle", "Removed"),
    }
}

/// A domain's status in a sentence.
pub(super) fn status_sentence(status: DomainStatus) -> &'static str {
    match status {
        DomainStatus::PendingDns => "We are waiting for the domain to point at the load balancers.",
        DomainStatus::PendingIssuance => "The domain points at us. Its certificate is on the way.",
        DomainStatus::PendingDeployment => "The certificate is here and is going to the load balancers.",
        DomainStatus::Active => "Shoppers reach this domain securely on every load balancer.",
        DomainStatus::Moved => "The domain now points somewhere else. Its certificate is still valid.",
        DomainStatus::Expired => "The certificate has run out. Shoppers see a warning.",
        DomainStatus::Failed => "We have tried for long without success and now try only rarely.",
        DomainStatus::Paused => "An operator has paused this domain.",
        DomainStatus::Blocked => "This domain is blocked by policy.",
        DomainStatus::PendingDeletion => "The domain is being taken off the load balancers.",
        DomainStatus::Deleted => "The domain is gone.",
    }
}

/// Whether something is under way, so that the page is worth looking at again soon.
pub(super) fn is_under_way(status: DomainStatus) -> bool {
    matches!(
        status,
        DomainStatus::PendingDns
            | DomainStatus::PendingIssuance
            | DomainStatus::PendingDeployment
            | DomainStatus::PendingDeletion
    )
}

/// A domain's health, where it is worth a word.
pub(super) fn health(health: Health) -> Option<Look> {
    match health {
        Health::Ok => None,
        Health::Warning => Some(look("alert", "warn", "Needs a look")),
        Health::Critical => Some(look("alert", "bad", "Needs action")),
    }
}

/// A load balancer's state in a few words.
pub(super) fn target(state: TargetState) -> Look {
    match state {
        TargetState::InSync => look("check", "good", "Up to date"),
        TargetState::Behind => look("clock", "busy", "Being updated"),
        TargetState::Drifted => look("alert", "warn", "Changed by somebody else"),
        TargetState::Unreachable => look("cross", "bad", "Cannot be reached"),
        TargetState::Disabled => look("pause", "idle", "Switched off"),
    }
}

/// An event in a few words.
pub(super) fn event(kind: EventKind) -> Look {
    match kind {
        EventKind::DomainCreated => look("plus", "idle", "Registered"),
        EventKind::DomainChanged => look("plus", "idle", "Settings changed"),
        EventKind::DomainDeletionRequested => look("bin", "idle", "Removal asked for"),
        EventKind::DomainDeleted => look("bin", "idle", "Off every load balancer"),
        EventKind::DnsVerified => look("globe", "good", "DNS is right"),
        EventKind::DomainMoved => look("alert", "warn", "Moved away"),
        EventKind::DomainReturned => look("check", "good", "Came back"),
        EventKind::DomainExpired => look("cross", "bad", "Certificate ran out"),
        EventKind::OrderStarted => look("clock", "busy", "Certificate asked for"),
        EventKind::OrderFailed => look("cross", "bad", "Certificate not issued"),
        EventKind::CertificateIssued => look("seal", "good", "Certificate issued"),
        EventKind::Served => look("server", "good", "Served by a load balancer"),
        EventKind::DomainActive => look("check", "good", "Active on every load balancer"),
        EventKind::ProblemOpened => look("alert", "bad", "Problem seen"),
        EventKind::ProblemResolved => look("check", "good", "Problem gone"),
    }
}

impl Moment {
    pub(super) fn new(at: OffsetDateTime, now: OffsetDateTime) -> Self {
        let date = format_description!("[day padding:none] [month repr:short] [year]");
        let full = format_description!("[day padding:none] [month repr:short] [year], [hour]:[minute] UTC");
        let in_range = "instants of this era can be formatted";
        Self {
            iso: at.format(&Rfc3339).expect(in_range),
            date: at.format(date).expect(in_range),
            full: at.format(full).expect(in_range),
            distance: distance(at - now),
        }
    }
}

fn distance(from_now: Duration) -> String {
    let seconds = from_now.whole_seconds().unsigned_abs();
    let (count, unit) = match seconds {
        0..60 => return if from_now.is_positive() { "in a moment".into() } else { "just now".into() },
        60..3_600 => (seconds / 60, "minute"),
        3_600..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    if from_now.is_positive() {
        format!("in {count} {unit}{plural}")
    } else {
        format!("{count} {unit}{plural} ago")
    }
}

/// A number with a thin space between its thousands.
pub(super) fn number(value: i64) -> String {
    let digits = value.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join("\u{202f}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_in_words() {
        assert_eq!(distance(Duration::seconds(-5)), "just now");
        assert_eq!(distance(Duration::seconds(61)), "in 1 minute");
        assert_eq!(distance(Duration::hours(-30)), "30 hours ago");
        assert_eq!(distance(Duration::days(59)), "in 59 days");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(number(7), "7");
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
    }

    #[test]
    fn a_moment_is_in_utc_and_plain() {
        let moment = Moment::new(OffsetDateTime::UNIX_EPOCH, OffsetDateTime::UNIX_EPOCH + Duration::days(3));
        assert_eq!(
            (moment.full.as_str(), moment.iso.as_str()),
            ("1 Jan 1970, 00:00 UTC", "1970-01-01T00:00:00Z")
        );
        assert_eq!(moment.distance, "3 days ago");
    }
}
