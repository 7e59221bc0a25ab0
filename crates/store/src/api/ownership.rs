//! The record by which the owner of a name says that it is a tenant's, and claims to names that another holds.

use certmill_model::{Chance, Hostname, KeyType, Label, OwnershipRecord};
use time::OffsetDateTime;

use super::{DomainWish, TenantTx};
use crate::{StoreError, ownership, registration::labels};

/// The least time between two looks at a claim that somebody asks for.
const BETWEEN_LOOKS: time::Duration = time::Duration::seconds(2);

impl TenantTx {
    /// The record by which the owner of `name` says that it is this tenant's; it is made when it is asked for first.
    pub async fn ownership_record(
        &mut self,
        name: &Hostname,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<OwnershipRecord, StoreError> {
        let tenant = self.tenant;
        ownership::record(self.connection(), tenant, name, chance, now).await
    }

    /// Claims a name that another tenant holds, after [`StoreError::NameTaken`]. Once the record that is answered is seen,
    /// the name comes to this tenant, as `wish` wants it, unless its holder proves it as well. Claimed again, it is looked
    /// at soon, and the week in which it must be proved begins anew.
    pub async fn claim_name(
        &mut self,
        wish: &DomainWish,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<OwnershipRecord, StoreError> {
        let record = self.ownership_record(&wish.name, chance, now).await?;
        let (tags, metadata) = labels(wish);
        sqlx::query!(
            "INSERT INTO ownership_claims AS c (tenant_id, name, external_id, template, key_type, created_at, next_look_at, tags,
                                               metadata)
             VALUES ($1, $2, $3, $4, $5, $6, $6, $9, $10)
             ON CONFLICT (tenant_id, name) DO UPDATE SET external_id = $3, template = $4, key_type = $5, tags = $9, metadata = $10,
                 failures = 0,
                 -- A record that is seen already was seen for this claim.
                 created_at = CASE WHEN EXISTS (SELECT 1 FROM ownership_proofs p WHERE p.tenant_id = $1 AND p.name = $7
                                                AND p.verified_at >= c.created_at) THEN c.created_at ELSE $6 END,
                 next_look_at = LEAST(c.next_look_at, $8)",
            self.tenant.uuid(),
            wish.name.as_str(),
            wish.external_id.as_ref().map(Label::as_str),
            wish.template.as_ref().map(ToString::to_string),
            wish.key_type.map(KeyType::as_str),
            now,
            wish.name.base(),
            now + BETWEEN_LOOKS,
            &tags,
            metadata,
        )
        .execute(self.connection())
        .await?;
        Ok(record)
    }
}
