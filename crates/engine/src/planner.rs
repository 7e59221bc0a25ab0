//! The planner: finds what is due and nudges the workers, a bounded window at a time.

use std::{sync::Arc, time::Duration};

use sqlx::postgres::PgListener;
use tokio::{sync::watch, time::Instant};

use crate::{
    Engine, EngineError,
    nudge::{self, Lane},
};

/// How long the planner sleeps when nobody wakes it: the fallback of `LISTEN`, and the grain of planned times.
const POLL: Duration = Duration::from_secs(1);

/// The least time between two looks, so that a storm of wake-ups costs little.
const BREATH: Duration = Duration::from_millis(15);

/// How often finished nudges are cleared away. The queue's fetch slows with its table.
const HOUSEKEEPING: Duration = Duration::from_secs(3);

/// Plans until `stop` turns true. What goes wrong is logged and tried again: the database may be away for a while.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let mut listener = None;
    let mut cleared = Instant::now();
    while !*stop.borrow() {
        if let Err(error) = sweep(&engine).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot look for due work; trying again"
            );
        }
        if cleared.elapsed() >= HOUSEKEEPING {
            cleared = Instant::now();
            if let Err(error) = nudge::clear_finished(engine.parts.store.pool()).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot clear finished nudges");
            }
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = woken(&engine, &mut listener) => {
                tokio::time::sleep(BREATH).await;
                // One look serves all who called meanwhile.
                while listener.as_mut().and_then(PgListener::next_buffered).is_some() {}
            }
            () = engine.finished.notified() => tokio::time::sleep(BREATH).await,
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Pushes a nudge for each row that is due, as far as the window of each lane has room.
async fn sweep(engine: &Engine) -> Result<(), EngineError> {
    let store = &engine.parts.store;
    let mut tx = store.begin().await?;
    let waiting = nudge::waiting(&mut tx).await?;
    let room = Lane::Domains.window(engine) - waiting.domains;
    if room > 0 {
        let due = store.take_due_domains(&mut tx, room, engine.now()).await?;
        let due = due.iter().map(|(id, token)| (id.to_string(), *token));
        nudge::push(&mut tx, Lane::Domains, due).await?;
    }
    let room = Lane::Targets.window(engine) - waiting.targets;
    if room > 0 {
        let due = store.take_due_targets(&mut tx, room, engine.now()).await?;
        let due = due.iter().map(|(id, token)| (id.to_string(), *token));
        nudge::push(&mut tx, Lane::Targets, due).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Ends when a writer says that something may be due. Without a connection to listen on, never: the clock still wakes.
async fn woken(engine: &Engine, listener: &mut Option<PgListener>) {
    if listener.is_none() {
        *listener = engine.parts.store.listen().await.ok();
    }
    match listener {
        None => std::future::pending().await,
        Some(open) => {
            if let Err(error) = open.recv().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the wake-up channel broke; opening it again"
                );
                *listener = None;
            }
        }
    }
}
