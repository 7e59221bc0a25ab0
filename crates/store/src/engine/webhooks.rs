//! Deliveries to webhook endpoints: claimed, sent by the caller, recorded.

use std::time::Duration;

use certmill_model::{
    EventDocument, EventId, EventKind, TenantId, WebhookDeliveryId, WebhookDeliveryStatus, WebhookEndpointId,
    WebhookRoom, WebhookSecretId, WebhookUrl,
};
use certmill_vault::{Secret, Vault};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Engine, domains::held, interval};
use crate::{StoreError, api::FeedColumns, rows::parsed, webhooks::secret_place};

/// How long a claim on a delivery lasts: longer than an attempt takes at most.
const LEASE: Duration = Duration::from_secs(60);

/// Endpoints that are asked for what is due, at a time.
const ENDPOINTS: i32 = 256;

/// What a worker has under way, and how much more it has room for.
#[derive(Clone, Copy, Debug)]
pub struct WebhookTurn<'a> {
    /// Attempts under way, by endpoint.
    pub endpoints: &'a [(WebhookEndpointId, i64)],
    /// Attempts under way, by whose endpoints they go to.
    pub owners: &'a [(Option<TenantId>, i64)],
    /// Attempts of one endpoint at a time, at most.
    pub of_each: i64,
    /// What may begin.
    pub room: WebhookRoom,
    /// Endpoints behind this one are asked.
    pub from: WebhookEndpointId,
}

/// A delivery in the hands of this worker.
#[derive(Clone, Debug)]
pub struct ClaimedWebhook {
    /// The delivery.
    pub delivery_id: WebhookDeliveryId,
    /// Where to.
    pub endpoint_id: WebhookEndpointId,
    /// Whose endpoint it is.
    pub tenant_id: Option<TenantId>,
    /// Where to.
    pub url: WebhookUrl,
    /// The event, which is the message's id as well.
    pub event_id: EventId,
    /// What was sent before; `None`: nothing yet.
    pub body: Option<String>,
    /// Attempts before this one.
    pub attempts: u32,
    /// The first failure of the endpoint since its last success.
    pub failing_since: Option<OffsetDateTime>,
    token: i64,
}

/// What came of an attempt.
#[derive(Clone, Debug)]
pub struct WebhookAttempt<'a> {
    /// What has become of the delivery.
    pub status: WebhookDeliveryStatus,
    /// When the next attempt follows, if it is pending.
    pub next_attempt_at: OffsetDateTime,
    /// What was sent.
    pub body: &'a str,
    /// The HTTP status of the answer.
    pub response_status: Option<u16>,
    /// Why it did not succeed.
    pub error: Option<&'a str>,
    /// The beginning of the answer's body.
    pub answer: Option<&'a str>,
    /// How long it took.
    pub duration: Duration,
    /// Why nothing is sent to the endpoint any more, if so.
    pub disable: Option<&'a str>,
}

