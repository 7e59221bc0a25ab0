//! Transactions that belong to somebody: to one tenant, or to the platform's own people.

use std::ops::{Deref, DerefMut};

use certmill_model::{ChallengeToken, Chance, TenantId};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};
use time::OffsetDateTime;

use super::{
    audit::{self, AuditEntry},
    idempotency,
};
use crate::StoreError;

/// How far somebody sees.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// One tenant.
    Tenant(TenantId),
    /// The platform: every tenant, and what belongs to none.
    Platform,
}

impl Reach {
    /// The tenant that is all of it.
    pub fn tenant(self) -> Option<TenantId> {
        match self {
            Self::Tenant(tenant) => Some(tenant),
            Self::Platform => None,
        }
    }
}

/// The database, for people and programs. It hands out no connection without an owner.
#[derive(Clone)]
pub struct Api {
    pub(super) pool: PgPool,
}

/// A transaction of somebody, as far as they see: for all that a tenant's people and the platform's do alike.
pub struct ScopedTx {
    pub(crate) tx: Tx,
    pub(super) reach: Reach,
}

/// A transaction of one tenant, in which it may also say what it wants: row level security shows and takes nothing of
/// another.
pub struct TenantTx {
    scoped: ScopedTx,
    pub(crate) tenant: TenantId,
}

/// A transaction of the platform's own people, who see every tenant, with what they alone may do.
pub struct PlatformTx {
    scoped: ScopedTx,
}

impl Api {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Begins a transaction of `tenant`.
    pub async fn tenant(&self, tenant: TenantId) -> Result<TenantTx, StoreError> {
        Ok(TenantTx { scoped: self.scoped(Reach::Tenant(tenant)).await?, tenant })
    }

    /// Begins a transaction of the platform.
    pub async fn platform(&self) -> Result<PlatformTx, StoreError> {
        Ok(PlatformTx { scoped: self.scoped(Reach::Platform).await? })
    }

    /// Begins a transaction of the platform that only reads, and all of it as of one instant.
    pub async fn read_platform(&self) -> Result<PlatformTx, StoreError> {
        Ok(PlatformTx { scoped: self.read(Reach::Platform).await? })
    }

    /// Begins a transaction that sees as far as `reach`.
    pub async fn scoped(&self, reach: Reach) -> Result<ScopedTx, StoreError> {
        Ok(ScopedTx { tx: self.begin("BEGIN", reach).await?, reach })
    }

    /// Begins a transaction that sees as far as `reach`, only reads, and all of it as of one instant: what one answer shows
    /// belongs together, whatever is recorded meanwhile.
    pub async fn read(&self, reach: Reach) -> Result<ScopedTx, StoreError> {
        Ok(ScopedTx { tx: self.begin(AS_OF_ONE_INSTANT, reach).await?, reach })
    }

    /// Both in one round trip. The setting is local to the transaction: nothing of it is left on a pooled connection.
    async fn begin(&self, begin: &str, reach: Reach) -> Result<Tx, StoreError> {
        let scope = match reach {
            Reach::Tenant(tenant) => format!("certmill.tenant_id = '{}'", tenant.uuid()),
            Reach::Platform => "certmill.scope = 'platform'".to_owned(),
        };
        // Nothing from outside is in it: an id is 32 hexadecimal digits.
        Ok(self.pool.begin_with(AssertSqlSafe(format!("{begin}; SET LOCAL {scope}"))).await?)
    }

    /// The key authorization for `token`, whoever's it is: it is public by design (RFC 8555 section 8.3).
    pub async fn key_authorization(&self, token: &ChallengeToken) -> Result<Option<String>, StoreError> {
        let found =
            sqlx::query_scalar!("SELECT key_authorization FROM challenges WHERE token = $1", token.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(found)
    }

    /// Succeeds when the database answers and its schema is there.
    pub async fn check(&self) -> Result<(), StoreError> {
        sqlx::query!("SELECT 1 AS one FROM targets LIMIT 1").fetch_optional(&self.pool).await?;
        Ok(())
    }
}

const AS_OF_ONE_INSTANT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

type Tx = Transaction<'static, Postgres>;

impl TenantTx {
    /// What the engine does for `tenant`, in a transaction of its own role.
    pub(crate) fn of_engine(tx: Tx, tenant: TenantId) -> Self {
        Self { scoped: ScopedTx { tx, reach: Reach::Tenant(tenant) }, tenant }
    }

    /// Makes everything done in it last.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.scoped.tx.commit().await?)
    }

    /// Makes everything done in it last, and `entry` with it: who changed what.
    pub async fn commit_audited(
        self,
        entry: &AuditEntry<'_>,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.scoped.commit(entry, chance, now).await
    }

    /// Whose it is.
    pub fn tenant_id(&self) -> TenantId {
        self.tenant
    }
}

impl PlatformTx {
    /// Makes everything done in it last.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.scoped.tx.commit().await?)
    }

    /// Makes everything done in it last, and `entry` with it: who changed what.
    pub async fn commit_audited(
        self,
        entry: &AuditEntry<'_>,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.scoped.commit(entry, chance, now).await
    }
}

/// Whatever anybody may do in their reach, a tenant may in its own, and the platform everywhere.
impl Deref for TenantTx {
    type Target = ScopedTx;

    fn deref(&self) -> &ScopedTx {
        &self.scoped
    }
}

impl DerefMut for TenantTx {
    fn deref_mut(&mut self) -> &mut ScopedTx {
        &mut self.scoped
    }
}

impl Deref for PlatformTx {
    type Target = ScopedTx;

    fn deref(&self) -> &ScopedTx {
        &self.scoped
    }
}

impl DerefMut for PlatformTx {
    fn deref_mut(&mut self) -> &mut ScopedTx {
        &mut self.scoped
    }
}

impl ScopedTx {
    /// Makes everything done in it last, and `entry` with it: who changed what, and that a request with a key is done.
    pub async fn commit(
        mut self,
        entry: &AuditEntry<'_>,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        audit::record(self.connection(), entry, chance, now).await?;
        if let Some(keyed) = &entry.actor.keyed {
            idempotency::done(self.connection(), keyed).await?;
        }
        Ok(self.tx.commit().await?)
    }

    /// How far it sees.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// The tenant that every row must belong to; `None` of the platform.
    pub(super) fn only(&self) -> Option<uuid::Uuid> {
        self.reach.tenant().map(TenantId::uuid)
    }
}
