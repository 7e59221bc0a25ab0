//! Who is calling: API tokens, one-time login links and sessions. Only hashes are kept.

use certmill_model::{Label, TenantId, TokenId};
use certmill_vault::TokenHash;
use time::{Duration, OffsetDateTime};

use super::{Api, PlatformTx};
use crate::StoreError;

/// Whom a valid token speaks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Caller {
    /// One tenant.
    Tenant(TenantId),
    /// The platform's own people.
    Platform,
}

impl Api {
    /// Whom the token with this hash speaks for; `None` for an unknown, expired or revoked one.
    pub async fn authenticate(
        &self,
        hash: &TokenHash,
        now: OffsetDateTime,
    ) -> Result<Option<Caller>, StoreError> {
        let found = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id?" FROM token_owner($1, $2)"#,
            hash.as_bytes(),
            now,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.map(|row| match row.tenant_id {
            Some(id) => Caller::Tenant(TenantId::from_uuid(id)),
            None => Caller::Platform,
        }))
    }

    /// Opens a session for the holder of a login link, which is used up by it. `false`: unknown, used or expired.
    pub async fn log_in(
        &self,
        link: &TokenHash,
        session: &TokenHash,
        now: OffsetDateTime,
        lasts: Duration,
    ) -> Result<bool, StoreError> {
        let opened = sqlx::query!(
            "WITH old AS (
                 DELETE FROM sessions WHERE expires_at < $3
             ), link AS (
                 UPDATE login_links SET used_at = $3 WHERE hash = $1 AND used_at IS NULL AND expires_at > $3 RETURNING 1
             )
             INSERT INTO sessions (hash, created_at, last_seen_at, expires_at) SELECT $2, $3, $3, $4 FROM link",
            link.as_bytes(),
            session.as_bytes(),
            now,
            now + lasts,
        )
        .execute(&self.pool)
        .await?;
        Ok(opened.rows_affected() == 1)
    }

    /// Whether a session with this hash is open; it stays so while it is used at least once every `idle`.
    pub async fn use_session(
        &self,
        session: &TokenHash,
        now: OffsetDateTime,
        idle: Duration,
    ) -> Result<bool, StoreError> {
        let used = sqlx::query!(
            "UPDATE sessions SET last_seen_at = $2 WHERE hash = $1 AND expires_at > $2 AND last_seen_at > $3",
            session.as_bytes(),
            now,
            now - idle,
        )
        .execute(&self.pool)
        .await?;
        Ok(used.rows_affected() == 1)
    }

    /// Ends a session.
    pub async fn log_out(&self, session: &TokenHash) -> Result<(), StoreError> {
        sqlx::query!("DELETE FROM sessions WHERE hash = $1", session.as_bytes()).execute(&self.pool).await?;
        Ok(())
    }
}

impl PlatformTx {
    /// Adds a token; `tenant` is `None` for a token of the platform.
    pub async fn add_token(
        &mut self,
        id: TokenId,
        tenant: Option<TenantId>,
        name: &Label,
        hash: &TokenHash,
        now: OffsetDateTime,
        expires_at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO api_tokens (token_id, tenant_id, name, hash, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            id.uuid(),
            tenant.map(TenantId::uuid),
            name.as_str(),
            hash.as_bytes(),
            now,
            expires_at,
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Adds a login link that works once, until `expires_at`.
    pub async fn add_login_link(
        &mut self,
        hash: &TokenHash,
        now: OffsetDateTime,
        expires_at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "WITH old AS (DELETE FROM login_links WHERE expires_at < $2)
             INSERT INTO login_links (hash, created_at, expires_at) VALUES ($1, $2, $3)",
            hash.as_bytes(),
            now,
            expires_at,
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
