//! Certificates, orders and deliveries, newest first or soonest to end first, page by page.

use certmill_model::{
    AccountId, CertificateId, CertificateStatus, DeploymentStatus, DomainId, KeyType, OrderId, OrderStatus,
    ReleaseId, TargetId, TenantId,
};
use time::OffsetDateTime;

use super::{ScopedTx, certificate::CertificatePosition, planning::plan_each};
use crate::{StoreError, rows::parsed};

/// A certificate of the inventory.
#[derive(Clone, Debug)]
pub struct CertificateRow {
    /// Its id.
    pub certificate_id: CertificateId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The domain it was ordered for.
    pub domain_id: DomainId,
    /// The order that it came of.
    pub order_id: OrderId,
    /// Its names.
    pub names: Vec<String>,
    /// What has become of it.
    pub status: CertificateStatus,
    /// The serial number, hexadecimal.
    pub serial_number: String,
    /// SHA-256 of the leaf.
    pub fingerprint: Vec<u8>,
    /// Who issued it.
    pub issuer: String,
    /// The directory of the CA.
    pub authority: String,
    /// The kind of its key, if that is on record.
    pub key_type: Option<KeyType>,
    /// Valid from.
    pub not_before: OffsetDateTime,
    /// Valid until.
    pub not_after: OffsetDateTime,
    /// When it came.
    pub created_at: OffsetDateTime,
}

/// Which certificates are listed: those of tenants that can be seen, without the superseded ones unless they are asked for.
#[derive(Clone, Debug, Default)]
pub struct CertificateFilter {
    /// Those of this domain.
    pub domain: Option<DomainId>,
    /// What has become of them.
    pub status: Option<CertificateStatus>,
    /// The directory of the CA.
    pub authority: Option<String>,
    /// The kind of their key.
    pub key_type: Option<KeyType>,
    /// Those that end before.
    pub expires_before: Option<OffsetDateTime>,
    /// Those that end at this instant or after.
    pub expires_after: Option<OffsetDateTime>,
}

/// An attempt to get a certificate.
#[derive(Clone, Debug)]
pub struct OrderRow {
    /// Its id; later ones sort behind.
    pub order_id: OrderId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The domain it is for.
    pub domain_id: DomainId,
    /// The account it was placed with.
    pub account_id: AccountId,
    /// The directory of the CA.
    pub authority: String,
    /// Its names.
    pub names: Vec<String>,
    /// How each of them is proved; empty: http-01.
    pub challenges: Vec<String>,
    /// Where it is.
    pub status: OrderStatus,
    /// Where the CA keeps it.
    pub url: Option<String>,
    /// The CA's own problem document, whole (RFC 8555 section 6.7).
    pub problem: Option<serde_json::Value>,
    /// The profile that was asked for.
    pub profile: Option<String>,
    /// When it was begun.
    pub created_at: OffsetDateTime,
    /// When it last changed; of one that ended, its end.
    pub updated_at: OffsetDateTime,
}

/// A delivery to a target.
#[derive(Clone, Debug)]
pub struct DeploymentRow {
    /// Its id; later ones sort behind.
    pub deployment_id: ReleaseId,
    /// The target.
    pub target_id: TargetId,
    /// The target's name.
    pub target: String,
    /// The release, if there was a new one.
    pub release_number: Option<i64>,
    /// Where it is.
    pub status: DeploymentStatus,
    /// Domains that it was for.
    pub domains: i32,
    /// What went wrong.
    pub problem: Option<String>,
    /// When it began.
    pub started_at: OffsetDateTime,
    /// When it ended.
    pub finished_at: Option<OffsetDateTime>,
}

impl ScopedTx {
    /// Up to `limit` certificates, what ends soonest first, behind `after`.
    pub async fn list_certificates(
        &mut self,
        filter: &CertificateFilter,
        after: Option<CertificatePosition>,
        limit: i64,
    ) -> Result<Vec<CertificateRow>, StoreError> {
        self.certificates(None, filter, after, limit).await
    }

    /// A certificate, superseded or not.
    pub async fn certificate(&mut self, id: CertificateId) -> Result<Option<CertificateRow>, StoreError> {
        Ok(self.certificates(Some(id), &CertificateFilter::default(), None, 1).await?.pop())
    }

