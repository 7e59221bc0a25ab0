//! A token bucket as one instant: the generic cell rate algorithm (ITU-T I.371), which CAs use as well.

use time::{Duration, OffsetDateTime};

use super::Rate;

/// What is left of a limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bucket {
    /// When it is full again if nothing more is taken; in the past: it is full.
    pub full_at: OffsetDateTime,
    /// Nothing is taken before this instant: the CA said so.
    pub held_until: Option<OffsetDateTime>,
}

impl Bucket {
    /// One that nothing was taken from.
    pub fn full(now: OffsetDateTime) -> Self {
        Self { full_at: now, held_until: None }
    }

    /// The bucket after one was taken and `reserve` are still left in it; otherwise when that will be possible.
    pub fn take(self, rate: Rate, reserve: u32, now: OffsetDateTime) -> Result<Self, OffsetDateTime> {
        let kept = rate.interval() * i32::try_from(reserve).unwrap_or(i32::MAX);
        let full_at = self.used_up_to(rate, now) + rate.interval();
        let slot = full_at + kept - rate.window();
        match self.free_at(now).max(slot) {
            at if at > now => Err(at),
            _ => Ok(Self { full_at, ..self }),
        }
    }

    /// The bucket after as many as there are, `wanted` at most, were taken, and how many; otherwise when there will be one.
    pub fn take_up_to(
        self,
        rate: Rate,
        wanted: u32,
        now: OffsetDateTime,
    ) -> Result<(Self, u32), OffsetDateTime> {
        let one = self.take(rate, 0, now)?;
        let taken = wanted.min(self.left(rate, now)).max(1);
        let more = rate.interval() * i32::try_from(taken - 1).unwrap_or(i32::MAX);
        Ok((Self { full_at: one.full_at + more, ..one }, taken))
    }

    /// Whether nothing is taken now whatever is left, as the CA said: until when.
    pub fn held(self, now: OffsetDateTime) -> Result<(), OffsetDateTime> {
        match self.free_at(now) {
            at if at > now => Err(at),
            _ => Ok(()),
        }
    }

    /// The bucket after one more was used, whether it was there or not.
    #[must_use]
    pub fn note(self, rate: Rate, now: OffsetDateTime) -> Self {
        let empty_until = now + rate.window();
        Self { full_at: (self.used_up_to(rate, now) + rate.interval()).min(empty_until), ..self }
    }

    /// The bucket after one that was taken came to nothing.
    #[must_use]
    pub fn give_back(self, rate: Rate) -> Self {
        Self { full_at: self.full_at - rate.interval(), ..self }
    }

    /// The bucket after the CA said that nothing is left before `until`; from then on there is one at a time, because the CA
    /// has counted more than we have.
    #[must_use]
    pub fn hold(self, rate: Option<Rate>, until: OffsetDateTime) -> Self {
        let one_left = rate.map(|rate| until + rate.window() - rate.interval());
        Self {
            full_at: one_left.map_or(self.full_at, |at| at.max(self.full_at)),
            held_until: self.held_until.max(Some(until)),
        }
    }

    /// How many are left.
    pub fn left(self, rate: Rate, now: OffsetDateTime) -> u32 {
        let used = self.used_up_to(rate, now) - now;
        let intervals = used.whole_microseconds().div_euclid(rate.interval().whole_microseconds())
            + i128::from(used.whole_microseconds() % rate.interval().whole_microseconds() != 0);
        rate.capacity.saturating_sub(u32::try_from(intervals).unwrap_or(u32::MAX))
    }

    fn free_at(self, now: OffsetDateTime) -> OffsetDateTime {
        self.held_until.unwrap_or(now)
    }

    /// Not longer than an empty bucket needs: a rate may be another than when it was taken from.
    fn used_up_to(self, rate: Rate, now: OffsetDateTime) -> OffsetDateTime {
        self.full_at.clamp(now, now + rate.window())
    }
}

/// Takes one from a limit that tenants share, with `own` for what this tenant has of its share ([`Rate::share`]). A tenant
/// whose share is used up leaves a reserve to the others, so that bulk work never takes the last. Returns both buckets as
/// they are then; otherwise when there will be one for this tenant.
pub fn take_fairly(
    rate: Rate,
    shared: Bucket,
    own: Bucket,
    now: OffsetDateTime,
) -> Result<(Bucket, Bucket), OffsetDateTime> {
    let Some(share) = rate.share() else { return Ok((shared.take(rate, 0, now)?, own)) };
    match own.take(share, 0, now) {
        Ok(own) => Ok((shared.take(rate, 0, now)?, own)),
        Err(_) => Ok((shared.take(rate, rate.reserve(), now)?, own)),
    }
}

/// The date for one more that has to wait for `slot`: behind those whose dates end at `tail`, at the pace in which slots
/// come back, shared with the `others` that wait too.
pub fn next_date(
    rate: Rate,
    slot: OffsetDateTime,
    tail: Option<OffsetDateTime>,
    others: u32,
) -> OffsetDateTime {
    let pace: Duration = rate.interval() * i32::try_from(others.saturating_add(1)).unwrap_or(i32::MAX);
    tail.map_or(slot, |tail| slot.max(tail + pace))
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
