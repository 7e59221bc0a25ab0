//! A place in the list of certificates, and what is read of one certificate alone.

use std::{fmt, str::FromStr};

use certmill_model::CertificateId;
use time::OffsetDateTime;

use super::{
    CertificateRow, ScopedTx,
    search::{InvalidPosition, instant_and_id},
};
use crate::StoreError;

/// A place in the list of certificates, behind one of them. Its text is for cursors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CertificatePosition {
    /// The end of that certificate.
    pub not_after: OffsetDateTime,
    /// Of several that end then, those up to here are before.
    pub certificate_id: CertificateId,
}

impl fmt::Display for CertificatePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.not_after.unix_timestamp_nanos(), self.certificate_id)
    }
}

impl FromStr for CertificatePosition {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (not_after, certificate_id) = instant_and_id(text)?;
        Ok(Self { not_after, certificate_id })
    }
}

/// What is public of a certificate, and where it is served.
#[derive(Clone, Debug)]
pub struct ServedCertificate {
    /// The certificate and what leads to its root, in PEM (RFC 8555 section 9.1).
    pub fullchain: String,
    /// The load balancers that were seen to serve it, by name; empty for a tenant, which is not to see them.
    pub targets: Vec<String>,
    /// How many those are.
    pub served_by: i64,
}

impl CertificateRow {
    /// Its place in the list.
    pub fn position(&self) -> CertificatePosition {
        CertificatePosition { not_after: self.not_after, certificate_id: self.certificate_id }
    }
}

impl ScopedTx {
    /// What is public of a certificate, and where it is served.
    pub async fn served_certificate(
        &mut self,
        id: CertificateId,
    ) -> Result<Option<ServedCertificate>, StoreError> {
        let only = self.only();
        let row = sqlx::query!(
            r#"SELECT c.fullchain, COALESCE(served.targets, '{}') AS "targets!", served.count AS "count!"
               FROM certificates c, LATERAL (
                   SELECT array_agg(DISTINCT t.name ORDER BY t.name) AS targets, count(DISTINCT t.target_id) AS count
                   FROM domains d JOIN placements p USING (domain_id) JOIN targets t USING (target_id)
                   WHERE d.name = ANY(c.names) AND d.tenant_id = c.tenant_id AND d.status <> 'deleted'
                     AND p.served_certificate_id = c.certificate_id) AS served
               WHERE c.certificate_id = $1 AND ($2::uuid IS NULL OR c.tenant_id = $2)"#,
            id.uuid(),
            only,
        )
        .fetch_optional(self.connection())
        .await?;
        Ok(row.map(|row| ServedCertificate {
            fullchain: row.fullchain,
            targets: if only.is_none() { row.targets } else { Vec::new() },
            served_by: row.count,
        }))
    }
}