impl Engine {
    /// Says to those who only seal by which key.
    pub async fn publish_sealing_key(&self, vault: &Vault, now: OffsetDateTime) -> Result<(), StoreError> {
        let key = vault.sealing_key();
        sqlx::query!(
            "INSERT INTO sealing_keys (key_id, public_key, created_at) VALUES ($1, $2, $3)
             ON CONFLICT (key_id) DO NOTHING",
            key.id(),
            key.public(),
            now,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Claims deliveries that are due at `now`, as many as there is room for: one of an endpoint that fails, and of those whose
    /// owner has the fewest under way first. Answers also where the next turn begins.
    pub async fn claim_webhooks(
        &self,
        turn: &WebhookTurn<'_>,
        now: OffsetDateTime,
    ) -> Result<(Vec<ClaimedWebhook>, Option<WebhookEndpointId>), StoreError> {
        let (endpoints, next) = self.endpoints_with_webhooks(turn.from, now).await?;
        if endpoints.is_empty() {
            return Ok((Vec::new(), next));
        }
        let (busy, counts): (Vec<_>, Vec<_>) =
            turn.endpoints.iter().map(|(endpoint, count)| (endpoint.uuid(), *count)).unzip();
        let (owners, of_owners): (Vec<_>, Vec<_>) =
            turn.owners.iter().map(|(owner, count)| (owner.map(TenantId::uuid), *count)).unzip();
        let rows = sqlx::query!(
            "WITH waiting AS (
                 SELECT d.delivery_id, d.next_attempt_at, d.place, e.tenant_id, e.url, e.failing_since,
                        COALESCE(owner.count, 0) AS under_way
                 FROM UNNEST($1::uuid[]) AS asked (endpoint_id)
                 JOIN webhook_endpoints e ON e.endpoint_id = asked.endpoint_id AND e.disabled_at IS NULL
                 LEFT JOIN UNNEST($2::uuid[], $3::bigint[]) AS busy (endpoint_id, count)
                   ON busy.endpoint_id = e.endpoint_id
                 LEFT JOIN UNNEST($4::uuid[], $5::bigint[]) AS owner (tenant_id, count)
                   ON owner.tenant_id IS NOT DISTINCT FROM e.tenant_id,
                 LATERAL (
                     SELECT delivery_id, next_attempt_at, row_number() OVER (ORDER BY next_attempt_at) AS place FROM (
                         SELECT delivery_id, next_attempt_at FROM webhook_deliveries w
                         WHERE w.endpoint_id = e.endpoint_id AND w.status = 'pending' AND w.next_attempt_at <= $6
                           AND (w.lease_until IS NULL OR w.lease_until < now())
                         ORDER BY w.next_attempt_at
                         LIMIT GREATEST(LEAST(CASE WHEN e.failing_since IS NULL THEN $7::bigint ELSE 1 END
                                              - COALESCE(busy.count, 0), $8 - COALESCE(owner.count, 0), $9), 0)
                         FOR UPDATE SKIP LOCKED) AS locked) AS d
             ), in_turn AS (
                 SELECT *, under_way + row_number() OVER (PARTITION BY tenant_id ORDER BY place, next_attempt_at) AS share
                 FROM waiting
             ), due AS (
                 SELECT * FROM in_turn WHERE share <= $8 ORDER BY share, next_attempt_at LIMIT $9
             )
             UPDATE webhook_deliveries w SET lease_until = now() + $10, lease_token = w.lease_token + 1
             FROM due WHERE w.delivery_id = due.delivery_id
             RETURNING w.delivery_id, w.endpoint_id, w.tenant_id, w.event_id, w.body, w.attempts, w.lease_token, due.url,
                       due.failing_since",
            &endpoints,
            &busy,
            &counts,
            &owners as &[Option<Uuid>],
            &of_owners,
            now,
            turn.of_each,
            turn.room.of_one as i64,
            turn.room.all as i64,
            interval(LEASE),
        )
        .fetch_all(&self.pool)
        .await?;
        let claimed = rows.into_iter().map(|row| {
            Ok(ClaimedWebhook {
                delivery_id: WebhookDeliveryId::from_uuid(row.delivery_id),
                endpoint_id: WebhookEndpointId::from_uuid(row.endpoint_id),
                tenant_id: row.tenant_id.map(TenantId::from_uuid),
                url: parsed("webhook_endpoints", &row.url)?,
                event_id: EventId::from_uuid(row.event_id),
                body: row.body,
                attempts: row.attempts.unsigned_abs(),
                failing_since: row.failing_since,
                token: row.lease_token,
            })
        });
        Ok((claimed.collect::<Result<_, StoreError>>()?, next))
    }

    /// The next endpoints behind `from` for which something is due; from one to the next by the index, however much waits
    /// for each.
    async fn endpoints_with_webhooks(
        &self,
        from: WebhookEndpointId,
        now: OffsetDateTime,
    ) -> Result<(Vec<Uuid>, Option<WebhookEndpointId>), StoreError> {
        let walked = sqlx::query!(
            r#"WITH RECURSIVE walk (endpoint_id, is_due, steps) AS (
                   (SELECT endpoint_id, next_attempt_at <= $3, 1 FROM webhook_deliveries
                    WHERE status = 'pending' AND endpoint_id > $1 ORDER BY endpoint_id, next_attempt_at LIMIT 1)
                   UNION ALL
                   SELECT next.endpoint_id, next.is_due, walk.steps + 1 FROM walk, LATERAL (
                       SELECT endpoint_id, next_attempt_at <= $3 AS is_due FROM webhook_deliveries
                       WHERE status = 'pending' AND endpoint_id > walk.endpoint_id
                       ORDER BY endpoint_id, next_attempt_at LIMIT 1) AS next
                   WHERE walk.steps < $2
               )
               SELECT endpoint_id AS "endpoint_id!", is_due AS "is_due!" FROM walk"#,
            from.uuid(),
            ENDPOINTS,
            now,
        )
        .fetch_all(&self.pool)
        .await?;
        let is_full = walked.len() as i32 == ENDPOINTS;
        let next = walked.last().filter(|_| is_full).map(|row| WebhookEndpointId::from_uuid(row.endpoint_id));
        Ok((walked.into_iter().filter(|row| row.is_due).map(|row| row.endpoint_id).collect(), next))
    }

