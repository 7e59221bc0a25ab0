//! What came of a step when it was not a certificate: failure, activation.

use certmill_model::{
    Chance, Checks, DomainId, DomainStatus, EventKind, LimitKind, OrderId, OrderStatus, ProblemCode,
};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{
    DomainLease, Engine,
    domains::held,
    events::{StatusChange, add_changes, add_events},
    orders::{columns, lock_members},
    owners::tell_soon,
    problems::{open_problem, resolve_problems},
    watches::watch_soon,
};
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
    /// The CA is not asked before this instant, whoever wants to look sooner.
    pub order_after: Option<OffsetDateTime>,
    /// Whether the CA looked at a name and did not like it.
    pub validation_failed: bool,
    /// The rate limit that it waits for, if it is one.
    pub deferral: Option<&'a Deferral>,
    /// What the next order is not to ask for again.
    pub without: Without,
    /// What was seen of names before, where that is not on record yet.
    pub checks: &'a [(DomainId, Checks)],
    /// The names at fault, where the CA named some; the others go on at once without them. Empty: every name.
    pub blamed: &'a [Blamed],
}

/// Work that waits for a rate limit of the CA.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deferral {
    /// Until when.
    pub until: OffsetDateTime,
    /// Which limit.
    pub limit: LimitKind,
    /// What the limit counts: a registered domain, a name; empty for the account.
    pub counted: String,
}

/// What a CA did not take of an order that it may take without.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Without {
    /// That it renews a certificate.
    pub replaces: bool,
    /// A profile.
    pub profile: bool,
}

