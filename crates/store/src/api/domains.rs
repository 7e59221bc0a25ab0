//! Domains, as they stand.

use certmill_model::{
    CertificateId, DomainId, DomainStatus, Health, Hostname, KeyType, SuggestedWindow, TenantId,
};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::ScopedTx;
use crate::{
    Deferral, StoreError,
    rows::{hostname, parsed},
};

/// A domain as it stands.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Its id.
    pub domain_id: DomainId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The tenant's name.
    pub tenant: String,
    /// The name.
    pub name: Hostname,
    /// The shop's id in the commerce system.
    pub external_id: Option<String>,
    /// The words that its tenant sorts it by.
    pub tags: Vec<String>,
    /// What its tenant keeps with it: an object of texts.
    pub metadata: serde_json::Value,
    /// The template, where the domain names one itself.
    pub template: Option<String>,
    /// The kind of key, where the domain names one itself.
    pub key_type: Option<KeyType>,
    /// The kind of key that its next certificate has: its own, else the tenant's.
    pub effective_key_type: KeyType,
    /// What is true of it.
    pub status: DomainStatus,
    /// Since when.
    pub status_since: OffsetDateTime,
    /// How it fares.
    pub health: Health,
    /// Its current certificate.
    pub certificate: Option<DomainCertificate>,
    /// When its renewal begins.
    pub renew_after: Option<OffsetDateTime>,
    /// The rate limit of the CA that its order waits for, until a date that is still to come.
    pub deferral: Option<Deferral>,
    /// When something is tried next, if something is planned.
    pub next_action_at: Option<OffsetDateTime>,
    /// When it was registered.
    pub created_at: OffsetDateTime,
    /// When anything of it last changed.
    pub updated_at: OffsetDateTime,
}

/// The certificate of a domain.
#[derive(Clone, Debug)]
pub struct DomainCertificate {
    /// Its id.
    pub certificate_id: CertificateId,
    /// The serial number, hexadecimal.
    pub serial_number: String,
    /// Who issued it.
    pub issuer: String,
    /// Valid from.
    pub not_before: OffsetDateTime,
    /// Valid until.
    pub not_after: OffsetDateTime,
    /// The directory of the CA that it was ordered from.
    pub directory_url: String,
    /// When the CA wants it to be renewed, if it said so (RFC 9773).
    pub window: Option<SuggestedWindow>,
    /// A page of the CA that says why then.
    pub explanation_url: Option<String>,
}

