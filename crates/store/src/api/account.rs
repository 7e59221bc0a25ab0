//! A user's own account: sessions and password.

use certmill_model::UserId;
use certmill_vault::TokenHash;
use time::{Duration, OffsetDateTime};

use super::ScopedTx;
use crate::StoreError;

/// Where a session is opened from.
#[derive(Clone, Debug, Default)]
pub struct SessionOrigin {
    /// The address.
    pub address: Option<String>,
    /// What the browser calls itself.
    pub agent: Option<String>,
}

/// An open session.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// When it was opened.
    pub created_at: OffsetDateTime,
    /// When it was last used, to the minute.
    pub last_seen_at: OffsetDateTime,
    /// Where it was opened from.
    pub origin: SessionOrigin,
    /// Whether it is the one that asks.
    pub is_own: bool,
}

impl ScopedTx {
    /// The open sessions of `user`, the latest first; `own` is the one that asks.
    pub async fn sessions(
        &mut self,
        user: UserId,
        own: &TokenHash,
        now: OffsetDateTime,
        idle: Duration,
    ) -> Result<Vec<SessionRow>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT created_at, last_seen_at, address, agent, hash = $2 AS "is_own!" FROM sessions
               WHERE user_id = $1 AND expires_at > $3 AND last_seen_at > $3 - make_interval(secs => $4)
               ORDER BY last_seen_at DESC, created_at DESC LIMIT 100"#,
            user.uuid(),
            own.as_bytes(),
            now,
            idle.as_seconds_f64(),
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| SessionRow {
                created_at: row.created_at,
                last_seen_at: row.last_seen_at,
                origin: SessionOrigin { address: row.address, agent: row.agent },
                is_own: row.is_own,
            })
            .collect())
    }

    /// Ends every session of `user` but `kept`; how many.
    pub async fn end_sessions(&mut self, user: UserId, kept: Option<&TokenHash>) -> Result<u64, StoreError> {
        let ended = sqlx::query!(
            "DELETE FROM sessions WHERE user_id = $1 AND ($2::bytea IS NULL OR hash <> $2)",
            user.uuid(),
            kept.map(TokenHash::as_bytes),
        )
        .execute(self.connection())
        .await?;
        Ok(ended.rows_affected())
    }

    /// The hash of the password of `user`, who may see it only by comparing.
    pub async fn password_hash(&mut self, user: UserId) -> Result<Option<String>, StoreError> {
        let only = self.only();
        let found = sqlx::query_scalar!(
            "SELECT password_hash FROM users WHERE user_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2)",
            user.uuid(),
            only,
        )
        .fetch_optional(self.connection())
        .await?;
        Ok(found.flatten())
    }

    /// Gives `user` the password with this hash; links that would set another one end.
    pub async fn change_password(
        &mut self,
        user: UserId,
        password_hash: &str,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let only = self.only();
        sqlx::query!(
            "WITH ended AS (DELETE FROM password_links WHERE user_id = $1)
             UPDATE users SET password_hash = $2, updated_at = $3
             WHERE user_id = $1 AND ($4::uuid IS NULL OR tenant_id = $4)",
            user.uuid(),
            password_hash,
            now,
            only,
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
