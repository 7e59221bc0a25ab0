//! When a name's DNS is looked at again.

use time::Duration;

use crate::DomainStatus;

/// How much later than planned a look may be, as a part of the wait.
const JITTER: f64 = 0.1;

/// How long a name that was never right is looked at often; then its attempts end, and slow looks go on.
const PATIENCE: Duration = Duration::days(7);

/// The status of a name that is not right yet, and the wait until the next look. `failures` counts the looks in a row
/// that were not right, this one included; `waiting` is how long it has been registered.
///
/// Every two minutes for the first twenty, while somebody may be setting the record; then longer, up to four hours, for
/// a week; then weekly, in [`DomainStatus::Failed`].
pub fn look_at_pending(failures: u32, waiting: Duration, chance: f64) -> (DomainStatus, Duration) {
    if waiting >= PATIENCE {
        return (DomainStatus::Failed, jittered(Duration::weeks(1), chance));
    }
    let doublings = failures.saturating_sub(10).min(7);
    let wait = (Duration::minutes(2) * (1_i32 << doublings)).min(Duration::hours(4));
    (DomainStatus::PendingDns, jittered(wait, chance))
}

/// The wait until an active name is looked at again: about a day, spread so that what came together does not stay so.
pub fn look_at_active(chance: f64) -> Duration {
    Duration::hours(20) + Duration::hours(8) * chance.clamp(0.0, 1.0)
}

/// The wait until a name that moved away is looked at again: it is to be back within an hour of its DNS being right.
pub fn look_at_moved(chance: f64) -> Duration {
    Duration::minutes(40) + Duration::minutes(15) * chance.clamp(0.0, 1.0)
}

/// The wait until a CA is asked again for a name that it looked at and did not like: one attempt a day at most, so that
/// no name is ever paused there.
pub fn after_validation_failure(chance: f64) -> Duration {
    jittered(Duration::days(1), chance)
}

fn jittered(wait: Duration, chance: f64) -> Duration {
    wait + wait * (JITTER * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The instants of all looks within `span`, with as much jitter as there may be.
    fn looks(span: Duration, chance: f64) -> Vec<(Duration, DomainStatus)> {
        let (mut at, mut looks) = (Duration::ZERO, Vec::new());
        while at <= span {
            let failures = looks.len() as u32 + 1;
            let (status, wait) = look_at_pending(failures, at, chance);
            looks.push((at, status));
            at += wait;
        }
        looks
    }

    #[test]
    fn a_pending_name_is_looked_at_ten_times_in_twenty_minutes() {
        let early = looks(Duration::days(1), 0.0).into_iter().filter(|(at, _)| *at < Duration::minutes(20));
        assert_eq!(early.count(), 10);
    }

    #[test]
    fn looks_grow_to_four_hours_and_become_weekly_after_a_week() {
        for chance in [0.0, 1.0] {
            let looks = looks(Duration::days(40), chance);
            let gaps: Vec<_> = looks.windows(2).map(|pair| (pair[0].1, pair[1].0 - pair[0].0)).collect();
            let pending = gaps.iter().filter(|(status, _)| *status == DomainStatus::PendingDns);
            assert_eq!(pending.map(|(_, gap)| *gap).max().unwrap(), jittered(Duration::hours(4), chance));
            let slow: Vec<_> = gaps.iter().filter(|(status, _)| *status == DomainStatus::Failed).collect();
            assert!(slow.len() >= 4 && slow.iter().all(|(_, gap)| *gap >= Duration::weeks(1)), "{slow:?}");
            let first_failed = looks.iter().find(|(_, status)| *status == DomainStatus::Failed).unwrap();
            assert!(first_failed.0 >= Duration::days(7) && first_failed.0 < Duration::days(8));
        }
    }

    #[test]
    fn a_name_that_moved_is_back_within_an_hour_and_an_active_one_is_seen_about_daily() {
        assert!([0.0, 0.5, 1.0, 9.0].into_iter().all(|chance| look_at_moved(chance) < Duration::HOUR));
        assert_eq!(look_at_active(0.5), Duration::DAY);
        assert!(look_at_active(1.0) - look_at_active(0.0) >= Duration::hours(8));
    }

    #[test]
    fn a_ca_is_asked_once_a_day_at_most_for_a_name_that_it_refused() {
        assert!((0..10).all(|tenth| after_validation_failure(f64::from(tenth) / 10.0) >= Duration::DAY));
    }
}
