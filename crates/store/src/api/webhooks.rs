//! Webhook endpoints, as those see them whose they are.

use certmill_model::{
    Chance, EventId, EventKind, Label, TenantId, WebhookDeliveryId, WebhookEndpointId, WebhookSecretId,
    WebhookUrl,
};
use certmill_vault::{SealingKey, WebhookSecret};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::ScopedTx;
use crate::{StoreError, WAKE_CHANNEL, rows::parsed, webhooks::secret_place};

/// Endpoints of one tenant, or of the platform, at most.
const MOST: i64 = 50;

/// The least time between two replays of one endpoint: each begins anew.
const PAUSE: Duration = Duration::minutes(1);

/// How long the secret before signs beside the present one.
const OVERLAP: Duration = Duration::days(1);

/// An endpoint that webhooks are to be sent to.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// The id.
    pub endpoint_id: WebhookEndpointId,
    /// Whose it is; `None`: the platform's, which hears of every tenant.
    pub tenant_id: Option<TenantId>,
    /// Where to.
    pub url: WebhookUrl,
    /// What it is sent; `None`: every kind that is not quiet.
    pub kinds: Option<Vec<EventKind>>,
    /// What it is for.
    pub description: Label,
}

/// What is to become of an endpoint.
#[derive(Clone, Debug)]
pub struct WebhookChange {
    /// Where to.
    pub url: WebhookUrl,
    /// What it is sent; `None`: every kind that is not quiet.
    pub kinds: Option<Vec<EventKind>>,
    /// What it is for.
    pub description: Label,
    /// Whether nothing is sent to it.
    pub disabled: bool,
}

/// What came of asking for a replay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Replay {
    /// It begins within seconds.
    Begins,
    /// There is no such endpoint, or nothing is sent to it.
    Disabled,
    /// The last one was asked for a moment ago: the next may be then.
    TooSoon(OffsetDateTime),
}

/// An endpoint as it stands, without what it signs with.
#[derive(Clone, Debug)]
pub struct WebhookEndpoint {
    /// The id.
    pub endpoint_id: WebhookEndpointId,
    /// Whose it is; `None`: the platform's.
    pub tenant_id: Option<TenantId>,
    /// Where to.
    pub url: WebhookUrl,
    /// What it is sent; `None`: every kind that is not quiet.
    pub kinds: Option<Vec<EventKind>>,
    /// What it is for.
    pub description: String,
    /// Grows with each change.
    pub revision: i64,
    /// Since when nothing is sent to it, if so.
    pub disabled_at: Option<OffsetDateTime>,
    /// Why.
    pub disabled_reason: Option<String>,
    /// The first failure since the last success.
    pub failing_since: Option<OffsetDateTime>,
    /// Until when the secret before signs too.
    pub previous_secret_until: Option<OffsetDateTime>,
    /// Events are being sent again.
    pub is_replaying: bool,
    /// When it was added.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
}

