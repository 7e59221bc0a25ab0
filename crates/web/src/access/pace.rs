//! How many requests a token may send: a bucket for each, in this process.

use std::{collections::HashMap, sync::Mutex};

use certmill_model::TokenId;
use time::OffsetDateTime;

/// The time that the quota is given for, in seconds.
pub(super) const WINDOW: i64 = 60;

/// In nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// So many buckets are kept before those that are full again are let go.
const KEPT: usize = 4096;

/// What is left to a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Left {
    /// The quota.
    pub(super) quota: i32,
    /// Requests that may follow at once.
    pub(super) remaining: i64,
    /// Seconds until the quota is whole again.
    pub(super) reset: i64,
    /// Seconds until the next request is taken; `None`: this one is.
    pub(super) refused_for: Option<i64>,
}

/// The buckets.
#[derive(Default)]
pub(crate) struct Pace {
    /// When each bucket is full again, in nanoseconds since the epoch: of a large quota, each request is worth some microseconds.
    full_at: Mutex<HashMap<TokenId, i64>>,
}

impl Pace {
    /// Takes one request of `quota` a minute for `token`: a full bucket holds a minute's worth.
    pub(super) fn take(&self, token: TokenId, quota: i32, now: OffsetDateTime) -> Left {
        let (now, quota) = (now.unix_timestamp_nanos() as i64, quota.max(1));
        let each = WINDOW * SECOND / i64::from(quota);
        let full = each * i64::from(quota);
        let mut buckets = self.full_at.lock().expect("nobody panics with the lock held");
        if buckets.len() >= KEPT {
            buckets.retain(|_, full_at| *full_at > now);
        }
        let full_at = buckets.entry(token).or_insert(now);
        let before = (*full_at).max(now);
        let after = before + each;
        let refused_for = (after - now > full).then(|| seconds(after - now - full));
        if refused_for.is_none() {
            *full_at = after;
        }
        let owed = if refused_for.is_none() { after } else { before } - now;
        Left { quota, remaining: (full - owed) / each, reset: seconds(owed), refused_for }
    }
}

fn seconds(nanoseconds: i64) -> i64 {
    nanoseconds.div_euclid(SECOND) + i64::from(nanoseconds.rem_euclid(SECOND) > 0)
}

#[cfg(test)]
mod tests {
    use certmill_model::Chance;
    use time::{Duration, macros::datetime};

    use super::*;

    #[test]
    fn a_quota_may_be_used_at_once_and_comes_back_evenly() {
        let (pace, now) = (Pace::default(), datetime!(2026-11-21 12:00 UTC));
        let token = TokenId::new(&Chance::seeded(1), now);
        for left in (0..60).rev() {
            let after = pace.take(token, 60, now);
            assert_eq!((after.remaining, after.refused_for), (left, None));
        }
        assert_eq!(pace.take(token, 60, now).refused_for, Some(1));
        let later = pace.take(token, 60, now + Duration::seconds(2));
        assert_eq!((later.remaining, later.refused_for, later.reset), (1, None, 59));
        assert_eq!(pace.take(TokenId::nil(), 60, now).remaining, 59, "each token has its own");
    }

    #[test]
    fn every_quota_is_given_whole_and_no_more_comes_back_than_it_says() {
        let (pace, now) = (Pace::default(), datetime!(2026-11-21 12:00 UTC));
        for (number, quota) in [7_i32, 700, 40_000, 70_001, 1_000_000].into_iter().enumerate() {
            let token = TokenId::new(&Chance::seeded(number as u64), now);
            for left in (0..i64::from(quota)).rev() {
                let after = pace.take(token, quota, now);
                assert_eq!((after.quota, after.remaining, after.refused_for), (quota, left, None));
            }
            assert!(pace.take(token, quota, now).refused_for.is_some(), "{quota}");
            let half = now + Duration::seconds(30);
            assert_eq!(pace.take(token, quota, half).remaining, i64::from(quota / 2) - 1, "{quota}");
        }
    }
}
