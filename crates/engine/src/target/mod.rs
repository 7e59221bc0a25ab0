//! One delivery to one target: everything that is pending there, in one go.

mod deliver;
mod outcome;
mod prove;
mod release;
mod settings;
pub(crate) mod trial;

use certmill_model::{DeploymentStatus, ProblemCode, ReleaseId, TargetId, TargetState, target_retry};
use certmill_store::{ClaimedTarget, PendingPlacement};

pub use settings::TargetSettings;

use crate::{Engine, EngineError, heartbeat::while_held, measure};
use outcome::{Failed, Proved};

/// Domains in one delivery at most: what one release changes, and one round of handshakes proves.
const BATCH: i64 = 2_000;

/// Brings a target what it should serve, if its time has come and nobody else is at it.
pub(crate) async fn deliver(engine: &Engine, id: TargetId) -> Result<(), EngineError> {
    let store = &engine.parts.store;
    let Some(mut target) = store.claim_target(id, engine.now()).await? else { return Ok(()) };
    let mut serving = engine.templates(Some(id)).await?;
    if let Some(complaint) = serving.templates.complaint() {
        // What only this one has would be live nowhere.
        store.refuse_templates(id, &serving.unreadable(), &complaint, engine.now()).await?;
        serving = engine.templates(Some(id)).await?;
    }
    target.remark = serving.templates.complaint();
    let templates = &serving.templates;
    if target.revisit {
        store.place_missing(&target.lease, engine.now()).await?;
    }
    let pending = store.pending_placements(&target.lease, BATCH, engine.now()).await?;
    if pending.is_empty() && deliver::is_up_to_date(engine, &target, templates) {
        store.settle_templates(id, &serving.published, engine.now()).await?;
        return Ok(store.release_target(&target).await?);
    }
    let deployment =
        store.begin_deployment(&target.lease, pending.len(), &engine.parts.chance, engine.now()).await?;
    let work = deliver::carry_out(engine, &target, templates, deployment, &pending);
    match while_held(work, || store.renew_target_lease(&target.lease)).await? {
        Ok(proved) => {
            record_proved(engine, &target, deployment, proved, &pending).await?;
            Ok(store.settle_templates(id, &serving.published, engine.now()).await?)
        }
        Err(failed) => {
            if let Some(reason) = failed.of_configuration() {
                let reason = format!("{}: {reason}", target.name);
                store.refuse_templates(id, &serving.published, &reason, engine.now()).await?;
            }
            record_failed(engine, &target, deployment, failed).await
        }
    }
}

async fn record_proved(
    engine: &Engine,
    target: &ClaimedTarget,
    deployment: ReleaseId,
    proved: Proved,
    pending: &[PendingPlacement],
) -> Result<(), EngineError> {
    let store = &engine.parts.store;
    let chance = &engine.parts.chance;
    tracing::info!(
        target.name = target.name,
        release = proved.release.number,
        served = proved.delivered.len(),
        not_served = proved.undelivered.len(),
        "delivered"
    );
    measure::deployment_ended(DeploymentStatus::Succeeded, None);
    store
        .finish_deployment(
            target,
            deployment,
            &proved.release,
            &proved.delivered,
            &proved.undelivered,
            chance,
            engine.now(),
        )
        .await?;
    let served: Vec<_> = proved.delivered.iter().map(|one| one.domain_id).collect();
    store.activate(&served, chance, engine.now()).await?;
    if pending.len() as i64 == BATCH {
        store.wake().await?;
    }
    Ok(())
}

async fn record_failed(
    engine: &Engine,
    target: &ClaimedTarget,
    deployment: ReleaseId,
    failed: Failed,
) -> Result<(), EngineError> {
    let Failed::Target { status, state, code, detail } = failed else { return Err(failed.into_unrecorded()) };
    tracing::warn!(target.name = target.name, %status, detail, "the delivery did not succeed");
    measure::deployment_ended(status, Some(code));
    let wait = target_retry(target.consecutive_failures + 1, engine.fraction());
    let now = engine.now();
    engine
        .parts
        .store
        .fail_deployment(
            &target.lease,
            Some(deployment),
            status,
            state,
            (code, &detail),
            now + wait,
            &engine.parts.chance,
            now,
        )
        .await?;
    Ok(())
}

/// A failure of the delivery as a whole, before anything went live.
fn failed(state: TargetState, code: ProblemCode, detail: String) -> Failed {
    Failed::Target { status: DeploymentStatus::Failed, state, code, detail }
}
