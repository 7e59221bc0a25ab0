//! What came of a look at a name, when no order followed from it.

use certmill_model::{Chance, Checks, DomainStatus, EventKind, Finding, ProblemCode};
use time::OffsetDateTime;

use super::{
    ClaimedDomain, DomainLease, Engine,
    domains::held,
    problems::{add_events, open_problem, resolve_problems},
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
}

/// Solved by a look that finds nothing wrong.
const DNS_PROBLEMS: [ProblemCode; 9] = [
    ProblemCode::DnsNotFound,
    ProblemCode::DnsWrongTarget,
    ProblemCode::DnsExtraAddresses,
    ProblemCode::DnsServfail,
    ProblemCode::DnsDelegationMissing,
    ProblemCode::DnsDelegationWrong,
    ProblemCode::CaaForbids,
    ProblemCode::HttpUnreachable,
    ProblemCode::HttpWrongResponse,
];

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
        let done = sqlx::query!(
            "UPDATE domains d SET lease_until = NULL, consecutive_failures = $3, check_after = $4, updated_at = $5,
                 status = COALESCE($6, d.status),
                 status_since = CASE WHEN $6 <> d.status THEN $5 ELSE d.status_since END,
                 -- Somebody wants something else, or wants a look that began later than this one.
                 next_action_at = CASE WHEN d.revision <> $7 OR d.check_after IS DISTINCT FROM $8 THEN now()
                                       ELSE LEAST($4, until.renewal, until.ended) END
             FROM domains me
             LEFT JOIN certificates c ON c.certificate_id = me.certificate_id,
             LATERAL (SELECT CASE WHEN me.renew_after > $5 THEN me.renew_after END AS renewal,
                             CASE WHEN c.not_after > $5 THEN c.not_after END AS ended) AS until
             WHERE me.domain_id = d.domain_id AND d.domain_id = $1 AND d.lease_token = $2",
            lease.domain_id.uuid(),
            lease.token,
            looked.consecutive_failures as i32,
            looked.next_look_at,
            now,
            looked.status.map(DomainStatus::as_str),
            lease.revision,
            domain.situation.check_after,
        )
        .execute(&mut *tx)
        .await?;
        held(done.rows_affected())?;
        save_checks(&mut tx, lease, looked.checks).await?;
        let ids = [lease.domain_id];
        let still = looked.problem.map(|problem| problem.code);
        let solved: Vec<_> = DNS_PROBLEMS.into_iter().filter(|code| Some(*code) != still).collect();
        resolve_problems(&mut tx, &ids, &solved, chance, now).await?;
        if let Some(problem) = looked.problem {
            let next = Some(looked.next_look_at);
            open_problem(&mut tx, &ids, problem.code, &problem.detail, next, chance, now).await?;
        }
        if let Some(kind) = told(domain.status, looked.status) {
            let detail = looked.problem.map_or("", |problem| problem.detail.as_str());
            add_events(&mut tx, &ids, kind, detail, chance, now).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Records what was seen of a domain that waits for another reason, and lets it go until `next`.
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

    /// Records that a domain's certificate has ended. It is due at once.
    pub async fn expire(
        &self,
        lease: &DomainLease,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query!(
            "UPDATE domains SET lease_until = NULL, status = 'expired', status_since = $3, updated_at = $3,
                 health = 'critical', next_action_at = $3
             WHERE domain_id = $1 AND lease_token = $2",
            lease.domain_id.uuid(),
            lease.token,
            now,
        )
        .execute(&mut *tx)
        .await?;
        held(done.rows_affected())?;
        sqlx::query!(
            "UPDATE certificates c SET status = 'expired' FROM domains d
             WHERE d.domain_id = $1 AND c.certificate_id = d.certificate_id AND c.status IN ('issued', 'active')",
            lease.domain_id.uuid(),
        )
        .execute(&mut *tx)
        .await?;
        add_events(&mut tx, &[lease.domain_id], EventKind::DomainExpired, "", chance, now).await?;
        Ok(tx.commit().await?)
    }
}

/// What the timeline says of a change of status.
fn told(before: DomainStatus, after: Option<DomainStatus>) -> Option<EventKind> {
    match (before, after?) {
        (DomainStatus::Active, DomainStatus::Moved) => Some(EventKind::DomainMoved),
        (DomainStatus::Moved, DomainStatus::Active) => Some(EventKind::DomainReturned),
        _ => None,
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
