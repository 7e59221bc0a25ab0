//! Users, as those see them who may invite and change them.

use certmill_model::{AuditId, Chance, EmailAddress, Label, Role, TenantId, UserId};
use certmill_vault::TokenHash;
use time::OffsetDateTime;
use uuid::Uuid;

use super::ScopedTx;
use crate::{StoreError, rows::parsed};

/// A user.
#[derive(Clone, Debug)]
pub struct User {
    /// The id.
    pub user_id: UserId,
    /// The tenant whose user it is; `None`: one of the platform's own people.
    pub tenant_id: Option<TenantId>,
    /// Where mail goes, and what the user logs in by.
    pub email: EmailAddress,
    /// The name.
    pub name: Label,
    /// What the user may do.
    pub role: Role,
    /// The language of mail: `en` or `de`.
    pub language: String,
    /// Whether the invitation was taken: there is a password.
    pub has_password: bool,
    /// Grows with each change.
    pub revision: i64,
    /// When the user was invited.
    pub created_at: OffsetDateTime,
    /// When the user was locked out, if so.
    pub disabled_at: Option<OffsetDateTime>,
    /// When the user last logged in.
    pub last_login_at: Option<OffsetDateTime>,
}

/// A user to be invited.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The id.
    pub user_id: UserId,
    /// The tenant; `None`: one of the platform's own people.
    pub tenant_id: Option<TenantId>,
    /// Where mail goes, and what the user logs in by.
    pub email: EmailAddress,
    /// The name.
    pub name: Label,
    /// What the user may do: one of the roles that are possible there.
    pub role: Role,
    /// The language of mail: `en` or `de`.
    pub language: String,
}

/// What is to become of a user.
#[derive(Clone, Debug)]
pub struct UserChange {
    /// The name.
    pub name: Label,
    /// What the user may do.
    pub role: Role,
    /// The language of mail.
    pub language: String,
    /// Whether the user is locked out. Open sessions end with that.
    pub disabled: bool,
}

impl ScopedTx {
    /// Up to `limit` users by address, beginning behind the address `after`; those of one tenant, or of all that are seen.
    pub async fn list_users(
        &mut self,
        of: Option<TenantId>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<User>, StoreError> {
        self.select_users(None, of, after, limit).await
    }

    /// The user with this id.
    pub async fn find_user(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self.select_users(Some(id), None, None, 1).await?.pop())
    }

