//! When a digest is due.

use time::{Duration, OffsetDateTime, Weekday, macros::time};

use crate::status::{UnknownStatus, closed_set};

closed_set! {
    /// How often somebody gets a digest.
    DigestFrequency {
        /// Never.
        Off = "off",
        /// Every day at 06:00 UTC.
        Daily = "daily",
        /// On Mondays at 06:00 UTC.
        Weekly = "weekly",
    }
}

/// What a digest tells of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DigestPeriod {
    /// Its first instant.
    pub from: OffsetDateTime,
    /// Its end: when it was due.
    pub until: OffsetDateTime,
}

/// The last digest that was due at `now`, if it is not older than half a day: after an outage one is sent, not all of them, and
/// none that nobody expects any more.
pub fn digest_due(frequency: DigestFrequency, now: OffsetDateTime) -> Option<DigestPeriod> {
    let today = now.replace_time(time!(06:00));
    let last = if now >= today { today } else { today - Duration::DAY };
    let length = match frequency {
        DigestFrequency::Daily => Duration::DAY,
        DigestFrequency::Weekly if last.weekday() == Weekday::Monday => Duration::WEEK,
        DigestFrequency::Off | DigestFrequency::Weekly => return None,
    };
    (now - last < Duration::hours(12)).then_some(DigestPeriod { from: last - length, until: last })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_daily_digest_is_due_at_six_and_missed_ones_are_not_made_up_for() {
        let due = |now| digest_due(DigestFrequency::Daily, now).map(|period| period.until);
        assert_eq!(due(datetime!(2026-11-21 05:59 UTC)), None);
        assert_eq!(due(datetime!(2026-11-21 06:00 UTC)), Some(datetime!(2026-11-21 06:00 UTC)));
        assert_eq!(due(datetime!(2026-11-21 17:59 UTC)), Some(datetime!(2026-11-21 06:00 UTC)));
        assert_eq!(due(datetime!(2026-11-21 18:00 UTC)), None);
    }

    #[test]
    fn a_weekly_digest_is_due_on_monday_and_tells_of_seven_days() {
        let monday = datetime!(2026-11-23 07:00 UTC);
        let period = digest_due(DigestFrequency::Weekly, monday).unwrap();
        assert_eq!(period.until - period.from, Duration::WEEK);
        assert_eq!(digest_due(DigestFrequency::Weekly, monday - Duration::DAY), None);
        assert_eq!(digest_due(DigestFrequency::Off, monday), None);
    }
}
