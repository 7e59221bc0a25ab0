//! The circuit breaker of a CA: one that fails is left alone for a while, and then asked again slowly.

use time::{Duration, OffsetDateTime};

/// Failures in a row that open it. A CA that refuses a request in between is up, and resets the count.
const OPENS_AFTER: u32 = 5;

/// Failures in a row that open it again while it restarts: one alone may be chance.
const REOPENS_AFTER: u32 = 3;

/// The first pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::seconds(30), Duration::minutes(5));

/// The most that a `Retry-After` is believed: a slip of the CA must not stop us for days.
const LONGEST_ASKED: Duration = Duration::HOUR;

/// How much longer than its step a pause may be, as a part of it, so that processes do not probe together.
const JITTER: f64 = 0.1;

/// A probe that has not come back after this long is given up, and another is made.
const PROBE: Duration = Duration::minutes(1);

/// Requests a second from which on a restart is over.
const RESTARTED: u32 = 256;

/// Whether a CA is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breaker {
    state: State,
    failures: u32,
    pauses: u32,
    failing_since: Option<OffsetDateTime>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Closed,
    Open { until: OffsetDateTime },
    Probing { since: OffsetDateTime },
    Restarting(Second),
}

/// A second of a restart: what is let through in it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Second {
    began: OffsetDateTime,
    allowed: u32,
    admitted: u32,
    succeeded: bool,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Closed, failures: 0, pauses: 0, failing_since: None }
    }
}

impl Breaker {
    /// Whether [`admit`](Self::admit) would let a request through at `now`; otherwise when it may.
    pub fn available(mut self, now: OffsetDateTime) -> Result<(), OffsetDateTime> {
        self.admit(now)
    }

    /// Lets a request through, whose outcome is to be told; otherwise says when to ask again.
    pub fn admit(&mut self, now: OffsetDateTime) -> Result<(), OffsetDateTime> {
        match &mut self.state {
            State::Closed => Ok(()),
            State::Open { until } if *until > now => Err(*until),
            // Counted from now: a date in the past would have whoever waits ask in a circle.
            State::Probing { since } if *since + PROBE > now => Err(now + Duration::SECOND),
            State::Open { .. } | State::Probing { .. } => {
                self.state = State::Probing { since: now };
                Ok(())
            }
            State::Restarting(second) => {
                second.turn(now);
                second.admit()
            }
        }
    }

    /// The CA answered, be it by refusing what was asked.
    pub fn succeeded(&mut self, now: OffsetDateTime) {
        match &mut self.state {
            // A late answer to what was asked before: the probe will tell.
            State::Open { .. } => return,
            State::Closed => {}
            State::Probing { .. } => self.state = State::Restarting(Second::first(now)),
            State::Restarting(second) => {
                second.turn(now);
                second.succeeded = true;
                if second.allowed >= RESTARTED {
                    self.state = State::Closed;
                    self.pauses = 0;
                }
            }
        }
        self.failures = 0;
        self.failing_since = None;
    }

    /// The CA did not answer, or with an error of its own. `retry_after` is what it asked for, `chance` in `0.0..1.0`
    /// spreads the probes of several processes.
    pub fn failed(&mut self, now: OffsetDateTime, retry_after: Option<Duration>, chance: f64) {
        self.failing_since.get_or_insert(now);
        self.failures = self.failures.saturating_add(1);
        let opens = match self.state {
            State::Open { .. } => false,
            State::Probing { .. } => true,
            State::Closed => self.failures >= OPENS_AFTER,
            State::Restarting(_) => self.failures >= REOPENS_AFTER,
        };
        if opens {
            let step = (PAUSES.0 * (1_i32 << self.pauses.min(8))).min(PAUSES.1);
            let asked = retry_after.unwrap_or_default().min(LONGEST_ASKED);
            let pause = step.max(asked) + step * (JITTER * chance.clamp(0.0, 1.0));
            self.state = State::Open { until: now + pause };
            self.pauses = self.pauses.saturating_add(1);
        }
    }

    /// Since when every request has failed; `None` while some succeed.
    pub fn failing_since(&self) -> Option<OffsetDateTime> {
        self.failing_since
    }
}

impl Second {
    fn first(now: OffsetDateTime) -> Self {
        Self { began: now, allowed: 1, admitted: 0, succeeded: false }
    }

    /// Begins the next one where this one is over: twice as many are let through, if any succeeded.
    fn turn(&mut self, now: OffsetDateTime) {
        if now >= self.began + Duration::SECOND {
            let allowed = if self.succeeded { self.allowed * 2 } else { self.allowed };
            *self = Self { began: now, allowed, admitted: 0, succeeded: false };
        }
    }