impl ScopedTx {
    /// Adds an endpoint, whose `secret` is sealed. `false`: its owner has as many as there may be.
    pub async fn create_webhook(
        &mut self,
        webhook: &NewWebhook,
        secret: &WebhookSecret,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        // Two that are added at once would both find room for the last one.
        sqlx::query!(
            "SELECT pg_advisory_xact_lock(hashtextextended('webhook endpoints ' || COALESCE($1::uuid::text, ''), 0))",
            webhook.tenant_id.map(TenantId::uuid),
        )
        .execute(self.connection())
        .await?;
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM webhook_endpoints WHERE tenant_id IS NOT DISTINCT FROM $1"#,
            webhook.tenant_id.map(TenantId::uuid),
        )
        .fetch_one(self.connection())
        .await?;
        if count >= MOST {
            return Ok(false);
        }
        let kinds = words(webhook.kinds.as_deref());
        sqlx::query!(
            "INSERT INTO webhook_endpoints (endpoint_id, tenant_id, url, kinds, description, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $6)",
            webhook.endpoint_id.uuid(),
            webhook.tenant_id.map(TenantId::uuid),
            webhook.url.to_string(),
            kinds.as_deref(),
            webhook.description.as_str(),
            now,
        )
        .execute(self.connection())
        .await?;
        add_secret(self.connection(), (webhook.endpoint_id, webhook.tenant_id), secret, chance, now).await?;
        Ok(true)
    }

    /// Up to `limit` endpoints, newest first, beginning behind (before) `before`.
    pub async fn list_webhooks(
        &mut self,
        before: Option<WebhookEndpointId>,
        limit: i64,
    ) -> Result<Vec<WebhookEndpoint>, StoreError> {
        self.select_webhooks(None, before, limit).await
    }

    /// The endpoint with this id.
    pub async fn find_webhook(
        &mut self,
        id: WebhookEndpointId,
    ) -> Result<Option<WebhookEndpoint>, StoreError> {
        Ok(self.select_webhooks(Some(id), None, 1).await?.pop())
    }

    /// Changes an endpoint. `revision` is what was read, if anything was; [`StoreError::Stale`]: it was changed since.
    /// `false`: there is none.
    pub async fn change_webhook(
        &mut self,
        id: WebhookEndpointId,
        change: &WebhookChange,
        revision: Option<i64>,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let only = self.only();
        let before = sqlx::query_scalar!(
            "SELECT revision FROM webhook_endpoints WHERE endpoint_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2)
             FOR NO KEY UPDATE",
            id.uuid(),
            only,
        )
        .fetch_optional(self.connection())
        .await?;
        let Some(before) = before else { return Ok(false) };
        if revision.is_some_and(|read| read != before) {
            return Err(StoreError::Stale);
        }
        let kinds = words(change.kinds.as_deref());
        sqlx::query!(
            "UPDATE webhook_endpoints SET url = $2, kinds = $3, description = $4, revision = revision + 1, updated_at = $6,
                 disabled_at = CASE WHEN $5 THEN COALESCE(disabled_at, $6) END,
                 disabled_reason = CASE WHEN $5 THEN disabled_reason END,
                 -- Whoever sends to it again, or elsewhere, gives it time again.
                 failing_since = CASE WHEN $5 OR (disabled_at IS NULL AND url = $2) THEN failing_since END
             WHERE endpoint_id = $1",
            id.uuid(),
            change.url.to_string(),
            kinds.as_deref(),
            change.description.as_str(),
            change.disabled,
            now,
        )
        .execute(self.connection())
        .await?;
        wake(self.connection()).await?;
        Ok(true)
    }

    /// Forgets an endpoint with everything that was or is to be sent to it. [`StoreError::Stale`]: it is not at `revision` any more.
    pub async fn delete_webhook(&mut self, id: WebhookEndpointId, revision: i64) -> Result<(), StoreError> {
        let only = self.only();
        let done = sqlx::query!(
            "DELETE FROM webhook_endpoints WHERE endpoint_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2) AND revision = $3",
            id.uuid(),
            only,
            revision,
        )
        .execute(self.connection())
        .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
    }

    /// Replaces the secret of an endpoint; the one before signs beside it for a day. `false`: there is none.
    pub async fn rotate_webhook_secret(
        &mut self,
        id: WebhookEndpointId,
        secret: &WebhookSecret,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let Some(webhook) = self.find_webhook(id).await? else { return Ok(false) };
        // First: of two who change its secrets at once, the second waits here.
        sqlx::query!(
            "UPDATE webhook_endpoints SET revision = revision + 1, updated_at = $2 WHERE endpoint_id = $1",
            id.uuid(),
            now,
        )
        .execute(self.connection())
        .await?;
        // What was replaced before is gone: no more than two sign.
        sqlx::query!("DELETE FROM webhook_secrets WHERE endpoint_id = $1 AND ends_at IS NOT NULL", id.uuid())
            .execute(self.connection())
            .await?;
        sqlx::query!(
            "UPDATE webhook_secrets SET ends_at = $2 WHERE endpoint_id = $1",
            id.uuid(),
            now + OVERLAP
        )
        .execute(self.connection())
        .await?;
        add_secret(self.connection(), (id, webhook.tenant_id), secret, chance, now).await?;
        Ok(true)
    }

    /// Sends a test to an endpoint, whatever kinds it is sent otherwise. `None`: there is none, or it is disabled.
    pub async fn test_webhook(
        &mut self,
        id: WebhookEndpointId,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<Option<WebhookDeliveryId>, StoreError> {
        let (only, delivery) = (self.only(), WebhookDeliveryId::new(chance, now));
        let done = sqlx::query!(
            "WITH tested AS (
                 SELECT endpoint_id, tenant_id, url FROM webhook_endpoints
                 WHERE endpoint_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2) AND disabled_at IS NULL
             ), told AS (
                 INSERT INTO events (event_id, tenant_id, kind, detail, happened_at, subject, subject_name)
                 SELECT $3, tenant_id, $4, '', $5, $6, url FROM tested
             )
             INSERT INTO webhook_deliveries (delivery_id, tenant_id, endpoint_id, event_id, kind, status, next_attempt_at,
                                             created_at)
             SELECT $7, tenant_id, endpoint_id, $3, $4, 'pending', $5, $5 FROM tested",
            id.uuid(),
            only,
            EventId::new(chance, now).uuid(),
            EventKind::WebhookTest.as_str(),
            now,
            id.to_string(),
            delivery.uuid(),
        )
        .execute(self.connection())
        .await?;
        wake(self.connection()).await?;
        Ok((done.rows_affected() == 1).then_some(delivery))
    }

    /// Sends everything again that an endpoint should have been sent since `from`, a part at a time: in the place of what was
    /// to be sent again before.
    pub async fn replay_webhook(
        &mut self,
        id: WebhookEndpointId,
        from: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<Replay, StoreError> {
        let only = self.only();
        let found = sqlx::query!(
            "SELECT replayed_at FROM webhook_endpoints
             WHERE endpoint_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2) AND disabled_at IS NULL FOR NO KEY UPDATE",
            id.uuid(),
            only,
        )
        .fetch_optional(self.connection())
        .await?;
        let Some(found) = found else { return Ok(Replay::Disabled) };
        if let Some(next) = found.replayed_at.map(|last| last + PAUSE).filter(|next| *next > now) {
            return Ok(Replay::TooSoon(next));
        }
        // Ids begin with the time (RFC 9562 section 5.7).
        let millis = u128::try_from(from.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        sqlx::query!(
            "UPDATE webhook_endpoints e SET replay_from = $2, replay_after = NULL, replay_until = f.last_position,
                 replayed_at = $3
             FROM event_feed f WHERE e.endpoint_id = $1",
            id.uuid(),
            Uuid::from_u128(millis << 80),
            now,
        )
        .execute(self.connection())
        .await?;
        Ok(Replay::Begins)
    }

    async fn select_webhooks(
        &mut self,
        id: Option<WebhookEndpointId>,
        before: Option<WebhookEndpointId>,
        limit: i64,
    ) -> Result<Vec<WebhookEndpoint>, StoreError> {
        let only = self.only();
        let rows = sqlx::query!(
            r#"SELECT endpoint_id, tenant_id, url, kinds, description, revision, disabled_at, disabled_reason, failing_since,
                      replay_after IS NOT NULL OR replay_from IS NOT NULL AS "is_replaying!", created_at, updated_at,
                      (SELECT max(ends_at) FROM webhook_secrets s WHERE s.endpoint_id = e.endpoint_id) AS previous_secret_until
               FROM webhook_endpoints e
               WHERE ($1::uuid IS NULL OR tenant_id = $1) AND ($2::uuid IS NULL OR endpoint_id = $2)
                 AND ($3::uuid IS NULL OR endpoint_id < $3)
               ORDER BY endpoint_id DESC LIMIT $4"#,
            only,
            id.map(WebhookEndpointId::uuid),
            before.map(WebhookEndpointId::uuid),
            limit,
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(WebhookEndpoint {
                    endpoint_id: WebhookEndpointId::from_uuid(row.endpoint_id),
                    tenant_id: row.tenant_id.map(TenantId::from_uuid),
                    url: parsed("webhook_endpoints", &row.url)?,
                    kinds: known(row.kinds),
                    description: row.description,
                    revision: row.revision,
                    disabled_at: row.disabled_at,
                    disabled_reason: row.disabled_reason,
                    failing_since: row.failing_since,
                    previous_secret_until: row.previous_secret_until,
                    is_replaying: row.is_replaying,
                    created_at: row.created_at,
                    updated_at: row.updated_at,
                })
            })
            .collect()
    }
}

