//! Tenants, as those see and change them who run the platform, or the tenant.

use certmill_model::{Branding, GroupId, Logo, ProductName, SupportUrl, TenantId, TenantStatus};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    ScopedTx,
    tenants::{Tenant, TenantColumns},
};
use crate::{StoreError, redelivery, rows::parsed};

/// A tenant with all that is set for it.
#[derive(Clone, Debug)]
pub struct TenantRow {
    /// What its domains are served and ordered with.
    pub tenant: Tenant,
    /// Where it is.
    pub status: TenantStatus,
    /// When its domains are taken off the load balancers, if it is being deleted.
    pub delete_after: Option<OffsetDateTime>,
    /// Domains at most; `None`: no limit.
    pub quota_domains: Option<i32>,
    /// Requests a minute at most, of each token; `None`: the platform's.
    pub quota_requests: Option<i32>,
    /// The group of load balancers that serves it; `None`: all.
    pub target_group: Option<GroupId>,
    /// How it appears.
    pub branding: Branding,
    /// Whether it has a logo.
    pub has_logo: bool,
    /// Its domains, as last counted.
    pub domains: i64,
    /// Grows with each change.
    pub revision: i64,
    /// When it was added.
    pub created_at: OffsetDateTime,
}

/// What is to become of a tenant.
#[derive(Clone, Debug)]
pub struct TenantChange {
    /// What its domains are served and ordered with; under its id.
    pub tenant: Tenant,
    /// Domains at most.
    pub quota_domains: Option<i32>,
    /// Requests a minute at most, of each token.
    pub quota_requests: Option<i32>,
    /// The group of load balancers that serves it.
    pub target_group: Option<GroupId>,
    /// How it appears.
    pub branding: Branding,
    /// Another logo, or none; `None`: as it is.
    pub logo: Option<Option<Logo>>,
}

impl From<&TenantRow> for TenantChange {
    fn from(row: &TenantRow) -> Self {
        Self {
            tenant: row.tenant.clone(),
            quota_domains: row.quota_domains,
            quota_requests: row.quota_requests,
            target_group: row.target_group,
            branding: row.branding.clone(),
            logo: None,
        }
    }
}

impl ScopedTx {
    /// Up to `limit` tenants that are seen, by name, behind the name `after`.
    pub async fn list_tenant_rows(
        &mut self,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<TenantRow>, StoreError> {
        self.select_tenants(None, after, limit).await
    }

    /// The tenant with this id.
    pub async fn find_tenant_row(&mut self, id: TenantId) -> Result<Option<TenantRow>, StoreError> {
        Ok(self.select_tenants(Some(id), None, 1).await?.pop())
    }

    /// The same, and nobody else changes it until the transaction ends.
    pub async fn lock_tenant_row(&mut self, id: TenantId) -> Result<Option<TenantRow>, StoreError> {
        let only = self.only();
        sqlx::query!(
            "SELECT revision FROM tenants WHERE tenant_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2)
             FOR NO KEY UPDATE",
            id.uuid(),
            only,
        )
        .fetch_optional(self.connection())
        .await?;
        self.find_tenant_row(id).await
    }

    /// Adds a tenant. [`StoreError::Taken`]: another one has the name.
    pub async fn add_tenant(&mut self, new: &TenantChange, now: OffsetDateTime) -> Result<(), StoreError> {
        let tenant = &new.tenant;
        sqlx::query!(
            "INSERT INTO tenants (tenant_id, name, template, upstream, key_type, authorities, quota_domains, quota_requests,
                                  target_group_id, branding, logo, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)",
            tenant.tenant_id.uuid(),
            tenant.name.as_str(),
            tenant.template.to_string(),
            tenant.upstream.to_string(),
            tenant.key_type.as_str(),
            tenant.authorities.as_deref(),
            new.quota_domains,
            new.quota_requests,
            new.target_group.map(GroupId::uuid),
            stored(&new.branding),
            new.logo.as_ref().and_then(Option::as_ref).map(Logo::as_bytes),
            now,
        )
        .execute(self.connection())
        .await
        .map_err(|error| StoreError::taken(error, "tenants_name_key", "name"))?;
        Ok(())
    }

