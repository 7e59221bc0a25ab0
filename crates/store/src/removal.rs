//! How a domain begins to go, whoever wants it.

use certmill_model::{Chance, DomainId, EventId, EventKind};
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::{StoreError, WAKE_CHANNEL, steering::lock_with_members};

/// A domain that is to go.
pub(crate) struct Removal<'a> {
    /// Which.
    pub(crate) domain: DomainId,
    /// Why, in the words of its timeline.
    pub(crate) kind: EventKind,
    /// The particulars.
    pub(crate) detail: &'a str,
}

/// Has a domain taken off every load balancer, and its order cancelled. The engine is woken when the transaction commits.
pub(crate) async fn remove(
    connection: &mut PgConnection,
    removal: &Removal<'_>,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let id = removal.domain.uuid();
    lock_with_members(connection, &[id]).await?;
    // The domain first, then its placements: the order in which everybody locks, and what is inserted while we wait for the
    // domain is seen by the second statement.
    let before = sqlx::query_scalar!(
        "UPDATE domains d SET status = 'pending_deletion', status_since = $2, updated_at = $2, next_action_at = $2,
             nudged_until = NULL, revision = revision + 1, order_id = NULL
         FROM (SELECT domain_id, status FROM domains WHERE domain_id = $1) AS before
         WHERE d.domain_id = $1 AND d.status NOT IN ('pending_deletion', 'deleted')
         RETURNING before.status",
        id,
        now,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(before) = before else { return Ok(()) };
    sqlx::query!(
        "WITH cancelled AS (
             UPDATE orders SET status = 'cancelled', updated_at = $2
             WHERE domain_id = $1 AND status IN ('queued', 'deferred', 'pending', 'ready', 'processing')
             RETURNING order_id
         ), freed AS (
             -- Another name of a cancelled order goes on without this one.
             UPDATE domains d SET order_id = NULL, next_action_at = $2, nudged_until = NULL FROM cancelled
             WHERE d.order_id = cancelled.order_id AND d.domain_id <> $1
         ), told AS (
             INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at, previous_status, status)
             SELECT $3, tenant_id, domain_id, $4, $5, $2, $6, 'pending_deletion' FROM domains WHERE domain_id = $1
         )
         UPDATE placements SET wanted_certificate_id = NULL, pending = true, consecutive_failures = 0, next_attempt_at = $2
         WHERE domain_id = $1",
        id,
        now,
        EventId::new(chance, now).uuid(),
        removal.kind.as_str(),
        removal.detail,
        before,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(connection).await?;
    Ok(())
}
