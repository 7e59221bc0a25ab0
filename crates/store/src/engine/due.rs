//! Domains that are due: which of them are worked on next.

use certmill_model::{DomainId, DueDomain, TenantId, line_up};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Engine, NUDGE, interval};
use crate::StoreError;

/// When more is due than there is room for, so many tenants are asked for their longest due at a time, and so many domains of
/// each. The next ones have their turn at the next look.
const TENANTS: i32 = 128;
const OF_EACH: i64 = 4;

/// How many tenants the walk to them passes at most, also those that have nothing due: some ten microseconds each.
const PASSED: i32 = 4_000;

/// How far the search for what ends soonest goes through names that are not due, or that somebody works on already.
pub(super) const SEARCHED: i64 = 256;

/// Domains that were taken, to be nudged in this order. Beside each stands its fencing token, which grows only with a claim.
#[derive(Debug, Default)]
pub struct Due {
    /// The domains.
    pub taken: Vec<(DomainId, i64)>,
    /// More are due than there was room for.
    pub is_more: bool,
    /// The tenant at which the next look begins, when tenants have to take turns.
    pub next_tenant: Option<TenantId>,
}

/// A domain that may be taken.
struct Candidate {
    domain_id: Uuid,
    tenant_id: Uuid,
    expires_at: Option<OffsetDateTime>,
    due_at: OffsetDateTime,
}

impl Engine {
    /// Takes up to `room` domains that are due at `now`, that nobody holds or was told of, and whose last attempt did not
    /// fail. They count as told for a while. When more are due than there is room for, those with the least life left come
    /// first, and tenants take turns from `tenant` on.
    pub async fn take_due_domains(
        &self,
        connection: &mut PgConnection,
        room: i64,
        tenant: Option<TenantId>,
        now: OffsetDateTime,
    ) -> Result<Due, StoreError> {
        if let Some(all) = take_all(connection, room, now).await? {
            return Ok(Due { taken: all, is_more: false, next_tenant: tenant });
        }
        let (candidates, next_tenant) = candidates(connection, room, tenant, now).await?;
        let chosen = line_up(candidates, room.unsigned_abs() as usize);
        Ok(Due { taken: take(connection, &chosen, now).await?, is_more: true, next_tenant })
    }
}

/// Takes all that are due, if there is room for them; otherwise none.
async fn take_all(
    connection: &mut PgConnection,
    room: i64,
    now: OffsetDateTime,
) -> Result<Option<Vec<(DomainId, i64)>>, StoreError> {
    let rows = sqlx::query!(
        r#"WITH due AS MATERIALIZED (
               SELECT domain_id FROM domains
               WHERE next_action_at <= $1
                 AND consecutive_failures = 0 AND status NOT IN ('failed', 'moved', 'expired')
                 AND (lease_until IS NULL OR lease_until < now())
                 AND (nudged_until IS NULL OR nudged_until < now())
               ORDER BY next_action_at LIMIT $2::bigint + 1
               FOR UPDATE SKIP LOCKED
           ), taken AS (
               UPDATE domains SET nudged_until = now() + $3
               WHERE domain_id = ANY (ARRAY (SELECT domain_id FROM due WHERE (SELECT count(*) FROM due) <= $2))
               RETURNING domain_id, lease_token
           )
           SELECT (SELECT count(*) FROM due) > $2 AS "is_more!", domain_id AS "domain_id?", lease_token AS "lease_token?"
           FROM (VALUES (1)) AS one LEFT JOIN taken ON true"#,
        now,
        room,
        interval(NUDGE),
    )
    .fetch_all(connection)
    .await?;
    if rows.iter().any(|row| row.is_more) {
        return Ok(None);
    }
    let taken =
        rows.into_iter().filter_map(|row| Some((DomainId::from_uuid(row.domain_id?), row.lease_token?)));
    Ok(Some(taken.collect()))
}

