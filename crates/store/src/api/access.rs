//! Coming in: log-in by password or one-time link, sessions, links that set a password. Only hashes are kept.

use certmill_model::{Chance, EmailAddress, Role, TenantId, TenantStatus, UserId};
use certmill_vault::TokenHash;
use time::{Duration, OffsetDateTime};

use super::{
    PlatformTx, Reach, SessionOrigin, TenantFace,
    audit::{self, Actor, AuditEntry},
    users::{User, UserColumns},
};
use crate::{Api, StoreError, rows::parsed};

/// Who has an open session.
#[derive(Clone, Debug)]
pub struct SessionHolder {
    /// The user; `None`: whoever has a shell where certmill runs, and made a link there.
    pub user_id: Option<UserId>,
    /// How far the session sees.
    pub reach: Reach,
    /// What it allows.
    pub role: Role,
    /// The user's name.
    pub name: Option<String>,
    /// The user's address.
    pub email: Option<String>,
    /// The user's language.
    pub language: Option<String>,
    /// Where the tenant is, and how it appears; `None`: one of the platform's own people.
    pub tenant: Option<(TenantStatus, TenantFace)>,
}

/// What a password is compared with.
#[derive(Clone)]
pub struct Credentials {
    /// The user.
    pub user_id: UserId,
    /// The argon2id hash of the password.
    pub password_hash: String,
}

impl Api {
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

    /// What the password of the user with this address is compared with; `None`: there is no such user, or none who may log
    /// in by a password.
    pub async fn credentials(&self, email: &EmailAddress) -> Result<Option<Credentials>, StoreError> {
        let mut tx = self.platform().await?;
        let found = sqlx::query!(
            r#"SELECT u.user_id, u.password_hash AS "password_hash!" FROM users u LEFT JOIN tenants t USING (tenant_id)
               WHERE u.email = $1 AND u.password_hash IS NOT NULL AND u.disabled_at IS NULL
                 AND (u.tenant_id IS NULL OR t.status <> 'deleted')"#,
            email.as_str(),
        )
        .fetch_optional(tx.connection())
        .await?;
        Ok(found.map(|row| Credentials {
            user_id: UserId::from_uuid(row.user_id),
            password_hash: row.password_hash,
        }))
    }

    /// Opens a session of `user`.
    pub async fn open_session(
        &self,
        user: UserId,
        session: &TokenHash,
        origin: &SessionOrigin,
        now: OffsetDateTime,
        lasts: Duration,
    ) -> Result<(), StoreError> {
        let mut tx = self.platform().await?;
        sqlx::query!(
            "WITH old AS (DELETE FROM sessions WHERE expires_at < $3),
                  seen AS (UPDATE users SET last_login_at = $3 WHERE user_id = $1)
             INSERT INTO sessions (hash, user_id, created_at, last_seen_at, expires_at, address, agent)
             VALUES ($2, $1, $3, $3, $4, $5, $6)",
            user.uuid(),
            session.as_bytes(),
            now,
            now + lasts,
            origin.address,
            origin.agent,
        )
        .execute(tx.connection())
        .await?;
        tx.commit().await
    }

