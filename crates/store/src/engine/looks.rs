//! What came of a look at a name, when no order followed from it.

use certmill_model::{Chance, Checks, DomainStatus, EventKind, Finding, ProblemCode};
use time::OffsetDateTime;

use super::{
    ClaimedDomain, DomainLease, Engine,
    events::{StatusChange, add_changes},
    problems::{open_problem, resolve_problems},
};
use crate::StoreError;

/// What came of a look.
pub struct Looked<'a> {
    /// What was seen.
    pub checks: &'a Checks,
    /// What is wrong, if something is.
    pub problem: Option<&'a Finding>,
    /// The status that follows; `None` leaves it.
    pub status: Option<DomainStatus>,
    /// Looks in a row that were not right, this one included.
    pub consecutive_failures: u32,
    /// The next look.
    pub next_look_at: OffsetDateTime,
    /// The kinds of problem that this look has shown to be solved, but for the one it found.
    pub solved: &'a [ProblemCode],
    /// The time that the name was not right does not count: it was not its owner's fault.
    pub clock_restarts: bool,
}

impl Looked<'_> {
    /// A problem that counts as a failure is one because of which no order is placed; others are only told.
    fn is_not_provable(&self) -> bool {
        self.problem.is_some() && self.consecutive_failures > 0
    }
}

/// Domains for which looks are planned at a time.
const MISSING_LOOKS: i64 = 5_000;

impl Engine {
    /// Records a look, and lets the domain go until the next one, or until something else of it is due.
    pub async fn looked(
        &self,
        domain: &ClaimedDomain,
        looked: &Looked<'_>,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let lease = &domain.lease;
        let mut tx = self.pool.begin().await?;
        let row = sqlx::query!(
            "UPDATE domains d SET lease_until = NULL, consecutive_failures = $3, updated_at = $5,
                 -- What cannot be proved waits for no limit.
                 deferred_until = CASE WHEN NOT $10 THEN d.deferred_until END,
                 deferred_by = CASE WHEN NOT $10 THEN d.deferred_by END,
                 deferred_for = CASE WHEN NOT $10 THEN d.deferred_for END,
                 -- Somebody wants a look that begins later than this one.
                 check_after = CASE WHEN d.check_after IS DISTINCT FROM $8 THEN d.check_after ELSE $4 END,
                 status = CASE WHEN is_wanted THEN COALESCE($6, d.status) ELSE d.status END,
                 status_since = CASE WHEN is_wanted AND ($6 <> d.status OR $9) THEN $5 ELSE d.status_since END,
                 next_action_at = CASE WHEN d.revision <> $7 OR d.check_after IS DISTINCT FROM $8 THEN now()
                                       ELSE LEAST($4, until.renewal, until.ended) END
             FROM domains me
             LEFT JOIN certificates c ON c.certificate_id = me.certificate_id,
             LATERAL (SELECT CASE WHEN me.renew_after > $5 THEN me.renew_after END AS renewal,
                             CASE WHEN c.not_after > $5 THEN c.not_after END AS ended,
                             me.status NOT IN ('pending_deletion', 'deleted', 'paused', 'blocked') AS is_wanted) AS until
             WHERE me.domain_id = d.domain_id AND d.domain_id = $1 AND d.lease_token = $2
             RETURNING me.status AS status_before, d.status",
            lease.domain_id.uuid(),
            lease.token,
            looked.consecutive_failures as i32,
            looked.next_look_at,
            now,
            looked.status.map(DomainStatus::as_str),
            lease.revision,
            domain.situation.check_after,
            looked.clock_restarts,
            looked.is_not_provable(),
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::LeaseLost)?;
        save_checks(&mut tx, lease, looked.checks).await?;
        let ids = [lease.domain_id];
        let still = looked.problem.map(|problem| problem.code);
        let solved: Vec<_> = looked.solved.iter().copied().filter(|code| Some(*code) != still).collect();
        resolve_problems(&mut tx, &ids, &solved, chance, now).await?;
        if let Some(problem) = looked.problem {
            let next = Some(looked.next_look_at);
            open_problem(&mut tx, &ids, problem.code, &problem.detail, next, chance, now).await?;
        }
        let turned = StatusChange::read(lease.domain_id, &row.status_before, &row.status)?;
        if let Some((turned, kind)) = turned.and_then(|turned| Some((turned, turned.kind()?))) {
            let detail = looked.problem.map_or("", |problem| problem.detail.as_str());
            add_changes(&mut tx, &[turned], kind, detail, chance, now).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Records what was seen of a domain that waits for a load balancer, and lets it go until `next`.
    pub async fn seen(
        &self,
        lease: &DomainLease,
        checks: &Checks,
        next: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        save_checks(&mut tx, lease, checks).await?;
        tx.commit().await?;
        self.rest(lease, Some(next)).await
    }

    /// Plans a look within a day for up to a few thousand domains that an engine of the version before has left without
    /// one. Returns how many there were.
    pub async fn plan_missing_looks(&self) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "UPDATE domains d SET check_after = planned.at, next_action_at = LEAST(d.next_action_at, planned.at)
             FROM (SELECT domain_id, COALESCE(check_after, now() + random() * interval '1 day') AS at FROM domains
                   WHERE status IN ('active', 'moved', 'pending_deployment') AND certificate_id IS NOT NULL
                     AND (check_after IS NULL OR check_after < next_action_at)
                   LIMIT $1 FOR UPDATE SKIP LOCKED) AS planned
             WHERE d.domain_id = planned.domain_id",
            MISSING_LOOKS,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Records that a domain's certificate has ended. It is due at once.
    pub async fn expire(
        &self,
        lease: &DomainLease,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let before = sqlx::query_scalar!(
            "UPDATE domains d SET lease_until = NULL, status = 'expired', status_since = $3, updated_at = $3,
                 health = 'critical', next_action_at = $3
             FROM domains me
             WHERE me.domain_id = d.domain_id AND d.domain_id = $1 AND d.lease_token = $2
               AND d.status IN ('active', 'moved', 'pending_deployment')
             RETURNING me.status",
            lease.domain_id.uuid(),
            lease.token,
            now,
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::LeaseLost)?;
        sqlx::query!(
            "UPDATE certificates c SET status = 'expired' FROM domains d
             WHERE d.domain_id = $1 AND c.certificate_id = d.certificate_id AND c.status IN ('issued', 'active')",
            lease.domain_id.uuid(),
        )
        .execute(&mut *tx)
        .await?;
        let turned = StatusChange::read(lease.domain_id, &before, DomainStatus::Expired.as_str())?;
        add_changes(&mut tx, turned.as_slice(), EventKind::DomainExpired, "", chance, now).await?;
        Ok(tx.commit().await?)
    }
}

async fn save_checks(
    connection: &mut sqlx::PgConnection,
    lease: &DomainLease,
    checks: &Checks,
) -> Result<(), StoreError> {
    let observed = serde_json::to_value(checks).map_err(|error| StoreError::inconsistent("checks", error))?;
    sqlx::query!(
        "INSERT INTO checks (domain_id, tenant_id, observed, checked_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (domain_id) DO UPDATE SET observed = EXCLUDED.observed, checked_at = EXCLUDED.checked_at",
        lease.domain_id.uuid(),
        lease.tenant_id.uuid(),
        observed,
        checks.checked_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}
