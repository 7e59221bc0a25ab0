//! One delivery to one target: where it is, what was proved, what was not.

use std::collections::BTreeMap;

use certmill_model::{
    CertificateId, Chance, DeploymentStatus, DomainId, EventKind, ProblemCode, ReleaseId, TargetState,
    TemplateRef,
};
use time::OffsetDateTime;

use super::{
    ClaimedTarget, Engine, LEASE, ReleaseRecord, TargetLease,
    domains::held,
    events::{add_events, add_target_event},
    interval,
    problems::open_problem,
    targets::lock_target,
};
use crate::{StoreError, rows::parsed};

/// A domain that a handshake (or, for one that was taken off, the release without it) has proved.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The domain.
    pub domain_id: DomainId,
    /// The certificate that was shown; `None`: taken off.
    pub certificate_id: Option<CertificateId>,
    /// The configuration it was shown with.
    pub revision: i64,
    /// The template it was shown with, if its configuration was rendered anew.
    pub template: Option<TemplateRef>,
}

/// A domain that could not be delivered.
#[derive(Clone, Debug)]
pub struct Undelivered {
    /// The domain.
    pub domain_id: DomainId,
    /// The kind of problem.
    pub code: ProblemCode,
    /// The particulars.
    pub detail: String,
    /// The next attempt.
    pub next_attempt_at: OffsetDateTime,
    /// The certificate that was to be shown. If something else is wanted by now, the next attempt is not put off.
    pub certificate_id: Option<CertificateId>,
    /// The configuration it was to be shown with.
    pub revision: i64,
}

impl Engine {
    /// Begins the record of a delivery of `domains` domains.
    pub async fn begin_deployment(
        &self,
        lease: &TargetLease,
        domains: usize,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<ReleaseId, StoreError> {
        let id = ReleaseId::new(chance, now);
        sqlx::query!(
            "WITH left_behind AS (
                 UPDATE deployments SET status = 'failed', problem = 'the worker ended', finished_at = $4
                 WHERE target_id = $2 AND finished_at IS NULL
             )
             INSERT INTO deployments (deployment_id, target_id, status, domains, started_at)
             VALUES ($1, $2, 'queued', $3, $4)",
            id.uuid(),
            lease.target_id.uuid(),
            domains as i32,
            now,
        )
        .execute(&self.pool)
        .await?;
        Ok(id)
    }

