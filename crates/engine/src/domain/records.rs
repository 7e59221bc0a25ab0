//! The TXT records of dns-01 challenges: written, and seen at every name server of their zone, before the CA looks
//! (RFC 8555 section 8.4).

use std::sync::Arc;

use certmill_dns::wait_until_visible;
use certmill_model::OrderId;
use certmill_store::{ClaimedDomain, DomainLease, PlacedRecord, StoreError};
use futures_util::future::try_join_all;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::order::Stopped;
use crate::{
    Engine,
    checkpoint::reached,
    zones::{OpenZone, ZoneTrouble},
};

/// Writes the records of an order, which are stored already, and waits until every name server shows them. `since` is when
/// the order was begun: for a while nothing is wrong with servers that take their time, and the next step goes on.
pub(super) async fn publish(
    engine: &Arc<Engine>,
    domain: &ClaimedDomain,
    order: OrderId,
    since: OffsetDateTime,
    records: &[PlacedRecord],
) -> Result<(), Stopped> {
    let mut zones = Vec::new();
    for record in records {
        let zone = engine.zone(record.zone_id).await.map_err(|error| Stopped::Unrecorded(error.into()))?;
        zones.push((zone.map_err(Stopped::Zone)?, record.clone()));
    }
    // In a task of its own: a step that loses its lease is dropped in the middle, and what it sent may arrive all the same.
    let writing = tokio::spawn(write(engine.clone(), domain.lease, order, zones.clone()));
    writing.await.expect("writing records does not panic")?;
    reached("record_written");
    let late = engine.now() - since;
    try_join_all(zones.iter().map(|(zone, record)| seen_everywhere(engine, zone, record, late))).await?;
    reached("record_visible");
    Ok(())
}

async fn write(
    engine: Arc<Engine>,
    lease: DomainLease,
    order: OrderId,
    zones: Vec<(Arc<OpenZone>, PlacedRecord)>,
) -> Result<(), Stopped> {
    let written =
        try_join_all(zones.iter().map(|(zone, record)| zone.write(&record.name, &record.value))).await;
    // The domain may have been deleted meanwhile, or another may have the order, and the record been removed before it came.
    let unrecorded = |error: StoreError| Stopped::Unrecorded(error.into());
    let records = zones.into_iter().map(|(_, record)| (record.zone_id, record.name, record.value));
    let records: Vec<_> = records.collect();
    engine.parts.store.records_written(order, &records, engine.now()).await.map_err(unrecorded)?;
    engine.parts.store.renew_lease(&lease).await.map_err(unrecorded)?;
    written.map(drop).map_err(Stopped::Zone)
}

/// `late` is how long the record has been on its way.
async fn seen_everywhere(
    engine: &Engine,
    zone: &OpenZone,
    record: &PlacedRecord,
    late: time::Duration,
) -> Result<(), Stopped> {
    let servers = zone.name_servers(engine).await.map_err(Stopped::Zone)?;
    let patience = zone.patience().min(engine.parts.propagation);
    let seen = wait_until_visible(&servers, &record.name, &[&record.value], Instant::now() + patience).await;
    seen.map_err(|error| {
        zone.lags();
        if late + patience < engine.parts.propagation {
            return Stopped::Unseen;
        }
        let detail = format!("{error}.");
        Stopped::Zone(ZoneTrouble { code: error.problem_code(), words: detail.clone(), detail, after: None })
    })
}
