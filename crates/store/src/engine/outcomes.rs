//! What came of a step when it was not a certificate: problems, activation, tombstones.

use certmill_model::{Chance, DomainId, DomainStatus, EventId, EventKind, OrderId, OrderStatus, ProblemCode};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{DomainLease, Engine, domains::held};
use crate::StoreError;

/// A step that did not succeed.
pub struct Failure<'a> {
    /// The kind of problem.
    pub code: ProblemCode,
    /// The particulars, with the words of whoever refused.
    pub detail: &'a str,
    /// What became of the order, if one was under way.
    pub order: Option<OrderFailure>,
    /// The status that the domain falls back to, if it has no certificate.
    pub status: DomainStatus,
    /// Failures in a row, this one included.
    pub consecutive_failures: u32,
    /// The next attempt; `None` waits for a person.
    pub next_attempt_at: Option<OffsetDateTime>,
}

/// What became of an order.
pub struct OrderFailure {
    /// The order.
    pub order_id: OrderId,
    /// Its status now; an open one is continued at the next attempt.
    pub status: OrderStatus,
    /// The CA's own problem document, whole (RFC 8555 section 6.7).
    pub problem: serde_json::Value,
}

impl Engine {
    /// Records a failure, and lets the domain go until the next attempt.
    pub async fn fail(
        &self,
        lease: &DomainLease,
        failure: &Failure<'_>,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query!(
            "UPDATE domains SET lease_until = NULL, consecutive_failures = $3, updated_at = $4,
                 next_action_at = CASE WHEN revision = $5 THEN $6 ELSE now() END,
                 health = CASE WHEN status = 'active' THEN 'warning' ELSE 'critical' END,
                 status = CASE WHEN certificate_id IS NULL AND status <> 'pending_deletion' THEN $7 ELSE status END,
                 status_since = CASE WHEN certificate_id IS NULL AND status NOT IN ('pending_deletion', $7) THEN $4
                                     ELSE status_since END
             WHERE domain_id = $1 AND lease_token = $2",
            lease.domain_id.uuid(),
            lease.token,
            failure.consecutive_failures as i32,
            now,
            lease.revision,
            failure.next_attempt_at,
            failure.status.as_str(),
        )
        .execute(&mut *tx)
        .await?;
        held(done.rows_affected())?;
        if let Some(order) = &failure.order {
            fail_order(&mut tx, order, now).await?;
        }
        let domains = [lease.domain_id];
        open_problem(&mut tx, &domains, failure.code, failure.detail, failure.next_attempt_at, chance, now)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Closes the problems of `lease`'s domain that have one of `codes`.
    pub async fn resolve(
        &self,
        lease: &DomainLease,
        codes: &[ProblemCode],
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        resolve_problems(&mut tx, &[lease.domain_id], codes, chance, now).await?;
        Ok(tx.commit().await?)
    }

