//! DNS zones of the platform, as operators see and add them.

use std::net::SocketAddr;

use certmill_model::{Hostname, ZoneId};
use certmill_vault::{Secret, Vault};
use time::OffsetDateTime;

use super::PlatformTx;
use crate::{
    StoreError, WAKE_CHANNEL,
    rows::{hostname, parsed},
    zones::credentials_place,
};

/// A zone that certmill is to write TXT records to.
pub struct NewZone<'a> {
    /// Its id, if its name is new.
    pub zone_id: ZoneId,
    /// Its name.
    pub name: Hostname,
    /// Its provider, in the shape that crate `dns` reads; nothing secret.
    pub settings: serde_json::Value,
    /// The provider's secret; `None` keeps the one that is stored.
    pub credentials: Option<&'a Secret>,
    /// What stands before a label in a record's name.
    pub record_prefix: &'a str,
    /// Its authoritative servers; empty: those of its NS records.
    pub name_servers: &'a [SocketAddr],
    /// Whether a TXT record `.empty` stays after the values are gone.
    pub keep_empty: bool,
}

/// A zone as it stands, without its secret, which nobody reads through this door.
#[derive(Clone, Debug)]
pub struct ZoneRow {
    /// Its id.
    pub zone_id: ZoneId,
    /// Its name.
    pub name: Hostname,
    /// Its provider.
    pub settings: serde_json::Value,
    /// What stands before a label in a record's name.
    pub record_prefix: String,
    /// Its authoritative servers, where they are named.
    pub name_servers: Vec<SocketAddr>,
    /// Whether a TXT record `.empty` stays after the values are gone.
    pub keep_empty: bool,
    /// Names whose owners were told to point into it.
    pub delegations: i64,
}

impl PlatformTx {
    /// Adds a zone, or changes the one with that name. Names that came in while there was no zone belong to it from now
    /// on, and what waits for a zone is looked at again.
    pub async fn put_zone(
        &mut self,
        zone: &NewZone<'_>,
        vault: &Vault,
        now: OffsetDateTime,
    ) -> Result<ZoneId, StoreError> {
        let known = sqlx::query_scalar!("SELECT zone_id FROM zones WHERE name = $1", zone.name.as_str())
            .fetch_optional(self.connection())
            .await?;
        let id = known.map_or(zone.zone_id, ZoneId::from_uuid);
        let servers: Vec<_> = zone.name_servers.iter().map(ToString::to_string).collect();
        sqlx::query!(
            "INSERT INTO zones (zone_id, name, settings, sealed_credentials, record_prefix, name_servers, keep_empty,
                                created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
             ON CONFLICT (name) DO UPDATE SET settings = $3, name_servers = $6, keep_empty = $7, updated_at = $8",
            id.uuid(),
            zone.name.as_str(),
            zone.settings,
            zone.credentials.map(|secret| vault.seal(&credentials_place(id), secret)),
            zone.record_prefix,
            &servers,
            zone.keep_empty,
            now,
        )
        .execute(self.connection())
        .await?;
        if let (Some(_), Some(secret)) = (known, zone.credentials) {
            sqlx::query!(
                "UPDATE zones SET sealed_credentials = $2 WHERE zone_id = $1",
                id.uuid(),
                vault.seal(&credentials_place(id), secret),
            )
            .execute(self.connection())
            .await?;
        }
        sqlx::query!("UPDATE delegations SET zone_id = $1 WHERE zone_id IS NULL", id.uuid())
            .execute(self.connection())
            .await?;
        sqlx::query!(
            "UPDATE domains SET next_action_at = $1, check_after = $1
             WHERE next_action_at > $1 AND domain_id IN (
                 SELECT d.domain_id FROM domains d JOIN problems p USING (domain_id)
                 WHERE p.code IN ('dns_zone_unavailable', 'dns_not_propagated')
                 ORDER BY d.domain_id FOR NO KEY UPDATE OF d)",
            now,
        )
        .execute(self.connection())
        .await?;
        sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(self.connection()).await?;
        Ok(id)
    }

    /// Every zone, by name.
    pub async fn list_zones(&mut self) -> Result<Vec<ZoneRow>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT zone_id, name, settings, record_prefix, name_servers, keep_empty,
                      (SELECT count(*) FROM delegations d WHERE d.zone_id = z.zone_id) AS "delegations!"
               FROM zones z ORDER BY name"#
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                let servers = row.name_servers.iter().map(|server| parsed("zones", server));
                Ok(ZoneRow {
                    zone_id: ZoneId::from_uuid(row.zone_id),
                    name: hostname("zones", &row.name)?,
                    settings: row.settings,
                    record_prefix: row.record_prefix,
                    name_servers: servers.collect::<Result<_, StoreError>>()?,
                    keep_empty: row.keep_empty,
                    delegations: row.delegations,
                })
            })
            .collect()
    }

    /// Forgets a zone. `false`: names are delegated to it, or values of ours stand in it.
    pub async fn remove_zone(&mut self, zone: ZoneId) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM zones WHERE zone_id = $1
             AND NOT EXISTS (SELECT 1 FROM delegations WHERE zone_id = $1)
             AND NOT EXISTS (SELECT 1 FROM txt_records WHERE zone_id = $1)",
            zone.uuid(),
        )
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() > 0)
    }
}
