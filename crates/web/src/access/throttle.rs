//! How long a log-in waits after others that failed.

use certmill_store::LoginFailures;
use time::{Duration, OffsetDateTime};

/// So many may fail in a row without any wait: people mistype.
const FREE: i32 = 5;

/// The longest wait.
const LONGEST: Duration = Duration::minutes(15);

/// A failure that lies so far back counts no longer.
pub(crate) const FORGOTTEN_AFTER: Duration = Duration::hours(24);

/// When the next log-in may be tried, if that is still to come. The wait doubles with each failure, from a second to a
/// quarter of an hour: slow enough for who guesses, and nobody is locked out by a stranger for long.
pub(crate) fn throttled_until(found: &[LoginFailures], now: OffsetDateTime) -> Option<OffsetDateTime> {
    let until = |failures: &LoginFailures| {
        let over = failures.failures - FREE;
        let wait = Duration::seconds(1_i64 << over.clamp(0, 20)).min(LONGEST);
        (over >= 0 && failures.last_at > now - FORGOTTEN_AFTER).then(|| failures.last_at + wait)
    };
    found.iter().filter_map(until).max().filter(|until| *until > now)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    fn wait(failures: i32, ago: Duration) -> Option<Duration> {
        throttled_until(&[LoginFailures { failures, last_at: NOW - ago }], NOW).map(|until| until - NOW)
    }

    #[test]
    fn after_five_failures_each_waits_twice_as_long_up_to_a_quarter_of_an_hour() {
        assert_eq!(wait(4, Duration::ZERO), None);
        assert_eq!(wait(5, Duration::ZERO), Some(Duration::seconds(1)));
        assert_eq!(wait(8, Duration::ZERO), Some(Duration::seconds(8)));
        assert_eq!(wait(8, Duration::seconds(9)), None);
        assert_eq!(wait(1000, Duration::ZERO), Some(LONGEST));
        assert_eq!(wait(1000, FORGOTTEN_AFTER), None);
    }

    #[test]
    fn a_thousand_guesses_take_more_than_ten_days() {
        let waits = (0..1000).filter_map(|failures| wait(failures, Duration::ZERO));
        assert!(waits.sum::<Duration>() > Duration::days(10));
    }
}
