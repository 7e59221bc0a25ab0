//! API tokens. Only hashes are kept.

use std::collections::HashMap;

use certmill_model::{Label, Scope, TenantId, TenantStatus, TokenId, UserId};
use certmill_vault::TokenHash;
use time::OffsetDateTime;

use super::{Reach, ScopedTx};
use crate::{Api, StoreError, rows::parsed};

/// Whom a valid token speaks for.
#[derive(Clone, Debug)]
pub struct TokenHolder {
    /// The token.
    pub token_id: TokenId,
    /// How far it sees.
    pub reach: Reach,
    /// Its name.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// Requests a minute that its tenant is given; `None`: the platform's.
    pub quota_requests: Option<i32>,
    /// Where its tenant is; `None`: it is the platform's.
    pub tenant_status: Option<TenantStatus>,
}

/// Who makes a token.
#[derive(Clone, Debug)]
pub enum TokenMaker {
    /// A user.
    User(UserId),
    /// Whoever holds the token with this hash: the new one counts as made by the user who made that one.
    HolderOf(TokenHash),
    /// Somebody without an account, on the command line.
    CommandLine,
}

/// A token to be added.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its id.
    pub token_id: TokenId,
    /// Its tenant; `None` for a token of the platform.
    pub tenant_id: Option<TenantId>,
    /// Its name.
    pub name: Label,
    /// What is kept of its text.
    pub hash: TokenHash,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// Until when.
    pub expires_at: OffsetDateTime,
    /// The name of who made it.
    pub created_by: String,
    /// Who that is.
    pub maker: TokenMaker,
}

/// A token, without what opens anything.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// Its id.
    pub token_id: TokenId,
    /// Its tenant; `None` for a token of the platform.
    pub tenant_id: Option<TenantId>,
    /// Its name.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// Who made it, where that is known.
    pub created_by: Option<String>,
    /// The user who made it, or the token that it was made with; `None`: not known, or nobody with an account.
    pub created_by_user: Option<UserId>,
    /// When.
    pub created_at: OffsetDateTime,
    /// Until when it may be used.
    pub expires_at: OffsetDateTime,
    /// When it was last used, to the minute.
    pub last_used_at: Option<OffsetDateTime>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<OffsetDateTime>,
}

impl Api {
    /// Whom the token with this hash speaks for; `None` for an unknown, expired or revoked one.
    pub async fn token_holder(
        &self,
        hash: &TokenHash,
        now: OffsetDateTime,
    ) -> Result<Option<TokenHolder>, StoreError> {
        let found = sqlx::query!(
            r#"SELECT token_id AS "token_id!", tenant_id AS "tenant_id?", name AS "name!", scopes AS "scopes!",
                      quota_requests AS "quota_requests?", tenant_status AS "tenant_status?"
               FROM token_holder($1, $2)"#,
            hash.as_bytes(),
            now,
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = found else { return Ok(None) };
        Ok(Some(TokenHolder {
            token_id: TokenId::from_uuid(row.token_id),
            reach: row.tenant_id.map_or(Reach::Platform, |id| Reach::Tenant(TenantId::from_uuid(id))),
            name: row.name,
            scopes: known(&row.scopes),
            quota_requests: row.quota_requests,
            tenant_status: row.tenant_status.map(|status| parsed("tenants", &status)).transpose()?,
        }))
    }
}

impl ScopedTx {
    /// Adds a token.
    pub async fn add_token(&mut self, token: &NewToken, now: OffsetDateTime) -> Result<(), StoreError> {
        let scopes: Vec<_> = token.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
        let (user, own) = match &token.maker {
            TokenMaker::User(user) => (Some(user.uuid()), None),
            TokenMaker::HolderOf(hash) => (None, Some(hash.as_bytes())),
            TokenMaker::CommandLine => (None, None),
        };
        sqlx::query!(
            "INSERT INTO api_tokens (token_id, tenant_id, name, hash, scopes, created_by, created_at, expires_at,
                                     created_by_user)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8,
                     COALESCE($9, (SELECT own.created_by_user FROM api_tokens own WHERE own.hash = $10)))",
            token.token_id.uuid(),
            token.tenant_id.map(TenantId::uuid),
            token.name.as_str(),
            token.hash.as_bytes(),
            &scopes,
            token.created_by,
            now,
            token.expires_at,
            user,
            own,
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Up to `limit` tokens, newest first, beginning behind (before) `before`; those of one tenant, or all that are seen.
    pub async fn list_tokens(
        &mut self,
        of: Option<TenantId>,
        before: Option<TokenId>,
        limit: i64,
    ) -> Result<Vec<TokenRow>, StoreError> {
        self.select_tokens(None, of, before, limit).await
    }

