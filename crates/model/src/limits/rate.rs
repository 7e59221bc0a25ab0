//! How much in how long.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::Duration;

/// At most `capacity` at once, and `capacity` more in every `period` after that: `300/3h` in text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// The most at once; at least 1.
    pub capacity: u32,
    /// How long an empty bucket takes to be full again.
    pub period: Duration,
}

/// A text that is no rate.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no rate; write for example 300/3h: a count, then a period in ms, s, m, h or d")]
pub struct InvalidRate(String);

/// What a period may be given in, the largest first.
const UNITS: [(&str, Duration); 5] = [
    ("d", Duration::DAY),
    ("h", Duration::HOUR),
    ("m", Duration::MINUTE),
    ("s", Duration::SECOND),
    ("ms", Duration::MILLISECOND),
];

impl Rate {
    /// `capacity` in `period`.
    pub const fn new(capacity: u32, period: Duration) -> Self {
        Self { capacity, period }
    }

    /// How long one takes to come back, rounded up to what Postgres keeps: never more than `capacity` in a period.
    pub fn interval(self) -> Duration {
        let capacity = i128::from(self.capacity.max(1));
        let micros = (self.period.whole_nanoseconds() + capacity * 1_000 - 1) / (capacity * 1_000);
        Duration::microseconds(i64::try_from(micros).unwrap_or(i64::MAX / 1_000_000).max(1))
    }

    /// How long an empty bucket takes to be full again, in whole intervals.
    pub(super) fn window(self) -> Duration {
        self.interval() * i32::try_from(self.capacity).unwrap_or(i32::MAX)
    }

    /// What a single tenant always gets of it, if it is large enough to be shared: a tenth, as fast as a tenth comes back.
    pub fn share(self) -> Option<Self> {
        (self.capacity >= 10).then_some(Self { capacity: self.capacity / 10, period: self.period })
    }

    /// What is left to others by a tenant that has used up its share: a tenth.
    pub fn reserve(self) -> u32 {
        self.capacity / 10
    }

    /// A tenth below, at the same speed: what the CA counts a moment later than we do must not be one too many for it.
    #[must_use]
    pub(super) fn with_less_burst(self) -> Self {
        let capacity = (self.capacity * 9 / 10).max(1);
        Self { capacity, period: self.period * f64::from(capacity) / f64::from(self.capacity) }
    }

    /// A tenth below, and a tenth slower.
    #[must_use]
    pub(super) fn slower(self) -> Self {
        Self { capacity: (self.capacity * 9 / 10).max(1), period: self.period }
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let invalid = || InvalidRate(text.to_owned());
        let (capacity, period) = text.split_once('/').ok_or_else(invalid)?;
        let capacity = capacity.trim().parse().map_err(|_| invalid())?;
        let period = period.trim();
        let digits = period.find(|c: char| !c.is_ascii_digit()).unwrap_or(period.len());
        let (count, unit) = period.split_at(digits);
        // `300/h` is an hour.
        let count: i32 = if count.is_empty() { 1 } else { count.parse().map_err(|_| invalid())? };
        let unit = UNITS.iter().find(|(known, _)| *known == unit.trim()).ok_or_else(invalid)?;
        Ok(Self { capacity, period: unit.1.checked_mul(count).ok_or_else(invalid)? })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |unit: Duration| self.period.whole_nanoseconds() % unit.whole_nanoseconds() == 0;
        let (name, unit) = UNITS.into_iter().find(|(_, unit)| whole(*unit)).unwrap_or(UNITS[4]);
        write!(f, "{}/{}{name}", self.capacity, self.period.whole_nanoseconds() / unit.whole_nanoseconds())
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_reads_as_it_is_written() {
        for text in ["300/3h", "50/7d", "90/100ms", "5/90m", "1/36s"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        assert_eq!(" 300 / h".parse(), Ok(Rate::new(300, Duration::HOUR)));
    }

    #[test]
    fn what_is_no_rate_is_refused_with_an_example() {
        for text in ["", "300", "300/", "x/3h", "300/3", "300/3w", "-1/3h", "300/-3h", "300/99999999999h"] {
            let error = text.parse::<Rate>().unwrap_err();
            assert!(error.to_string().contains("300/3h"), "{error}");
        }
    }

    #[test]
    fn an_interval_is_rounded_up_so_that_a_period_never_holds_more_than_the_capacity() {
        assert_eq!(Rate::new(300, Duration::hours(3)).interval(), Duration::seconds(36));
        assert_eq!(Rate::new(30_000, Duration::SECOND).interval(), Duration::microseconds(34));
    }

    #[test]
    fn less_burst_is_the_same_speed() {
        let rate = Rate::new(300, Duration::hours(3)).with_less_burst();
        assert_eq!((rate.capacity, rate.interval()), (270, Duration::seconds(36)));
        let few = Rate::new(5, Duration::HOUR).with_less_burst();
        assert_eq!((few.capacity, few.interval()), (4, Duration::minutes(12)));
    }
}
