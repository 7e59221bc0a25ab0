//! How many renewals are planned for which hour.

use std::collections::HashMap;

use time::{Duration, OffsetDateTime};

use crate::Chance;

/// How many other hours are looked at when one is overfull. The emptiest of a few is nearly as good as the emptiest of
/// all, and workers that look at the same forecast do not all take the same.
const TRIES: usize = 6;

/// An hour may always hold this many more than the mean: below, levelling would only make renewals early.
const SLACK: f64 = 10.0;

/// How many renewals are planned for which hour, over all domains. It may be a few minutes old: it levels, nothing
/// else hangs on it.
#[derive(Clone, Debug, Default)]
pub struct Forecast {
    loads: HashMap<i64, u32>,
    total: u64,
}

impl Forecast {
    /// The forecast of `counts`: an instant of an hour, and how many renewals are planned for that hour.
    pub fn from_counts(counts: impl IntoIterator<Item = (OffsetDateTime, u32)>) -> Self {
        let mut forecast = Self::default();
        for (at, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            *forecast.loads.entry(hour(at)).or_default() += count;
            forecast.total += u64::from(count);
        }
        forecast
    }

    /// One more renewal is planned for `at`.
    pub fn add(&mut self, at: OffsetDateTime) {
        *self.loads.entry(hour(at)).or_default() += 1;
        self.total += 1;
    }

    /// A renewal that was planned for `at` is so no more. Unknown ones are ignored.
    pub fn remove(&mut self, at: OffsetDateTime) {
        let Some(load) = self.loads.get_mut(&hour(at)) else { return };
        *load -= 1;
        self.total -= 1;
        if *load == 0 {
            self.loads.remove(&hour(at));
        }
    }

    /// How many renewals are planned for the hour of `at`.
    pub fn load(&self, at: OffsetDateTime) -> u32 {
        self.loads.get(&hour(at)).copied().unwrap_or_default()
    }

    /// How many renewals are planned at all.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The instant itself unless its hour is overfull; then one in an emptier hour, not before `floor`. `cycle` is the
    /// time in which every certificate comes up once.
    pub(super) fn level(
        &self,
        at: OffsetDateTime,
        floor: OffsetDateTime,
        cycle: Duration,
        chance: &Chance,
    ) -> OffsetDateTime {
        let load = self.load(at);
        let room = (at - floor).whole_seconds();
        if room <= 0 || f64::from(load) <= self.fair_load(cycle) {
            return at;
        }
        let earlier = |()| floor + Duration::seconds((room as f64 * chance.fraction()) as i64);
        let emptiest = [(); TRIES].map(earlier).into_iter().min_by_key(|other| self.load(*other));
        emptiest.filter(|other| self.load(*other) < load).unwrap_or(at)
    }

    /// What an hour may hold: the mean, and what chance alone adds to it now and then.
    fn fair_load(&self, cycle: Duration) -> f64 {
        let mean = self.total as f64 / (cycle.as_seconds_f64() / 3_600.0).max(1.0);
        mean + (2.0 * mean.sqrt()).max(SLACK)
    }
}

fn hour(at: OffsetDateTime) -> i64 {
    at.unix_timestamp().div_euclid(3_600)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    #[test]
    fn hours_count_what_is_planned_within_them() {
        let mut forecast = Forecast::from_counts([(START, 2), (START + Duration::HOUR, 1), (START, 1)]);
        assert_eq!((forecast.load(START + Duration::minutes(59)), forecast.total()), (3, 4));
        forecast.add(START + Duration::minutes(5));
        forecast.remove(START + Duration::HOUR);
        forecast.remove(START + Duration::days(7));
        assert_eq!(
            (forecast.load(START), forecast.load(START + Duration::HOUR), forecast.total()),
            (4, 0, 4)
        );
    }

    #[test]
    fn an_overfull_hour_gives_way_to_an_emptier_one_that_is_earlier() {
        let at = START + Duration::days(30);
        let forecast = Forecast::from_counts([(at, 12)]);
        let levelled = forecast.level(at, START + Duration::days(4), Duration::days(30), &Chance::seeded(1));
        assert!(levelled < at && levelled >= START + Duration::days(4));
    }

    #[test]
    fn an_hour_is_kept_while_it_holds_no_more_than_is_fair() {
        let at = START + Duration::days(30);
        let forecast = Forecast::from_counts([(at, 10)]);
        assert_eq!(forecast.level(at, START, Duration::days(30), &Chance::seeded(1)), at);
    }
}
