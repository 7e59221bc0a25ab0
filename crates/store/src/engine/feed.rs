//! The feed: events get their places one after the other, from one process at a time.
//!
//! Transactions commit in another order than their events were made in, so an id says nothing of what a reader has missed.
//! A place is given only to what is committed, and places become visible in their order: whoever reads behind the last
//! place that it knows misses nothing.

use certmill_model::{Chance, EventKind, WebhookDeliveryId};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Engine;
use crate::{FEED_CHANNEL, StoreError};

/// Events that get their places in one transaction.
const BATCH: i64 = 1_000;

/// Problems that stand with an event at most, and the characters of each that do.
const PROBLEMS: i64 = 8;
const CHARACTERS: i32 = 1_000;

/// What one round of giving places came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Placed {
    /// Events that have their places now.
    pub events: usize,
    /// Deliveries to webhook endpoints that follow from them.
    pub deliveries: usize,
    /// There may be more.
    pub is_more: bool,
}

/// An event in the feed.
struct PlacedEvent {
    event_id: Uuid,
    tenant_id: Option<Uuid>,
    kind: String,
}

impl Engine {
    /// Gives their places to the oldest events that have none, and plans their deliveries to webhook endpoints, each exactly
    /// once. While another process does the same, nothing.
    pub async fn place_events(&self, chance: &Chance, now: OffsetDateTime) -> Result<Placed, StoreError> {
        let mut tx = self.pool.begin().await?;
        let last = sqlx::query_scalar!(
            "SELECT last_position FROM event_feed WHERE EXISTS (SELECT 1 FROM events WHERE position IS NULL)
             FOR UPDATE SKIP LOCKED"
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(last) = last else { return Ok(Placed::default()) };
        let placed = place(&mut tx, last).await?;
        let deliveries = fan_out(&mut tx, &placed, chance, now).await?;
        sqlx::query!("UPDATE event_feed SET last_position = $1", last + placed.len() as i64)
            .execute(&mut *tx)
            .await?;
        sqlx::query!("SELECT pg_notify($1, '')", FEED_CHANNEL).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        Ok(Placed { events: placed.len(), deliveries, is_more: placed.len() as i64 == BATCH })
    }
}

/// What an event does not say itself of how its domain stands is written down with its place.
async fn place(connection: &mut PgConnection, last: i64) -> Result<Vec<PlacedEvent>, StoreError> {
    let next = sqlx::query!(
        "SELECT event_id, domain_id FROM events WHERE position IS NULL ORDER BY event_id LIMIT $1",
        BATCH,
    )
    .fetch_all(&mut *connection)
    .await?;
    let events: Vec<_> = next.iter().map(|row| row.event_id).collect();
    let domains: Vec<_> = next.iter().map(|row| row.domain_id).collect();
    let placed = sqlx::query_as!(
        PlacedEvent,
        "UPDATE events e SET position = $3 + stood.number, status = COALESCE(e.status, stood.status),
             health = stood.health, problems = stood.problems
         FROM (
             SELECT next.event_id, next.number, d.status, d.health,
                    CASE WHEN d.health <> 'ok' THEN (
                        SELECT jsonb_agg(jsonb_build_object('code', code, 'detail', left(detail, $4), 'since', since)
                                         ORDER BY since)
                        FROM (SELECT code, detail, since FROM problems p WHERE p.domain_id = d.domain_id
                              ORDER BY since LIMIT $5) AS open) END AS problems
             FROM UNNEST($1::uuid[], $2::uuid[]) WITH ORDINALITY AS next (event_id, domain_id, number)
             LEFT JOIN domains d USING (domain_id)) AS stood
         WHERE e.event_id = stood.event_id
         RETURNING e.event_id, e.tenant_id, e.kind",
        &events,
        &domains as &[Option<Uuid>],
        last,
        CHARACTERS,
        PROBLEMS,
    )
    .fetch_all(connection)
    .await?;
    Ok(placed)
}

/// Plans a delivery of each event to each endpoint that is to hear of it.
async fn fan_out(
    connection: &mut PgConnection,
    placed: &[PlacedEvent],
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<usize, StoreError> {
    let test = EventKind::WebhookTest.as_str();
    let quiet = |event: &PlacedEvent| event.kind.parse().is_ok_and(EventKind::is_quiet);
    let told: Vec<_> = placed.iter().filter(|event| event.kind != test).collect();
    let events: Vec<_> = told.iter().map(|event| event.event_id).collect();
    let tenants: Vec<_> = told.iter().map(|event| event.tenant_id).collect();
    let kinds: Vec<_> = told.iter().map(|event| event.kind.clone()).collect();
    let are_quiet: Vec<_> = told.iter().map(|event| quiet(event)).collect();
    let wanted = sqlx::query!(
        r#"SELECT e.endpoint_id, e.tenant_id, told.event_id AS "event_id!", told.kind AS "kind!"
           FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::boolean[]) AS told (event_id, tenant_id, kind, is_quiet)
           JOIN webhook_endpoints e
             ON (e.tenant_id = told.tenant_id OR e.tenant_id IS NULL) AND e.disabled_at IS NULL
                AND CASE WHEN e.kinds IS NULL THEN NOT told.is_quiet ELSE told.kind = ANY (e.kinds) END
           ORDER BY told.event_id"#,
        &events,
        &tenants as &[Option<Uuid>],
        &kinds,
        &are_quiet,
    )
    .fetch_all(&mut *connection)
    .await?;
    if wanted.is_empty() {
        return Ok(0);
    }
    let ids: Vec<_> = wanted.iter().map(|_| WebhookDeliveryId::new(chance, now).uuid()).collect();
    let endpoints: Vec<_> = wanted.iter().map(|row| row.endpoint_id).collect();
    let tenants: Vec<_> = wanted.iter().map(|row| row.tenant_id).collect();
    let events: Vec<_> = wanted.iter().map(|row| row.event_id).collect();
    let kinds: Vec<_> = wanted.into_iter().map(|row| row.kind).collect();
    let done = sqlx::query!(
        "INSERT INTO webhook_deliveries (delivery_id, tenant_id, endpoint_id, event_id, kind, status, next_attempt_at,
                                         created_at)
         SELECT new.delivery_id, new.tenant_id, new.endpoint_id, new.event_id, new.kind, 'pending', $6, $6
         FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[])
              AS new (delivery_id, tenant_id, endpoint_id, event_id, kind)
         ON CONFLICT (endpoint_id, event_id) DO NOTHING",
        &ids,
        &tenants as &[Option<Uuid>],
        &endpoints,
        &events,
        &kinds,
        now,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() as usize)
}
