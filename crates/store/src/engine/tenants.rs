//! The end of tenants, and the count of their domains.

use certmill_model::{Chance, DomainId, EventKind};
use time::OffsetDateTime;

use super::Engine;
use crate::{
    StoreError,
    removal::{Removal, remove},
};

/// Domains that are told to go in one transaction.
const BATCH: i64 = 200;

impl Engine {
    /// Takes off up to a few hundred domains of tenants whose grace is over at `now`, and marks those tenants deleted that
    /// have none any more. Returns how many domains were told to go: none means that there is nothing left to do for now.
    pub async fn end_tenants(&self, chance: &Chance, now: OffsetDateTime) -> Result<usize, StoreError> {
        let mut tx = self.pool.begin().await?;
        let leaving = sqlx::query_scalar!(
            "SELECT d.domain_id FROM tenants t JOIN domains d USING (tenant_id)
             WHERE t.status = 'pending_deletion' AND t.delete_after <= $1
               AND d.status NOT IN ('pending_deletion', 'deleted')
             ORDER BY d.domain_id LIMIT $2",
            now,
            BATCH,
        )
        .fetch_all(&mut *tx)
        .await?;
        for domain in &leaving {
            let removal = Removal {
                domain: DomainId::from_uuid(*domain),
                kind: EventKind::DomainDeletionRequested,
                detail: "Its tenant is deleted.",
            };
            remove(&mut tx, &removal, chance, now).await?;
        }
        sqlx::query!(
            // Its name is free again: a row that is kept for the audit log alone must not hold it.
            "UPDATE tenants t SET status = 'deleted', updated_at = $1, revision = revision + 1,
                 name = left(name, 150) || ' (' || tenant_id || ')'
             WHERE t.status = 'pending_deletion' AND t.delete_after <= $1
               AND NOT EXISTS (SELECT 1 FROM domains d WHERE d.tenant_id = t.tenant_id AND d.status <> 'deleted')",
            now,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(leaving.len())
    }

    /// Counts anew what counts towards quotas, one tenant after the other; the names of one that are registered meanwhile
    /// wait for that.
    pub async fn recount_quotas(&self) -> Result<(), StoreError> {
        let tenants = sqlx::query_scalar!("SELECT tenant_id FROM tenant_usage").fetch_all(&self.pool).await?;
        for tenant in tenants {
            let mut tx = self.pool.begin().await?;
            sqlx::query!("SELECT domains FROM tenant_usage WHERE tenant_id = $1 FOR UPDATE", tenant)
                .fetch_optional(&mut *tx)
                .await?;
            sqlx::query!(
                "UPDATE tenant_usage SET domains =
                     (SELECT count(*) FROM domains WHERE tenant_id = $1 AND status <> 'deleted')::integer
                 WHERE tenant_id = $1",
                tenant,
            )
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