    /// Records where a delivery is, and renews the lease of its target.
    pub async fn deployment_at(
        &self,
        lease: &TargetLease,
        deployment: ReleaseId,
        status: DeploymentStatus,
        release_number: Option<i64>,
    ) -> Result<(), StoreError> {
        let done = sqlx::query!(
            "WITH at AS (
                 UPDATE deployments SET status = $4, release_number = $5 WHERE deployment_id = $3
             )
             UPDATE targets SET lease_until = now() + $6 WHERE target_id = $1 AND lease_token = $2",
            lease.target_id.uuid(),
            lease.token,
            deployment.uuid(),
            status.as_str(),
            release_number,
            interval(LEASE),
        )
        .execute(&self.pool)
        .await?;
        held(done.rows_affected())
    }

    /// Records the end of a delivery that reached its target: what was proved there and what was not. The lease ends.
    #[expect(clippy::too_many_arguments, reason = "everything that one transaction must hold together")]
    pub async fn finish_deployment(
        &self,
        target: &ClaimedTarget,
        deployment: ReleaseId,
        release: &ReleaseRecord,
        delivered: &[Delivered],
        undelivered: &[Undelivered],
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let lease = &target.lease;
        let manifest = serde_json::to_value(&release.manifest)
            .map_err(|error| StoreError::inconsistent("targets", error))?;
        let state = if undelivered.is_empty() { TargetState::InSync } else { TargetState::Behind };
        let upstreams: Vec<_> = release.upstreams.iter().map(ToString::to_string).collect();
        let mut tx = self.pool.begin().await?;
        let touched =
            delivered.iter().map(|one| one.domain_id).chain(undelivered.iter().map(|one| one.domain_id));
        lock_domains(&mut tx, touched).await?;
        lock_target(&mut tx, lease).await?;
        let done = sqlx::query!(
            "UPDATE targets SET lease_until = NULL, release_number = $3, manifest = $4, rendered_from = $5, upstreams = $8,
                 consecutive_failures = 0, state_detail = $11, next_attempt_at = $6,
                 -- What this one has before the others is settled behind this, or at the next look.
                 revisit = (settings <> $9 OR $10 <> (SELECT COALESCE(sum(revision), 0)::bigint FROM templates)
                            OR EXISTS (SELECT 1 FROM templates WHERE canary_target_id = $1)),
                 state_since = CASE WHEN state = $7 THEN state_since ELSE $6 END, state = $7
             WHERE target_id = $1 AND lease_token = $2",
            lease.target_id.uuid(),
            lease.token,
            release.number,
            manifest,
            release.rendered_from,
            now,
            state.as_str(),
            &upstreams,
            target.settings,
            target.templates_revision,
            target.remark,
        )
        .execute(&mut *tx)
        .await?;
        held(done.rows_affected())?;
        let name = &target.name;
        recovered(&mut tx, target, state, chance, now).await?;
        sqlx::query!(
            "WITH activated AS (
                 UPDATE releases SET activated_at = COALESCE(activated_at, $3) WHERE target_id = $1 AND number = $4
             ), forgotten AS (
                 DELETE FROM releases WHERE target_id = $1 AND number < $4 - 100
             )
             UPDATE deployments SET status = 'succeeded', finished_at = $3, release_number = $4 WHERE deployment_id = $2",
            lease.target_id.uuid(),
            deployment.uuid(),
            now,
            release.number,
        )
        .execute(&mut *tx)
        .await?;
        record_delivered(&mut tx, lease, name, delivered, chance, now).await?;
        for (reason, domains) in by_reason(undelivered) {
            record_undelivered(&mut tx, lease, &reason, &domains, name, chance, now).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Records a delivery that failed as a whole; everything pending there waits until `next_attempt_at`.
    #[expect(clippy::too_many_arguments, reason = "everything that one transaction must hold together")]
    pub async fn fail_deployment(
        &self,
        lease: &TargetLease,
        deployment: Option<ReleaseId>,
        status: DeploymentStatus,
        state: TargetState,
        reason: (ProblemCode, &str),
        next_attempt_at: OffsetDateTime,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let (code, detail) = reason;
        let mut tx = self.pool.begin().await?;
        let target = sqlx::query!(
            "UPDATE targets t SET lease_until = NULL, consecutive_failures = t.consecutive_failures + 1,
                 state_detail = $3, next_attempt_at = $4,
                 state_since = CASE WHEN t.state = $5 THEN t.state_since ELSE $6 END, state = $5
             FROM targets before
             WHERE before.target_id = t.target_id AND t.target_id = $1 AND t.lease_token = $2
             RETURNING t.name, before.state AS state_before, t.consecutive_failures",
            lease.target_id.uuid(),
            lease.token,
            detail,
            next_attempt_at,
            state.as_str(),
            now,
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::LeaseLost)?;
        let (name, before) = (target.name, parsed("targets", &target.state_before)?);
        let is_first = target.consecutive_failures == 1;
        if let Some(kind) = told_of_failure(before, state, status, is_first) {
            let target = (lease.target_id, name.as_str());
            add_target_event(&mut tx, target, kind, before, state, detail, chance, now).await?;
        }
        if let Some(deployment) = deployment {
            sqlx::query!(
                "UPDATE deployments SET status = $2, problem = $3, finished_at = $4 WHERE deployment_id = $1",
                deployment.uuid(),
                status.as_str(),
                detail,
                now,
            )
            .execute(&mut *tx)
            .await?;
        }
        let waiting = sqlx::query_scalar!(
            "SELECT domain_id FROM placements WHERE target_id = $1 AND pending",
            lease.target_id.uuid(),
        )
        .fetch_all(&mut *tx)
        .await?;
        let waiting: Vec<_> = waiting.into_iter().map(DomainId::from_uuid).collect();
        lock_domains(&mut tx, waiting.iter().copied()).await?;
        open_problem(
            &mut tx,
            &waiting,
            code,
            &format!("{name}: {detail}"),
            Some(next_attempt_at),
            chance,
            now,
        )
        .await?;
        Ok(tx.commit().await?)
    }
}

/// What is told of a delivery that failed as a whole. One that fails again and again is told once.
fn told_of_failure(
    before: TargetState,
    state: TargetState,
    status: DeploymentStatus,
    is_first: bool,
) -> Option<EventKind> {
    match (before, state) {
        (TargetState::Unreachable, TargetState::Unreachable) => None,
        (_, TargetState::Unreachable) => Some(EventKind::TargetUnreachable),
        (TargetState::Unreachable, _) => Some(EventKind::TargetRecovered),
        _ => (is_first || status == DeploymentStatus::RolledBack).then_some(EventKind::DeploymentFailed),
    }
}

/// Tells that a target is reached again, if it was not.
async fn recovered(
    connection: &mut sqlx::PgConnection,
    target: &ClaimedTarget,
    to: TargetState,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    if target.state != TargetState::Unreachable {
        return Ok(());
    }
    let subject = (target.lease.target_id, target.name.as_str());
    add_target_event(connection, subject, EventKind::TargetRecovered, target.state, to, "", chance, now).await
}

