//! One step of a domain: claim, decide, act, record.

mod begin;
mod check;
mod failure;
mod look;
mod observed;
mod order;
mod records;

use std::sync::Arc;

use certmill_model::{DomainId, NextStep, ProblemCode, next_step};
use certmill_store::ClaimedDomain;
use time::Duration;

use crate::{Engine, EngineError, heartbeat::while_held};

/// How long a domain waits for its load balancers before it is looked at again, in case nobody woke it.
const AWAIT_DELIVERY: Duration = Duration::minutes(1);

/// How long a domain waits for another's order that includes it, in case nobody woke it.
const AWAIT_ORDER: Duration = Duration::minutes(10);

/// Does what is next for a domain, if it is due and nobody else has it.
pub(crate) async fn step(engine: &Arc<Engine>, id: DomainId) -> Result<(), EngineError> {
    let store = &engine.parts.store;
    let now = engine.now();
    let Some(domain) = store.claim_domain(id, now).await? else { return Ok(()) };
    let lease = domain.lease;
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