    /// What an endpoint signs with: the present secret, then the one before, as long as it does.
    pub async fn webhook_secrets(
        &self,
        endpoint: WebhookEndpointId,
        vault: &Vault,
        now: OffsetDateTime,
    ) -> Result<Vec<Secret>, StoreError> {
        let rows = sqlx::query!(
            "SELECT secret_id, tenant_id, sealed_secret FROM webhook_secrets
             WHERE endpoint_id = $1 AND (ends_at IS NULL OR ends_at > $2) ORDER BY secret_id DESC",
            endpoint.uuid(),
            now,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let (id, tenant) =
                    (WebhookSecretId::from_uuid(row.secret_id), row.tenant_id.map(TenantId::from_uuid));
                Ok(vault.open(&secret_place(id, tenant), &row.sealed_secret)?)
            })
            .collect()
    }

    /// An event as it stands in the feed; `None`: it was deleted since, or has no place yet.
    pub async fn event_document(&self, event: EventId) -> Result<Option<EventDocument>, StoreError> {
        let row = sqlx::query_as!(
            FeedColumns,
            r#"SELECT e.event_id, COALESCE(e.position, 0) AS "position!", e.tenant_id, e.domain_id, e.kind, e.detail,
                      e.happened_at, e.status, e.previous_status, e.health, e.problems, e.subject,
                      COALESCE(d.name, e.subject_name) AS name, d.external_id AS "external_id?"
               FROM events e LEFT JOIN domains d ON d.domain_id = e.domain_id WHERE e.event_id = $1"#,
            event.uuid(),
        )
        .fetch_optional(&self.pool)
        .await?;
        row.map(EventDocument::try_from).transpose()
    }

    /// Records an attempt. [`StoreError::LeaseLost`]: another worker has the delivery, or it was forgotten.
    pub async fn record_webhook(
        &self,
        webhook: &ClaimedWebhook,
        attempt: &WebhookAttempt<'_>,
        chance: &certmill_model::Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let is_delivered = attempt.status == WebhookDeliveryStatus::Delivered;
        let mut tx = self.pool.begin().await?;
        // Who wants it sent once more while it was sent has set its attempts back: that stands.
        let done = sqlx::query!(
            "UPDATE webhook_deliveries SET lease_until = NULL, last_attempt_at = $4, response_status = $5, error = $6,
                 answer = $7, duration_ms = $8, body = CASE WHEN $10 THEN NULL ELSE $9 END,
                 status = CASE WHEN attempts = $11 THEN $3 ELSE status END,
                 next_attempt_at = CASE WHEN attempts = $11 THEN $12 ELSE next_attempt_at END,
                 attempts = CASE WHEN attempts = $11 THEN attempts + 1 ELSE attempts END
             WHERE delivery_id = $1 AND lease_token = $2",
            webhook.delivery_id.uuid(),
            webhook.token,
            attempt.status.as_str(),
            now,
            attempt.response_status.map(u16::cast_signed),
            attempt.error,
            attempt.answer,
            i32::try_from(attempt.duration.as_millis()).unwrap_or(i32::MAX),
            attempt.body,
            is_delivered,
            webhook.attempts as i32,
            attempt.next_attempt_at,
        )
        .execute(&mut *tx)
        .await?;
        held(done.rows_affected())?;
        if is_delivered && webhook.failing_since.is_some() {
            sqlx::query!(
                "UPDATE webhook_endpoints SET failing_since = NULL WHERE endpoint_id = $1",
                webhook.endpoint_id.uuid(),
            )
            .execute(&mut *tx)
            .await?;
        } else if !is_delivered && (webhook.failing_since.is_none() || attempt.disable.is_some()) {
            let disabled = sqlx::query_scalar!(
                "UPDATE webhook_endpoints SET failing_since = COALESCE(failing_since, $2),
                     disabled_reason = CASE WHEN $3::text IS NULL THEN disabled_reason ELSE $3 END,
                     disabled_at = CASE WHEN $3::text IS NULL THEN disabled_at ELSE $2 END,
                     revision = revision + CASE WHEN $3::text IS NULL THEN 0 ELSE 1 END
                 WHERE endpoint_id = $1 AND disabled_at IS NULL
                 RETURNING url",
                webhook.endpoint_id.uuid(),
                now,
                attempt.disable,
            )
            .fetch_optional(&mut *tx)
            .await?;
            if let (Some(url), Some(reason)) = (disabled, attempt.disable) {
                sqlx::query!(
                    "INSERT INTO events (event_id, tenant_id, kind, detail, happened_at, subject, subject_name)
                     VALUES ($1, $2, $3, $4, $5, $6, $7)",
                    EventId::new(chance, now).uuid(),
                    webhook.tenant_id.map(TenantId::uuid),
                    EventKind::WebhookDisabled.as_str(),
                    reason,
                    now,
                    webhook.endpoint_id.to_string(),
                    url,
                )
                .execute(&mut *tx)
                .await?;
            }
        }
        Ok(tx.commit().await?)
    }
}