    async fn certificates(
        &mut self,
        one: Option<CertificateId>,
        filter: &CertificateFilter,
        after: Option<CertificatePosition>,
        limit: i64,
    ) -> Result<Vec<CertificateRow>, StoreError> {
        plan_each(self.connection()).await?;
        let only = self.only();
        let rows = sqlx::query!(
            r#"SELECT c.certificate_id, c.tenant_id, c.domain_id, c.order_id, c.names, c.status, c.serial_number,
                      c.fingerprint, c.issuer, c.key_type, c.not_before, c.not_after, c.created_at,
                      split_part(a.directory_url, '#', 1) AS "authority!"
               FROM certificates c JOIN orders o USING (order_id) JOIN accounts a USING (account_id)
               WHERE ($1::uuid IS NULL OR c.tenant_id = $1)
                 AND ($2::uuid IS NULL OR c.domain_id = $2)
                 AND (($3::text IS NULL AND (c.status <> 'superseded' OR $11::uuid IS NOT NULL)) OR c.status = $3)
                 AND ($4::text IS NULL OR split_part(a.directory_url, '#', 1) = $4)
                 AND ($5::text IS NULL OR c.key_type = $5)
                 AND ($6::timestamptz IS NULL OR c.not_after < $6)
                 AND ($7::timestamptz IS NULL OR c.not_after >= $7)
                 AND ($8::timestamptz IS NULL OR (c.not_after, c.certificate_id) > ($8, $9::uuid))
                 AND ($11::uuid IS NULL OR c.certificate_id = $11)
               ORDER BY c.not_after, c.certificate_id LIMIT $10"#,
            only,
            filter.domain.map(DomainId::uuid),
            filter.status.map(CertificateStatus::as_str),
            filter.authority,
            filter.key_type.map(KeyType::as_str),
            filter.expires_before,
            filter.expires_after,
            after.map(|place| place.not_after),
            after.map(|place| place.certificate_id.uuid()),
            limit,
            one.map(CertificateId::uuid),
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(CertificateRow {
                    certificate_id: CertificateId::from_uuid(row.certificate_id),
                    tenant_id: TenantId::from_uuid(row.tenant_id),
                    domain_id: DomainId::from_uuid(row.domain_id),
                    order_id: OrderId::from_uuid(row.order_id),
                    names: row.names,
                    status: parsed("certificates", &row.status)?,
                    serial_number: row.serial_number,
                    fingerprint: row.fingerprint,
                    issuer: row.issuer,
                    authority: row.authority,
                    key_type: row.key_type.map(|word| parsed("certificates", &word)).transpose()?,
                    not_before: row.not_before,
                    not_after: row.not_after,
                    created_at: row.created_at,
                })
            })
            .collect()
    }

    /// Up to `limit` orders, newest first, behind `after`.
    pub async fn list_orders(
        &mut self,
        domain: Option<DomainId>,
        status: Option<OrderStatus>,
        after: Option<OrderId>,
        limit: i64,
    ) -> Result<Vec<OrderRow>, StoreError> {
        self.orders(None, domain, status, after, limit).await
    }

    /// An order.
    pub async fn order(&mut self, id: OrderId) -> Result<Option<OrderRow>, StoreError> {
        Ok(self.orders(Some(id), None, None, None, 1).await?.pop())
    }

    async fn orders(
        &mut self,
        one: Option<OrderId>,
        domain: Option<DomainId>,
        status: Option<OrderStatus>,
        after: Option<OrderId>,
        limit: i64,
    ) -> Result<Vec<OrderRow>, StoreError> {
        plan_each(self.connection()).await?;
        let only = self.only();
        let rows = sqlx::query!(
            r#"SELECT o.order_id, o.tenant_id, o.domain_id, o.account_id, o.names, o.challenges, o.status, o.url, o.problem,
                      o.profile, o.created_at, o.updated_at, split_part(a.directory_url, '#', 1) AS "authority!"
               FROM orders o JOIN accounts a USING (account_id)
               WHERE ($1::uuid IS NULL OR o.tenant_id = $1)
                 AND ($2::uuid IS NULL OR o.domain_id = $2)
                 AND ($3::text IS NULL OR o.status = $3)
                 AND ($4::uuid IS NULL OR o.order_id < $4)
                 AND ($6::uuid IS NULL OR o.order_id = $6)
               ORDER BY o.order_id DESC LIMIT $5"#,
            only,
            domain.map(DomainId::uuid),
            status.map(OrderStatus::as_str),
            after.map(OrderId::uuid),
            limit,
            one.map(OrderId::uuid),
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(OrderRow {
                    order_id: OrderId::from_uuid(row.order_id),
                    tenant_id: TenantId::from_uuid(row.tenant_id),
                    domain_id: DomainId::from_uuid(row.domain_id),
                    account_id: AccountId::from_uuid(row.account_id),
                    authority: row.authority,
                    names: row.names,
                    challenges: row.challenges,
                    status: parsed("orders", &row.status)?,
                    url: row.url,
                    problem: row.problem,
                    profile: row.profile,
                    created_at: row.created_at,
                    updated_at: row.updated_at,
                })
            })
            .collect()
    }

    /// Up to `limit` deliveries, newest first, behind `after`. They are the platform's: a tenant sees none.
    pub async fn list_deployments(
        &mut self,
        target: Option<TargetId>,
        status: Option<DeploymentStatus>,
        after: Option<ReleaseId>,
        limit: i64,
    ) -> Result<Vec<DeploymentRow>, StoreError> {
        plan_each(self.connection()).await?;
        let is_platform = self.only().is_none();
        let rows = sqlx::query!(
            "SELECT d.deployment_id, d.target_id, t.name AS target, d.release_number, d.status, d.domains, d.problem,
                    d.started_at, d.finished_at
             FROM deployments d JOIN targets t USING (target_id)
             WHERE $1 AND ($2::uuid IS NULL OR d.target_id = $2) AND ($3::text IS NULL OR d.status = $3)
               AND ($4::uuid IS NULL OR d.deployment_id < $4)
             ORDER BY d.deployment_id DESC LIMIT $5",
            is_platform,
            target.map(TargetId::uuid),
            status.map(DeploymentStatus::as_str),
            after.map(ReleaseId::uuid),
            limit,
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(DeploymentRow {
                    deployment_id: ReleaseId::from_uuid(row.deployment_id),
                    target_id: TargetId::from_uuid(row.target_id),
                    target: row.target,
                    release_number: row.release_number,
                    status: parsed("deployments", &row.status)?,
                    domains: row.domains,
                    problem: row.problem,
                    started_at: row.started_at,
                    finished_at: row.finished_at,
                })
            })
            .collect()
    }
}
