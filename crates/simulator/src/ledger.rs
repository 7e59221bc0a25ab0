//! Our ledger of limits, as the engine keeps it in Postgres: the same pure decisions over buckets in memory.

use std::collections::HashMap;

use certmill_model::{
    Bucket, Endpoint, Exemption, Hostname, LimitKind, LimitProfile, next_date, order_needs, take_fairly,
};
use time::{Duration, OffsetDateTime};

use crate::{
    authority::Limit,
    domain::registered_domain,
    instant::{Second, instant},
};

/// How long it takes the workers of a fleet to begin the next order at least.
const EACH: Duration = Duration::milliseconds(10);

/// Requests of an order, by endpoint.
const REQUESTS: [(Endpoint, u32); 3] =
    [(Endpoint::NewNonce, 1), (Endpoint::NewOrder, 1), (Endpoint::Other, 8)];

const EXEMPTIONS: [Exemption; 3] = [Exemption::None, Exemption::SameNames, Exemption::Window];

pub(crate) struct Ledger {
    profile: LimitProfile,
    /// What is left of the limits of requests, in the order of [`REQUESTS`].
    requests: [Option<Bucket>; REQUESTS.len()],
    buckets: HashMap<Key, Bucket>,
    /// What tenants have used of their shares.
    shares: HashMap<Key, HashMap<u16, Share>>,
    /// The last date that was given to a name whose slot another had taken.
    lines: HashMap<Key, OffsetDateTime>,
    /// What an order is counted in, by why it is exempt.
    needs: [Vec<LimitKind>; 3],
}

type Key = (LimitKind, u32);

#[derive(Clone, Copy)]
struct Share {
    bucket: Bucket,
    /// The last date that one of the tenant's names was given.
    tail: Option<OffsetDateTime>,
}

/// What an order took, to be given back if it comes to nothing.
#[derive(Default)]
pub(crate) struct Taken(Vec<(Key, Bucket, Option<Bucket>)>);

impl Ledger {
    pub(crate) fn new(profile: LimitProfile) -> Self {
        let needs = EXEMPTIONS.map(needs);
        Self {
            profile,
            requests: [None; REQUESTS.len()],
            buckets: HashMap::new(),
            shares: HashMap::new(),
            lines: HashMap::new(),
            needs,
        }
    }

    /// Orders a second that requests leave room for in the long run.
    pub(crate) fn orders_per_second(&self) -> f64 {
        let room = |(endpoint, requests): (Endpoint, u32)| {
            let rate = self.profile.requests.get(&endpoint)?;
            Some(Duration::SECOND / rate.interval() / f64::from(requests))
        };
        REQUESTS.into_iter().filter_map(room).fold(Duration::SECOND / EACH, f64::min)
    }

    /// Takes the requests of an order; when the last of them may go, and when the next order begins.
    pub(crate) fn take_requests(&mut self, now: OffsetDateTime) -> (OffsetDateTime, OffsetDateTime) {
        let mut last = now;
        for ((endpoint, requests), kept) in REQUESTS.into_iter().zip(&mut self.requests) {
            let Some(rate) = self.profile.requests.get(&endpoint) else { continue };
            let mut bucket = kept.unwrap_or(Bucket::full(now));
            let (mut at, mut left) = (now, requests);
            while left > 0 {
                match bucket.take_up_to(*rate, left, at) {
                    Ok((rest, taken)) => (bucket, left) = (rest, left - taken),
                    Err(slot) => at = slot,
                }
            }
            *kept = Some(bucket);
            last = last.max(at);
        }
        (last, last + EACH)
    }

    /// Takes what an order needs, all or nothing; otherwise says when to ask again. `waited`: whether this is that time.
    pub(crate) fn take(
        &mut self,
        domain: u32,
        (tenant, waited): (u16, bool),
        exemption: Exemption,
        now: OffsetDateTime,
    ) -> Result<Taken, OffsetDateTime> {
        let mut taken = Taken::default();
        let place = EXEMPTIONS.iter().position(|known| *known == exemption).expect("all are listed");
        for need in self.needs[place].iter().copied() {
            let key = key(need, domain);
            let Some(rate) = self.profile.rate(need) else { continue };
            let bucket = self.buckets.get(&key).copied().unwrap_or(Bucket::full(now));
            if !need.is_shared() {
                taken.0.push((key, bucket.take(rate, 0, now)?, None));
                continue;
            }
            let own = self.share(key, tenant, now).bucket;
            match take_fairly(rate, bucket, own, now) {
                Ok((bucket, own)) => taken.0.push((key, bucket, Some(own))),
                Err(slot) => return Err(self.date(key, tenant, waited, slot, now)),
            }
        }
        for (key, bucket, own) in &taken.0 {
            self.put(*key, *bucket, own.map(|own| (tenant, own)), now);
        }
        Ok(taken)
    }

