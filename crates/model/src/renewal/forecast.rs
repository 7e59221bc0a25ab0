//! How many renewals are planned for which hour and day.

use std::collections::HashMap;

use time::{Duration, OffsetDateTime};

use crate::Chance;

/// How many other hours are looked at when one is crowded. The emptiest of a few is nearly as good as the emptiest of
/// all, and workers that look at the same forecast do not all take the same.
const TRIES: usize = 6;

/// An hour or a day may always hold this many more than the mean: below, levelling would only make renewals early.
const SLACK: f64 = 10.0;

/// How many renewals are planned for which hour, over all domains. It may be a few minutes old: it levels, nothing
/// else hangs on it.
#[derive(Clone, Debug, Default)]
pub struct Forecast {
    hours: HashMap<i64, u32>,
    /// A wave can be a little in every hour of a day.
    days: HashMap<i64, u32>,
    total: u64,
}

impl Forecast {
    /// The forecast of `counts`: an instant of an hour, and how many renewals are planned for that hour.
    pub fn from_counts(counts: impl IntoIterator<Item = (OffsetDateTime, u32)>) -> Self {
        let mut forecast = Self::default();
        for (at, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            *forecast.hours.entry(hour(at)).or_default() += count;
            *forecast.days.entry(day(at)).or_default() += count;
            forecast.total += u64::from(count);
        }
        forecast
    }

    /// One more renewal is planned for `at`.
    pub fn add(&mut self, at: OffsetDateTime) {
        *self.hours.entry(hour(at)).or_default() += 1;
        *self.days.entry(day(at)).or_default() += 1;
        self.total += 1;
    }

    /// A renewal that was planned for `at` is so no more. Unknown ones are ignored.
    pub fn remove(&mut self, at: OffsetDateTime) {
        if take_one(&mut self.hours, hour(at)) && take_one(&mut self.days, day(at)) {
            self.total -= 1;
        }
    }

    /// How many renewals are planned for the hour of `at`.
    pub fn load(&self, at: OffsetDateTime) -> u32 {
        self.hours.get(&hour(at)).copied().unwrap_or_default()
    }

    /// How many renewals are planned at all.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The instant itself unless it is crowded; then a less crowded one, not before `floor`. `cycle` is the time in which
    /// every certificate comes up once.
    pub(super) fn level(
        &self,
        at: OffsetDateTime,
        floor: OffsetDateTime,
        cycle: Duration,
        chance: &Chance,
    ) -> OffsetDateTime {
        let room = (at - floor).whole_seconds();
        let crowding = self.crowding(at, cycle);
        if room <= 0 || crowding <= 1.0 {
            return at;
        }
        let earlier = |()| {
            let other = floor + Duration::seconds((room as f64 * chance.fraction()) as i64);
            (other, self.crowding(other, cycle))
        };
        let emptiest =
            [(); TRIES].map(earlier).into_iter().min_by(|(_, one), (_, other)| one.total_cmp(other));
        emptiest.filter(|(_, other)| *other < crowding).map_or(at, |(other, _)| other)
    }

    /// What the hour and the day of `at` hold, the fuller of the two, as a multiple of what is fair: above 1 it is crowded.
    fn crowding(&self, at: OffsetDateTime, cycle: Duration) -> f64 {
        let an_hour = self.total as f64 / (cycle.as_seconds_f64() / 3_600.0).max(1.0);
        let of_day = self.days.get(&day(at)).copied().unwrap_or_default();
        (f64::from(self.load(at)) / fair(an_hour)).max(f64::from(of_day) / fair(an_hour * 24.0))
    }
}

/// The mean, and what chance alone adds to it now and then.
fn fair(mean: f64) -> f64 {
    mean + (2.0 * mean.sqrt()).max(SLACK)
}

/// Whether there was one.
fn take_one(loads: &mut HashMap<i64, u32>, at: i64) -> bool {
    let Some(load) = loads.get_mut(&at) else { return false };
    *load -= 1;
    if *load == 0 {
        loads.remove(&at);
    }
    true
}

fn hour(at: OffsetDateTime) -> i64 {
    at.unix_timestamp().div_euclid(3_600)
}

fn day(at: OffsetDateTime) -> i64 {
    at.unix_timestamp().div_euclid(86_400)
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
    fn a_day_gives_way_as_well_though_none_of_its_hours_is_overfull() {
        let noon = START + Duration::days(30) + Duration::hours(12);
        let hours = (0..24).map(|hour| (START + Duration::days(30) + Duration::hours(hour), 9));
        let forecast = Forecast::from_counts(hours);
        let levelled = forecast.level(noon, START, Duration::days(30), &Chance::seeded(1));
        assert!(levelled < START + Duration::days(30));
    }

    #[test]
    fn an_hour_is_kept_while_it_holds_no_more_than_is_fair() {
        let at = START + Duration::days(30);
        let forecast = Forecast::from_counts([(at, 10)]);
        assert_eq!(forecast.level(at, START, Duration::days(30), &Chance::seeded(1)), at);
    }
}
