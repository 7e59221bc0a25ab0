//! DNS zones, and the TXT records that may stand in them.

use std::net::SocketAddr;

use certmill_model::{Hostname, OrderId, ZoneId};
use certmill_vault::{Secret, Vault};
use time::OffsetDateTime;

use super::{Engine, interval};
use crate::{
    StoreError,
    rows::{hostname, parsed},
    zones::credentials_place,
};

/// How long a removal may take at most: then another process takes the record up.
pub const REMOVAL: std::time::Duration = std::time::Duration::from_secs(180);

/// What stays in a zone that keeps a name from vanishing.
pub const EMPTY: &str = ".empty";

/// A zone that is written to.
pub struct Zone {
    /// Its id.
    pub zone_id: ZoneId,
    /// Its name.
    pub name: Hostname,
    /// Its provider, in the shape that crate `dns` reads.
    pub settings: serde_json::Value,
    /// Its authoritative servers; empty: those of its NS records.
    pub name_servers: Vec<SocketAddr>,
    /// What stands before a label in a record's name.
    pub record_prefix: String,
    /// Whether [`EMPTY`] stays after the values are gone.
    pub keep_empty: bool,
    /// When anything of it last changed.
    pub updated_at: OffsetDateTime,
    sealed_credentials: Option<Vec<u8>>,
}

impl Zone {
    /// The provider's secret, if it needs one.
    pub fn credentials(&self, vault: &Vault) -> Result<Option<Secret>, StoreError> {
        let place = credentials_place(self.zone_id);
        let sealed = self.sealed_credentials.as_deref();
        Ok(sealed.map(|sealed| vault.open(&place, sealed)).transpose()?)
    }
}

/// A value that may stand in a zone though its order is over.
#[derive(Clone, Debug)]
pub struct LeftRecord {
    /// The zone.
    pub zone_id: ZoneId,
    /// The record's name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Removals that failed, in a row.
    pub consecutive_failures: u32,
    /// Changes when somebody may have written it since.
    due_at: OffsetDateTime,
}

impl Engine {
    /// Every zone.
    pub async fn zones(&self) -> Result<Vec<Zone>, StoreError> {
        let rows = sqlx::query!(
            "SELECT zone_id, name, settings, sealed_credentials, record_prefix, name_servers, keep_empty, updated_at
             FROM zones"
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let servers = row.name_servers.iter().map(|server| parsed("zones", server));
                Ok(Zone {
                    zone_id: ZoneId::from_uuid(row.zone_id),
                    name: hostname("zones", &row.name)?,
                    settings: row.settings,
                    name_servers: servers.collect::<Result<_, StoreError>>()?,
                    record_prefix: row.record_prefix,
                    keep_empty: row.keep_empty,
                    updated_at: row.updated_at,
                    sealed_credentials: row.sealed_credentials,
                })
            })
            .collect()
    }

    /// Takes up to `limit` values whose order is over, to be removed by the caller alone for a while.
    pub async fn take_left_records(
        &self,
        limit: i64,
        now: OffsetDateTime,
    ) -> Result<Vec<LeftRecord>, StoreError> {
        let rows = sqlx::query!(
            "UPDATE txt_records SET lease_until = now() + $3
             WHERE (zone_id, name, value) IN (
                 SELECT t.zone_id, t.name, t.value FROM txt_records t LEFT JOIN orders o USING (order_id)
                 WHERE (t.order_id IS NULL OR o.status IN ('valid', 'invalid', 'cancelled'))
                   AND t.next_attempt_at <= $1 AND (t.lease_until IS NULL OR t.lease_until < now())
                   -- What keeps a name from vanishing goes last.
                   AND (t.value <> $4 OR NOT EXISTS (
                       SELECT 1 FROM txt_records v
                       WHERE v.zone_id = t.zone_id AND v.name = t.name AND v.value <> $4))
                 ORDER BY t.next_attempt_at LIMIT $2 FOR UPDATE OF t SKIP LOCKED)
             RETURNING zone_id, name, value, consecutive_failures, next_attempt_at",
            now,
            limit,
            interval(REMOVAL),
            EMPTY,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| LeftRecord {
                zone_id: ZoneId::from_uuid(row.zone_id),
                name: row.name,
                value: row.value,
                consecutive_failures: row.consecutive_failures.unsigned_abs(),
                due_at: row.next_attempt_at,
            })
            .collect())
    }

    /// Forgets a value that is removed, unless somebody may have written it meanwhile: then it is removed again.
    pub async fn record_removed(&self, record: &LeftRecord) -> Result<(), StoreError> {
        let done = sqlx::query!(
            "DELETE FROM txt_records t
             WHERE t.zone_id = $1 AND t.name = $2 AND t.value = $3 AND t.next_attempt_at = $4
               AND (t.order_id IS NULL OR EXISTS (
                   SELECT 1 FROM orders o WHERE o.order_id = t.order_id
                     AND o.status IN ('valid', 'invalid', 'cancelled')))",
            record.zone_id.uuid(),
            record.name,
            record.value,
            record.due_at,
        )
        .execute(&self.pool)
        .await?;
        if done.rows_affected() > 0 {
            return Ok(());
        }
        sqlx::query!(
            "UPDATE txt_records SET lease_until = NULL WHERE zone_id = $1 AND name = $2 AND value = $3",
            record.zone_id.uuid(),
            record.name,
            record.value,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Lets go of a value that could not be removed until `next`.
    pub async fn record_not_removed(
        &self,
        record: &LeftRecord,
        next: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE txt_records SET lease_until = NULL, consecutive_failures = consecutive_failures + 1,
                 next_attempt_at = $4
             WHERE zone_id = $1 AND name = $2 AND value = $3",
            record.zone_id.uuid(),
            record.name,
            record.value,
            next,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Says that values were written just now. Those whose order is over, or whose removal was under way, are removed
    /// (again): a domain may be deleted, and a lease lost, while a record is on its way.
    pub async fn records_written(
        &self,
        order: OrderId,
        records: &[(ZoneId, String, String)],
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        for (zone, name, value) in records {
            sqlx::query!(
                "INSERT INTO txt_records (zone_id, name, value, tenant_id, order_id, next_attempt_at)
                 SELECT $2, $3, $4, tenant_id, order_id, $5 FROM orders WHERE order_id = $1
                 ON CONFLICT (zone_id, name, value) DO UPDATE SET next_attempt_at = $5",
                order.uuid(),
                zone.uuid(),
                name,
                value,
                now,
            )
            .execute(&self.pool)
            .await?;
        }
        Ok(())
    }
}