    /// Makes those of `domains` active that every load balancer was seen to serve. To be called after the placements
    /// are committed: the last of two deliveries that end together then sees both.
    pub async fn activate(
        &self,
        domains: &[DomainId],
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<Vec<DomainId>, StoreError> {
        let mut tx = self.pool.begin().await?;
        let ids: Vec<_> = domains.iter().map(|id| id.uuid()).collect();
        let served = sqlx::query!(
            r#"WITH before AS (
                   SELECT domain_id, status FROM domains WHERE domain_id = ANY($1) ORDER BY domain_id FOR NO KEY UPDATE
               )
               UPDATE domains d SET status = 'active', updated_at = $2,
                   status_since = CASE WHEN before.status = 'active' THEN d.status_since ELSE $2 END,
                   next_action_at = CASE WHEN before.status = 'active' OR d.lease_until IS NOT NULL THEN d.next_action_at
                                         ELSE d.renew_after END
               FROM before
               WHERE before.domain_id = d.domain_id AND d.certificate_id IS NOT NULL
                 AND before.status NOT IN ('pending_deletion', 'deleted', 'paused', 'blocked')
                 AND EXISTS (SELECT 1 FROM placements p WHERE p.domain_id = d.domain_id)
                 AND NOT EXISTS (SELECT 1 FROM placements p WHERE p.domain_id = d.domain_id AND p.pending)
               RETURNING d.domain_id, before.status AS status_before, d.health"#,
            &ids,
            now,
        )
        .fetch_all(&mut *tx)
        .await?;
        let became: Vec<_> = served
            .iter()
            .filter(|row| row.status_before != DomainStatus::Active.as_str())
            .map(|row| DomainId::from_uuid(row.domain_id))
            .collect();
        add_events(&mut tx, &became, EventKind::DomainActive, "", chance, now).await?;
        let all: Vec<_> = served.iter().map(|row| row.domain_id).collect();
        sqlx::query!(
            "UPDATE certificates c
             SET status = CASE WHEN c.certificate_id = d.certificate_id THEN 'active' ELSE 'superseded' END,
                 sealed_key = CASE WHEN c.certificate_id = d.certificate_id THEN c.sealed_key END
             FROM domains d
             WHERE d.domain_id = ANY($1) AND c.domain_id = d.domain_id AND c.status IN ('issued', 'active')",
            &all,
        )
        .execute(&mut *tx)
        .await?;
        if served.iter().any(|row| row.health != "ok") {
            let ids: Vec<_> = all.iter().copied().map(DomainId::from_uuid).collect();
            resolve_problems(&mut tx, &ids, &DELIVERY_PROBLEMS, chance, now).await?;
        }
        tx.commit().await?;
        Ok(became)
    }

    /// Tells every load balancer that has a domain to take it off, and lets the domain go until that is done.
    pub async fn take_off(&self, lease: &DomainLease, now: OffsetDateTime) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query!(
            "UPDATE domains SET lease_until = NULL, next_action_at = NULL WHERE domain_id = $1 AND lease_token = $2",
            lease.domain_id.uuid(),
            lease.token,
        )
        .execute(&mut *tx)
        .await?;
        held(done.rows_affected())?;
        sqlx::query!(
            "UPDATE placements SET wanted_certificate_id = NULL, pending = true, next_attempt_at = $2
             WHERE domain_id = $1",
            lease.domain_id.uuid(),
            now,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.wake().await
    }

    /// Makes a domain that is off every load balancer a tombstone.
    pub async fn finish_deletion(
        &self,
        lease: &DomainLease,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query!(
            "UPDATE domains d SET status = 'deleted', status_since = $3, updated_at = $3, next_action_at = NULL,
                 lease_until = NULL, health = 'ok'
             WHERE domain_id = $1 AND lease_token = $2 AND status = 'pending_deletion'
               AND NOT EXISTS (SELECT 1 FROM placements p WHERE p.domain_id = d.domain_id)",
            lease.domain_id.uuid(),
            lease.token,
            now,
        )
        .execute(&mut *tx)
        .await?;
        held(done.rows_affected())?;
        forget(&mut tx, lease).await?;
        add_events(&mut tx, &[lease.domain_id], EventKind::DomainDeleted, "", chance, now).await?;
        Ok(tx.commit().await?)
    }
}

/// Solved as soon as every load balancer was seen to serve a domain.
const DELIVERY_PROBLEMS: [ProblemCode; 6] = [
    ProblemCode::NoTargets,
    ProblemCode::TargetUnreachable,
    ProblemCode::ConfigTestFailed,
    ProblemCode::ReloadFailed,
    ProblemCode::ServedWrongCertificate,
    ProblemCode::TemplateUnusable,
];

