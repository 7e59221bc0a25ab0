//! Requests that are sent again under their key (draft-ietf-httpapi-idempotency-key-header), and what was answered to them.

use certmill_model::TokenId;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

use super::{Api, Reach};
use crate::StoreError;

/// How long an answer is kept.
const KEPT: Duration = Duration::hours(24);

/// Nobody works on a request for so long: whoever did was killed.
const GIVEN_UP: Duration = Duration::minutes(1);

/// Stands in the place of a status when what a request asks for is done, and its answer is not kept yet. Written in the
/// transaction of the work: whoever is killed behind it leaves it, and nothing is done twice.
const DONE: i16 = 0;

/// A request with a key of its sender's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyedRequest {
    /// How far its sender sees.
    pub reach: Reach,
    /// The token that it came with: keys of different tokens have nothing to do with each other.
    pub token_id: TokenId,
    /// The key.
    pub key: String,
    /// SHA-256 of method, path, query and body.
    pub print: [u8; 32],
    /// When its answering began: tells who answers it from whoever took it over since.
    pub started_at: OffsetDateTime,
}

/// What is known of a key.
#[derive(Debug)]
pub enum Repeated {
    /// Nothing: the request is to be answered, and others with the key wait for that.
    New,
    /// The same or another request is being answered.
    UnderWay,
    /// It was another request.
    Differs,
    /// It was done, and whoever did it was killed before its answer was kept.
    AnswerLost,
    /// It was answered.
    Answered {
        /// The HTTP status.
        status: i16,
        /// Headers and body, sealed for the holder of the token.
        sealed: Vec<u8>,
    },
}

impl Api {
    /// Notes that `request` is being answered, if nothing is known of its key.
    pub async fn begin_keyed(&self, request: &KeyedRequest) -> Result<Repeated, StoreError> {
        let now = request.started_at;
        let mut tx = self.scoped(request.reach).await?;
        let begun = sqlx::query!(
            "INSERT INTO idempotency_keys AS k (token_id, key, tenant_id, request, started_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (token_id, key) DO UPDATE
             SET request = EXCLUDED.request, started_at = EXCLUDED.started_at, status = NULL, sealed_answer = NULL
             WHERE k.started_at < $6 OR (k.status IS NULL AND k.started_at < $7)",
            request.token_id.uuid(),
            request.key,
            request.reach.tenant().map(certmill_model::TenantId::uuid),
            &request.print[..],
            now,
            now - KEPT,
            now - GIVEN_UP,
        )
        .execute(tx.connection())
        .await?;
        if begun.rows_affected() > 0 {
            tx.tx.commit().await?;
            return Ok(Repeated::New);
        }
        let known = sqlx::query!(
            "SELECT request, status, sealed_answer, started_at FROM idempotency_keys WHERE token_id = $1 AND key = $2",
            request.token_id.uuid(),
            request.key,
        )
        .fetch_optional(tx.connection())
        .await?;
        Ok(match known {
            Some(row) if row.request != request.print => Repeated::Differs,
            Some(row) => match (row.status, row.sealed_answer) {
                (Some(status), Some(sealed)) => Repeated::Answered { status, sealed },
                (Some(_), None) if row.started_at < now - GIVEN_UP => Repeated::AnswerLost,
                _ => Repeated::UnderWay,
            },
            // It was refused just now: the next attempt begins anew.
            None => Repeated::UnderWay,
        })
    }

    /// Keeps what was answered, unless somebody took the request over.
    pub async fn finish_keyed(
        &self,
        request: &KeyedRequest,
        status: i16,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        let mut tx = self.scoped(request.reach).await?;
        sqlx::query!(
            "UPDATE idempotency_keys SET status = $3, sealed_answer = $4
             WHERE token_id = $1 AND key = $2 AND started_at = $5",
            request.token_id.uuid(),
            request.key,
            status,
            sealed,
            request.started_at,
        )
        .execute(tx.connection())
        .await?;
        Ok(tx.tx.commit().await?)
    }

    /// Forgets the key, if nothing was done and nobody took the request over.
    pub async fn release_keyed(&self, request: &KeyedRequest) -> Result<(), StoreError> {
        let mut tx = self.scoped(request.reach).await?;
        sqlx::query!(
            "DELETE FROM idempotency_keys WHERE token_id = $1 AND key = $2 AND started_at = $3 AND status IS NULL",
            request.token_id.uuid(),
            request.key,
            request.started_at,
        )
        .execute(tx.connection())
        .await?;
        Ok(tx.tx.commit().await?)
    }
}

/// Notes in the transaction of the work that `request` is done. [`StoreError::LeaseLost`]: somebody took it over, and the work must
/// not last.
pub(super) async fn done(connection: &mut PgConnection, request: &KeyedRequest) -> Result<(), StoreError> {
    // The platform works in the transaction of a tenant, which does not see the platform's keys.
    if request.reach == Reach::Platform {
        sqlx::query!("SELECT set_config('certmill.scope', 'platform', true)")
            .fetch_one(&mut *connection)
            .await?;
    }
    let done = sqlx::query!(
        "UPDATE idempotency_keys SET status = $4 WHERE token_id = $1 AND key = $2 AND started_at = $3",
        request.token_id.uuid(),
        request.key,
        request.started_at,
        DONE,
    )
    .execute(connection)
    .await?;
    if done.rows_affected() == 0 { Err(StoreError::LeaseLost) } else { Ok(()) }
}
