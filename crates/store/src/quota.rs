//! How many more domains a tenant may have.

use certmill_model::TenantId;
use sqlx::PgConnection;

use crate::StoreError;

/// Whether the tenant counts its domains.
pub(crate) enum Room {
    /// It has no quota: nothing is locked, nothing counted.
    Unlimited,
    /// It has room for so many more, and no other transaction takes it before this one ends.
    Counted(i32),
}

impl Room {
    /// Whether there is room for one more.
    pub(crate) fn for_one(self) -> Result<Self, StoreError> {
        match self {
            Self::Counted(..1) => Err(StoreError::QuotaReached),
            room => Ok(room),
        }
    }
}

/// How many more domains `tenant` may have. Fails if it takes no new names.
pub(crate) async fn room(connection: &mut PgConnection, tenant: TenantId) -> Result<Room, StoreError> {
    let known = sqlx::query!("SELECT status, quota_domains FROM tenants WHERE tenant_id = $1", tenant.uuid())
        .fetch_one(&mut *connection)
        .await?;
    if known.status != "active" {
        return Err(StoreError::Suspended);
    }
    let Some(quota) = known.quota_domains else { return Ok(Room::Unlimited) };
    // Counted once, and kept up to date from then on.
    sqlx::query!(
        "INSERT INTO tenant_usage (tenant_id, domains)
         SELECT $1, (SELECT count(*) FROM domains WHERE tenant_id = $1 AND status <> 'deleted')::integer
         WHERE NOT EXISTS (SELECT 1 FROM tenant_usage WHERE tenant_id = $1)
         ON CONFLICT (tenant_id) DO NOTHING",
        tenant.uuid(),
    )
    .execute(&mut *connection)
    .await?;
    let domains = sqlx::query_scalar!(
        "SELECT domains FROM tenant_usage WHERE tenant_id = $1 FOR UPDATE",
        tenant.uuid(),
    )
    .fetch_one(connection)
    .await?;
    Ok(Room::Counted(quota - domains))
}

/// Counts `more` domains of a tenant that counts.
pub(crate) async fn count_more(
    connection: &mut PgConnection,
    tenant: TenantId,
    more: i32,
) -> Result<(), StoreError> {
    sqlx::query!("UPDATE tenant_usage SET domains = domains + $2 WHERE tenant_id = $1", tenant.uuid(), more)
        .execute(connection)
        .await?;
    Ok(())
}
