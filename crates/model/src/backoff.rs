//! How long to wait after a failure.

use time::Duration;

/// The steps that Let's Encrypt's integration guide asks for: 1, 10 and 100 minutes, then a day.
const STEPS: [Duration; 4] =
    [Duration::minutes(1), Duration::minutes(10), Duration::minutes(100), Duration::days(1)];

/// How much later than its step an attempt may start, as a part of the step.
const JITTER: f64 = 0.1;

/// The wait after the failure number `failures` in a row (the first is 1). `chance` in `0.0..1.0` spreads attempts
/// that failed together over a tenth of the step.
pub fn backoff(failures: u32, chance: f64) -> Duration {
    let step = STEPS[(failures.saturating_sub(1) as usize).min(STEPS.len() - 1)];
    step + step * (JITTER * chance.clamp(0.0, 1.0))
}

/// The wait after a CA failed on its own side, for the failure number `failures` in a row of this domain: others are served
/// meanwhile, so it may be a slip, and is tried again within seconds; an hour at most.
pub fn ca_retry(failures: u32, chance: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(10);
    let step = (Duration::seconds(5) * (1_i32 << doublings)).min(Duration::HOUR);
    step + step * (JITTER * chance.clamp(0.0, 1.0))
}

/// The wait before a load balancer is tried again, after the failure number `failures` in a row: it costs nobody
/// anything, so it is seconds, and a minute at most.
pub fn target_retry(failures: u32, chance: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(5);
    let step = (Duration::seconds(2) * (1_i32 << doublings)).min(Duration::minutes(1));
    step + step * (JITTER * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_wait_1_10_100_minutes_and_then_a_day() {
        let waits: Vec<_> = (1..=6).map(|failures| backoff(failures, 0.0)).collect();
        assert_eq!(waits[..3], STEPS[..3]);
        assert!(waits[3..].iter().all(|wait| *wait == Duration::days(1)));
    }

    #[test]
    fn a_load_balancer_is_tried_again_within_a_minute_however_long_it_was_away() {
        assert_eq!(target_retry(1, 0.0), Duration::seconds(2));
        assert_eq!(target_retry(1_000, 0.0), Duration::minutes(1));
    }

    #[test]
    fn a_slip_of_the_ca_costs_seconds_and_what_goes_on_failing_an_hour() {
        assert_eq!(ca_retry(1, 0.0), Duration::seconds(5));
        assert_eq!(ca_retry(3, 0.0), Duration::seconds(20));
        assert_eq!(ca_retry(1_000, 0.0), Duration::HOUR);
    }

    #[test]
    fn jitter_only_makes_later_and_by_a_tenth_at_most() {
        assert_eq!(backoff(2, 1.0), Duration::minutes(11));
        assert_eq!(backoff(2, 99.0), Duration::minutes(11));
    }
}
