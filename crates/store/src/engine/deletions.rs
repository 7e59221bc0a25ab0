//! The end of a domain: off every load balancer, then a tombstone without keys.

use certmill_model::{Chance, DomainStatus, EventKind};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{
    DomainLease, EMPTY, Engine,
    domains::held,
    events::{StatusChange, add_changes},
};
use crate::StoreError;

impl Engine {
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
        lock_relatives(&mut tx, lease).await?;
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
        forget(&mut tx, lease, now).await?;
        sqlx::query!(
            "UPDATE tenant_usage SET domains = domains - 1 WHERE tenant_id = $1",
            lease.tenant_id.uuid()
        )
        .execute(&mut *tx)
        .await?;
        let turned = StatusChange {
            domain: lease.domain_id,
            from: DomainStatus::PendingDeletion,
            to: DomainStatus::Deleted,
        };
        add_changes(&mut tx, &[turned], EventKind::DomainDeleted, "", chance, now).await?;
        Ok(tx.commit().await?)
    }
}

/// Names that may share a certificate or a TXT record end one after the other, so that the last one sees that it is.
async fn lock_relatives(connection: &mut PgConnection, lease: &DomainLease) -> Result<(), StoreError> {
    sqlx::query!(
        r"SELECT count(*) FROM (
              SELECT pg_advisory_xact_lock(
                  hashtextextended(tenant_id::text || regexp_replace(name, '^(\*|www)\.', ''), 0))
              FROM domains WHERE domain_id = $1) AS locked",
        lease.domain_id.uuid(),
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// Removes what a tombstone needs no more, its keys above all, but not that of a certificate which another domain has.
async fn forget(
    connection: &mut PgConnection,
    lease: &DomainLease,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    // A certificate that another domain has as well is that one's from now on.
    sqlx::query!(
        "UPDATE certificates c SET domain_id = x.domain_id FROM domains x
         WHERE c.domain_id = $1 AND x.name = ANY(c.names) AND x.status <> 'deleted'
           AND x.certificate_id = c.certificate_id AND x.domain_id <> $1",
        lease.domain_id.uuid(),
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "WITH solved AS (
             DELETE FROM problems WHERE domain_id = $1
         ), seen AS (
             DELETE FROM checks WHERE domain_id = $1
         ), sorted AS (
             DELETE FROM domain_tags WHERE domain_id = $1
         ), kept AS (
             DELETE FROM domain_metadata WHERE domain_id = $1
         ), answered AS (
             DELETE FROM challenges WHERE order_id IN (SELECT order_id FROM orders WHERE domain_id = $1)
         ), closed AS (
             UPDATE orders SET sealed_key = NULL WHERE domain_id = $1 AND sealed_key IS NOT NULL
         )
         UPDATE certificates c SET sealed_key = NULL
         FROM domains d
         WHERE d.domain_id = $1 AND (c.domain_id = $1 OR c.certificate_id = d.certificate_id)
           AND c.sealed_key IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM domains x WHERE x.name = ANY(c.names) AND x.status <> 'deleted'
                           AND x.certificate_id = c.certificate_id AND x.domain_id <> $1)",
        lease.domain_id.uuid(),
    )
    .execute(&mut *connection)
    .await?;
    forget_empty_record(connection, lease, now).await
}

/// What kept the name of the TXT record from vanishing goes with the last domain that is proved there.
async fn forget_empty_record(
    connection: &mut PgConnection,
    lease: &DomainLease,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        r"INSERT INTO txt_records (zone_id, name, value, tenant_id, order_id, next_attempt_at)
         SELECT z.zone_id, z.record_prefix || g.label || '.' || z.name, $3, d.tenant_id, NULL, $2
         FROM domains d
         JOIN delegations g ON g.tenant_id = d.tenant_id AND g.name = regexp_replace(d.name, '^\*\.', '')
         JOIN zones z ON z.zone_id = g.zone_id AND z.keep_empty
         WHERE d.domain_id = $1
           AND NOT EXISTS (SELECT 1 FROM domains x WHERE x.tenant_id = d.tenant_id AND x.status <> 'deleted'
                           AND x.name IN (g.name, '*.' || g.name) AND x.domain_id <> $1)
         ON CONFLICT (zone_id, name, value) DO NOTHING",
        lease.domain_id.uuid(),
        now,
        EMPTY,
    )
    .execute(connection)
    .await?;
    Ok(())
}
