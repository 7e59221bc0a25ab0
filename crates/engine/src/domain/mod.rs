//! One step of a domain: claim, decide, act, record.

mod begin;
mod check;
mod failure;
mod look;
mod next;
mod observed;
mod order;
pub(crate) mod ownership;
mod records;

use std::sync::Arc;

use certmill_model::{DomainId, Health, LOST_CLAIMS, NextStep, ProblemCode, is_poison, next_step};
use certmill_store::{ClaimedDomain, StoreError};
use time::Duration;
use tracing::{Instrument as _, Span, field};

use crate::{Engine, EngineError, heartbeat::while_held};

/// How long a domain waits for its load balancers before it is looked at again, in case nobody woke it.
const AWAIT_DELIVERY: Duration = Duration::minutes(1);

/// How long a domain waits for another's order that includes it, in case nobody woke it.
const AWAIT_ORDER: Duration = Duration::minutes(10);

/// How long a domain is laid aside whose step takes its worker with it.
const PARKED: Duration = Duration::DAY;

/// Does what is next for a domain, if it is due and nobody else has it.
pub(crate) async fn step(engine: &Arc<Engine>, id: DomainId) -> Result<(), EngineError> {
    let domain = match engine.parts.store.claim_domain(id, engine.now()).await {
        Ok(None) => return Ok(()),
        Ok(Some(domain)) if is_poison(domain.lost_claims) => return park(engine, id).await,
        Ok(Some(domain)) => domain,
        Err(error) => {
            // A row that this version cannot read, perhaps; the next one may.
            if matches!(error, StoreError::Inconsistent { .. }) {
                park(engine, id).await?;
            }
            return Err(error.into());
        }
    };
    let was_lost = domain.lost_claims > 0 || is_poison(domain.lost_before);
    let is_told = was_lost && domain.health != Health::Ok;
    let span = span_of(&domain);
    take(engine, domain).instrument(span).await?;
    if is_told {
        let parts = &engine.parts;
        parts.store.resolve(&[id], &[ProblemCode::Internal], &parts.chance, engine.now()).await?;
    }
    Ok(())
}

/// What every line of the log says that is written in a step.
fn span_of(domain: &ClaimedDomain) -> Span {
    let span = tracing::info_span!(
        "step", tenant_id = %domain.lease.tenant_id, domain = %domain.name, order_id = field::Empty
    );
    if let Some(order) = &domain.order {
        span.record("order_id", field::display(order.order_id));
    }
    span
}

/// Lays a domain aside if too many claims of it came to nothing.
async fn park(engine: &Engine, id: DomainId) -> Result<(), EngineError> {
    let (parts, now) = (&engine.parts, engine.now());
    if parts.store.park(id, LOST_CLAIMS, now + PARKED, &parts.chance, now).await? {
        tracing::error!(%id, "the domain is laid aside: its step takes its worker with it, or its row cannot be read");
    }
    Ok(())
}

async fn take(engine: &Arc<Engine>, domain: ClaimedDomain) -> Result<(), EngineError> {
    let store = &engine.parts.store;
    let (lease, now) = (domain.lease, engine.now());
    let id = lease.domain_id;
    match next_step(&domain.situation, now) {
        NextStep::Rest(next) => store.rest(&lease, next).await?,
        NextStep::AwaitDelivery(due) => await_delivery(engine, &domain, due).await?,
        NextStep::AwaitOrder => store.rest(&lease, Some(now + AWAIT_ORDER)).await?,
        NextStep::Activate => {
            let situation = domain.situation;
            store.activate(&[id], &engine.parts.chance, now).await?;
            let next = [situation.renew_after, situation.check_after].into_iter().flatten().min();
            store.rest(&lease, next).await?;
        }
        NextStep::TakeOff => store.take_off(&lease, now).await?,
        NextStep::FinishDeletion => {
            store.finish_deletion(&lease, &engine.parts.chance, now).await?;
            engine.records_left.notify_one();
        }
        NextStep::Expire => store.expire(&lease, &engine.parts.chance, now).await?,
        NextStep::Check => {
            while_held(Box::pin(check::look_again(engine, &domain)), || store.renew_lease(&lease)).await??;
        }
        NextStep::CheckAndOrder => {
            while_held(Box::pin(begin::begin(engine, domain)), || store.renew_lease(&lease)).await??;
        }
        NextStep::ContinueOrder => {
            while_held(Box::pin(order::resume(engine, domain)), || store.renew_lease(&lease)).await??;
        }
    }
    Ok(())
}

async fn await_delivery(
    engine: &Engine,
    domain: &ClaimedDomain,
    due: Option<time::OffsetDateTime>,
) -> Result<(), EngineError> {
    let situation = &domain.situation;
    if situation.undelivered == 0 && situation.delivered == 0 {
        let detail = "There is a certificate, but no load balancer to serve it.";
        return failure::defer(engine, domain, ProblemCode::NoTargets, detail, AWAIT_DELIVERY).await;
    }
    let again = engine.now() + AWAIT_DELIVERY;
    Ok(engine.parts.store.rest(&domain.lease, Some(due.map_or(again, |due| due.min(again)))).await?)
}
