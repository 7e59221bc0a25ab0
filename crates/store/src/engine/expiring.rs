//! Certificates whose renewal is so late that somebody should know.

use certmill_model::{Chance, DomainId, EventKind};
use time::OffsetDateTime;

use super::{Engine, events::add_events};
use crate::StoreError;

/// Domains that are told of in one transaction.
const BATCH: i64 = 1_000;

impl Engine {
    /// Tells of each certificate, once, that half of the time between its planned renewal and its end is gone. Returns how many
    /// there were.
    pub async fn tell_expiring(&self, chance: &Chance, now: OffsetDateTime) -> Result<usize, StoreError> {
        let mut tx = self.pool.begin().await?;
        let late = sqlx::query_scalar!(
            "SELECT d.domain_id FROM domains d JOIN certificates c USING (certificate_id)
             WHERE d.renew_after < $1 AND d.status <> 'deleted' AND d.status IN ('active', 'moved', 'pending_deployment')
               AND c.not_after > $1 AND $1 > d.renew_after + (c.not_after - d.renew_after) / 2
               AND NOT EXISTS (SELECT 1 FROM events e WHERE e.domain_id = d.domain_id AND e.kind = $2
                               AND e.happened_at > c.not_before)
             ORDER BY d.domain_id LIMIT $3 FOR UPDATE OF d SKIP LOCKED",
            now,
            EventKind::CertificateExpiring.as_str(),
            BATCH,
        )
        .fetch_all(&mut *tx)
        .await?;
        let late: Vec<_> = late.into_iter().map(DomainId::from_uuid).collect();
        add_events(&mut tx, &late, EventKind::CertificateExpiring, "", chance, now).await?;
        tx.commit().await?;
        Ok(late.len())
    }
}