    /// Adds a user, who has no password yet. [`StoreError::Taken`]: somebody has the address already. Somebody of another
    /// tenant, whose invitation ended without being taken, no longer has it.
    pub async fn add_user(
        &mut self,
        user: &NewUser,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "SELECT release_address($1, $2, $3, $4)",
            user.email.as_str(),
            user.tenant_id.map(TenantId::uuid),
            AuditId::new(chance, now).uuid(),
            now,
        )
        .execute(self.connection())
        .await?;
        sqlx::query!(
            "INSERT INTO users (user_id, tenant_id, email, name, role, language, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
            user.user_id.uuid(),
            user.tenant_id.map(TenantId::uuid),
            user.email.as_str(),
            user.name.as_str(),
            user.role.as_str(),
            user.language,
            now,
        )
        .execute(self.connection())
        .await
        .map_err(|error| StoreError::taken(error, "users_email_key", "email"))?;
        Ok(())
    }

    /// Changes a user. `revision` is what was read, if anything was; [`StoreError::Stale`]: it was changed since. `false`:
    /// there is none.
    pub async fn change_user(
        &mut self,
        id: UserId,
        change: &UserChange,
        revision: Option<i64>,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let only = self.only();
        let found = sqlx::query_scalar!(
            "SELECT revision FROM users WHERE user_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2) FOR UPDATE",
            id.uuid(),
            only,
        )
        .fetch_optional(self.connection())
        .await?;
        let Some(found) = found else { return Ok(false) };
        if revision.is_some_and(|revision| revision != found) {
            return Err(StoreError::Stale);
        }
        sqlx::query!(
            "WITH ended AS (DELETE FROM sessions WHERE user_id = $1 AND $5)
             UPDATE users SET name = $2, role = $3, language = $4, revision = revision + 1, updated_at = $6,
                 disabled_at = CASE WHEN $5 THEN COALESCE(disabled_at, $6) END
             WHERE user_id = $1",
            id.uuid(),
            change.name.as_str(),
            change.role.as_str(),
            change.language,
            change.disabled,
            now,
        )
        .execute(self.connection())
        .await?;
        Ok(true)
    }

    /// Removes a user, with sessions and links. `false`: there is none.
    pub async fn delete_user(&mut self, id: UserId) -> Result<bool, StoreError> {
        let only = self.only();
        let done = sqlx::query!(
            "DELETE FROM users WHERE user_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2)",
            id.uuid(),
            only,
        )
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Adds a link that lets `user` set a password once; earlier ones of the same user end.
    pub async fn add_password_link(
        &mut self,
        user: &User,
        hash: &TokenHash,
        now: OffsetDateTime,
        expires_at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query!("DELETE FROM password_links WHERE user_id = $1", user.user_id.uuid())
            .execute(self.connection())
            .await?;
        sqlx::query!(
            "INSERT INTO password_links (hash, user_id, tenant_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
            hash.as_bytes(),
            user.user_id.uuid(),
            user.tenant_id.map(TenantId::uuid),
            now,
            expires_at,
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// How many others than `user` can log in as `platform_admin`. They cannot change until the transaction ends: of two who
    /// remove each other at the same time, one stays.
    pub async fn count_other_platform_admins(&mut self, user: UserId) -> Result<usize, StoreError> {
        let admins = sqlx::query_scalar!(
            "SELECT user_id FROM users
             WHERE role = 'platform_admin' AND disabled_at IS NULL AND password_hash IS NOT NULL
             ORDER BY user_id FOR UPDATE",
        )
        .fetch_all(self.connection())
        .await?;
        Ok(admins.into_iter().filter(|id| *id != user.uuid()).count())
    }

    /// Some of those who can log in as `platform_admin`.
    pub async fn platform_admins(&mut self) -> Result<Vec<EmailAddress>, StoreError> {
        let rows = sqlx::query_scalar!(
            "SELECT email FROM users
             WHERE role = 'platform_admin' AND disabled_at IS NULL AND password_hash IS NOT NULL
             ORDER BY user_id LIMIT 10",
        )
        .fetch_all(self.connection())
        .await?;
        rows.iter().map(|email| parsed("users", email)).collect()
    }

    async fn select_users(
        &mut self,
        id: Option<UserId>,
        of: Option<TenantId>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<User>, StoreError> {
        let only = self.only();
        sqlx::query_as!(
            UserColumns,
            r#"SELECT user_id, tenant_id, email, name, role, language, password_hash IS NOT NULL AS "has_password!", revision,
                      created_at, disabled_at, last_login_at
               FROM users
               WHERE ($1::uuid IS NULL OR tenant_id = $1) AND ($2::uuid IS NULL OR user_id = $2)
                 AND ($3::text IS NULL OR email > $3) AND ($5::uuid IS NULL OR tenant_id = $5)
               ORDER BY email LIMIT $4"#,
            only,
            id.map(UserId::uuid),
            after,
            limit,
            of.map(TenantId::uuid),
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(User::try_from)
        .collect()
    }
}

pub(super) struct UserColumns {
    pub(super) user_id: Uuid,
    pub(super) tenant_id: Option<Uuid>,
    pub(super) email: String,
    pub(super) name: String,
    pub(super) role: String,
    pub(super) language: String,
    pub(super) has_password: bool,
    pub(super) revision: i64,
    pub(super) created_at: OffsetDateTime,
    pub(super) disabled_at: Option<OffsetDateTime>,
    pub(super) last_login_at: Option<OffsetDateTime>,
}

impl TryFrom<UserColumns> for User {
    type Error = StoreError;

    fn try_from(row: UserColumns) -> Result<Self, StoreError> {
        Ok(Self {
            user_id: UserId::from_uuid(row.user_id),
            tenant_id: row.tenant_id.map(TenantId::from_uuid),
            email: parsed("users", &row.email)?,
            name: Label::parse(&row.name).map_err(|error| StoreError::inconsistent("users", error))?,
            role: parsed("users", &row.role)?,
            language: row.language,
            has_password: row.has_password,
            revision: row.revision,
            created_at: row.created_at,
            disabled_at: row.disabled_at,
            last_login_at: row.last_login_at,
        })
    }
}
