//! Claims to names that another tenant holds.

use std::collections::BTreeMap;

use certmill_model::{
    Chance, DomainId, DomainStatus, EventKind, Hostname, InvalidLabels, Label, Metadata, OwnershipRecord,
    ProblemCode, Tags, TenantId, ZoneId,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Delegation, Engine, LEASE, interval, problems::open_problem};
use crate::{
    DomainWish, StoreError,
    registration::register,
    removal::{Removal, remove},
    rows::{hostname, parsed},
};

/// A claim in the hands of this worker.
pub struct DueClaim {
    /// Who claims.
    pub tenant_id: TenantId,
    /// What is wanted of the name.
    pub wish: DomainWish,
    /// When it was claimed.
    pub claimed_at: OffsetDateTime,
    /// Since when the claimant's record is seen; `None`: it was not at the last look.
    pub verified_at: Option<OffsetDateTime>,
    /// The record that the claimant is to set.
    pub record: OwnershipRecord,
    /// Looks in a row that found no record.
    pub failures: u32,
}

/// Who holds a claimed name.
#[derive(Clone, Debug)]
pub struct NameHolder {
    /// The domain.
    pub domain_id: DomainId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What is true of it.
    pub status: DomainStatus,
    /// Where its owner was told to point `_acme-challenge` at.
    pub delegation: Option<Delegation>,
    /// When a CA last validated the name for it, of the validations before the one asked for.
    pub validated_at: Option<OffsetDateTime>,
}

const TABLE: &str = "ownership_claims";

fn label(text: &str) -> Result<Label, StoreError> {
    Label::parse(text).map_err(|error| StoreError::inconsistent(TABLE, error.to_string()))
}

fn unreadable(error: InvalidLabels) -> StoreError {
    StoreError::inconsistent(TABLE, error)
}

fn metadata(stored: serde_json::Value) -> Result<Metadata, StoreError> {
    let texts: BTreeMap<String, String> =
        serde_json::from_value(stored).map_err(|error| StoreError::inconsistent(TABLE, error))?;
    Metadata::parse(texts.iter().map(|(name, text)| (name.as_str(), text.as_str()))).map_err(unreadable)
}

