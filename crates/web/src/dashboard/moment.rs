//! Times and numbers, for people.

use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

/// An instant: for programs, for people, and how far it is from now.
pub(super) struct Moment {
    pub(super) iso: String,
    pub(super) date: String,
    pub(super) full: String,
    pub(super) distance: String,
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
