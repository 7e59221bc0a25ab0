//! What a delivery to one target needs: what is pending there, its configuration, its certificates.

use certmill_model::{CertificateId, DomainId, Hostname, TemplateRef, TenantId, UpstreamAddress};
use certmill_vault::{Secret, Vault};
use time::OffsetDateTime;

use super::{Engine, TargetLease, orders::key_place};
use crate::{
    StoreError,
    rows::{hostname, parsed},
};

/// A domain of which something is to be delivered.
#[derive(Clone, Debug)]
pub struct PendingPlacement {
    /// The domain.
    pub domain_id: DomainId,
    /// Its name.
    pub name: Hostname,
    /// The certificate wanted there; `None`: the domain is to be taken off.
    pub wanted_certificate_id: Option<CertificateId>,
    /// SHA-256 of that certificate's leaf: what a handshake must show.
    pub fingerprint: Option<Vec<u8>>,
    /// The configuration wanted there.
    pub wanted_revision: i64,
    /// The certificate that was proved there last.
    pub served_certificate_id: Option<CertificateId>,
    /// The configuration that was proved there last.
    pub served_revision: Option<i64>,
    /// Failures in a row.
    pub consecutive_failures: u32,
}

impl PendingPlacement {
    /// Whether more than its certificate is another.
    pub fn is_configured_anew(&self) -> bool {
        self.wanted_certificate_id.is_none()
            || self.served_certificate_id.is_none()
            || self.served_revision != Some(self.wanted_revision)
    }
}

/// A domain that a target's configuration is to hold.
#[derive(Clone, Debug)]
pub struct DomainPlacement {
    /// The domain.
    pub domain_id: DomainId,
    /// Its name.
    pub name: Hostname,
    /// The template wanted for it now.
    pub wanted_template: TemplateRef,
    /// The template that it was proved with last on this target.
    pub served_template: Option<TemplateRef>,
    /// Where its requests go.
    pub upstream: UpstreamAddress,
}

/// What a load balancer needs of a certificate.
pub struct CertificateMaterial {
    /// The domain that it is served for.
    pub domain_id: DomainId,
    /// Leaf and intermediates, PEM.
    pub fullchain: String,
    /// The private key, PKCS#8 DER.
    pub key: Secret,
}

