//! Removes TXT records whose order is over, however it ended and whoever wrote them.

use std::{sync::Arc, time::Duration};

use certmill_model::target_retry;
use certmill_store::{LeftRecord, REMOVAL, StoreError};
use futures_util::future::try_join_all;
use tokio::{sync::watch, time::timeout};

use crate::{Engine, zones::ZoneTrouble};

/// Records taken and removed at a time.
const AT_ONCE: i64 = 16;

/// How long to sleep when nobody wakes the cleaner.
const POLL: Duration = Duration::from_secs(2);

/// Runs until `stop` turns true. What goes wrong is logged and tried again.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        crate::measure::tick("cleaner", engine.now());
        let more = match clean(&engine).await {
            Ok(taken) => taken as i64 == AT_ONCE,
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
    let left = engine.parts.store.take_left_records(AT_ONCE, engine.now()).await?;
    let taken = left.len();
    try_join_all(left.into_iter().map(|record| remove(engine, record))).await?;
    Ok(taken)
}

async fn remove(engine: &Engine, record: LeftRecord) -> Result<(), StoreError> {
    let removed = match engine.zone(record.zone_id).await? {
        // Ended well before another may write the same value again.
        Ok(zone) => {
            timeout(REMOVAL / 2, zone.remove(&record.name, &record.value)).await.unwrap_or_else(|_| {
                Err(ZoneTrouble::unavailable("The DNS zone does not answer.", "it took too long".to_owned()))
            })
        }
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
