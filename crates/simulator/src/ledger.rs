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

/// Orders a second that the workers of a fleet manage at most.
const WORKERS: f64 = 100.0;

/// Requests of an order, by endpoint.
const REQUESTS: [(Endpoint, f64); 3] =
    [(Endpoint::NewNonce, 1.0), (Endpoint::NewOrder, 1.0), (Endpoint::Other, 8.0)];

const EXEMPTIONS: [Exemption; 3] = [Exemption::None, Exemption::SameNames, Exemption::Window];

pub(crate) struct Ledger {
    profile: LimitProfile,
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
        Self { profile, buckets: HashMap::new(), shares: HashMap::new(), lines: HashMap::new(), needs }
    }

    /// Orders a second that requests leave room for.
    pub(crate) fn orders_per_second(&self) -> f64 {
        let room = |(endpoint, requests): (Endpoint, f64)| {
            let rate = self.profile.requests.get(&endpoint)?;
            Some(Duration::SECOND / rate.interval() / requests)
        };
        REQUESTS.into_iter().filter_map(room).fold(WORKERS, f64::min)
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
        let key = key(
            match limit {
                Limit::Orders => LimitKind::OrdersPerAccount,
                Limit::RegisteredDomain => LimitKind::CertificatesPerRegisteredDomain,
                Limit::NameSet => LimitKind::CertificatesPerNameSet,
            },
            domain,
        );
        let bucket = self.buckets.get(&key).copied().unwrap_or(Bucket::full(now));
        self.buckets.insert(key, bucket.hold(self.profile.rate(key.0), until));
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
