//! What follows from what a CA said: the order's end or not, and when anybody asks again.

use certmill_acme::AcmeError;
use certmill_model::{DomainStatus, OrderStatus, after_validation_failure, backoff, ca_retry};
use certmill_store::{ClaimedDomain, Without};
use time::{Duration, OffsetDateTime};

use crate::{Engine, authorities::Authority, limits};

/// How long the CA is not asked for a name that it has paused: an operator ends it sooner, by `certmill domain retry`.
const WHILE_PAUSED: Duration = Duration::days(30);

/// Over how long those spread that wait for a CA which is away.
const AFTER_A_CA: Duration = Duration::seconds(10);

/// What follows from an error of the CA.
pub(super) struct Next {
    pub(super) order: OrderStatus,
    pub(super) domain: DomainStatus,
    pub(super) at: Option<OffsetDateTime>,
    /// The CA is not asked before, whoever wants it.
    pub(super) not_before: Option<OffsetDateTime>,
    /// Whether it counts as a failure of this domain.
    pub(super) counts: bool,
}

impl Next {
    pub(super) fn of(
        engine: &Engine,
        domain: &ClaimedDomain,
        authority: &Authority,
        error: &AcmeError,
        (status, asked_for): (OrderStatus, Without),
    ) -> Self {
        let failures = domain.consecutive_failures + 1;
        let wait = backoff(failures, engine.fraction());
        let now = engine.now();
        let pending = DomainStatus::PendingIssuance;
        let after = |order, wait| {
            let at = Some(now + wait);
            Self { order, domain: pending, at, not_before: at, counts: true }
        };
        let not_counted = |next: Self| Self { counts: false, ..next };
        // Refused before it was an order: the next attempt asks the ledger again.
        let refused = if status == OrderStatus::Queued { OrderStatus::Cancelled } else { status };
        match error {
            AcmeError::Retry { after: asked, .. } if error.limit_hit().is_some() => {
                let asked = asked.unwrap_or(limits::UNTIL_FREE);
                let least = ca_retry(failures, engine.fraction());
                // A CA that asks for no wait at all is not believed again and again.
                Self { counts: asked < least, ..after(refused, asked.max(least)) }
            }
            AcmeError::Retry { after: asked, .. } if error.is_ca_side() => {
                let wait = asked.unwrap_or_default().max(ca_retry(failures, engine.fraction()));
                match authority.available(now) {
                    Ok(()) => after(status, wait),
                    // It fails for everybody.
                    Err(until) => not_counted(after(status, wait_until(engine, until))),
                }
            }
            AcmeError::Retry { after: asked, .. } => {
                after(status, asked.map_or(wait, |asked| asked.max(Duration::SECOND)))
            }
            AcmeError::StillProcessing { retry_after } => {
                after(status, retry_after.unwrap_or(Duration::seconds(5)))
            }
            AcmeError::WithoutReplaces { .. } if !asked_for.replaces => after(OrderStatus::Invalid, wait),
            AcmeError::WithoutProfile { .. } if !asked_for.profile => after(OrderStatus::Invalid, wait),
            AcmeError::WithoutReplaces { .. } | AcmeError::WithoutProfile { .. } => {
                Self { not_before: None, ..not_counted(after(OrderStatus::Cancelled, Duration::ZERO)) }
            }
            AcmeError::NewOrder { .. } | AcmeError::NewKey { .. } => after(OrderStatus::Invalid, wait),
            AcmeError::Refused { .. } => {
                after(OrderStatus::Invalid, after_validation_failure(engine.fraction()))
            }
            // A name that has a certificate was taken once: asked for daily, in case that it is taken again.
            AcmeError::NameRejected { .. } => {
                let daily = after(OrderStatus::Invalid, after_validation_failure(engine.fraction()));
                let at = daily.at.filter(|_| domain.certificate_id.is_some());
                Self { domain: DomainStatus::Failed, at, ..daily }
            }
            AcmeError::Paused { .. } => after(OrderStatus::Invalid, WHILE_PAUSED),
            AcmeError::NeedsOperator { .. } => after(refused, wait),
        }
    }
}

/// Until a CA that is away may be asked again, and a little longer, so that not everybody comes at once.
pub(super) fn wait_until(engine: &Engine, until: OffsetDateTime) -> Duration {
    (until - engine.now()).max(Duration::SECOND) + AFTER_A_CA * engine.fraction()
}
