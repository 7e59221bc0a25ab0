//! The TXT records of dns-01 challenges: written, and seen at every name server of their zone, before the CA looks
//! (RFC 8555 section 8.4).

use std::sync::Arc;

use certmill_dns::wait_until_visible;
use certmill_model::OrderId;
use certmill_store::{DomainLease, PlacedRecord, StoreError};
use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::order::Stopped;
use crate::{
    Engine,
    checkpoint::reached,
    zones::{OpenZone, ZoneTrouble},
};

/// Writes the records of an order, which are stored already, and waits until every name server shows them.
pub(super) async fn publish(
    engine: &Arc<Engine>,
    lease: DomainLease,
    order: OrderId,
    records: &[PlacedRecord],
) -> Result<(), Stopped> {
    let mut zones = Vec::new();
    for record in records {
        let zone = engine.zone(record.zone_id).await.map_err(|error| Stopped::Unrecorded(error.into()))?;
        zones.push((zone.map_err(Stopped::Zone)?, record.clone()));
    }
    // In a task of its own: a step that loses its lease is dropped in the middle, and what it sent may arrive all the same.
    let writing = tokio::spawn(write(engine.clone(), lease, order, zones.clone()));
    writing.await.expect("writing records does not panic")?;
    reached("record_written");
    let deadline = Instant::now() + engine.parts.propagation;
    try_join_all(zones.iter().map(|(zone, record)| seen_everywhere(engine, zone, record, deadline))).await?;
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
    // Whoever has the order now may have removed them before they came.
    if let Err(StoreError::LeaseLost) = engine.parts.store.renew_lease(&lease).await {
        let records = zones.into_iter().map(|(_, record)| (record.zone_id, record.name, record.value));
        let records: Vec<_> = records.collect();
        let late = engine.parts.store.records_written_late(order, &records, engine.now()).await;
        late.map_err(|error| Stopped::Unrecorded(error.into()))?;
        return Err(Stopped::Unrecorded(StoreError::LeaseLost.into()));
    }
    written.map(drop).map_err(Stopped::Zone)
}

async fn seen_everywhere(
    engine: &Engine,
    zone: &OpenZone,
    record: &PlacedRecord,
    deadline: Instant,
) -> Result<(), Stopped> {
    let servers = zone.name_servers(engine).await.map_err(Stopped::Zone)?;
    let seen = wait_until_visible(&servers, &record.name, &[&record.value], deadline).await;
    seen.map_err(|error| {
        Stopped::Zone(ZoneTrouble { code: error.problem_code(), detail: error.to_string(), after: None })
    })
}
