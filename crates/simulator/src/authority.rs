//! The model of a CA, strict, and written from what Let's Encrypt publishes and from its source, not from our ledger.

use std::collections::HashMap;

use certmill_model::{RenewalAnswer, SuggestedWindow};
use time::{Duration, OffsetDateTime};

use crate::{
    domain::{registered_domain, validity},
    instant::{DAY, HOUR, NEVER, Second, instant},
    published::{Allowance, Published, TokenBucket},
};

/// For how long names that had a certificate are exempt from the limits of orders and of registered domains.
const REMEMBERED: Second = 120 * DAY;

/// Requests of an order beside newNonce and newOrder: authorization, challenge, polls, finalize, certificate.
const OTHER_REQUESTS: f64 = 8.0;

pub(crate) struct Authority {
    limits: Published,
    lifetime: Duration,
    outages: Vec<(Second, Second)>,
    account: TokenBucket,
    nonces: TokenBucket,
    others: TokenBucket,
    registered_domains: HashMap<u32, TokenBucket>,
    name_sets: HashMap<u32, TokenBucket>,
    /// Of each name's last certificate.
    issued_at: Vec<Second>,
    revoked: Vec<bool>,
}

/// Why there is no certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// 503.
    Unavailable,
    /// 429: a limit that is published, of requests as well, and so could have been foreseen.
    RateLimited { limit: Limit, retry_after: Duration },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Limit {
    Orders,
    RegisteredDomain,
    NameSet,
    /// The load balancer's, which counts requests.
    Requests,
}

impl Authority {
    /// After how long it wants to be asked again about a renewal, in seconds.
    pub(crate) const ASKED_AGAIN: Second = 6 * HOUR;

    pub(crate) fn new(limits: Published, lifetime: Duration, outages: Vec<(Second, Second)>) -> Self {
        Self {
            limits,
            lifetime,
            outages,
            account: TokenBucket::FULL,
            nonces: TokenBucket::FULL,
            others: TokenBucket::FULL,
            registered_domains: HashMap::new(),
            name_sets: HashMap::new(),
            issued_at: Vec::new(),
            revoked: Vec::new(),
        }
    }

    pub(crate) fn is_out(&self, now: OffsetDateTime) -> bool {
        self.outages.iter().any(|(start, end)| (instant(*start)..instant(*end)).contains(&now))
    }

    /// Issues a certificate at `now`, to be called in the order of time. `replaces` says when the certificate that it
    /// replaces was issued; the answer, when the new one was.
    pub(crate) fn order(
        &mut self,
        domain: u32,
        replaces: Option<Second>,
        now: OffsetDateTime,
    ) -> Result<Second, Refusal> {
        let seconds = (now - instant(0)).as_seconds_f64();
        if self.is_out(now) {
            return Err(Refusal::Unavailable);
        }
        self.count_requests(seconds)?;
        let place = domain as usize;
        if self.issued_at.len() <= place {
            self.issued_at.resize(place + 1, NEVER);
            self.revoked.resize(place + 1, false);
        }
        let in_window = replaces.is_some_and(|replaced| self.exempts(domain, replaced, now));
        if !in_window {
            self.count(domain, seconds)?;
        }
        self.issued_at[place] = seconds as Second;
        self.revoked[place] = false;
        Ok(self.issued_at[place])
    }

    /// What it says about the renewal of the certificate that `domain` has.
    pub(crate) fn renewal_info(&self, domain: u32, now: OffsetDateTime) -> RenewalAnswer {
        if self.is_out(now) {
            return RenewalAnswer::Busy { retry_after: None };
        }
        let retry_after = Some(Duration::seconds(i64::from(Self::ASKED_AGAIN)));
        RenewalAnswer::Window { window: self.window(domain, now), explanation_url: None, retry_after }
    }

    /// What it suggests for a certificate that is in order: 2 % of the validity around the instant with a third of it left,
    /// half under 10 days.
    pub(crate) fn suggested(issued_at: Second, lifetime: Duration) -> SuggestedWindow {
        let life = lifetime.whole_seconds();
        let left = if lifetime < Duration::days(10) { life / 2 } else { life / 3 };
        let first = validity(instant(issued_at), lifetime).not_before;
        let at = |seconds| first + Duration::seconds(seconds);
        let ideal = life - left;
        SuggestedWindow::new(at(ideal - life / 100), at(ideal + life / 100))
            .expect("a part of a life is a window")
    }

    /// Revokes what `domain` has.
    pub(crate) fn revoke(&mut self, domain: u32) {
        self.revoked[domain as usize] = true;
    }

    /// Whether what `domain` has is revoked.
    pub(crate) fn is_revoked(&self, domain: u32) -> bool {
        self.revoked.get(domain as usize).copied().unwrap_or(false)
    }

    /// Forgets what has filled up again.
    pub(crate) fn tidy(&mut self, now: Second) {
        let now = f64::from(now);
        let keep = |allowance: Option<Allowance>| {
            move |_: &u32, bucket: &mut TokenBucket| {
                allowance.is_some_and(|allowed| !bucket.is_full(allowed, now))
            }
        };
        self.registered_domains.retain(keep(self.limits.certificates_per_registered_domain));
        self.name_sets.retain(keep(self.limits.certificates_per_name_set));
    }

    /// Renewals with a valid `replaces` are exempt from everything, but only within the window.
    fn exempts(&self, domain: u32, replaced: Second, now: OffsetDateTime) -> bool {
        let window = self.window(domain, now);
        self.issued_at[domain as usize] == replaced && window.start() <= now && now < window.end()
    }

    fn window(&self, domain: u32, now: OffsetDateTime) -> SuggestedWindow {
        let place = domain as usize;
        if self.revoked[place] {
            return SuggestedWindow::new(now - Duration::HOUR, now - Duration::minutes(30))
                .expect("a half hour is a window");
        }
        Self::suggested(self.issued_at[place], self.lifetime)
    }

    /// The load balancer's limits of requests, of which those bind that an order makes most of.
    fn count_requests(&mut self, now: f64) -> Result<(), Refusal> {
        self.nonces.spend(self.limits.nonces, 1.0, Limit::Requests, now)?;
        self.others.spend(self.limits.others, OTHER_REQUESTS, Limit::Requests, now)
    }

    /// Counts an order that no window exempts: nothing is spent unless everything has room.
    fn count(&mut self, domain: u32, now: f64) -> Result<(), Refusal> {
        let limits = &self.limits;
        let known = self.issued_at[domain as usize];
        let same_names = known != NEVER && now - f64::from(known) < f64::from(REMEMBERED);
        let mut account = self.account;
        let bucket = |buckets: &HashMap<u32, TokenBucket>, key| {
            buckets.get(&key).copied().unwrap_or(TokenBucket::FULL)
        };
        let mut registered = bucket(&self.registered_domains, registered_domain(domain));
        let mut name_set = bucket(&self.name_sets, domain);
        if !same_names {
            account.spend(limits.orders_per_account, 1.0, Limit::Orders, now)?;
            let allowed = limits.certificates_per_registered_domain;
            registered.spend(allowed, 1.0, Limit::RegisteredDomain, now)?;
        }
        name_set.spend(limits.certificates_per_name_set, 1.0, Limit::NameSet, now)?;
        self.account = account;
        self.registered_domains.insert(registered_domain(domain), registered);
        self.name_sets.insert(domain, name_set);
        Ok(())
    }
}