    /// Gives back what an order took that the CA refused.
    pub(crate) fn give_back(&mut self, taken: &Taken, tenant: u16, now: OffsetDateTime) {
        for (key, _, own) in &taken.0 {
            let Some(rate) = self.profile.rate(key.0) else { continue };
            let bucket = self.buckets.get(key).copied().unwrap_or(Bucket::full(now)).give_back(rate);
            let share = rate.share().filter(|_| own.is_some());
            let own = share.map(|share| (tenant, self.share(*key, tenant, now).bucket.give_back(share)));
            self.put(*key, bucket, own, now);
        }
    }

    /// The CA said that nothing is left before `until`.
    pub(crate) fn hold(&mut self, limit: Limit, domain: u32, until: OffsetDateTime, now: OffsetDateTime) {
        let kind = match limit {
            Limit::Orders => LimitKind::OrdersPerAccount,
            Limit::RegisteredDomain => LimitKind::CertificatesPerRegisteredDomain,
            Limit::NameSet => LimitKind::CertificatesPerNameSet,
            Limit::Requests => return self.hold_requests(until, now),
        };
        let key = key(kind, domain);
        let bucket = self.buckets.get(&key).copied().unwrap_or(Bucket::full(now));
        self.buckets.insert(key, bucket.hold(self.profile.rate(key.0), until));
    }

    /// A load balancer does not say which requests it has enough of.
    fn hold_requests(&mut self, until: OffsetDateTime, now: OffsetDateTime) {
        for ((endpoint, _), kept) in REQUESTS.into_iter().zip(&mut self.requests) {
            let rate = self.profile.requests.get(&endpoint).copied();
            *kept = Some(kept.unwrap_or(Bucket::full(now)).hold(rate, until));
        }
    }

    /// Forgets what is full again.
    pub(crate) fn tidy(&mut self, now: Second) {
        let now = instant(now);
        let used = |bucket: &Bucket| bucket.full_at > now || bucket.held(now).is_err();
        self.buckets.retain(|_, bucket| used(bucket));
        for shares in self.shares.values_mut() {
            shares.retain(|_, share| used(&share.bucket) || share.tail.is_some_and(|tail| tail > now));
        }
        self.shares.retain(|_, shares| !shares.is_empty());
    }

    fn date(
        &mut self,
        key: Key,
        tenant: u16,
        waited: bool,
        slot: OffsetDateTime,
        now: OffsetDateTime,
    ) -> OffsetDateTime {
        let Some(rate) = self.profile.rate(key.0) else { return slot };
        if waited {
            let date = next_date(rate, slot, self.lines.get(&key).copied(), 0);
            self.lines.insert(key, date);
            return date;
        }
        let shares = self.shares.entry(key).or_default();
        let own_tail = shares.get(&tenant).and_then(|share| share.tail).unwrap_or(now).max(now);
        let waits_longer = |share: &Share| share.tail.is_some_and(|tail| tail > own_tail);
        let others = shares.iter().filter(|(other, share)| **other != tenant && waits_longer(share)).count();
        let share = shares.entry(tenant).or_insert(Share { bucket: Bucket::full(now), tail: None });
        let date = next_date(rate, slot, share.tail, others as u32);
        share.tail = Some(date);
        date
    }

    fn share(&self, key: Key, tenant: u16, now: OffsetDateTime) -> Share {
        let share = self.shares.get(&key).and_then(|shares| shares.get(&tenant)).copied();
        share.unwrap_or(Share { bucket: Bucket::full(now), tail: None })
    }

    fn put(&mut self, key: Key, bucket: Bucket, own: Option<(u16, Bucket)>, now: OffsetDateTime) {
        self.buckets.insert(key, bucket);
        if let Some((tenant, bucket)) = own {
            let before = self.share(key, tenant, now);
            self.shares.entry(key).or_default().insert(tenant, Share { bucket, ..before });
        }
    }
}

/// Of an order for one name, which of all orders of the simulation are.
fn needs(exemption: Exemption) -> Vec<LimitKind> {
    let name = Hostname::parse("shop.example.com").expect("a name that parses");
    order_needs(&[name], exemption).into_iter().filter(|need| need.uses).map(|need| need.kind).collect()
}

fn key(kind: LimitKind, domain: u32) -> Key {
    let of = match kind {
        LimitKind::CertificatesPerRegisteredDomain => registered_domain(domain),
        LimitKind::CertificatesPerNameSet | LimitKind::FailedValidations => domain,
        LimitKind::OrdersPerAccount | LimitKind::Requests => 0,
    };
    (kind, of)
}