/// A bounded part of what is due that holds whoever should be next: the longest due, some of each tenant, and what ends
/// soonest.
async fn candidates(
    connection: &mut PgConnection,
    room: i64,
    from: Option<TenantId>,
    now: OffsetDateTime,
) -> Result<(Vec<DueDomain>, Option<TenantId>), StoreError> {
    let (tenants, next_tenant) = tenants(connection, from, now).await?;
    let rows = sqlx::query_as!(
        Candidate,
        r#"WITH longest AS (
               SELECT domain_id FROM domains
               WHERE next_action_at <= $1
                 AND consecutive_failures = 0 AND status NOT IN ('failed', 'moved', 'expired')
                 AND (lease_until IS NULL OR lease_until < now())
                 AND (nudged_until IS NULL OR nudged_until < now())
               ORDER BY next_action_at LIMIT $2
           ), of_each AS (
               SELECT d.domain_id FROM UNNEST($3::uuid[]) AS t (tenant_id), LATERAL (
                   SELECT domain_id FROM domains
                   WHERE tenant_id = t.tenant_id AND next_action_at <= $1
                     AND consecutive_failures = 0 AND status NOT IN ('failed', 'moved', 'expired')
                     AND (lease_until IS NULL OR lease_until < now())
                     AND (nudged_until IS NULL OR nudged_until < now())
                   ORDER BY next_action_at LIMIT $4) AS d
           ), ending AS (
               SELECT domain_id FROM (
                   SELECT domain_id, next_action_at, lease_until, nudged_until FROM domains
                   WHERE expires_at IS NOT NULL AND next_action_at IS NOT NULL
                     AND consecutive_failures = 0 AND status NOT IN ('failed', 'moved', 'expired')
                   ORDER BY expires_at LIMIT $5) AS soonest
               WHERE next_action_at <= $1 AND (lease_until IS NULL OR lease_until < now())
                 AND (nudged_until IS NULL OR nudged_until < now())
               LIMIT $2
           )
           SELECT d.domain_id AS "domain_id!", d.tenant_id AS "tenant_id!", d.next_action_at AS "due_at!",
                  COALESCE(d.expires_at, c.not_after) AS expires_at
           FROM domains d LEFT JOIN certificates c ON c.certificate_id = d.certificate_id
           WHERE d.domain_id = ANY (ARRAY (
               SELECT domain_id FROM longest UNION SELECT domain_id FROM of_each UNION SELECT domain_id FROM ending))
             AND d.next_action_at IS NOT NULL"#,
        now,
        room,
        &tenants,
        OF_EACH,
        SEARCHED,
    )
    .fetch_all(connection)
    .await?;
    let due = rows.into_iter().map(|row| DueDomain {
        domain: DomainId::from_uuid(row.domain_id),
        tenant: TenantId::from_uuid(row.tenant_id),
        expires_at: row.expires_at,
        due_at: row.due_at,
    });
    Ok((due.collect(), next_tenant))
}

/// The next tenants behind `from` that have something due, and where to go on after them; from the beginning behind the
/// last one.
async fn tenants(
    connection: &mut PgConnection,
    from: Option<TenantId>,
    now: OffsetDateTime,
) -> Result<(Vec<Uuid>, Option<TenantId>), StoreError> {
    // From one tenant to the next by the index, which holds what is due first for each: as many steps as tenants, however
    // many domains they have.
    let passed = sqlx::query!(
        r#"WITH RECURSIVE walk (tenant_id, is_due, due, steps) AS (
               (SELECT tenant_id, next_action_at <= $4, (next_action_at <= $4)::int, 1 FROM domains
                WHERE tenant_id > $1 AND next_action_at IS NOT NULL
                  AND consecutive_failures = 0 AND status NOT IN ('failed', 'moved', 'expired')
                ORDER BY tenant_id, next_action_at LIMIT 1)
               UNION ALL
               SELECT next.tenant_id, next.is_due, walk.due + next.is_due::int, walk.steps + 1 FROM walk, LATERAL (
                   SELECT tenant_id, next_action_at <= $4 AS is_due FROM domains
                   WHERE tenant_id > walk.tenant_id AND next_action_at IS NOT NULL
                     AND consecutive_failures = 0 AND status NOT IN ('failed', 'moved', 'expired')
                   ORDER BY tenant_id, next_action_at LIMIT 1) AS next
               WHERE walk.due < $2 AND walk.steps < $3
           )
           SELECT tenant_id AS "tenant_id!", is_due AS "is_due!", due >= $2 OR steps >= $3 AS "is_last!"
           FROM walk WHERE is_due OR due >= $2 OR steps >= $3 ORDER BY steps"#,
        from.map_or(Uuid::nil(), TenantId::uuid),
        TENANTS,
        PASSED,
        now,
    )
    .fetch_all(connection)
    .await?;
    let next = passed.last().filter(|last| last.is_last).map(|last| TenantId::from_uuid(last.tenant_id));
    Ok((passed.iter().filter(|row| row.is_due).map(|row| row.tenant_id).collect(), next))
}

/// Takes those of `chosen` that are still to be had, in that order.
pub(super) async fn take(
    connection: &mut PgConnection,
    chosen: &[DomainId],
    now: OffsetDateTime,
) -> Result<Vec<(DomainId, i64)>, StoreError> {
    let ids: Vec<_> = chosen.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        "UPDATE domains SET nudged_until = now() + $3
         WHERE domain_id = ANY (ARRAY (
             SELECT domain_id FROM domains
             WHERE domain_id = ANY ($1) AND next_action_at <= $2
               AND (lease_until IS NULL OR lease_until < now())
               AND (nudged_until IS NULL OR nudged_until < now())
             FOR UPDATE SKIP LOCKED))
         RETURNING domain_id, lease_token",
        &ids,
        now,
        interval(NUDGE),
    )
    .fetch_all(connection)
    .await?;
    let mut taken: Vec<_> =
        rows.into_iter().map(|row| (DomainId::from_uuid(row.domain_id), row.lease_token)).collect();
    taken.sort_by_key(|(id, _)| chosen.iter().position(|chosen| chosen == id));
    Ok(taken)
}
