//! Groups of load balancers: which tenants are served where, and moves from one group to another.

use std::collections::HashMap;

use certmill_model::{DomainId, GroupId, TenantId};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Engine, deployments::lock_domains};
use crate::{StoreError, WAKE_CHANNEL, redelivery};

/// Domains that are looked at in one transaction.
const BATCH: i64 = 500;

/// What one look at a tenant that moves has come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Move {
    /// Everything stands where it belongs, and nowhere else.
    Done,
    /// Something is still to be delivered there, or to be taken off here.
    UnderWay,
}

impl Engine {
    /// The tenants that are served by one group alone.
    pub async fn grouped_tenants(&self) -> Result<HashMap<TenantId, GroupId>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT tenant_id, target_group_id AS "group_id!" FROM tenants WHERE target_group_id IS NOT NULL"#
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| (TenantId::from_uuid(row.tenant_id), GroupId::from_uuid(row.group_id)))
            .collect())
    }

    /// Up to `limit` tenants that move, with the instant that this was last asked for.
    pub async fn moving_tenants(&self, limit: i64) -> Result<Vec<(TenantId, OffsetDateTime)>, StoreError> {
        let rows =
            sqlx::query!("SELECT tenant_id, asked_at FROM group_moves ORDER BY asked_at LIMIT $1", limit)
                .fetch_all(&self.pool)
                .await?;
        Ok(rows.into_iter().map(|row| (TenantId::from_uuid(row.tenant_id), row.asked_at)).collect())
    }

    /// Looks at every domain of a tenant that moves: it is placed where it belongs, and what stands elsewhere is taken off as
    /// soon as it is served where it belongs. `asked_at` ends the move, unless it was asked for again since.
    pub async fn move_tenant(
        &self,
        tenant: TenantId,
        asked_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<Move, StoreError> {
        let (mut after, mut open) = (String::new(), 0);
        loop {
            let batch = sqlx::query!(
                "SELECT domain_id, name FROM domains WHERE tenant_id = $1 AND name > $2 AND status <> 'deleted'
                 ORDER BY name LIMIT $3",
                tenant.uuid(),
                after,
                BATCH,
            )
            .fetch_all(&self.pool)
            .await?;
            let Some(last) = batch.last() else { break };
            after.clone_from(&last.name);
            let ids: Vec<_> = batch.iter().map(|row| row.domain_id).collect();
            let mut tx = self.pool.begin().await?;
            lock_domains(&mut tx, ids.iter().copied().map(DomainId::from_uuid)).await?;
            open += place(&mut tx, &ids, now).await? + retire(&mut tx, &ids, now).await?;
            open += left_elsewhere(&mut tx, &ids).await?;
            tx.commit().await?;
        }
        if open > 0 {
            sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(&self.pool).await?;
            return Ok(Move::UnderWay);
        }
        sqlx::query!(
            "DELETE FROM group_moves WHERE tenant_id = $1 AND asked_at = $2",
            tenant.uuid(),
            asked_at,
        )
        .execute(&self.pool)
        .await?;
        Ok(Move::Done)
    }

    /// Brings the next part of a tenant's domains to load balancers with what was changed for all of them; tenants take turns.
    /// `false`: nothing is left to do, or others are at it.
    pub async fn redeliver_more(&self, now: OffsetDateTime) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let next = sqlx::query!(
            "SELECT tenant_id, after_name FROM redeliveries ORDER BY turn_at LIMIT 1 FOR UPDATE SKIP LOCKED"
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(next) = next else { return Ok(false) };
        redelivery::go_on(&mut tx, next.tenant_id, &next.after_name, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Places domains where they belong and are not; one that was about to be taken off there stays.
async fn place(
    connection: &mut PgConnection,
    domains: &[Uuid],
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    let placed = sqlx::query!(
        "INSERT INTO placements (target_id, domain_id, tenant_id, shard, wanted_certificate_id, wanted_revision, pending,
                                 next_attempt_at)
         SELECT t.target_id, d.domain_id, d.tenant_id, get_byte(uuid_send(d.domain_id), 15), d.certificate_id, d.revision,
                true, $2
         FROM domains d JOIN tenants n USING (tenant_id)
         JOIN targets t ON n.target_group_id IS NULL OR t.group_id = n.target_group_id
         WHERE d.domain_id = ANY($1) AND d.certificate_id IS NOT NULL AND d.status NOT IN ('pending_deletion', 'deleted')
         ON CONFLICT (target_id, domain_id) DO UPDATE SET wanted_certificate_id = EXCLUDED.wanted_certificate_id,
             wanted_revision = EXCLUDED.wanted_revision, pending = true, consecutive_failures = 0, next_attempt_at = $2
         WHERE placements.wanted_certificate_id IS NULL",
        domains,
        now,
    )
    .execute(connection)
    .await?;
    Ok(placed.rows_affected())
}

/// Has domains taken off load balancers that are not their tenant's any more, once all of those that are do serve them.
async fn retire(
    connection: &mut PgConnection,
    domains: &[Uuid],
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    let retired = sqlx::query!(
        "UPDATE placements p SET wanted_certificate_id = NULL, pending = true, consecutive_failures = 0, next_attempt_at = $2
         FROM tenants n, targets t
         WHERE p.domain_id = ANY($1) AND n.tenant_id = p.tenant_id AND t.target_id = p.target_id
           AND n.target_group_id IS NOT NULL AND t.group_id IS DISTINCT FROM n.target_group_id
           AND p.wanted_certificate_id IS NOT NULL
           AND EXISTS (
               SELECT 1 FROM placements own JOIN targets o ON o.target_id = own.target_id
               WHERE own.domain_id = p.domain_id AND o.group_id = n.target_group_id AND o.state <> 'disabled'
                 AND own.served_certificate_id IS NOT NULL AND NOT own.pending)
           AND NOT EXISTS (
               SELECT 1 FROM placements own JOIN targets o ON o.target_id = own.target_id
               WHERE own.domain_id = p.domain_id AND o.group_id = n.target_group_id AND o.state <> 'disabled'
                 AND own.pending)",
        domains,
        now,
    )
    .execute(connection)
    .await?;
    Ok(retired.rows_affected())
}

/// How many placements are still where they do not belong.
async fn left_elsewhere(connection: &mut PgConnection, domains: &[Uuid]) -> Result<u64, StoreError> {
    let left = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM placements p
           JOIN tenants n ON n.tenant_id = p.tenant_id JOIN targets t ON t.target_id = p.target_id
           WHERE p.domain_id = ANY($1) AND n.target_group_id IS NOT NULL
             AND t.group_id IS DISTINCT FROM n.target_group_id"#,
        domains,
    )
    .fetch_one(connection)
    .await?;
    Ok(left.unsigned_abs())
}