/// A name that is at fault.
#[derive(Clone, Debug)]
pub struct Blamed {
    /// The name.
    pub name: String,
    /// Its kind of problem.
    pub code: ProblemCode,
    /// The particulars.
    pub detail: String,
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

impl OrderFailure {
    fn is_over(&self) -> bool {
        matches!(self.status, OrderStatus::Invalid | OrderStatus::Cancelled)
    }
}

impl Engine {
    /// Records a failure, and lets the domains of the order go until their next attempts.
    pub async fn fail(
        &self,
        lease: &DomainLease,
        failure: &Failure<'_>,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        if let Some(order) = &failure.order {
            lock_members(&mut tx, order.order_id).await?;
        }
        let order_id = failure.order.as_ref().map(|order| order.order_id.uuid());
        let ended = failure.order.as_ref().is_some_and(OrderFailure::is_over);
        let blamed: Vec<_> = failure.blamed.iter().map(|blamed| blamed.name.clone()).collect();
        // The domain itself and those whose names its order includes. Who is not blamed is due at once if the order is
        // over, and goes on without the others.
        let rows = sqlx::query!(
            r#"UPDATE domains d SET updated_at = $4,
                 lease_until = CASE WHEN d.domain_id = $1 THEN NULL ELSE d.lease_until END,
                 order_id = CASE WHEN $9 THEN NULL ELSE d.order_id END,
                 consecutive_failures = CASE WHEN NOT at_fault THEN d.consecutive_failures
                                             WHEN d.domain_id = $1 THEN $3
                                             WHEN $9 THEN d.consecutive_failures + 1 ELSE d.consecutive_failures END,
                 -- A wait that the CA or a failed validation asked for is never made shorter.
                 order_after = CASE WHEN at_fault THEN GREATEST(d.order_after, $10) ELSE d.order_after END,
                 validation_failed_at = CASE WHEN at_fault AND $11 THEN $4 ELSE d.validation_failed_at END,
                 -- What goes wrong before an order is placed costs a name that waits for a limit its place in no line.
                 deferred_until = CASE WHEN is_other THEN d.deferred_until ELSE $13 END,
                 deferred_by = CASE WHEN is_other THEN d.deferred_by ELSE $14 END,
                 deferred_for = CASE WHEN is_other THEN d.deferred_for ELSE $15 END,
                 without_replaces = d.without_replaces OR $16, without_profile = d.without_profile OR $17,
                 next_action_at = CASE WHEN NOT at_fault AND $9 THEN $4
                                       WHEN d.domain_id = $1 AND d.revision <> $5 THEN now()
                                       WHEN d.domain_id <> $1 AND NOT $9 THEN d.next_action_at
                                       -- What has a certificate is never left alone until its end.
                                       WHEN d.certificate_id IS NOT NULL
                                       THEN LEAST(COALESCE($6, $10), held.not_after,
                                                  CASE WHEN d.check_after > $4 THEN d.check_after END)
                                       ELSE $6 END,
                 status = CASE WHEN at_fault AND d.certificate_id IS NULL AND d.status <> 'pending_deletion' THEN $7
                               ELSE d.status END,
                 status_since = CASE WHEN at_fault AND d.certificate_id IS NULL
                                          AND d.status NOT IN ('pending_deletion', $7) THEN $4 ELSE d.status_since END
             FROM domains me
             LEFT JOIN certificates held ON held.certificate_id = me.certificate_id AND held.not_after > $4,
             LATERAL (SELECT cardinality($12::text[]) = 0 OR me.name = ANY($12) AS at_fault,
                             $8::uuid IS NULL AND $13::timestamptz IS NULL AS is_other) AS verdict
             WHERE me.domain_id = d.domain_id
               AND ((d.domain_id = $1 AND d.lease_token = $2)
                    OR (d.order_id = $8 AND d.domain_id <> $1
                        AND EXISTS (SELECT 1 FROM domains l WHERE l.domain_id = $1 AND l.lease_token = $2)))
             RETURNING d.domain_id, d.name, at_fault AS "at_fault!", me.status AS status_before, d.status"#,
            lease.domain_id.uuid(),
            lease.token,
            failure.consecutive_failures as i32,
            now,
            lease.revision,
            failure.next_attempt_at,
            failure.status.as_str(),
            order_id,
            ended,
            failure.order_after,
            failure.validation_failed,
            &blamed,
            failure.deferral.map(|deferral| deferral.until),
            failure.deferral.map(|deferral| deferral.limit.as_str()),
            failure.deferral.map(|deferral| deferral.counted.as_str()),
            failure.without.replaces,
            failure.without.profile,
        )
        .fetch_all(&mut *tx)
        .await?;
        held(rows.iter().filter(|row| row.domain_id == lease.domain_id.uuid()).count() as u64)?;
        if let Some(order) = &failure.order {
            fail_order(&mut tx, order, now).await?;
        }
        if !failure.checks.is_empty() {
            add_checks(&mut tx, lease, failure.checks, now).await?;
        }
        let is_refused = failure.order.as_ref().is_some_and(|order| order.status == OrderStatus::Invalid);
        for row in rows.iter().filter(|row| row.at_fault) {
            let named = failure.blamed.iter().find(|blamed| blamed.name == row.name);
            let (code, detail) =
                named.map_or((failure.code, failure.detail), |blamed| (blamed.code, blamed.detail.as_str()));
            let domain = [DomainId::from_uuid(row.domain_id)];
            if is_refused {
                let told = format!("{}: {detail}", code.title());
                add_events(&mut tx, &domain, EventKind::OrderFailed, &told, chance, now).await?;
            }
            let turned = StatusChange::read(domain[0], &row.status_before, &row.status)?;
            if let Some((turned, kind)) = turned.and_then(|turned| Some((turned, turned.kind()?))) {
                let told = if kind == EventKind::DomainFailed { detail } else { "" };
                add_changes(&mut tx, &[turned], kind, told, chance, now).await?;
            }
            open_problem(&mut tx, &domain, code, detail, failure.next_attempt_at, chance, now).await?;
        }
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
               UPDATE domains d SET updated_at = $2,
                   status = CASE WHEN before.status = 'moved' THEN 'moved' ELSE 'active' END,
                   status_since = CASE WHEN before.status IN ('active', 'moved') THEN d.status_since ELSE $2 END,
                   next_action_at = CASE WHEN before.status IN ('active', 'moved') OR d.lease_until IS NOT NULL
                                         THEN d.next_action_at ELSE LEAST(d.renew_after, d.check_after) END
               FROM before
               WHERE before.domain_id = d.domain_id AND d.certificate_id IS NOT NULL
                 AND before.status NOT IN ('pending_deletion', 'deleted', 'paused', 'blocked', 'expired')
                 AND EXISTS (SELECT 1 FROM placements p WHERE p.domain_id = d.domain_id)
                 AND NOT EXISTS (SELECT 1 FROM placements p WHERE p.domain_id = d.domain_id AND p.pending)
               RETURNING d.domain_id, before.status AS status_before, d.status, d.health"#,
            &ids,
            now,
        )
        .fetch_all(&mut *tx)
        .await?;
        let changes = served
            .iter()
            .map(|row| {
                StatusChange::read(DomainId::from_uuid(row.domain_id), &row.status_before, &row.status)
            })
            .filter_map(Result::transpose)
            .collect::<Result<Vec<_>, _>>()?;
        add_changes(&mut tx, &changes, EventKind::DomainActive, "", chance, now).await?;
        tell_soon(&mut tx, &changes, now).await?;
        let all: Vec<_> = served.iter().map(|row| row.domain_id).collect();
        sqlx::query!(
            // A certificate may be for two domains: it and its key stay while one of them has it.
            "UPDATE certificates c
             SET status = CASE WHEN used THEN 'active' ELSE 'superseded' END,
                 sealed_key = CASE WHEN used THEN c.sealed_key END
             FROM domains d, certificates seen, LATERAL (
                 SELECT EXISTS (SELECT 1 FROM domains x WHERE x.name = ANY(seen.names) AND x.status <> 'deleted'
                                AND x.certificate_id = seen.certificate_id) AS used) AS verdict
             WHERE d.domain_id = ANY($1) AND seen.certificate_id = c.certificate_id
               AND (seen.domain_id = d.domain_id OR seen.certificate_id = d.certificate_id)
               AND c.status IN ('issued', 'active')",
            &all,
        )
        .execute(&mut *tx)
        .await?;
        watch_soon(&mut tx, &all, now).await?;
        if served.iter().any(|row| row.health != "ok") {
            let ids: Vec<_> = all.iter().copied().map(DomainId::from_uuid).collect();
            resolve_problems(&mut tx, &ids, &DELIVERY_PROBLEMS, chance, now).await?;
        }
        tx.commit().await?;
        Ok(changes.into_iter().map(|turned| turned.domain).collect())
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

async fn add_checks(
    connection: &mut PgConnection,
    lease: &DomainLease,
    checks: &[(DomainId, Checks)],
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let (checked, observed) = columns(checks)?;
    sqlx::query!(
        "INSERT INTO checks (domain_id, tenant_id, observed, checked_at)
         SELECT seen.domain_id, $1, seen.observed, $4
         FROM UNNEST($2::uuid[], $3::jsonb[]) AS seen (domain_id, observed)
         ON CONFLICT (domain_id) DO UPDATE SET observed = EXCLUDED.observed, checked_at = EXCLUDED.checked_at",
        lease.tenant_id.uuid(),
        &checked,
        &observed,
        now,
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