async fn add_secret(
    connection: &mut PgConnection,
    (endpoint, tenant): (WebhookEndpointId, Option<TenantId>),
    secret: &WebhookSecret,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let key = sqlx::query!("SELECT key_id, public_key FROM sealing_keys ORDER BY created_at DESC LIMIT 1")
        .fetch_optional(&mut *connection)
        .await?;
    let key = key.and_then(|row| SealingKey::from_parts(&row.key_id, &row.public_key));
    let key = key.ok_or(StoreError::NoSealingKey)?;
    let id = WebhookSecretId::new(chance, now);
    sqlx::query!(
        "INSERT INTO webhook_secrets (secret_id, endpoint_id, tenant_id, sealed_secret, created_at)
         VALUES ($1, $2, $3, $4, $5)",
        id.uuid(),
        endpoint.uuid(),
        tenant.map(TenantId::uuid),
        key.seal(&secret_place(id, tenant), secret.key()),
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn wake(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(connection).await?;
    Ok(())
}

fn words(kinds: Option<&[EventKind]>) -> Option<Vec<String>> {
    kinds.map(|kinds| kinds.iter().map(ToString::to_string).collect())
}

/// The kinds that this version knows.
fn known(kinds: Option<Vec<String>>) -> Option<Vec<EventKind>> {
    kinds.map(|kinds| kinds.iter().filter_map(|kind| kind.parse().ok()).collect())
}
