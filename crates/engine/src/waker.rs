//! Wakes the planners of all processes when there is something new to deliver: once for all certificates of a moment.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::Engine;

/// The least time between two calls.
const BREATH: Duration = Duration::from_millis(50);

/// Wakes them until `stop` turns true. A call that is lost delays a delivery until a planner looks by the clock.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        tokio::select! {
            _ = stop.changed() => return,
            () = engine.to_deliver.notified() => {}
        }
        if let Err(error) = engine.parts.store.wake().await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the planners could not be woken; they look by the clock");
        }
        tokio::time::sleep(BREATH).await;
    }
}
