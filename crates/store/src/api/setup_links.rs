//! Links for the owners of shops, who have no account: each opens the page of one domain until it ends.

use certmill_model::{DomainId, EmailAddress, SetupLinkId, TenantId};
use certmill_vault::TokenHash;
use time::OffsetDateTime;

use super::{Api, Domain, ScopedTx, domains::with_ids};
use crate::StoreError;

/// A link to be made.
#[derive(Clone, Debug)]
pub struct NewSetupLink<'a> {
    /// Its id.
    pub link_id: SetupLinkId,
    /// The hash of its text.
    pub hash: TokenHash,
    /// The domain that it opens the page of.
    pub domain: &'a Domain,
    /// The language of the page: `en` or `de`.
    pub language: &'static str,
    /// When it ends.
    pub expires_at: OffsetDateTime,
    /// Who gets it by mail, and is told when the name works.
    pub recipient: Option<&'a EmailAddress>,
}

/// What a link opens.
#[derive(Clone, Debug)]
pub struct SetupLinkHolder {
    /// Whose domain it is.
    pub tenant_id: TenantId,
    /// The domain.
    pub domain_id: DomainId,
    /// The language that the link was made for: `en` or `de`.
    pub language: String,
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

/// A link, without what opens anything.
#[derive(Clone, Debug)]
pub struct SetupLinkRow {
    /// Its id.
    pub link_id: SetupLinkId,
    /// The language of the page: `en` or `de`.
    pub language: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
    /// When it was revoked, if it was.
    pub revoked_at: Option<OffsetDateTime>,
}

/// How a tenant appears to owners of its shops.
#[derive(Clone, Debug)]
pub struct TenantFace {
    /// The tenant's name.
    pub name: String,
    /// What it calls the product.
    pub product_name: Option<String>,
    /// Where people find help: an `https` address.
    pub support_url: Option<String>,
    /// Whether it has colours of its own.
    pub has_colours: bool,
    /// Whether it has a logo.
    pub has_logo: bool,
    /// Grows with each change of it.
    pub revision: i64,
}

impl Api {
    /// What the link with this hash opens; `None`: nothing, or no longer.
    pub async fn setup_link_holder(
        &self,
        hash: &TokenHash,
        now: OffsetDateTime,
    ) -> Result<Option<SetupLinkHolder>, StoreError> {
        let found = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", domain_id AS "domain_id!", language AS "language!",
                  expires_at AS "expires_at!"
               FROM setup_link_holder($1, $2)"#,
            hash.as_bytes(),
            now,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.map(|row| SetupLinkHolder {
            tenant_id: TenantId::from_uuid(row.tenant_id),
            domain_id: DomainId::from_uuid(row.domain_id),
            language: row.language,
            expires_at: row.expires_at,
        }))
    }
}

impl ScopedTx {
    /// The id of the link with this hash.
    pub async fn setup_link_id(&mut self, hash: &TokenHash) -> Result<Option<SetupLinkId>, StoreError> {
        let found = sqlx::query_scalar!("SELECT link_id FROM setup_links WHERE hash = $1", hash.as_bytes())
            .fetch_optional(self.connection())
            .await?;
        Ok(found.map(SetupLinkId::from_uuid))
    }

    /// Keeps `link`, which the caller shows once. Whoever had an earlier one by mail is told by this one alone when the name works.
    pub async fn create_setup_link(
        &mut self,
        link: &NewSetupLink<'_>,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "WITH earlier AS (UPDATE setup_links SET recipient = NULL WHERE domain_id = $4 AND recipient = $8)
             INSERT INTO setup_links (hash, link_id, tenant_id, domain_id, language, created_at, expires_at, recipient)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            link.hash.as_bytes(),
            link.link_id.uuid(),
            link.domain.tenant_id.uuid(),
            link.domain.domain_id.uuid(),
            link.language,
            now,
            link.expires_at,
            link.recipient.map(EmailAddress::as_str),
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Whether `most` letters with links went out for `tenant` after `since`: when the first of the last `most` did. Until this
    /// transaction ends, nobody else is told the same of the tenant.
    pub async fn owner_mails_reach(
        &mut self,
        tenant: TenantId,
        most: i64,
        since: OffsetDateTime,
    ) -> Result<Option<OffsetDateTime>, StoreError> {
        sqlx::query!(
            "SELECT pg_advisory_xact_lock(hashtextextended('letters to owners ' || $1::uuid::text, 0))",
            tenant.uuid(),
        )
        .execute(self.connection())
        .await?;
        let first = sqlx::query_scalar!(
            "SELECT created_at FROM mails WHERE tenant_id = $1 AND kind = 'owner_set_up' AND created_at > $2
             ORDER BY created_at DESC OFFSET $3 LIMIT 1",
            tenant.uuid(),
            since,
            most - 1,
        )
        .fetch_optional(self.connection())
        .await?;
        Ok(first)
    }

    /// The last `limit` links to the page of `domain`, the newest first.
    pub async fn setup_links_of(
        &mut self,
        domain: DomainId,
        limit: i64,
    ) -> Result<Vec<SetupLinkRow>, StoreError> {
        let only = self.only();
        let rows = sqlx::query!(
            "SELECT link_id, language, created_at, expires_at, revoked_at FROM setup_links
             WHERE domain_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2) ORDER BY link_id DESC LIMIT $3",
            domain.uuid(),
            only,
            limit,
        )
        .fetch_all(self.connection())
        .await?;
        let row = rows.into_iter().map(|row| SetupLinkRow {
            link_id: SetupLinkId::from_uuid(row.link_id),
            language: row.language,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        });
        Ok(row.collect())
    }

    /// Ends a link to the page of `domain`. `false`: there is none with this id.
    pub async fn revoke_setup_link(
        &mut self,
        domain: DomainId,
        link: SetupLinkId,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let only = self.only();
        let done = sqlx::query!(
            "UPDATE setup_links SET revoked_at = COALESCE(revoked_at, $4)
             WHERE link_id = $1 AND domain_id = $2 AND ($3::uuid IS NULL OR tenant_id = $3)",
            link.uuid(),
            domain.uuid(),
            only,
            now,
        )
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// How a tenant appears that can be seen from here.
    pub async fn tenant_face(&mut self, tenant: TenantId) -> Result<TenantFace, StoreError> {
        let only = self.only();
        let row = sqlx::query!(
            r#"SELECT name, branding->>'product_name' AS product_name, branding->>'support_url' AS support_url,
                  branding ? 'accent' AS "has_colours!", logo IS NOT NULL AS "has_logo!", revision
               FROM tenants WHERE tenant_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2)"#,
            tenant.uuid(),
            only,
        )
        .fetch_one(self.connection())
        .await?;
        Ok(TenantFace {
            name: row.name,
            product_name: row.product_name,
            support_url: row.support_url,
            has_colours: row.has_colours,
            has_logo: row.has_logo,
            revision: row.revision,
        })
    }

    /// The domain with this id, if it can be seen from here.
    pub async fn domain(&mut self, id: DomainId) -> Result<Option<Domain>, StoreError> {
        Ok(self.domains(&[id]).await?.pop())
    }

    /// Those of the domains with these ids that can be seen from here, in this order.
    pub async fn domains(&mut self, ids: &[DomainId]) -> Result<Vec<Domain>, StoreError> {
        let only = self.only();
        let ids: Vec<_> = ids.iter().map(|id| id.uuid()).collect();
        let mut found = with_ids(self.connection(), &ids).await?;
        found.retain(|domain| only.is_none_or(|tenant| tenant == domain.tenant_id.uuid()));
        Ok(found)
    }
}
