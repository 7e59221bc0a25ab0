//! How much of a CA's limits is used.

use time::OffsetDateTime;

use super::{Bucket, Endpoint, LimitKind, LimitProfile, Rate};

/// How much is used of a limit of a whole account, or of all requests to an endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UsedLimit {
    /// Of requests, which ones; `None`: it is of the account's new orders.
    pub endpoint: Option<Endpoint>,
    /// What the CA allows.
    pub rate: Rate,
    /// How much of that is used at this instant.
    pub used: u32,
    /// Until when there is no room, if that is so.
    pub blocked_until: Option<OffsetDateTime>,
}

impl LimitProfile {
    /// What is used of the limits that are not of single names. `bucket` knows the bucket of a limit by its key; one that it
    /// does not know is full.
    pub fn used(
        &self,
        bucket: impl Fn(LimitKind, &str) -> Option<Bucket>,
        now: OffsetDateTime,
    ) -> Vec<UsedLimit> {
        let of = |endpoint: Option<Endpoint>, rate: Rate| {
            let (kind, key) = match endpoint {
                None => (LimitKind::OrdersPerAccount, ""),
                Some(endpoint) => (LimitKind::Requests, endpoint.as_str()),
            };
            let bucket = bucket(kind, key).unwrap_or_else(|| Bucket::full(now));
            let used = rate.capacity - bucket.left(rate, now);
            UsedLimit { endpoint, rate, used, blocked_until: bucket.take(rate, 0, now).err() }
        };
        let orders = self.orders_per_account.map(|rate| of(None, rate));
        orders
            .into_iter()
            .chain(self.requests.iter().map(|(endpoint, rate)| of(Some(*endpoint), *rate)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};

    use super::*;

    #[test]
    fn what_was_taken_is_used_and_an_empty_bucket_says_until_when() {
        let now = datetime!(2026-11-22 12:00 UTC);
        let profile = LimitProfile {
            orders_per_account: Some(Rate::new(3, Duration::hours(3))),
            requests: [(Endpoint::NewAccount, Rate::new(2, Duration::SECOND))].into(),
            ..LimitProfile::default()
        };
        let rate = profile.orders_per_account.unwrap();
        let taken = |times| {
            (0..times).fold(Bucket::full(now), |bucket: Bucket, _| bucket.take(rate, 0, now).unwrap())
        };
        let used =
            |times| profile.used(|kind, _| (kind == LimitKind::OrdersPerAccount).then(|| taken(times)), now);
        assert_eq!(used(2).iter().map(|one| one.used).collect::<Vec<_>>(), [2, 0]);
        assert_eq!(used(2)[0].blocked_until, None);
        assert_eq!(used(3)[0].blocked_until, Some(now + Duration::HOUR));
        assert_eq!(used(3)[1].endpoint, Some(Endpoint::NewAccount));
        let held = Bucket { held_until: Some(now + Duration::DAY), ..Bucket::full(now) };
        let told = profile.used(|_, _| Some(held), now)[0];
        assert_eq!((told.used, told.blocked_until), (0, Some(now + Duration::DAY)));
    }
}
