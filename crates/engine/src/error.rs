//! What ends a step without its being recorded.

use certmill_acme::AcmeError;
use certmill_store::StoreError;

/// A step that could not even be recorded: its lease runs out, and the next claim begins where the record ends.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database is away, or the lease is another's.
    #[error("the step could not be recorded")]
    Store(#[from] StoreError),
    /// The queue in the database cannot be used.
    #[error("the queue cannot be used")]
    Queue(#[from] apalis_postgres::Error),
    /// The queue's tables cannot be used.
    #[error("the queue's tables cannot be used")]
    QueueTables(#[from] sqlx::Error),
}

/// Why the CA cannot be worked with now.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The database.
    #[error("the account could not be read or stored")]
    Store(#[from] StoreError),
    /// The CA has failed others who asked at the same time.
    #[error("the certificate authority fails; it is asked again at {until}")]
    Away {
        /// When.
        until: time::OffsetDateTime,
    },
    /// The CA.
    #[error("the certificate authority did not accept the account")]
    Ca(#[from] AcmeError),
    /// The stored account key is not one.
    #[error("the stored account key cannot be read")]
    Key(#[from] certmill_acme::InvalidKey),
}