impl Domain {
    /// What is wanted of it beside its name, as a change of it is written (RFC 7396).
    pub fn wanted(&self) -> serde_json::Map<String, serde_json::Value> {
        let members = [
            ("external_id", self.external_id.clone().into()),
            ("template", self.template.clone().into()),
            ("key_type", self.key_type.map(KeyType::as_str).into()),
            ("tags", self.tags.clone().into()),
            ("metadata", self.metadata.clone()),
        ];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl ScopedTx {
    /// The domain called `name`, if it can be seen from here.
    pub async fn find_domain(&mut self, name: &Hostname) -> Result<Option<Domain>, StoreError> {
        let tenant = self.reach().tenant();
        with_name(self.connection(), tenant, name).await
    }
}

struct DomainColumns {
    domain_id: Uuid,
    tenant_id: Uuid,
    tenant: String,
    name: String,
    external_id: Option<String>,
    tags: Vec<String>,
    metadata: Option<serde_json::Value>,
    template: Option<String>,
    key_type: Option<String>,
    effective_key_type: String,
    status: String,
    status_since: OffsetDateTime,
    health: String,
    renew_after: Option<OffsetDateTime>,
    next_action_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    certificate_id: Option<Uuid>,
    serial_number: Option<String>,
    issuer: Option<String>,
    not_before: Option<OffsetDateTime>,
    not_after: Option<OffsetDateTime>,
    directory_url: Option<String>,
    window_start: Option<OffsetDateTime>,
    window_end: Option<OffsetDateTime>,
    explanation_url: Option<String>,
    deferred_until: Option<OffsetDateTime>,
    deferred_by: Option<String>,
    deferred_for: Option<String>,
}

impl DomainColumns {
    fn certificate(&mut self) -> Option<DomainCertificate> {
        let window = self.window_start.zip(self.window_end);
        Some(DomainCertificate {
            certificate_id: CertificateId::from_uuid(self.certificate_id?),
            serial_number: self.serial_number.take()?,
            issuer: self.issuer.take()?,
            not_before: self.not_before?,
            not_after: self.not_after?,
            directory_url: self.directory_url.take().unwrap_or_default(),
            window: window.and_then(|(start, end)| SuggestedWindow::new(start, end).ok()),
            explanation_url: self.explanation_url.take(),
        })
    }

    fn deferral(&mut self) -> Result<Option<Deferral>, StoreError> {
        let (Some(until), Some(limit)) = (self.deferred_until, self.deferred_by.take()) else {
            return Ok(None);
        };
        let counted = self.deferred_for.take().unwrap_or_default();
        Ok(Some(Deferral { until, limit: parsed("domains", &limit)?, counted }))
    }
}

impl TryFrom<DomainColumns> for Domain {
    type Error = StoreError;

    fn try_from(mut row: DomainColumns) -> Result<Self, StoreError> {
        let certificate = row.certificate();
        let deferral = row.deferral()?;
        Ok(Self {
            domain_id: DomainId::from_uuid(row.domain_id),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            tenant: row.tenant,
            name: hostname("domains", &row.name)?,
            external_id: row.external_id,
            tags: row.tags,
            metadata: row.metadata.unwrap_or_else(|| serde_json::json!({})),
            template: row.template,
            key_type: row.key_type.map(|key_type| parsed("domains", &key_type)).transpose()?,
            effective_key_type: parsed("tenants", &row.effective_key_type)?,
            status: parsed("domains", &row.status)?,
            status_since: row.status_since,
            health: parsed("domains", &row.health)?,
            certificate,
            renew_after: row.renew_after,
            deferral,
            next_action_at: row.next_action_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Domains as they stand, those that suit `$which`.
macro_rules! domains {
    ($which:tt, $($argument:expr),*) => {
        sqlx::query_as!(
            DomainColumns,
            r#"SELECT d.domain_id, d.tenant_id, t.name AS tenant, d.name, d.external_id, d.template, d.key_type,
                  ARRAY(SELECT g.tag FROM domain_tags g WHERE g.domain_id = d.domain_id ORDER BY g.tag) AS "tags!",
                  (SELECT m.metadata FROM domain_metadata m WHERE m.domain_id = d.domain_id) AS metadata,
                  COALESCE(d.key_type, t.key_type) AS "effective_key_type!", d.status,
                  d.status_since, d.health, d.renew_after, d.next_action_at, d.created_at, d.updated_at,
                  d.certificate_id, c.serial_number AS "serial_number?", c.issuer AS "issuer?",
                  c.not_before AS "not_before?", c.not_after AS "not_after?",
                  split_part(a.directory_url, '#', 1) AS "directory_url?",
                  r.window_start AS "window_start?", r.window_end AS "window_end?",
                  r.explanation_url AS "explanation_url?", d.deferred_by, d.deferred_for,
                  CASE WHEN d.deferred_until > now() THEN d.deferred_until END AS deferred_until
               FROM domains d
               JOIN tenants t USING (tenant_id)
               LEFT JOIN certificates c ON c.certificate_id = d.certificate_id
               LEFT JOIN orders o ON o.order_id = c.order_id
               LEFT JOIN accounts a ON a.account_id = o.account_id
               LEFT JOIN renewal_info r ON r.certificate_id = d.certificate_id
               WHERE d.status <> 'deleted' AND "# + $which,
            $($argument),*
        )
    };
}

async fn with_name(
    connection: &mut PgConnection,
    tenant: Option<TenantId>,
    name: &Hostname,
) -> Result<Option<Domain>, StoreError> {
    domains!(
        "d.name = $1 AND ($2::uuid IS NULL OR d.tenant_id = $2)",
        name.as_str(),
        tenant.map(TenantId::uuid)
    )
    .fetch_optional(connection)
    .await?
    .map(Domain::try_from)
    .transpose()
}

/// The domains with these ids, in this order; those that are gone are left out.
pub(super) async fn with_ids(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Domain>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    domains!("d.domain_id = ANY($1) ORDER BY array_position($1, d.domain_id)", ids)
        .fetch_all(connection)
        .await?
        .into_iter()
        .map(Domain::try_from)
        .collect()
}
