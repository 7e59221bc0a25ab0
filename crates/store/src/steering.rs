//! How work on domains stops and goes on, whoever wants it: one of them, or the lines of a long operation.

use certmill_model::{Chance, EventId, EventKind, TenantId};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::StoreError;

/// Locks domains, and those that an open order of one of them includes as well, in the order in which everybody locks domains.
pub(crate) async fn lock_with_members(
    connection: &mut PgConnection,
    domains: &[Uuid],
) -> Result<(), StoreError> {
    // An array of ids is found by the primary key; of ids or a subquery the planner would ask every domain there is.
    sqlx::query!(
        "SELECT domain_id FROM domains WHERE domain_id = ANY (ARRAY (
             SELECT UNNEST($1::uuid[])
             UNION SELECT d.domain_id FROM orders o JOIN domains d ON d.order_id = o.order_id
             WHERE o.domain_id = ANY ($1) AND o.status IN ('queued', 'deferred', 'pending', 'ready', 'processing')))
         ORDER BY domain_id FOR NO KEY UPDATE",
        domains,
    )
    .fetch_all(connection)
    .await?;
    Ok(())
}

/// Stops all work on domains of `tenant`, orders under way too, which are locked with all that their orders include. What is
/// served stays, until its certificate ends. Planners are to be woken afterwards.
pub(crate) async fn pause(
    connection: &mut PgConnection,
    tenant: TenantId,
    domains: &[Uuid],
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let events: Vec<_> = domains.iter().map(|_| EventId::new(chance, now).uuid()).collect();
    // The lease is taken away, so that a step under way records nothing over it.
    sqlx::query!(
        "WITH cancelled AS (
             UPDATE orders SET status = 'cancelled', updated_at = $3
             WHERE domain_id = ANY ($1) AND tenant_id = $2
               AND status IN ('queued', 'deferred', 'pending', 'ready', 'processing')
             RETURNING order_id
         ), freed AS (
             -- Another name of a cancelled order goes on without this one.
             UPDATE domains d SET order_id = NULL, next_action_at = $3, nudged_until = NULL FROM cancelled
             WHERE d.order_id = cancelled.order_id AND d.domain_id <> ALL ($1)
         ), paused AS (
             UPDATE domains d SET status = 'paused', status_since = $3, updated_at = $3, next_action_at = NULL,
                 nudged_until = NULL, lease_until = NULL, lease_token = d.lease_token + 1, order_id = NULL,
                 revision = d.revision + 1
             FROM domains before
             WHERE d.domain_id = ANY ($1) AND d.tenant_id = $2 AND before.domain_id = d.domain_id
             RETURNING d.domain_id, before.status AS previous_status
         )
         INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at, previous_status, status)
         SELECT new.event_id, $2, domain_id, $5, '', $3, paused.previous_status, 'paused'
         FROM UNNEST($1::uuid[], $4::uuid[]) AS new (domain_id, event_id) JOIN paused USING (domain_id)",
        domains,
        tenant.uuid(),
        now,
        &events,
        EventKind::DomainPaused.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Lets paused domains of `tenant` go on, which are locked: with their certificates, or from the beginning. Planners are to be
/// woken afterwards.
pub(crate) async fn resume(
    connection: &mut PgConnection,
    tenant: TenantId,
    domains: &[Uuid],
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let events: Vec<_> = domains.iter().map(|_| EventId::new(chance, now).uuid()).collect();
    sqlx::query!(
        "WITH resumed AS (
             UPDATE domains d SET status_since = $3, updated_at = $3, next_action_at = $3, check_after = $3,
                 nudged_until = NULL, consecutive_failures = 0, revision = d.revision + 1,
                 status = CASE WHEN d.certificate_id IS NULL THEN 'pending_dns' ELSE 'pending_deployment' END
             FROM domains before
             WHERE d.domain_id = ANY ($1) AND d.tenant_id = $2 AND before.domain_id = d.domain_id
             RETURNING d.domain_id, before.status AS previous_status, d.status
         )
         INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at, previous_status, status)
         SELECT new.event_id, $2, domain_id, $5, '', $3, resumed.previous_status, resumed.status
         FROM UNNEST($1::uuid[], $4::uuid[]) AS new (domain_id, event_id) JOIN resumed USING (domain_id)",
        domains,
        tenant.uuid(),
        now,
        &events,
        EventKind::DomainResumed.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
