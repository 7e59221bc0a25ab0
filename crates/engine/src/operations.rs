//! Works on long operations in turns of some chunks of lines, so that a short one never waits for the end of a long one.

use std::{sync::Arc, time::Duration};

use certmill_store::{OperationLease, StoreError};
use tokio::{sync::watch, task::JoinSet};

use crate::Engine;

/// How often somebody looks for an operation, and how many one process works on at a time.
const POLL: Duration = Duration::from_secs(1);
const AT_A_TIME: usize = 2;

/// Chunks of a turn: some seconds, for which all others wait that have come since.
const TURN: usize = 8;

/// Works until `stop` turns true. What was not finished goes on with the next start, behind its last finished chunk.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let mut under_way = JoinSet::new();
    while !*stop.borrow() {
        while under_way.try_join_next().is_some() {}
        let claimed = if under_way.len() < AT_A_TIME { claim(&engine).await } else { None };
        if let Some(lease) = claimed {
            under_way.spawn(take_turn(engine.clone(), lease, stop.clone()));
            continue;
        }
        tokio::select! {
            _ = stop.changed() => {}
            Some(_) = under_way.join_next() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
    under_way.join_all().await;
}

async fn claim(engine: &Engine) -> Option<OperationLease> {
    match engine.parts.store.claim_operation(engine.now()).await {
        Ok(lease) => lease,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "operations could not be looked for; trying again");
            None
        }
    }
}

async fn take_turn(engine: Arc<Engine>, lease: OperationLease, stop: watch::Receiver<bool>) {
    let store = &engine.parts.store;
    for _ in 0..TURN {
        if *stop.borrow() {
            break;
        }
        match store.work_on_operation(&lease, &engine.parts.chance, engine.now()).await {
            Ok(true) => {}
            // Another process has it by now: it goes on from the last chunk.
            Ok(false) | Err(StoreError::LeaseLost) => return,
            Err(error) => return warn(&lease, &error),
        }
    }
    if let Err(error) = store.release_operation(&lease).await {
        warn(&lease, &error);
    }
}

fn warn(lease: &OperationLease, error: &StoreError) {
    let (operation, error) = (lease.operation_id, error as &dyn std::error::Error);
    tracing::warn!(%operation, error, "an operation stopped; it goes on when its lease is over");
}
