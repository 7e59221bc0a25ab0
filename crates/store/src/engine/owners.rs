//! Owners of shops, who got the link to their page by mail, are told when their name works.

use certmill_model::{Brand, Chance, Hostname, Letter, MailId, SetupLinkId, TenantId};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{Engine, events::StatusChange};
use crate::{
    StoreError,
    mails::{self, NewMail, Origin},
    rows::parsed,
};

/// Has the owners of domains that changed their status told, where a link went to them by mail that still opens their page.
pub(super) async fn tell_soon(
    connection: &mut PgConnection,
    changes: &[StatusChange],
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let ids: Vec<_> = changes.iter().map(|change| change.domain.uuid()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE setup_links SET is_to_be_told = true
         WHERE domain_id = ANY($1) AND recipient IS NOT NULL AND told_at IS NULL AND revoked_at IS NULL AND expires_at > $2",
        &ids,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl Engine {
    /// Writes down a mail for each owner who is to be told, `limit` at most; answers how many.
    pub async fn tell_owners(
        &self,
        limit: i64,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<usize, StoreError> {
        let mut tx = self.pool.begin().await?;
        let rows = sqlx::query!(
            r#"UPDATE setup_links l SET is_to_be_told = false, told_at = $2
               FROM domains d, tenants t
               WHERE d.domain_id = l.domain_id AND t.tenant_id = l.tenant_id AND l.link_id IN (
                   SELECT link_id FROM setup_links WHERE is_to_be_told ORDER BY link_id LIMIT $1 FOR UPDATE SKIP LOCKED)
               RETURNING l.link_id, l.tenant_id, l.language, l.recipient, d.name,
                   COALESCE(t.branding->>'product_name', t.name) AS "product!", t.branding->>'support_url' AS support"#,
            limit,
            now,
        )
        .fetch_all(&mut *tx)
        .await?;
        for row in &rows {
            // Another link went to the same address meanwhile: it is told by that one.
            let Some(recipient) = &row.recipient else { continue };
            let name: Hostname = parsed("domains", &row.name)?;
            let brand = Brand {
                product: row.product.clone(),
                sender_name: row.product.clone(),
                support_link: row.support.clone(),
            };
            let mail = NewMail {
                mail_id: MailId::new(chance, now),
                key: format!("owner/{}/works", SetupLinkId::from_uuid(row.link_id)),
                tenant_id: Some(TenantId::from_uuid(row.tenant_id)),
                recipient,
                language: &row.language,
                letter: &Letter::OwnerWorks { brand, name: name.to_unicode() },
            };
            mails::insert(&mut tx, &mail, Origin::default(), now).await?;
        }
        tx.commit().await?;
        Ok(rows.len())
    }
}
