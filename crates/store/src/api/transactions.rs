//! Transactions that belong to somebody: to one tenant, or to the platform's own people.

use certmill_model::{ChallengeToken, TenantId};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::StoreError;

/// The database, for people and programs. It hands out no connection without an owner.
#[derive(Clone)]
pub struct Api {
    pub(super) pool: PgPool,
}

/// A transaction of one tenant: row level security shows and takes nothing of another.
pub struct TenantTx {
    pub(super) tx: Transaction<'static, Postgres>,
    pub(super) tenant: TenantId,
}

/// A transaction of the platform's own people, who see every tenant.
pub struct PlatformTx {
    pub(super) tx: Transaction<'static, Postgres>,
}

impl Api {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Begins a transaction of `tenant`.
    pub async fn tenant(&self, tenant: TenantId) -> Result<TenantTx, StoreError> {
        Ok(TenantTx { tx: of_tenant(self.pool.begin().await?, tenant).await?, tenant })
    }

    /// Begins a transaction of the platform.
    pub async fn platform(&self) -> Result<PlatformTx, StoreError> {
        Ok(PlatformTx { tx: of_platform(self.pool.begin().await?).await? })
    }

    /// Begins a transaction of `tenant` that only reads, and all of it as of one instant: what one answer shows belongs
    /// together, whatever is recorded meanwhile.
    pub async fn read_tenant(&self, tenant: TenantId) -> Result<TenantTx, StoreError> {
        Ok(TenantTx { tx: of_tenant(self.pool.begin_with(AS_OF_ONE_INSTANT).await?, tenant).await?, tenant })
    }

    /// The same for the platform.
    pub async fn read_platform(&self) -> Result<PlatformTx, StoreError> {
        Ok(PlatformTx { tx: of_platform(self.pool.begin_with(AS_OF_ONE_INSTANT).await?).await? })
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

async fn of_tenant(mut tx: Tx, tenant: TenantId) -> Result<Tx, StoreError> {
    // Local to the transaction, so that nothing of it is left on a pooled connection.
    sqlx::query!("SELECT set_config('certmill.tenant_id', $1, true)", tenant.uuid().to_string())
        .fetch_one(&mut *tx)
        .await?;
    Ok(tx)
}

async fn of_platform(mut tx: Tx) -> Result<Tx, StoreError> {
    sqlx::query!("SELECT set_config('certmill.scope', 'platform', true)").fetch_one(&mut *tx).await?;
    Ok(tx)
}

impl TenantTx {
    /// Makes everything done in it last.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.tx.commit().await?)
    }

    /// Whose it is.
    pub fn tenant_id(&self) -> TenantId {
        self.tenant
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

impl PlatformTx {
    /// Makes everything done in it last.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.tx.commit().await?)
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}
