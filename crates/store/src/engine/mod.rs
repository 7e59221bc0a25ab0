//! The door for workers.

use sqlx::PgPool;

/// The database, for workers.
#[derive(Clone)]
pub struct Engine {
    pool: PgPool,
}

impl Engine {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}