impl Engine {
    /// Up to `limit` placements of a target that are pending at `now`, the longest pending first.
    pub async fn pending_placements(
        &self,
        lease: &TargetLease,
        limit: i64,
        now: OffsetDateTime,
    ) -> Result<Vec<PendingPlacement>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT p.domain_id, d.name, p.wanted_certificate_id, c.fingerprint AS "fingerprint?", p.wanted_revision,
                      p.served_certificate_id, p.served_revision, p.consecutive_failures
               FROM placements p
               JOIN domains d USING (domain_id)
               LEFT JOIN certificates c ON c.certificate_id = p.wanted_certificate_id
               WHERE p.target_id = $1 AND p.pending AND p.next_attempt_at <= $2
               ORDER BY p.next_attempt_at LIMIT $3"#,
            lease.target_id.uuid(),
            now,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(PendingPlacement {
                    domain_id: DomainId::from_uuid(row.domain_id),
                    name: hostname("domains", &row.name)?,
                    wanted_certificate_id: row.wanted_certificate_id.map(CertificateId::from_uuid),
                    fingerprint: row.fingerprint,
                    wanted_revision: row.wanted_revision,
                    served_certificate_id: row.served_certificate_id.map(CertificateId::from_uuid),
                    served_revision: row.served_revision,
                    consecutive_failures: row.consecutive_failures.unsigned_abs(),
                })
            })
            .collect()
    }

    /// The domains that the configuration of `shards` on a target is to hold: those that were proved there before, and
    /// those of `batch`.
    pub async fn placed_domains(
        &self,
        lease: &TargetLease,
        shards: &[u8],
        batch: &[DomainId],
    ) -> Result<Vec<DomainPlacement>, StoreError> {
        let shards: Vec<_> = shards.iter().map(|shard| i16::from(*shard)).collect();
        let batch: Vec<_> = batch.iter().map(|id| id.uuid()).collect();
        let rows = sqlx::query!(
            r#"SELECT d.domain_id, d.name, COALESCE(d.template, t.template) AS "wanted_template!", p.served_template, t.upstream
               FROM placements p
               JOIN domains d USING (domain_id)
               JOIN tenants t ON t.tenant_id = d.tenant_id
               WHERE p.target_id = $1 AND p.shard = ANY($2) AND p.wanted_certificate_id IS NOT NULL
                 AND (p.served_certificate_id IS NOT NULL OR p.domain_id = ANY($3))
               ORDER BY d.name"#,
            lease.target_id.uuid(),
            &shards,
            &batch,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let upstream = UpstreamAddress::parse(&row.upstream);
                Ok(DomainPlacement {
                    domain_id: DomainId::from_uuid(row.domain_id),
                    name: hostname("domains", &row.name)?,
                    wanted_template: parsed("domains", &row.wanted_template)?,
                    served_template: row
                        .served_template
                        .map(|text| parsed("placements", &text))
                        .transpose()?,
                    upstream: upstream.map_err(|error| StoreError::inconsistent("tenants", error))?,
                })
            })
            .collect()
    }

    /// The shards in which a target has domains.
    pub async fn occupied_shards(&self, lease: &TargetLease) -> Result<Vec<u8>, StoreError> {
        let shards = sqlx::query_scalar!(
            "SELECT DISTINCT shard FROM placements WHERE target_id = $1 ORDER BY shard",
            lease.target_id.uuid(),
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(shards.into_iter().map(|shard| shard as u8).collect())
    }

    /// Up to `limit` domains that a target was seen to serve and that nothing is pending for, some of them at random,
    /// with the fingerprint that was seen: they must be served as well after a new release.
    pub async fn witnesses(
        &self,
        lease: &TargetLease,
        limit: i64,
    ) -> Result<Vec<(Hostname, Vec<u8>)>, StoreError> {
        let rows = sqlx::query!(
            "SELECT d.name, c.fingerprint FROM (
                 SELECT domain_id, served_certificate_id FROM placements
                 WHERE target_id = $1 AND NOT pending AND served_certificate_id IS NOT NULL
                   AND shard >= floor(random() * 256)::int
                 LIMIT $2) p
             JOIN domains d USING (domain_id) JOIN certificates c ON c.certificate_id = p.served_certificate_id",
            lease.target_id.uuid(),
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|row| Ok((hostname("domains", &row.name)?, row.fingerprint))).collect()
    }

    /// What load balancers need for each of these domains, with the certificate that is to be served for it.
    pub async fn certificate_material(
        &self,
        wanted: &[(DomainId, CertificateId)],
        vault: &Vault,
    ) -> Result<Vec<CertificateMaterial>, StoreError> {
        let domains: Vec<_> = wanted.iter().map(|(domain, _)| domain.uuid()).collect();
        let certificates: Vec<_> = wanted.iter().map(|(_, certificate)| certificate.uuid()).collect();
        let rows = sqlx::query!(
            r#"SELECT certificate_id AS "certificate_id!", tenant_id, wanted.domain_id AS "domain_id!", fullchain,
                      sealed_key AS "sealed_key!"
               FROM UNNEST($1::uuid[], $2::uuid[]) AS wanted (domain_id, certificate_id)
               JOIN certificates USING (certificate_id)
               WHERE sealed_key IS NOT NULL"#,
            &domains,
            &certificates,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let place = key_place("certificates", TenantId::from_uuid(row.tenant_id), row.certificate_id);
                Ok(CertificateMaterial {
                    domain_id: DomainId::from_uuid(row.domain_id),
                    fullchain: row.fullchain,
                    key: vault.open(&place, &row.sealed_key)?,
                })
            })
            .collect()
    }
}
