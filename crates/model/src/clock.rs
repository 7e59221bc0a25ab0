//! The time, as something that is passed in.

use std::sync::Mutex;

use time::{Duration, OffsetDateTime};

/// Tells the time. Code that decides takes an instant; code that runs takes a clock.
pub trait Clock: Send + Sync {
    /// Now, in UTC, cut to microseconds so that it equals itself after a round trip through Postgres.
    fn now(&self) -> OffsetDateTime;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        #[expect(clippy::disallowed_methods, reason = "the one place where time comes in")]
        let now = OffsetDateTime::now_utc();
        to_microseconds(now)
    }
}

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct ManualClock(Mutex<OffsetDateTime>);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: OffsetDateTime) -> Self {
        Self(Mutex::new(to_microseconds(start)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().expect("no holder of this lock panics") += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().expect("no holder of this lock panics")
    }
}

fn to_microseconds(instant: OffsetDateTime) -> OffsetDateTime {
    instant
        .replace_nanosecond(instant.microsecond() * 1_000)
        .expect("whole microseconds are a valid nanosecond count")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(OffsetDateTime::UNIX_EPOCH);
        assert_eq!(clock.now(), OffsetDateTime::UNIX_EPOCH);
        clock.advance(Duration::days(365));
        assert_eq!(clock.now(), OffsetDateTime::UNIX_EPOCH + Duration::days(365));
    }

    #[test]
    fn the_system_clock_has_no_finer_grain_than_postgres() {
        assert_eq!(SystemClock.now().nanosecond() % 1_000, 0);
    }
}
