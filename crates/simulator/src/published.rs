//! What a CA publishes of its limits, and what it keeps of each: written from the CA's side, not from our ledger.

use time::Duration;

use crate::{
    authority::{Limit, Refusal},
    instant::{DAY, HOUR, Second},
};

/// What a CA publishes of its limits; `None`: there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Published {
    pub(crate) orders_per_account: Option<Allowance>,
    pub(crate) certificates_per_registered_domain: Option<Allowance>,
    pub(crate) certificates_per_name_set: Option<Allowance>,
    pub(crate) nonces: Option<Allowance>,
    pub(crate) others: Option<Allowance>,
}

/// So many at once, and so many a second after that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    pub(crate) burst: f64,
    pub(crate) per_second: f64,
}

/// What is left of an allowance; it comes back steadily.
#[derive(Clone, Copy)]
pub(crate) struct TokenBucket {
    /// At most what its allowance has at once.
    tokens: f64,
    at: f64,
}

impl Published {
    /// Let's Encrypt on 2026-08-05.
    pub(crate) fn lets_encrypt() -> Self {
        Self {
            orders_per_account: Some(Allowance::of(300.0, 3 * HOUR)),
            certificates_per_registered_domain: Some(Allowance::of(50.0, 7 * DAY)),
            certificates_per_name_set: Some(Allowance::of(5.0, 7 * DAY)),
            nonces: Some(Allowance { burst: 10.0, per_second: 20.0 }),
            others: Some(Allowance { burst: 125.0, per_second: 250.0 }),
        }
    }

    /// Its staging environment on 2026-04-10.
    pub(crate) fn lets_encrypt_staging() -> Self {
        Self {
            orders_per_account: Some(Allowance::of(1_500.0, 3 * HOUR)),
            certificates_per_registered_domain: Some(Allowance::of(30_000.0, 1)),
            certificates_per_name_set: Some(Allowance::of(30_000.0, 7 * DAY)),
            nonces: Some(Allowance { burst: 10.0, per_second: 20.0 }),
            others: Some(Allowance { burst: 20.0, per_second: 20.0 }),
        }
    }
}

impl Allowance {
    pub(crate) fn of(burst: f64, period: Second) -> Self {
        Self { burst, per_second: burst / f64::from(period) }
    }
}

impl TokenBucket {
    pub(crate) const FULL: Self = Self { tokens: f64::MAX, at: 0.0 };

    /// Takes `count`, or refuses.
    pub(crate) fn spend(
        &mut self,
        allowed: Option<Allowance>,
        count: f64,
        limit: Limit,
        now: f64,
    ) -> Result<(), Refusal> {
        let Some(allowed) = allowed else { return Ok(()) };
        self.take(allowed, count, now).map_err(|missing| {
            let retry_after = Duration::seconds_f64(missing / allowed.per_second);
            Refusal::RateLimited { limit, retry_after }
        })
    }

    /// Takes `count`, or says how many are missing. `now` is in seconds.
    fn take(&mut self, allowed: Allowance, count: f64, now: f64) -> Result<(), f64> {
        *self = self.refilled(allowed, now);
        // An instant is not kept more exactly than this.
        if self.tokens + 1e-6 < count {
            return Err(count - self.tokens);
        }
        self.tokens -= count;
        Ok(())
    }

    /// Whether nothing is missing.
    pub(crate) fn is_full(self, allowed: Allowance, now: f64) -> bool {
        self.refilled(allowed, now).tokens >= allowed.burst
    }

    fn refilled(self, allowed: Allowance, now: f64) -> Self {
        let tokens = (self.tokens + (now - self.at) * allowed.per_second).min(allowed.burst);
        Self { tokens, at: now }
    }
}
