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

/// The least time between two looks, so that a storm of wake-ups costs little. The first wake-up is served at once.
const BREATH: Duration = Duration::from_millis(50);

/// How long what is to be delivered may wait for more of it while a storm of domains is worked on.
const STORM_BATCH: time::Duration = time::Duration::seconds(10);

/// How often finished nudges are cleared away. The queue's fetch slows with its table.
const HOUSEKEEPING: Duration = Duration::from_secs(3);

/// Plans until `stop` turns true. What goes wrong is logged and tried again: the database may be away for a while.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let mut listener = None;
    let mut cleared = Instant::now();
    while !*stop.borrow() {
        let looked = Instant::now();
        let more = match sweep(&engine).await {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot look for due work; trying again"
                );
                false
            }
        };
        if cleared.elapsed() >= HOUSEKEEPING {
            cleared = Instant::now();
            if let Err(error) = nudge::clear_finished(engine.parts.store.nudges()).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot clear finished nudges");
            }
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = woken(&engine, &mut listener) => {}
            // Only then there is more to push than there was room for.
            () = engine.finished.notified(), if more => {}
            () = tokio::time::sleep(POLL) => {}
        }
        tokio::time::sleep_until(looked + BREATH).await;
        // One look serves all who called meanwhile.
        while listener.as_mut().and_then(PgListener::next_buffered).is_some() {}
    }
}

/// Pushes a nudge for each row that is due, as far as the window of each lane has room; answers whether a window was
/// filled, so that more may be due.
async fn sweep(engine: &Engine) -> Result<bool, EngineError> {
    let store = &engine.parts.store;
    let mut tx = store.begin_nudges().await?;
    let waiting = nudge::waiting(&mut tx).await?;
    let room = (Lane::Domains.window(engine) - waiting.domains).max(0);
    let domains = store.take_due_domains(&mut tx, room, engine.now()).await?;
    let full = domains.len() as i64 == room;
    nudge::push(&mut tx, Lane::Domains, domains.iter().map(|(id, token)| (id.to_string(), *token))).await?;
    let room = (Lane::Targets.window(engine) - waiting.targets).max(0);
    // While more domains are due than workers take, what is to be delivered grows by the second: it goes in large batches.
    let since = engine.now() - if full { STORM_BATCH } else { time::Duration::ZERO };
    let targets = store.take_due_targets(&mut tx, room, since, engine.now()).await?;
    let full = full || targets.len() as i64 == room;
    nudge::push(&mut tx, Lane::Targets, targets.iter().map(|(id, token)| (id.to_string(), *token))).await?;
    tx.commit().await?;
    Ok(full)
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
