//! What is kept of a domain: little, because there may be ten million.

use certmill_model::{DomainId, RenewalPlan, SuggestedWindow, TenantId, Validity};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::instant::{DAY, HOUR, NEVER, Second, instant, second};

/// CAs date certificates back, so that clocks that are behind take them.
const BACKDATED: Duration = Duration::HOUR;

#[derive(Clone, Copy)]
pub(crate) struct Domain {
    /// When it is looked at; [`NEVER`] while it waits for a worker.
    pub(crate) next_at: Second,
    /// Since when it has been due, if it is.
    pub(crate) due_at: Second,
    pub(crate) renew_at: Second,
    /// When its certificate was issued; [`NEVER`] without one.
    pub(crate) issued_at: Second,
    pub(crate) tenant: u16,
    pub(crate) failures: u8,
    pub(crate) poll_failures: u8,
    /// What it is looked at for.
    pub(crate) purpose: Purpose,
    /// Whether a limit has put it off.
    pub(crate) deferred: bool,
    /// Whether it was put off before this attempt.
    pub(crate) waited: bool,
    /// Whether it is known that the certificate is revoked.
    pub(crate) heard: bool,
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Purpose {
    Order,
    /// Its CA says something new about its renewal, which is heard at the next poll.
    Poll,
}

impl Domain {
    pub(crate) fn registered(tenant: u16, at: Second) -> Self {
        Self {
            next_at: at,
            due_at: at,
            renew_at: NEVER,
            issued_at: NEVER,
            tenant,
            failures: 0,
            poll_failures: 0,
            purpose: Purpose::Order,
            deferred: false,
            waited: false,
            heard: false,
        }
    }

    pub(crate) fn has_certificate(&self) -> bool {
        self.issued_at != NEVER
    }

    pub(crate) fn validity(&self, lifetime: Duration) -> Validity {
        validity(instant(self.issued_at), lifetime)
    }

    pub(crate) fn expires_at(&self, lifetime: Duration) -> Second {
        second(self.validity(lifetime).not_after)
    }

    /// The plan as it was put down, with the window that the CA suggested when it issued.
    pub(crate) fn plan(&self, window: SuggestedWindow, now: OffsetDateTime) -> RenewalPlan {
        RenewalPlan {
            renew_at: instant(self.renew_at),
            window: Some(window),
            explanation_url: None,
            poll_at: Some(now),
            poll_failures: u32::from(self.poll_failures),
        }
    }
}

/// The validity of a certificate that was issued at `issued_at`.
pub(crate) fn validity(issued_at: OffsetDateTime, lifetime: Duration) -> Validity {
    let not_before = issued_at - BACKDATED;
    Validity { not_before, not_after: not_before + lifetime - Duration::SECOND }
}

/// The registered domain of a name. Most shops have one of their own; every hundredth is one of 200 below a domain that
/// they share, so that the CA's limit of certificates per registered domain is met as well.
pub(crate) fn registered_domain(domain: u32) -> u32 {
    const SHARED: u32 = 1 << 31;
    if domain.is_multiple_of(100) { SHARED | (domain / 20_000) } else { domain }
}

pub(crate) fn domain_id(domain: u32) -> DomainId {
    DomainId::from_uuid(Uuid::from_u128(u128::from(domain)))
}

/// The domain of an id that [`domain_id`] made.
pub(crate) fn number(domain: DomainId) -> u32 {
    domain.uuid().as_u128() as u32
}

pub(crate) fn tenant_id(tenant: u16) -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(u128::from(tenant)))
}

/// The day of a simulation that `at` belongs to; the first is 0.
pub(crate) fn day_of(at: Second) -> usize {
    ((at.max(DAY) - DAY) / DAY) as usize
}

/// The hour of a simulation that `at` belongs to; the first is 0.
pub(crate) fn hour_of(at: Second) -> usize {
    ((at.max(DAY) - DAY) / HOUR) as usize
}
