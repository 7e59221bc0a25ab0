//! Gives events their places in the feed. One process does at a time, whichever comes first.

use std::{sync::Arc, time::Duration};

use certmill_store::{Placed, StoreError};
use sqlx::postgres::PgListener;
use tokio::{sync::watch, time::Instant};

use crate::{Engine, planner::woken};

/// How long the loop sleeps when nobody wakes it. What workers record wakes nobody.
const POLL: Duration = Duration::from_millis(500);

/// The least time between two rounds: a storm of events is placed in batches.
const BREATH: Duration = Duration::from_millis(100);

/// Runs until `stop` turns true. What goes wrong is logged and tried again.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let mut listener = None;
    while !*stop.borrow() {
        crate::measure::tick("feed", engine.now());
        let looked = Instant::now();
        let placed = place(&engine).await.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "events cannot be put into the feed; trying again");
            Placed::default()
        });
        if placed.deliveries > 0 {
            engine.to_send.notify_one();
        }
        if !placed.is_more {
            tokio::select! {
                _ = stop.changed() => {}
                () = woken(&engine.parts.store, &mut listener) => {}
                () = tokio::time::sleep(POLL) => {}
            }
            tokio::time::sleep_until(looked + BREATH).await;
        }
        while listener.as_mut().and_then(PgListener::next_buffered).is_some() {}
    }
}

async fn place(engine: &Engine) -> Result<Placed, StoreError> {
    engine.parts.store.place_events(&engine.parts.chance, engine.now()).await
}
