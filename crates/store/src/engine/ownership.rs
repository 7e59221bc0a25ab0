//! Whose a name is: what is known of it here, and what its owner was seen to say.

use certmill_model::{
    Chance, Claim, Contested, DomainId, EventKind, Hostname, OwnershipRecord, ProblemCode, TenantId,
    names_above,
};
use time::OffsetDateTime;

use super::{DomainLease, Engine, domains::held, events::add_events, problems::resolve_problems};
use crate::{
    StoreError,
    removal::{Removal, remove},
};

impl Engine {
    /// What is known here of a name that its tenant has registered.
    pub async fn claim_to(
        &self,
        domain: DomainId,
        tenant: TenantId,
        name: &Hostname,
    ) -> Result<Claim, StoreError> {
        let base = name.base();
        let own = [base.to_owned(), format!("*.{base}")];
        let below: String = format!(".{base}").chars().rev().collect();
        let row = sqlx::query!(
            r#"SELECT d.certificate_id IS NOT NULL OR d.expires_at IS NOT NULL
                          OR EXISTS (SELECT 1 FROM ownership_proofs p WHERE p.tenant_id = $2 AND p.name = $3
                              AND p.verified_at >= d.created_at) AS "is_proved!",
                      EXISTS (SELECT 1 FROM domains o WHERE o.name = ANY ($4) AND o.status = 'deleted' AND o.tenant_id <> $2
                              -- Whoever had it last is the one for whom it may still lead here.
                              AND o.status_since > COALESCE((
                                  SELECT max(m.status_since) FROM domains m
                                  WHERE m.tenant_id = $2 AND m.name = ANY ($4) AND m.status = 'deleted'
                                    AND (m.certificate_id IS NOT NULL OR m.expires_at IS NOT NULL)), '-infinity'))
                          OR EXISTS (SELECT 1 FROM domains o WHERE o.name = ANY ($4) AND o.status <> 'deleted'
                                     AND o.status = 'pending_deletion' AND o.tenant_id <> $2) AS "was_held!",
                      EXISTS (SELECT 1 FROM domains o WHERE o.name = ANY ($5) AND o.status <> 'deleted' AND o.tenant_id <> $2
                              AND (o.certificate_id IS NOT NULL OR o.expires_at IS NOT NULL OR EXISTS (
                                   SELECT 1 FROM ownership_proofs p
                                   WHERE p.tenant_id = o.tenant_id AND p.name = regexp_replace(o.name, '^\*\.', '')
                                     AND p.verified_at IS NOT NULL))) AS "is_below_another!",
                      -- A range of names read backwards: no name has a character between the dot and the slash.
                      EXISTS (SELECT 1 FROM domains o
                              WHERE reverse(o.name) >= $6 AND reverse(o.name) < rtrim($6, '.') || '/'
                                AND o.status <> 'deleted' AND o.tenant_id <> $2
                                AND (o.certificate_id IS NOT NULL OR o.expires_at IS NOT NULL)) AS "is_above_another!"
               FROM domains d WHERE d.domain_id = $1"#,
            domain.uuid(),
            tenant.uuid(),
            base,
            &own,
            &names_above(name),
            below,
        )
        .fetch_one(&self.pool)
        .await?;
        let others = [
            (row.was_held, Contested::HeldBefore),
            (row.is_below_another, Contested::Below),
            (row.is_above_another, Contested::Above),
        ];
        let others = others.into_iter().filter_map(|(is_so, contested)| is_so.then_some(contested));
        Ok(Claim { is_proved: row.is_proved, others: others.collect() })
    }

    /// The record by which the owner of `name` says that it is this tenant's.
    pub async fn ownership_record(
        &self,
        tenant: TenantId,
        name: &Hostname,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<OwnershipRecord, StoreError> {
        let mut connection = self.pool.acquire().await?;
        crate::ownership::record(&mut connection, tenant, name, chance, now).await
    }

    /// Records that the record of a claimed domain stands: it is the tenant's now.
    pub async fn ownership_verified(
        &self,
        lease: &DomainLease,
        name: &Hostname,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!(
            "INSERT INTO ownership_proofs (tenant_id, name, value, created_at, verified_at) VALUES ($1, $2, $3, $4, $4)
             ON CONFLICT (tenant_id, name) DO UPDATE SET verified_at = EXCLUDED.verified_at",
            lease.tenant_id.uuid(),
            name.base(),
            chance.label(),
            now,
        )
        .execute(&mut *tx)
        .await?;
        let me = [lease.domain_id];
        resolve_problems(&mut tx, &me, &[ProblemCode::OwnershipMissing], chance, now).await?;
        add_events(&mut tx, &me, EventKind::OwnershipVerified, "", chance, now).await?;
        Ok(tx.commit().await?)
    }

    /// Frees a name that nobody has proved to be its tenant's. The lease ends.
    pub async fn give_up(
        &self,
        lease: &DomainLease,
        detail: &str,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let removal = Removal { domain: lease.domain_id, kind: EventKind::OwnershipGivenUp, detail };
        remove(&mut tx, &removal, chance, now).await?;
        let done = sqlx::query!(
            "UPDATE domains SET lease_until = NULL WHERE domain_id = $1 AND lease_token = $2",
            lease.domain_id.uuid(),
            lease.token,
        )
        .execute(&mut *tx)
        .await?;
        held(done.rows_affected())?;
        Ok(tx.commit().await?)
    }
}
