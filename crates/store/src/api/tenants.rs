//! Tenants.

use std::collections::BTreeMap;

use certmill_model::{KeyType, Label, TemplateRef, TenantId, UpstreamAddress};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{PlatformTx, ScopedTx};
use crate::{StoreError, redelivery, rows::parsed};

/// A tenant: a brand of the platform, with its shops behind one upstream.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its id.
    pub tenant_id: TenantId,
    /// Its name, unique on the platform.
    pub name: Label,
    /// The template of its domains that name none.
    pub template: TemplateRef,
    /// Where its shops' requests go behind the load balancers.
    pub upstream: UpstreamAddress,
    /// The kind of key of its domains that name none.
    pub key_type: KeyType,
    /// The names of the CAs that are asked for its domains, the preferred one first; `None`: the platform's list.
    pub authorities: Option<Vec<String>>,
}

pub(super) struct TenantColumns {
    pub(super) tenant_id: Uuid,
    pub(super) name: String,
    pub(super) template: String,
    pub(super) upstream: String,
    pub(super) key_type: String,
    pub(super) authorities: Option<Vec<String>>,
}

impl TryFrom<TenantColumns> for Tenant {
    type Error = StoreError;

    fn try_from(row: TenantColumns) -> Result<Self, StoreError> {
        let inconsistent = |error| StoreError::inconsistent("tenants", error);
        Ok(Self {
            tenant_id: TenantId::from_uuid(row.tenant_id),
            name: Label::parse(&row.name).map_err(|error| inconsistent(error.to_string()))?,
            template: parsed("tenants", &row.template)?,
            upstream: UpstreamAddress::parse(&row.upstream)
                .map_err(|error| inconsistent(error.to_string()))?,
            key_type: parsed("tenants", &row.key_type)?,
            authorities: row.authorities,
        })
    }
}

impl ScopedTx {
    /// Whether there is a tenant with this id that can be seen from here.
    pub async fn has_tenant(&mut self, tenant: TenantId) -> Result<bool, StoreError> {
        let only = self.only();
        let found = sqlx::query_scalar!(
            "SELECT 1 AS one FROM tenants WHERE tenant_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2) AND status <> 'deleted'",
            tenant.uuid(),
            only,
        )
        .fetch_optional(self.connection())
        .await?;
        Ok(found.is_some())
    }
}

impl PlatformTx {
    /// Adds a tenant, or changes the template and upstream of the one with that name. Its list of CAs is changed only by
    /// another list.
    pub async fn put_tenant(&mut self, tenant: &Tenant, now: OffsetDateTime) -> Result<TenantId, StoreError> {
        let row = sqlx::query!(
            r#"WITH before AS (SELECT tenant_id, template, upstream FROM tenants WHERE name = $2)
             INSERT INTO tenants (tenant_id, name, template, upstream, created_at, key_type, authorities)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (name) DO UPDATE SET template = EXCLUDED.template, upstream = EXCLUDED.upstream,
                 key_type = EXCLUDED.key_type, authorities = COALESCE(EXCLUDED.authorities, tenants.authorities),
                 revision = tenants.revision + 1, updated_at = $5
             RETURNING tenant_id,
                 EXISTS (SELECT 1 FROM before WHERE template <> $3 OR upstream <> $4) AS "changed!""#,
            tenant.tenant_id.uuid(),
            tenant.name.as_str(),
            tenant.template.to_string(),
            tenant.upstream.to_string(),
            now,
            tenant.key_type.as_str(),
            tenant.authorities.as_deref(),
        )
        .fetch_one(self.connection())
        .await?;
        if row.changed {
            redelivery::begin(self.connection(), row.tenant_id, now).await?;
        }
        Ok(TenantId::from_uuid(row.tenant_id))
    }

    /// The tenant called `name`.
    pub async fn find_tenant(&mut self, name: &str) -> Result<Option<Tenant>, StoreError> {
        sqlx::query_as!(
            TenantColumns,
            "SELECT tenant_id, name, template, upstream, key_type, authorities FROM tenants
             WHERE name = $1 AND status <> 'deleted'",
            name
        )
        .fetch_optional(self.connection())
        .await?
        .map(Tenant::try_from)
        .transpose()
    }

    /// Every tenant, by name.
    pub async fn list_tenants(&mut self) -> Result<Vec<Tenant>, StoreError> {
        sqlx::query_as!(
            TenantColumns,
            "SELECT tenant_id, name, template, upstream, key_type, authorities FROM tenants
             WHERE status <> 'deleted' ORDER BY name"
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(Tenant::try_from)
        .collect()
    }
}

impl ScopedTx {
    /// The id of the tenant with this id or name, if it is one that is seen.
    pub async fn resolve_tenant(&mut self, id_or_name: &str) -> Result<Option<TenantId>, StoreError> {
        // The database takes no NUL, and no name has one.
        if id_or_name.contains('\0') {
            return Ok(None);
        }
        let only = self.only();
        let id: Option<TenantId> = id_or_name.parse().ok();
        let found = sqlx::query_scalar!(
            "SELECT tenant_id FROM tenants
             WHERE (tenant_id = $1 OR name = $2) AND ($3::uuid IS NULL OR tenant_id = $3) AND status <> 'deleted'
             ORDER BY tenant_id = $1 DESC LIMIT 1",
            id.map(TenantId::uuid),
            id_or_name,
            only,
        )
        .fetch_optional(self.connection())
        .await?;
        Ok(found.map(TenantId::from_uuid))
    }

    /// The names of those of `tenants` that are seen.
    pub async fn tenant_names(
        &mut self,
        tenants: &[TenantId],
    ) -> Result<BTreeMap<TenantId, String>, StoreError> {
        let only = self.only();
        let ids: Vec<_> = tenants.iter().map(|tenant| tenant.uuid()).collect();
        let rows = sqlx::query!(
            "SELECT tenant_id, name FROM tenants WHERE tenant_id = ANY($1) AND ($2::uuid IS NULL OR tenant_id = $2)",
            &ids,
            only,
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows.into_iter().map(|row| (TenantId::from_uuid(row.tenant_id), row.name)).collect())
    }
}