async fn record_delivered(
    connection: &mut sqlx::PgConnection,
    lease: &TargetLease,
    target: &str,
    delivered: &[Delivered],
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let (gone, there): (Vec<_>, Vec<_>) = delivered.iter().partition(|one| one.certificate_id.is_none());
    let gone: Vec<_> = gone.iter().map(|one| one.domain_id.uuid()).collect();
    // Wanted again in the meantime: the placement stays, and stays pending. The revision tells a step that is under way
    // that it does not know the newest.
    sqlx::query!(
        "WITH gone AS (
             DELETE FROM placements WHERE target_id = $1 AND domain_id = ANY($2) AND wanted_certificate_id IS NULL
             RETURNING domain_id
         )
         UPDATE domains SET next_action_at = $3, revision = revision + 1
         WHERE domain_id IN (SELECT domain_id FROM gone)",
        lease.target_id.uuid(),
        &gone,
        now,
    )
    .execute(&mut *connection)
    .await?;
    let domains: Vec<_> = there.iter().map(|one| one.domain_id.uuid()).collect();
    let certificates: Vec<_> =
        there.iter().filter_map(|one| one.certificate_id.map(CertificateId::uuid)).collect();
    let revisions: Vec<_> = there.iter().map(|one| one.revision).collect();
    let templates: Vec<_> = there.iter().map(|one| one.template.as_ref().map(ToString::to_string)).collect();
    let told = sqlx::query_scalar!(
        "UPDATE placements p SET served_certificate_id = s.certificate_id, served_revision = s.revision,
             served_template = COALESCE(s.template, p.served_template), served_at = $6, consecutive_failures = 0,
             pending = (p.wanted_certificate_id IS DISTINCT FROM s.certificate_id OR p.wanted_revision <> s.revision)
         FROM UNNEST($2::uuid[], $3::uuid[], $4::bigint[], $5::text[]) AS s (domain_id, certificate_id, revision, template)
         WHERE p.target_id = $1 AND p.domain_id = s.domain_id
         RETURNING p.domain_id",
        lease.target_id.uuid(),
        &domains,
        &certificates,
        &revisions,
        &templates as &[Option<String>],
        now,
    )
    .fetch_all(&mut *connection)
    .await?;
    let told: Vec<_> = told.into_iter().map(DomainId::from_uuid).collect();
    add_events(connection, &told, EventKind::Served, target, chance, now).await
}

async fn record_undelivered(
    connection: &mut sqlx::PgConnection,
    lease: &TargetLease,
    reason: &Reason,
    domains: &[&Undelivered],
    target: &str,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let (code, detail, next_attempt_at) = reason;
    let ids: Vec<_> = domains.iter().map(|one| one.domain_id.uuid()).collect();
    let certificates: Vec<_> =
        domains.iter().map(|one| one.certificate_id.map(CertificateId::uuid)).collect();
    let revisions: Vec<_> = domains.iter().map(|one| one.revision).collect();
    // What is wanted otherwise by now was not tried: neither put off nor wrong.
    let tried = sqlx::query_scalar!(
        "UPDATE placements p SET consecutive_failures = consecutive_failures + 1, next_attempt_at = $3
         FROM UNNEST($2::uuid[], $4::uuid[], $5::bigint[]) AS u (domain_id, certificate_id, revision)
         WHERE p.target_id = $1 AND p.domain_id = u.domain_id
           AND p.wanted_certificate_id IS NOT DISTINCT FROM u.certificate_id AND p.wanted_revision = u.revision
         RETURNING p.domain_id",
        lease.target_id.uuid(),
        &ids,
        next_attempt_at,
        &certificates as &[Option<uuid::Uuid>],
        &revisions,
    )
    .fetch_all(&mut *connection)
    .await?;
    let detail = format!("{target}: {detail}");
    let domains: Vec<_> = tried.into_iter().map(DomainId::from_uuid).collect();
    open_problem(connection, &domains, *code, &detail, Some(*next_attempt_at), chance, now).await
}

type Reason = (ProblemCode, String, OffsetDateTime);

/// One statement for each reason, not for each domain.
fn by_reason(undelivered: &[Undelivered]) -> Vec<(Reason, Vec<&Undelivered>)> {
    let mut reasons: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for one in undelivered {
        reasons.entry((one.code.as_str(), &one.detail, one.next_attempt_at)).or_default().push(one);
    }
    let reason = |one: &Undelivered| (one.code, one.detail.clone(), one.next_attempt_at);
    reasons.into_values().map(|members| (reason(members[0]), members)).collect()
}

/// Locks domains in one order before anything that belongs to them is touched, as everybody does, so that deliveries
/// that end together do not wait for each other in a circle.
pub(super) async fn lock_domains(
    connection: &mut sqlx::PgConnection,
    domains: impl Iterator<Item = DomainId>,
) -> Result<(), StoreError> {
    let ids: Vec<_> = domains.map(DomainId::uuid).collect();
    sqlx::query!(
        "SELECT domain_id FROM domains WHERE domain_id = ANY($1) ORDER BY domain_id FOR NO KEY UPDATE",
        &ids,
    )
    .fetch_all(connection)
    .await?;
    Ok(())
}
