//! Deletes what is no longer needed, a little at a time, so that what is in use stays fast to find.

use std::{sync::Arc, time::Duration};

use certmill_store::Expendable;
use tokio::sync::watch;

use crate::{Engine, EngineError};

/// Between two rounds, and how much longer than that a wait may be, so that processes do not begin together.
const ROUND: Duration = Duration::from_secs(3_600);
const JITTER: Duration = Duration::from_secs(600);

/// Between two batches: work comes first.
const BREATH: Duration = Duration::from_millis(200);

/// Works until `stop` turns true. Rounds of several processes at once do no harm: each deletes what is left.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    // The first round is soon: a process that is restarted often would never come to one.
    let mut pause = Duration::ZERO;
    while !*stop.borrow() {
        let wait = pause + JITTER.mul_f64(engine.fraction());
        pause = ROUND;
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(wait) => tokio::select! {
                _ = stop.changed() => {}
                () = round(&engine) => {}
            },
        }
    }
}

async fn round(engine: &Engine) {
    if let Err(error) = tenants(engine).await {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "tenants that are to be deleted could not be");
    }
    for kind in Expendable::ALL {
        match delete(engine, kind).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(?kind, rows, "deleted what is no longer needed"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(?kind, error, "what is no longer needed could not be deleted");
            }
        }
    }
}

/// Takes off the domains of tenants whose grace is over, and counts anew what counts towards quotas.
async fn tenants(engine: &Engine) -> Result<(), EngineError> {
    let parts = &engine.parts;
    while parts.store.end_tenants(&parts.chance, engine.now()).await? > 0 {
        tokio::time::sleep(BREATH).await;
    }
    Ok(parts.store.recount_quotas().await?)
}

async fn delete(engine: &Engine, kind: Expendable) -> Result<u64, EngineError> {
    let rest = async || tokio::time::sleep(BREATH).await;
    Ok(engine.parts.store.delete_expendable(kind, engine.now(), rest).await?)
}
