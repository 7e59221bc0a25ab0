//! Events that are sent to an endpoint once more: planned a part at a time, beside everybody's webhooks.

use certmill_model::{Chance, EventKind, WebhookDeliveryId, WebhookEndpointId};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Engine;
use crate::StoreError;

/// Events that are looked at for one part of a replay, and deliveries that may wait before the next part follows.
const REPLAYED: i64 = 500;
const WAITING: i64 = 1_000;

/// An event that may have to be sent once more.
struct Replayed {
    event_id: Uuid,
    kind: String,
    position: i64,
}

impl Engine {
    /// Finds where in the feed the replays begin that were asked for, and answers which endpoints have some of a replay before
    /// them, and not too much that waits already.
    pub async fn replaying_webhooks(&self) -> Result<Vec<WebhookEndpointId>, StoreError> {
        // Among everybody's events by their ids, which begin with the time: no tenant's are rare there.
        sqlx::query!(
            "UPDATE webhook_endpoints e SET replay_from = NULL, replay_after = CASE
                 WHEN e.replay_from <= (SELECT event_id FROM events WHERE position > 0 ORDER BY position LIMIT 1) THEN 0
                 ELSE COALESCE((
                     SELECT min(position) - 1 FROM (
                         SELECT position FROM events v WHERE v.event_id >= e.replay_from AND v.position > 0
                         ORDER BY v.event_id LIMIT 100) AS first), e.replay_until) END
             WHERE e.replay_from IS NOT NULL"
        )
        .execute(&self.pool)
        .await?;
        let rows = sqlx::query_scalar!(
            "SELECT endpoint_id FROM webhook_endpoints e
             WHERE replay_after IS NOT NULL AND disabled_at IS NULL AND (
                 SELECT count(*) FROM (SELECT 1 FROM webhook_deliveries w
                                       WHERE w.endpoint_id = e.endpoint_id AND w.status = 'pending' LIMIT $1) AS waiting
             ) < $1",
            WAITING,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(WebhookEndpointId::from_uuid).collect())
    }

    /// Plans the next part of what an endpoint is to be sent again.
    pub async fn replay_webhook_part(
        &self,
        endpoint: WebhookEndpointId,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let row = sqlx::query!(
            r#"SELECT tenant_id, kinds, replay_after AS "after!", COALESCE(replay_until, 0) AS "until!"
               FROM webhook_endpoints WHERE endpoint_id = $1 AND replay_after IS NOT NULL
               FOR NO KEY UPDATE SKIP LOCKED"#,
            endpoint.uuid(),
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(()) };
        let mut events = match row.tenant_id {
            Some(tenant) => events_of_tenant(&mut tx, tenant, row.after, row.until).await?,
            None => events_of_all(&mut tx, row.after, row.until).await?,
        };
        let reached = events.last().filter(|_| events.len() as i64 == REPLAYED).map(|event| event.position);
        events.retain(|event| is_wanted(&event.kind, row.kinds.as_deref()));
        plan(&mut tx, (endpoint, row.tenant_id), events, chance, now).await?;
        sqlx::query!(
            "UPDATE webhook_endpoints SET replay_after = $2,
                 replay_until = CASE WHEN $2::bigint IS NULL THEN NULL ELSE replay_until END
             WHERE endpoint_id = $1",
            endpoint.uuid(),
            reached,
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }
}

fn is_wanted(kind: &str, kinds: Option<&[String]>) -> bool {
    let is_told = kind != EventKind::WebhookTest.as_str();
    is_told
        && match kinds {
            Some(kinds) => kinds.iter().any(|wanted| wanted == kind),
            None => !kind.parse().is_ok_and(EventKind::is_quiet),
        }
}

/// That a position is greater than 0 is written out: the indexes hold nothing else, and nobody sees it of a parameter.
async fn events_of_tenant(
    connection: &mut PgConnection,
    tenant: Uuid,
    after: i64,
    until: i64,
) -> Result<Vec<Replayed>, StoreError> {
    let rows = sqlx::query_as!(
        Replayed,
        r#"SELECT event_id, kind, position AS "position!" FROM events
           WHERE tenant_id = $1 AND position > 0 AND position > $2 AND position <= $3
           ORDER BY position LIMIT $4"#,
        tenant,
        after,
        until,
        REPLAYED,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

async fn events_of_all(
    connection: &mut PgConnection,
    after: i64,
    until: i64,
) -> Result<Vec<Replayed>, StoreError> {
    let rows = sqlx::query_as!(
        Replayed,
        r#"SELECT event_id, kind, position AS "position!" FROM events
           WHERE position > 0 AND position > $1 AND position <= $2
           ORDER BY position LIMIT $3"#,
        after,
        until,
        REPLAYED,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

async fn plan(
    connection: &mut PgConnection,
    (endpoint, tenant): (WebhookEndpointId, Option<Uuid>),
    events: Vec<Replayed>,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let ids: Vec<_> = events.iter().map(|_| WebhookDeliveryId::new(chance, now).uuid()).collect();
    let (events, kinds): (Vec<_>, Vec<_>) =
        events.into_iter().map(|event| (event.event_id, event.kind)).unzip();
    sqlx::query!(
        "INSERT INTO webhook_deliveries (delivery_id, tenant_id, endpoint_id, event_id, kind, status, next_attempt_at,
                                         created_at)
         SELECT new.delivery_id, $4, $5, new.event_id, new.kind, 'pending', $6, $6
         FROM UNNEST($1::uuid[], $2::uuid[], $3::text[]) AS new (delivery_id, event_id, kind)
         ON CONFLICT (endpoint_id, event_id) DO UPDATE SET status = 'pending', attempts = 0,
             next_attempt_at = EXCLUDED.next_attempt_at",
        &ids,
        &events,
        &kinds,
        tenant,
        endpoint.uuid(),
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
