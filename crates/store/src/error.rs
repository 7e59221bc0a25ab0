//! What can go wrong with the database, by what happens next.

use certmill_vault::VaultError;

/// Why a read or write failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The name belongs to another tenant (or, seen by a tenant, to somebody else): tell the caller.
    #[error("the name is taken")]
    NameTaken,
    /// The tenant has as many domains as it may: tell the caller.
    #[error("the tenant's quota of domains is reached")]
    QuotaReached,
    /// The tenant is suspended or being deleted, and takes no new names: tell the caller.
    #[error("the tenant takes no new names")]
    Suspended,
    /// As many operations of the tenant are under way as may be: tell the caller to wait for one of them.
    #[error("too many operations are under way")]
    TooManyOperations,
    /// As many lines of the tenant are stored as may be: tell the caller to wait until older ones are deleted.
    #[error("too many lines of operations are stored")]
    TooManyLines,
    /// Something else has this already, which only one may have: tell the caller.
    #[error("another one has the same {field}")]
    Taken {
        /// The field.
        field: &'static str,
    },
    /// It was changed since it was read: tell the caller to read it again.
    #[error("it was changed meanwhile")]
    Stale,
    /// Another worker has claimed the row since: write nothing, leave it to the other.
    #[error("the lease was lost to another worker")]
    LeaseLost,
    /// A row that this version cannot read: tell an operator.
    #[error("a row of {table} cannot be read")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// What does not parse.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A sealed secret does not open: the wrong key file, or somebody altered the row.
    #[error("a sealed secret does not open")]
    Sealed(#[from] VaultError),
    /// No engine has said yet how secrets are sealed: try again later.
    #[error("no engine has run here yet, which says how secrets are sealed")]
    NoSealingKey,
    /// The migrations cannot be applied.
    #[error("the schema cannot be brought up to date")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// Postgres is away or refused: try again later.
    #[error("the database cannot be used")]
    Database(#[from] sqlx::Error),
}

impl StoreError {
    pub(crate) fn inconsistent(
        table: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Inconsistent { table, source: source.into() }
    }

    /// What a refused `constraint` means to whoever wrote.
    pub(crate) fn taken(error: sqlx::Error, constraint: &str, field: &'static str) -> Self {
        match &error {
            sqlx::Error::Database(refusal) if refusal.constraint() == Some(constraint) => {
                Self::Taken { field }
            }
            _ => Self::Database(error),
        }
    }

    /// Whether a statement was given up because it took longer than it may.
    pub fn took_too_long(&self) -> bool {
        // query_canceled (PostgreSQL, appendix A).
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.code().as_deref() == Some("57014"))
    }

    /// Whether Postgres could not be reached or did not answer: trying again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) => !matches!(error, sqlx::Error::Database(_) | sqlx::Error::RowNotFound),
            Self::NoSealingKey => true,
            _ => false,
        }
    }
}