    fn admit(&mut self) -> Result<(), OffsetDateTime> {
        if self.admitted >= self.allowed {
            return Err(self.began + Duration::SECOND);
        }
        self.admitted += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn seconds(seconds: i64) -> OffsetDateTime {
        NOW + Duration::seconds(seconds)
    }

    /// One whose CA has failed as often as it takes.
    fn open() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..OPENS_AFTER {
            assert_eq!(breaker.admit(NOW), Ok(()));
            breaker.failed(NOW, None, 0.0);
        }
        breaker
    }

    #[test]
    fn a_ca_that_fails_now_and_then_is_asked_on() {
        let mut breaker = Breaker::default();
        for second in 0..1_000 {
            assert_eq!(breaker.admit(seconds(second)), Ok(()));
            if second % 3 == 0 {
                breaker.succeeded(seconds(second));
            } else {
                breaker.failed(seconds(second), None, 0.0);
            }
        }
    }

    #[test]
    fn a_ca_that_only_fails_is_left_alone_and_since_when_is_known() {
        let breaker = open();
        assert_eq!(breaker.available(NOW), Err(seconds(30)));
        assert_eq!(breaker.failing_since(), Some(NOW));
    }

    #[test]
    fn after_the_pause_one_request_is_a_probe_and_the_others_wait_for_it() {
        let mut breaker = open();
        assert_eq!(breaker.admit(seconds(30)), Ok(()));
        assert_eq!(breaker.admit(seconds(30)), Err(seconds(31)));
        assert_eq!(breaker.available(seconds(60)), Err(seconds(61)), "never a date that has passed");
        assert_eq!(breaker.admit(seconds(91)), Ok(()), "a probe that never came back is made again");
    }

    #[test]
    fn pauses_grow_to_five_minutes_while_probes_fail() {
        let mut breaker = open();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let at = breaker.available(NOW).unwrap_err();
            assert_eq!(breaker.admit(at), Ok(()));
            breaker.failed(at, None, 0.0);
            pauses.push((breaker.available(at).unwrap_err() - at).whole_seconds());
        }
        assert_eq!(pauses, [60, 120, 240, 300, 300, 300]);
        assert_eq!(breaker.failing_since(), Some(NOW));
    }

    #[test]
    fn a_pause_is_as_long_as_the_ca_asks_up_to_an_hour() {
        for (asked, pause) in [(10, 30), (600, 600), (86_400, 3_600)] {
            let mut breaker = Breaker::default();
            for _ in 0..OPENS_AFTER {
                breaker.failed(NOW, Some(Duration::seconds(asked)), 0.0);
            }
            assert_eq!(breaker.available(NOW), Err(seconds(pause)));
        }
    }

    #[test]
    fn a_ca_that_is_back_is_asked_1_2_4_times_a_second_and_soon_without_bounds() {
        let mut breaker = open();
        breaker.admit(seconds(30)).unwrap();
        breaker.succeeded(seconds(30));
        assert_eq!(breaker.failing_since(), None);
        let mut admitted = Vec::new();
        for second in 30..40 {
            let through = (0..1_000).filter(|_| breaker.admit(seconds(second)).is_ok()).count();
            breaker.succeeded(seconds(second));
            admitted.push(through);
        }
        assert_eq!(admitted, [1, 2, 4, 8, 16, 32, 64, 128, 256, 1_000]);
    }

    #[test]
    fn a_ca_that_fails_again_while_it_restarts_is_left_alone_longer_but_not_for_a_single_failure() {
        let mut breaker = open();
        breaker.admit(seconds(30)).unwrap();
        breaker.succeeded(seconds(30));
        breaker.failed(seconds(31), None, 0.0);
        assert!(breaker.available(seconds(32)).is_ok());
        breaker.failed(seconds(32), None, 0.0);
        breaker.failed(seconds(33), None, 0.0);
        assert_eq!(breaker.available(seconds(33)), Err(seconds(93)));
        assert_eq!(breaker.failing_since(), Some(seconds(31)));
    }

    #[test]
    fn what_was_asked_before_it_opened_changes_nothing_when_it_ends_late() {
        let mut breaker = open();
        let before = breaker.available(NOW);
        breaker.failed(seconds(1), None, 0.0);
        breaker.succeeded(seconds(2));
        assert_eq!(breaker.available(seconds(2)), before);
        assert_eq!(breaker.failing_since(), Some(NOW));
    }
}
