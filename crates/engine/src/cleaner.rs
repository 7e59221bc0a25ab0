//! Removes TXT records whose order is over, however it ended and whoever wrote them.

use std::{sync::Arc, time::Duration};

use certmill_model::target_retry;
use certmill_store::{LeftRecord, StoreError};
use futures_util::{StreamExt, stream};
use tokio::sync::watch;

use crate::Engine;

/// Records taken at a time, and removed at a time.
const BATCH: i64 = 128;
const AT_ONCE: usize = 16;

/// How long to sleep when nobody wakes the cleaner.
const POLL: Duration = Duration::from_secs(2);

/// Runs until `stop` turns true. What goes wrong is logged and tried again.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let more = match clean(&engine).await {
            Ok(taken) => taken as i64 == BATCH,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot look for TXT records to remove; trying again"
                );
                false
            }
        };
        if more {
            continue;
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = engine.records_left.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

async fn clean(engine: &Engine) -> Result<usize, StoreError> {
    let left = engine.parts.store.take_left_records(BATCH, engine.now()).await?;
    let taken = left.len();
    let removals = stream::iter(left).map(|record| remove(engine, record)).buffer_unordered(AT_ONCE);
    removals.collect::<Vec<_>>().await.into_iter().collect::<Result<(), _>>()?;
    Ok(taken)
}

async fn remove(engine: &Engine, record: LeftRecord) -> Result<(), StoreError> {
    let removed = match engine.zone(record.zone_id).await? {
        Ok(zone) => zone.remove(&record.name, &record.value).await,
        Err(trouble) => Err(trouble),
    };
    match removed {
        Ok(()) => engine.parts.store.record_removed(&record).await,
        Err(trouble) => {
            tracing::warn!(
                record = record.name,
                detail = trouble.detail,
                "a TXT record could not be removed"
            );
            let wait = target_retry(record.consecutive_failures + 1, engine.fraction());
            let wait = trouble.after.map_or(wait, |asked| asked.max(wait));
            engine.parts.store.record_not_removed(&record, engine.now() + wait).await
        }
    }
}
