//! The record by which the owner of a name says which tenant may have it.

use certmill_model::{Chance, Hostname, OwnershipRecord, TenantId};
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::StoreError;

/// The record of `tenant` for `name`: made once, and the same for ever.
pub(crate) async fn record(
    connection: &mut PgConnection,
    tenant: TenantId,
    name: &Hostname,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<OwnershipRecord, StoreError> {
    sqlx::query!(
        "INSERT INTO ownership_proofs (tenant_id, name, value, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, name) DO NOTHING",
        tenant.uuid(),
        name.base(),
        chance.label(),
        now,
    )
    .execute(&mut *connection)
    .await?;
    let value = sqlx::query_scalar!(
        "SELECT value FROM ownership_proofs WHERE tenant_id = $1 AND name = $2",
        tenant.uuid(),
        name.base(),
    )
    .fetch_one(connection)
    .await?;
    Ok(OwnershipRecord::new(name, value))
}
