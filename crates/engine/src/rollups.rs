//! Keeps the sums behind the pictures, so that no page ever counts a million rows.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use crate::Engine;

/// Between two counts: short where counting is quick, and a twentieth of the time at most is spent on it.
const SHORTEST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);
const REST: u32 = 20;

/// Counts until `stop` turns true. Of several processes one does.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let mut pause = SHORTEST;
    while !*stop.borrow() {
        let begun = Instant::now();
        match engine.parts.store.sum_up(pause, engine.now()).await {
            Ok(true) => pause = (begun.elapsed() * REST).clamp(SHORTEST, LONGEST),
            Ok(false) => {}
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the sums for the overview could not be counted; trying again");
            }
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