    /// The token with this id.
    pub async fn find_token(&mut self, id: TokenId) -> Result<Option<TokenRow>, StoreError> {
        Ok(self.select_tokens(Some(id), None, None, 1).await?.pop())
    }

    /// Ends a token; the next request with it is refused. `false`: there is none, or it was revoked before.
    pub async fn revoke_token(&mut self, id: TokenId, now: OffsetDateTime) -> Result<bool, StoreError> {
        let only = self.only();
        let done = sqlx::query!(
            "UPDATE api_tokens SET revoked_at = $3
             WHERE token_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2) AND revoked_at IS NULL",
            id.uuid(),
            only,
            now,
        )
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// How many tokens that still open something each of `users` made, or somebody with a token of theirs; who made none is
    /// left out.
    pub async fn open_tokens_of(
        &mut self,
        users: &[UserId],
        now: OffsetDateTime,
    ) -> Result<HashMap<UserId, i64>, StoreError> {
        let only = self.only();
        let users: Vec<_> = users.iter().map(|user| user.uuid()).collect();
        let rows = sqlx::query!(
            r#"SELECT created_by_user AS "user!", COUNT(*) AS "tokens!" FROM api_tokens
               WHERE created_by_user = ANY($1) AND revoked_at IS NULL AND expires_at > $2
                 AND ($3::uuid IS NULL OR tenant_id = $3)
               GROUP BY created_by_user"#,
            &users,
            now,
            only,
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows.into_iter().map(|row| (UserId::from_uuid(row.user), row.tokens)).collect())
    }

    /// Ends every token that `user` made, or somebody with a token of theirs; those that still opened something.
    pub async fn revoke_tokens_of(
        &mut self,
        user: UserId,
        now: OffsetDateTime,
    ) -> Result<Vec<TokenId>, StoreError> {
        let only = self.only();
        let revoked = sqlx::query_scalar!(
            "UPDATE api_tokens SET revoked_at = $2
             WHERE created_by_user = $1 AND revoked_at IS NULL AND expires_at > $2 AND ($3::uuid IS NULL OR tenant_id = $3)
             RETURNING token_id",
            user.uuid(),
            now,
            only,
        )
        .fetch_all(self.connection())
        .await?;
        Ok(revoked.into_iter().map(TokenId::from_uuid).collect())
    }

    async fn select_tokens(
        &mut self,
        id: Option<TokenId>,
        of: Option<TenantId>,
        before: Option<TokenId>,
        limit: i64,
    ) -> Result<Vec<TokenRow>, StoreError> {
        let only = self.only();
        let rows = sqlx::query!(
            "SELECT token_id, tenant_id, name, scopes, created_by, created_by_user, created_at, expires_at, last_used_at,
                    revoked_at
             FROM api_tokens
             WHERE ($1::uuid IS NULL OR tenant_id = $1) AND ($2::uuid IS NULL OR token_id = $2)
               AND ($3::uuid IS NULL OR token_id < $3) AND ($5::uuid IS NULL OR tenant_id = $5)
             ORDER BY token_id DESC LIMIT $4",
            only,
            id.map(TokenId::uuid),
            before.map(TokenId::uuid),
            limit,
            of.map(TenantId::uuid),
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| TokenRow {
                token_id: TokenId::from_uuid(row.token_id),
                tenant_id: row.tenant_id.map(TenantId::from_uuid),
                name: row.name,
                scopes: known(&row.scopes),
                created_by: row.created_by,
                created_by_user: row.created_by_user.map(UserId::from_uuid),
                created_at: row.created_at,
                expires_at: row.expires_at,
                last_used_at: row.last_used_at,
                revoked_at: row.revoked_at,
            })
            .collect())
    }
}

/// The scopes that this version knows: one of a later version opens nothing here.
fn known(scopes: &[String]) -> Vec<Scope> {
    scopes.iter().filter_map(|scope| parsed("api_tokens", scope).ok()).collect()
}
