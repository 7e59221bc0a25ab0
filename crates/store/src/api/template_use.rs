//! Who is served by an nginx template, and what it can be shown on.

use certmill_model::{DomainId, Form, TemplateRef, TemplateSample, UpstreamAddress};

use super::ScopedTx;
use crate::{StoreError, rows::hostname};

/// Names that are listed of those who use a template.
const LISTED: i64 = 20;

/// Domains are counted up to here, and one more says that there are others.
const COUNTED: i64 = 10_000;

/// Who is served by a template.
#[derive(Clone, Debug, Default)]
pub struct TemplateUse {
    /// The first tenants, by name, whose domains have it where they name none.
    pub tenants: Vec<String>,
    /// The first domains, by name, that name it themselves.
    pub domains: Vec<String>,
    /// Domains that have it in the one way or the other: at most 10,001, which means more than 10,000.
    pub count: i64,
}

impl ScopedTx {
    /// Who is served by `template`.
    pub async fn template_use(&mut self, template: &TemplateRef) -> Result<TemplateUse, StoreError> {
        let meant = self.references_to(template).await?;
        let tenants = sqlx::query_scalar!(
            "SELECT name FROM tenants WHERE template = ANY ($1) AND status <> 'deleted' ORDER BY name LIMIT $2",
            &meant,
            LISTED,
        )
        .fetch_all(self.connection())
        .await?;
        let domains = sqlx::query_scalar!(
            "SELECT d.name FROM UNNEST($1::text[]) AS meant (template) CROSS JOIN LATERAL (
                 SELECT name FROM domains
                 WHERE domains.template = meant.template AND status <> 'deleted' ORDER BY name LIMIT $2) AS d
             ORDER BY d.name LIMIT $2",
            &meant,
            LISTED,
        )
        .fetch_all(self.connection())
        .await?;
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM (
                   (SELECT FROM domains WHERE template = ANY ($1) AND status <> 'deleted' LIMIT $2)
                   UNION ALL
                   (SELECT FROM tenants t JOIN domains d USING (tenant_id)
                    WHERE t.template = ANY ($1) AND d.template IS NULL AND d.status <> 'deleted' LIMIT $2)
                   LIMIT $2) AS found"#,
            &meant,
            COUNTED + 1,
        )
        .fetch_one(self.connection())
        .await?;
        Ok(TemplateUse { tenants, domains, count })
    }

    /// Up to `limit` domains to show `template` on: those that are `named`; else some that have it; else any.
    pub async fn template_samples(
        &mut self,
        template: &TemplateRef,
        named: &[String],
        limit: i64,
    ) -> Result<Vec<TemplateSample>, StoreError> {
        let meant = self.references_to(template).await?;
        let rows = sqlx::query!(
            r#"WITH named AS (
                   SELECT domain_id FROM domains WHERE name = ANY ($2) AND status <> 'deleted' LIMIT $3
               ), own AS (
                   SELECT domain_id FROM domains WHERE template = ANY ($1) AND status <> 'deleted'
                   AND cardinality($2::text[]) = 0 LIMIT $3
               ), of_tenants AS (
                   SELECT d.domain_id FROM tenants t CROSS JOIN LATERAL (
                       SELECT domain_id FROM domains d
                       WHERE d.tenant_id = t.tenant_id AND d.template IS NULL AND d.status <> 'deleted' LIMIT $3) d
                   WHERE t.template = ANY ($1) AND cardinality($2::text[]) = 0 AND NOT EXISTS (SELECT 1 FROM own) LIMIT $3
               ), others AS (
                   SELECT domain_id FROM domains WHERE status <> 'deleted' AND cardinality($2::text[]) = 0
                   AND NOT EXISTS (SELECT 1 FROM own) AND NOT EXISTS (SELECT 1 FROM of_tenants) ORDER BY name LIMIT $3
               )
               SELECT d.domain_id, d.name, t.upstream FROM domains d JOIN tenants t USING (tenant_id)
               WHERE d.domain_id IN (SELECT domain_id FROM named UNION ALL SELECT domain_id FROM own
                                     UNION ALL SELECT domain_id FROM of_tenants UNION ALL SELECT domain_id FROM others)
               ORDER BY d.name"#,
            &meant,
            named,
            limit,
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                let upstream = UpstreamAddress::parse(&row.upstream);
                Ok(TemplateSample {
                    domain_id: DomainId::from_uuid(row.domain_id),
                    name: hostname("domains", &row.name)?,
                    upstream: upstream.map_err(|error| StoreError::inconsistent("tenants", error))?,
                })
            })
            .collect()
    }

    /// What tenants and domains write to mean this form of the template: the name alone means the shared form, where it has
    /// one.
    pub(super) async fn references_to(&mut self, template: &TemplateRef) -> Result<Vec<String>, StoreError> {
        let form = template.form().unwrap_or(Form::Shared);
        let full = format!("{}:{}", template.name(), form.as_str());
        let other = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM templates WHERE name = $1 AND form = 'shared'
                              AND (built_in IS NOT NULL OR published_version IS NOT NULL)) AS "found!""#,
            template.name(),
        )
        .fetch_one(self.connection())
        .await?;
        let is_meant = form == Form::Shared || !other;
        Ok(std::iter::once(full).chain(is_meant.then(|| template.name().to_owned())).collect())
    }
}