    /// Who has the session with this hash; it stays open while it is used at least once every `idle`, a minute more or less.
    pub async fn session_holder(
        &self,
        session: &TokenHash,
        now: OffsetDateTime,
        idle: Duration,
    ) -> Result<Option<SessionHolder>, StoreError> {
        let found = sqlx::query!(
            r#"SELECT user_id AS "user_id?", tenant_id AS "tenant_id?", name AS "name?", email AS "email?", role AS "role?",
                      language AS "language?", tenant_status AS "tenant_status?", tenant_name AS "tenant_name?",
                      product_name AS "product_name?", support_url AS "support_url?", has_colours AS "has_colours?",
                      has_logo AS "has_logo?", tenant_revision AS "tenant_revision?"
               FROM session_holder($1, $2, make_interval(secs => $3))"#,
            session.as_bytes(),
            now,
            idle.as_seconds_f64(),
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = found else { return Ok(None) };
        let tenant_id = row.tenant_id.map(TenantId::from_uuid);
        let tenant = row.tenant_status.zip(row.tenant_name).map(|(status, name)| {
            let face = TenantFace {
                name,
                product_name: row.product_name,
                support_url: row.support_url,
                has_colours: row.has_colours.unwrap_or_default(),
                has_logo: row.has_logo.unwrap_or_default(),
                revision: row.tenant_revision.unwrap_or_default(),
            };
            parsed("tenants", &status).map(|status| (status, face))
        });
        Ok(Some(SessionHolder {
            user_id: row.user_id.map(UserId::from_uuid),
            reach: tenant_id.map_or(Reach::Platform, Reach::Tenant),
            tenant: tenant.transpose()?,
            role: match row.role {
                Some(role) => parsed("users", &role)?,
                None => Role::PlatformAdmin,
            },
            name: row.name,
            email: row.email,
            language: row.language,
        }))
    }

    /// Ends a session.
    pub async fn log_out(&self, session: &TokenHash) -> Result<(), StoreError> {
        sqlx::query!("DELETE FROM sessions WHERE hash = $1", session.as_bytes()).execute(&self.pool).await?;
        Ok(())
    }

    /// The user whom a link lets set a password; `None`: unknown, used or expired.
    pub async fn password_link(
        &self,
        link: &TokenHash,
        now: OffsetDateTime,
    ) -> Result<Option<User>, StoreError> {
        let mut tx = self.platform().await?;
        sqlx::query_as!(
            UserColumns,
            r#"SELECT u.user_id, u.tenant_id, u.email, u.name, u.role, u.language,
                      u.password_hash IS NOT NULL AS "has_password!", u.revision, u.created_at, u.disabled_at, u.last_login_at
               FROM password_links l JOIN users u USING (user_id)
               WHERE l.hash = $1 AND l.used_at IS NULL AND l.expires_at > $2 AND u.disabled_at IS NULL"#,
            link.as_bytes(),
            now,
        )
        .fetch_optional(tx.connection())
        .await?
        .map(User::try_from)
        .transpose()
    }

    /// The user with this address who may log in, for whom a link is to be made.
    pub async fn user_by_email(&self, email: &EmailAddress) -> Result<Option<User>, StoreError> {
        let mut tx = self.platform().await?;
        sqlx::query_as!(
            UserColumns,
            r#"SELECT user_id, tenant_id, email, name, role, language, password_hash IS NOT NULL AS "has_password!", revision,
                      created_at, disabled_at, last_login_at
               FROM users WHERE email = $1 AND disabled_at IS NULL"#,
            email.as_str(),
        )
        .fetch_optional(tx.connection())
        .await?
        .map(User::try_from)
        .transpose()
    }

    /// Gives the holder of a link the password with this hash; the link is used up, and every session of the user ends.
    /// `None`: unknown, used or expired. What failed under `key` before is forgotten: who guessed at the old password keeps
    /// nobody from using the new one.
    pub async fn set_password(
        &self,
        link: &TokenHash,
        password_hash: &str,
        key: &str,
        address: Option<String>,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<Option<UserId>, StoreError> {
        let mut tx = self.platform().await?;
        let found = sqlx::query!(
            "WITH link AS (
                 UPDATE password_links SET used_at = $3 WHERE hash = $1 AND used_at IS NULL AND expires_at > $3
                 RETURNING user_id
             ), ended AS (
                 DELETE FROM sessions s USING link WHERE s.user_id = link.user_id
             ), forgotten AS (
                 DELETE FROM login_failures f USING link WHERE f.key = $4
             )
             UPDATE users u SET password_hash = $2, updated_at = $3 FROM link
             WHERE u.user_id = link.user_id AND u.disabled_at IS NULL
             RETURNING u.user_id, u.tenant_id, u.name, u.email",
            link.as_bytes(),
            password_hash,
            now,
            key,
        )
        .fetch_optional(tx.connection())
        .await?;
        let Some(row) = found else { return Ok(None) };
        let user = UserId::from_uuid(row.user_id);
        let actor = Actor {
            kind: "user",
            id: Some(user.to_string()),
            name: row.name,
            request_id: None,
            address,
            keyed: None,
        };
        let entry = AuditEntry {
            actor: &actor,
            action: "user.password_set",
            object_kind: "user",
            object_id: Some(user.to_string()),
            object_name: row.email,
            tenant: row.tenant_id.map(TenantId::from_uuid),
            detail: serde_json::json!({}),
        };
        audit::record(tx.connection(), &entry, chance, now).await?;
        tx.commit().await?;
        Ok(Some(user))
    }
}

impl PlatformTx {
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