/// Removes what a tombstone needs no more, its keys above all.
async fn forget(connection: &mut PgConnection, lease: &DomainLease) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH solved AS (
             DELETE FROM problems WHERE domain_id = $1
         ), answered AS (
             DELETE FROM challenges WHERE order_id IN (SELECT order_id FROM orders WHERE domain_id = $1)
         ), closed AS (
             UPDATE orders SET sealed_key = NULL WHERE domain_id = $1 AND sealed_key IS NOT NULL
         )
         UPDATE certificates SET sealed_key = NULL WHERE domain_id = $1 AND sealed_key IS NOT NULL",
        lease.domain_id.uuid(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn fail_order(
    connection: &mut PgConnection,
    order: &OrderFailure,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH failed AS (
             UPDATE orders SET status = $2, problem = $3, updated_at = $4,
                 sealed_key = CASE WHEN $2 IN ('invalid', 'cancelled') THEN NULL ELSE sealed_key END
             WHERE order_id = $1 AND status <> 'cancelled'
         )
         DELETE FROM challenges WHERE order_id = $1 AND $2 IN ('invalid', 'cancelled')",
        order.order_id.uuid(),
        order.status.as_str(),
        order.problem,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Opens a problem for each of `domains`, or brings the open one up to date; only a new one is told on the timeline.
pub(super) async fn open_problem(
    connection: &mut PgConnection,
    domains: &[DomainId],
    code: ProblemCode,
    detail: &str,
    next_attempt_at: Option<OffsetDateTime>,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let ids: Vec<_> = domains.iter().map(|id| id.uuid()).collect();
    let opened = sqlx::query!(
        r#"INSERT INTO problems (domain_id, tenant_id, code, detail, since, last_attempt_at, next_attempt_at)
           SELECT domain_id, tenant_id, $2, $3, $4, $4, $5 FROM domains WHERE domain_id = ANY($1)
           ON CONFLICT (domain_id, code) DO UPDATE SET detail = EXCLUDED.detail,
               last_attempt_at = EXCLUDED.last_attempt_at, next_attempt_at = EXCLUDED.next_attempt_at
           RETURNING domain_id, (xmax = 0) AS "is_new!""#,
        &ids,
        code.as_str(),
        detail,
        now,
        next_attempt_at,
    )
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE domains SET health = CASE WHEN status = 'active' THEN 'warning' ELSE 'critical' END WHERE domain_id = ANY($1)",
        &ids,
    )
    .execute(&mut *connection)
    .await?;
    let new: Vec<_> =
        opened.iter().filter(|row| row.is_new).map(|row| DomainId::from_uuid(row.domain_id)).collect();
    let told = format!("{}: {detail}", code.title());
    add_events(connection, &new, EventKind::ProblemOpened, &told, chance, now).await
}

/// Closes the problems of `domains` that have one of `codes`, and tells it on the timeline.
async fn resolve_problems(
    connection: &mut PgConnection,
    domains: &[DomainId],
    codes: &[ProblemCode],
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let ids: Vec<_> = domains.iter().map(|id| id.uuid()).collect();
    let codes: Vec<_> = codes.iter().map(|code| code.as_str().to_owned()).collect();
    let resolved = sqlx::query!(
        "DELETE FROM problems WHERE domain_id = ANY($1) AND code = ANY($2) RETURNING domain_id, code",
        &ids,
        &codes,
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in resolved {
        let title = crate::rows::parsed::<ProblemCode>("problems", &row.code)?.title();
        let domain = DomainId::from_uuid(row.domain_id);
        add_events(connection, &[domain], EventKind::ProblemResolved, title, chance, now).await?;
    }
    sqlx::query!(
        "UPDATE domains d SET health = 'ok' WHERE domain_id = ANY($1) AND health <> 'ok'
         AND NOT EXISTS (SELECT 1 FROM problems p WHERE p.domain_id = d.domain_id)",
        &ids,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds one event for each of `domains`.
pub(super) async fn add_events(
    connection: &mut PgConnection,
    domains: &[DomainId],
    kind: EventKind,
    detail: &str,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    if domains.is_empty() {
        return Ok(());
    }
    let events: Vec<_> = domains.iter().map(|_| EventId::new(chance, now).uuid()).collect();
    let ids: Vec<_> = domains.iter().map(|id| id.uuid()).collect();
    sqlx::query!(
        "INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at)
         SELECT new.event_id, d.tenant_id, d.domain_id, $3, $4, $5
         FROM UNNEST($1::uuid[], $2::uuid[]) AS new (event_id, domain_id) JOIN domains d USING (domain_id)",
        &events,
        &ids,
        kind.as_str(),
        detail,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