    /// Changes `before`, as it was read. [`StoreError::Stale`]: it was changed since; [`StoreError::Taken`]: another one has
    /// the name.
    pub async fn change_tenant(
        &mut self,
        before: &TenantRow,
        change: &TenantChange,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let (tenant, only) = (&change.tenant, self.only());
        let done = sqlx::query!(
            "UPDATE tenants SET name = $4, template = $5, upstream = $6, key_type = $7, authorities = $8, quota_domains = $9,
                 quota_requests = $10, target_group_id = $11, branding = $12,
                 logo = CASE WHEN $13 THEN $14 ELSE logo END, revision = revision + 1, updated_at = $15
             WHERE tenant_id = $1 AND revision = $2 AND ($3::uuid IS NULL OR tenant_id = $3)",
            tenant.tenant_id.uuid(),
            before.revision,
            only,
            tenant.name.as_str(),
            tenant.template.to_string(),
            tenant.upstream.to_string(),
            tenant.key_type.as_str(),
            tenant.authorities.as_deref(),
            change.quota_domains,
            change.quota_requests,
            change.target_group.map(GroupId::uuid),
            stored(&change.branding),
            change.logo.is_some(),
            change.logo.as_ref().and_then(Option::as_ref).map(Logo::as_bytes),
            now,
        )
        .execute(self.connection())
        .await
        .map_err(|error| StoreError::taken(error, "tenants_name_key", "name"))?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Stale);
        }
        let old = &before.tenant;
        if (&old.template, &old.upstream) != (&tenant.template, &tenant.upstream) {
            redelivery::begin(self.connection(), tenant.tenant_id.uuid(), now).await?;
        }
        Ok(())
    }

    /// Moves a tenant, as it was read, to another status; `delete_after` belongs to one that is being deleted.
    /// [`StoreError::Stale`]: it was changed since.
    pub async fn set_tenant_status(
        &mut self,
        before: &TenantRow,
        status: TenantStatus,
        delete_after: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let only = self.only();
        let done = sqlx::query!(
            "UPDATE tenants SET status = $4, delete_after = $5, revision = revision + 1, updated_at = $6
             WHERE tenant_id = $1 AND revision = $2 AND ($3::uuid IS NULL OR tenant_id = $3)",
            before.tenant.tenant_id.uuid(),
            before.revision,
            only,
            status.as_str(),
            delete_after,
            now,
        )
        .execute(self.connection())
        .await?;
        if done.rows_affected() == 0 { Err(StoreError::Stale) } else { Ok(()) }
    }

    /// The logo of the tenant that this transaction is of.
    pub async fn tenant_logo(&mut self) -> Result<Option<Logo>, StoreError> {
        let only = self.only();
        let bytes = sqlx::query_scalar!(
            "SELECT logo FROM tenants WHERE tenant_id = $1 AND status <> 'deleted'",
            only
        )
        .fetch_optional(self.connection())
        .await?;
        let logo = bytes.flatten().map(Logo::parse).transpose();
        logo.map_err(|error| StoreError::inconsistent("tenants", error))
    }

    async fn select_tenants(
        &mut self,
        id: Option<TenantId>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<TenantRow>, StoreError> {
        let only = self.only();
        sqlx::query_as!(
            RowColumns,
            r#"SELECT tenant_id, name, template, upstream, key_type, authorities, status, delete_after, quota_domains,
                      quota_requests, target_group_id, branding, logo IS NOT NULL AS "has_logo!", revision, created_at,
                      COALESCE((SELECT sum(r.count) FROM rollup_domains r
                                WHERE r.tenant_id = t.tenant_id AND r.status <> 'deleted'), 0)::bigint AS "domains!"
               FROM tenants t
               WHERE ($1::uuid IS NULL OR tenant_id = $1) AND ($2::uuid IS NULL OR tenant_id = $2)
                 AND ($3::text IS NULL OR name > $3) AND status <> 'deleted'
               ORDER BY name LIMIT $4"#,
            only,
            id.map(TenantId::uuid),
            after,
            limit,
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(TenantRow::try_from)
        .collect()
    }
}

struct RowColumns {
    tenant_id: Uuid,
    name: String,
    template: String,
    upstream: String,
    key_type: String,
    authorities: Option<Vec<String>>,
    status: String,
    delete_after: Option<OffsetDateTime>,
    quota_domains: Option<i32>,
    quota_requests: Option<i32>,
    target_group_id: Option<Uuid>,
    branding: serde_json::Value,
    has_logo: bool,
    domains: i64,
    revision: i64,
    created_at: OffsetDateTime,
}

impl TryFrom<RowColumns> for TenantRow {
    type Error = StoreError;

    fn try_from(row: RowColumns) -> Result<Self, StoreError> {
        let RowColumns { tenant_id, name, template, upstream, key_type, authorities, .. } = row;
        Ok(Self {
            tenant: TenantColumns { tenant_id, name, template, upstream, key_type, authorities }
                .try_into()?,
            status: parsed("tenants", &row.status)?,
            delete_after: row.delete_after,
            quota_domains: row.quota_domains,
            quota_requests: row.quota_requests,
            target_group: row.target_group_id.map(GroupId::from_uuid),
            branding: branding(&row.branding),
            has_logo: row.has_logo,
            domains: row.domains,
            revision: row.revision,
            created_at: row.created_at,
        })
    }
}

fn stored(branding: &Branding) -> serde_json::Value {
    let fields = [
        ("product_name", branding.product_name.as_ref().map(|name| json!(name.as_str()))),
        ("support_url", branding.support_url.as_ref().map(|url| json!(url.as_str()))),
        ("accent", branding.accent.map(|accent| json!(accent.to_string()))),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// What was stored by other rules than today's is left out: nobody is to be locked out by the look of a page.
fn branding(stored: &serde_json::Value) -> Branding {
    let text = |field: &str| stored.get(field).and_then(serde_json::Value::as_str);
    Branding {
        product_name: text("product_name").and_then(|text| ProductName::parse(text).ok()),
        support_url: text("support_url").and_then(|text| SupportUrl::parse(text).ok()),
        accent: text("accent").and_then(|text| text.parse().ok()),
    }
}
