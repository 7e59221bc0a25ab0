//! Instants of the virtual clock: seconds in 32 bits, because there are ten million of them.

use time::{Duration, OffsetDateTime, macros::datetime};

/// Seconds since [`ORIGIN`].
pub(crate) type Second = u32;

pub(crate) const MINUTE: Second = 60;
pub(crate) const HOUR: Second = 3_600;
pub(crate) const DAY: Second = 86_400;

/// No instant of a simulation.
pub(crate) const NEVER: Second = Second::MAX;

/// When the simulation begins: a day after the origin, so that what came shortly before it has a number as well.
pub(crate) const START: Second = DAY;

const ORIGIN: OffsetDateTime = datetime!(2027-01-01 0:00 UTC);

pub(crate) fn instant(second: Second) -> OffsetDateTime {
    ORIGIN + Duration::seconds(i64::from(second))
}

/// The first whole second that is not before `at`.
pub(crate) fn second(at: OffsetDateTime) -> Second {
    let since = at - ORIGIN;
    let begun = i64::from(since.subsec_nanoseconds() > 0);
    Second::try_from(since.whole_seconds() + begun).unwrap_or(NEVER)
}
