//! Has events sent again that endpoints are to have once more: a part of each at a time, while all else goes out.

use std::{error::Error, sync::Arc, time::Duration};

use certmill_store::StoreError;
use tokio::sync::watch;

use crate::Engine;

/// How long to sleep when nothing is to be sent again, and the least time between two parts.
const POLL: Duration = Duration::from_secs(1);
const BREATH: Duration = Duration::from_millis(50);

/// Runs until `stop` turns true. What goes wrong is logged and tried again.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        crate::measure::tick("replays", engine.now());
        let pause = match plan_parts(&engine).await {
            Ok(0) => POLL,
            Ok(_) => {
                engine.to_send.notify_one();
                BREATH
            }
            Err(error) => {
                let error = &error as &dyn Error;
                tracing::warn!(error, "cannot look for events to be sent again; trying again");
                POLL
            }
        };
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Plans a part for each endpoint; answers for how many. One that cannot be planned holds up no other.
async fn plan_parts(engine: &Engine) -> Result<usize, StoreError> {
    let (parts, mut planned) = (&engine.parts, 0);
    for endpoint in parts.store.replaying_webhooks().await? {
        match parts.store.replay_webhook_part(endpoint, &parts.chance, engine.now()).await {
            Ok(()) => planned += 1,
            Err(error) => {
                let error = &error as &dyn Error;
                tracing::warn!(%endpoint, error, "events to be sent again could not be planned; trying again");
            }
        }
    }
    Ok(planned)
}
