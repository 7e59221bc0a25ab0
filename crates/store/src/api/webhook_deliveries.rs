//! What was sent to webhook endpoints, and what came of it.

use certmill_model::{EventId, EventKind, WebhookDeliveryId, WebhookDeliveryStatus, WebhookEndpointId};
use time::OffsetDateTime;

use super::{ScopedTx, planning::plan_each, webhooks::wake};
use crate::{StoreError, rows::parsed};

/// The delivery of an event to an endpoint.
#[derive(Clone, Debug)]
pub struct WebhookDelivery {
    /// The id.
    pub delivery_id: WebhookDeliveryId,
    /// Where to.
    pub endpoint_id: WebhookEndpointId,
    /// The event, whose id is that of the message as well.
    pub event_id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// What has become of it.
    pub status: WebhookDeliveryStatus,
    /// Attempts so far.
    pub attempts: u32,
    /// The next attempt of one that is pending.
    pub next_attempt_at: Option<OffsetDateTime>,
    /// The last attempt.
    pub last_attempt_at: Option<OffsetDateTime>,
    /// The HTTP status of its answer.
    pub response_status: Option<u16>,
    /// Why there was none, or why that one is no success.
    pub error: Option<String>,
    /// The first kilobyte of the answer's body.
    pub answer: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u32>,
    /// When it was planned.
    pub created_at: OffsetDateTime,
}

impl ScopedTx {
    /// Up to `limit` deliveries to an endpoint, newest first, beginning behind (before) `before`; those with `status` alone,
    /// if one is given.
    pub async fn list_webhook_deliveries(
        &mut self,
        endpoint: WebhookEndpointId,
        status: Option<WebhookDeliveryStatus>,
        before: Option<WebhookDeliveryId>,
        limit: i64,
    ) -> Result<Vec<WebhookDelivery>, StoreError> {
        plan_each(self.connection()).await?;
        let only = self.only();
        let rows = sqlx::query!(
            "SELECT delivery_id, endpoint_id, event_id, kind, status, attempts, next_attempt_at, last_attempt_at,
                    response_status, error, answer, duration_ms, created_at
             FROM webhook_deliveries
             WHERE endpoint_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2) AND ($3::text IS NULL OR status = $3)
               AND ($4::uuid IS NULL OR delivery_id < $4)
             ORDER BY delivery_id DESC LIMIT $5",
            endpoint.uuid(),
            only,
            status.map(WebhookDeliveryStatus::as_str),
            before.map(WebhookDeliveryId::uuid),
            limit,
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                let status = parsed("webhook_deliveries", &row.status)?;
                let is_pending = status == WebhookDeliveryStatus::Pending;
                Ok(WebhookDelivery {
                    delivery_id: WebhookDeliveryId::from_uuid(row.delivery_id),
                    endpoint_id: WebhookEndpointId::from_uuid(row.endpoint_id),
                    event_id: EventId::from_uuid(row.event_id),
                    kind: parsed("webhook_deliveries", &row.kind)?,
                    status,
                    attempts: row.attempts.unsigned_abs(),
                    next_attempt_at: Some(row.next_attempt_at).filter(|_| is_pending),
                    last_attempt_at: row.last_attempt_at,
                    response_status: row.response_status.map(i16::cast_unsigned),
                    error: row.error,
                    answer: row.answer,
                    duration_ms: row.duration_ms.map(i32::cast_unsigned),
                    created_at: row.created_at,
                })
            })
            .collect()
    }

    /// To which endpoint a delivery is.
    pub async fn endpoint_of_delivery(
        &mut self,
        delivery: WebhookDeliveryId,
    ) -> Result<Option<WebhookEndpointId>, StoreError> {
        let only = self.only();
        let found = sqlx::query_scalar!(
            "SELECT endpoint_id FROM webhook_deliveries
             WHERE delivery_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2)",
            delivery.uuid(),
            only,
        )
        .fetch_optional(self.connection())
        .await?;
        Ok(found.map(WebhookEndpointId::from_uuid))
    }

    /// Sends an event to an endpoint once more, at once, and with all its attempts. `false`: there is no such delivery, or
    /// nothing is sent to its endpoint.
    pub async fn retry_webhook_delivery(
        &mut self,
        delivery: WebhookDeliveryId,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let only = self.only();
        let done = sqlx::query!(
            "UPDATE webhook_deliveries d SET status = 'pending', attempts = 0, next_attempt_at = $3
             FROM webhook_endpoints e
             WHERE d.delivery_id = $1 AND ($2::uuid IS NULL OR d.tenant_id = $2)
               AND e.endpoint_id = d.endpoint_id AND e.disabled_at IS NULL",
            delivery.uuid(),
            only,
            now,
        )
        .execute(self.connection())
        .await?;
        wake(self.connection()).await?;
        Ok(done.rows_affected() == 1)
    }
}