impl Engine {
    /// Takes up to `limit` claims whose look is due at `now`, for the caller alone for a while.
    pub async fn take_due_claims(
        &self,
        limit: i64,
        now: OffsetDateTime,
    ) -> Result<Vec<DueClaim>, StoreError> {
        let rows = sqlx::query!(
            "UPDATE ownership_claims c SET lease_until = now() + $3
             FROM ownership_proofs p
             WHERE (c.tenant_id, c.name) IN (
                 SELECT tenant_id, name FROM ownership_claims
                 WHERE next_look_at <= $1 AND (lease_until IS NULL OR lease_until < now())
                 ORDER BY next_look_at LIMIT $2 FOR UPDATE SKIP LOCKED)
               AND p.tenant_id = c.tenant_id AND p.name = regexp_replace(c.name, '^\\*\\.', '')
             RETURNING c.tenant_id, c.name, c.external_id, c.template, c.key_type, c.tags, c.metadata,
                       c.created_at, c.failures, p.value,
                       p.verified_at",
            now,
            limit,
            interval(LEASE * 4),
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let name = hostname(TABLE, &row.name)?;
                let wish = DomainWish {
                    external_id: row.external_id.map(|id| label(&id)).transpose()?,
                    template: row.template.map(|template| parsed(TABLE, &template)).transpose()?,
                    key_type: row.key_type.map(|key_type| parsed(TABLE, &key_type)).transpose()?,
                    tags: Tags::parse(row.tags.iter().map(String::as_str)).map_err(unreadable)?,
                    metadata: metadata(row.metadata)?,
                    name: name.clone(),
                };
                Ok(DueClaim {
                    tenant_id: TenantId::from_uuid(row.tenant_id),
                    wish,
                    claimed_at: row.created_at,
                    verified_at: row.verified_at.filter(|at| *at >= row.created_at),
                    record: OwnershipRecord::new(&name, row.value),
                    failures: row.failures.unsigned_abs(),
                })
            })
            .collect()
    }

    /// Who holds `name`; of the validations by a CA those before `until` count.
    pub async fn name_holder(
        &self,
        name: &Hostname,
        until: OffsetDateTime,
    ) -> Result<Option<NameHolder>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT d.domain_id, d.tenant_id, d.status, z.zone_id AS "zone_id?",
                      z.record_prefix || g.label || '.' || z.name AS record_name,
                      GREATEST((SELECT max(c.created_at) FROM certificates c
                                WHERE c.domain_id = d.domain_id AND c.created_at <= $3),
                               (SELECT c.created_at FROM certificates c
                                WHERE c.certificate_id = d.certificate_id AND c.created_at <= $3)) AS validated_at
               FROM domains d
               LEFT JOIN delegations g ON g.tenant_id = d.tenant_id AND g.name = $2
               LEFT JOIN zones z ON z.zone_id = g.zone_id
               WHERE d.name = $1 AND d.status <> 'deleted'"#,
            name.as_str(),
            name.base(),
            until,
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let zone = row.zone_id.map(ZoneId::from_uuid);
        let delegation = zone.zip(row.record_name);
        Ok(Some(NameHolder {
            domain_id: DomainId::from_uuid(row.domain_id),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            status: parsed("domains", &row.status)?,
            delegation: delegation.map(|(zone_id, record_name)| Delegation { zone_id, record_name }),
            validated_at: row.validated_at,
        }))
    }

    /// Lets a claim go until `next`. Its record is seen since `verified_at`; `None`: it is not.
    pub async fn put_off_claim(
        &self,
        claim: &DueClaim,
        verified_at: Option<OffsetDateTime>,
        next: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "WITH seen AS (
                 UPDATE ownership_proofs SET verified_at = $4
                 WHERE tenant_id = $1 AND name = $3 AND verified_at IS DISTINCT FROM $4::timestamptz
             )
             UPDATE ownership_claims SET next_look_at = $5, lease_until = NULL,
                 failures = CASE WHEN $4::timestamptz IS NULL THEN failures + 1 ELSE 0 END
             WHERE tenant_id = $1 AND name = $2",
            claim.tenant_id.uuid(),
            claim.wish.name.as_str(),
            claim.wish.name.base(),
            verified_at,
            next,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Tells the holder of a name that it will lose it at `until`.
    pub async fn warn_holder(
        &self,
        holder: DomainId,
        detail: &str,
        until: OffsetDateTime,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let code = ProblemCode::OwnershipConflict;
        open_problem(&mut tx, &[holder], code, detail, Some(until), chance, now).await?;
        Ok(tx.commit().await?)
    }

    /// Takes the name from its holder. The claim is looked at again once the name is free.
    pub async fn take_from_holder(
        &self,
        holder: DomainId,
        detail: &str,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let removal = Removal { domain: holder, kind: EventKind::OwnershipLost, detail };
        remove(&mut tx, &removal, chance, now).await?;
        Ok(tx.commit().await?)
    }

    /// Registers the domain that was claimed, proved as it is. `false`: somebody else was quicker.
    pub async fn fulfil_claim(
        &self,
        claim: &DueClaim,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!(
            "UPDATE ownership_proofs SET verified_at = $3 WHERE tenant_id = $1 AND name = $2",
            claim.tenant_id.uuid(),
            claim.wish.name.base(),
            now,
        )
        .execute(&mut *tx)
        .await?;
        let created = register(&mut tx, claim.tenant_id, &claim.wish, chance, now).await?;
        if created.is_some() {
            tx.commit().await?;
        }
        Ok(created.is_some())
    }

    /// Forgets a claim.
    pub async fn drop_claim(&self, claim: &DueClaim) -> Result<(), StoreError> {
        let (tenant, name): (Uuid, &str) = (claim.tenant_id.uuid(), claim.wish.name.as_str());
        sqlx::query!("DELETE FROM ownership_claims WHERE tenant_id = $1 AND name = $2", tenant, name)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
