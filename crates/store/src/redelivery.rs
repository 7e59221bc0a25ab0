//! Every domain of a tenant is to be configured anew, because its template or its upstream is another one: part by part, so that
//! nobody waits for a million.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{StoreError, WAKE_CHANNEL};

/// Domains in one transaction.
const PART: i64 = 1_000;

/// Begins with the first of them; the engine goes on with the others.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    tenant: Uuid,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    // Before any domain is locked, as the engine does it.
    sqlx::query!(
        "INSERT INTO redeliveries (tenant_id, after_name, turn_at) VALUES ($1, '', $2)
         ON CONFLICT (tenant_id) DO UPDATE SET after_name = '', turn_at = $2",
        tenant,
        now,
    )
    .execute(&mut *connection)
    .await?;
    go_on(connection, tenant, "", now).await
}

/// Goes on behind the name `after`. The tenant's row in `redeliveries` is held, and gone behind the last part.
pub(crate) async fn go_on(
    connection: &mut PgConnection,
    tenant: Uuid,
    after: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    // Domains are locked in the order in which everybody locks them.
    let names = sqlx::query_scalar!(
        "WITH chosen AS (
             SELECT domain_id, name FROM domains
             WHERE tenant_id = $1 AND name > $2 AND status <> 'deleted' ORDER BY name LIMIT $3
         ), locked AS (
             SELECT d.domain_id FROM domains d JOIN chosen USING (domain_id) ORDER BY d.domain_id FOR NO KEY UPDATE OF d
         ), renewed AS (
             UPDATE domains d SET revision = d.revision + 1 FROM locked
             WHERE d.domain_id = locked.domain_id RETURNING d.domain_id, d.revision
         ), told AS (
             UPDATE placements p SET wanted_revision = renewed.revision, pending = true, consecutive_failures = 0,
                 next_attempt_at = $4
             FROM renewed WHERE p.domain_id = renewed.domain_id
         )
         SELECT name FROM chosen ORDER BY name",
        tenant,
        after,
        PART,
        now,
    )
    .fetch_all(&mut *connection)
    .await?;
    match names.last().filter(|_| names.len() as i64 == PART) {
        Some(last) => sqlx::query!(
            "UPDATE redeliveries SET after_name = $2, turn_at = $3 WHERE tenant_id = $1",
            tenant,
            last,
            now,
        ),
        None => sqlx::query!("DELETE FROM redeliveries WHERE tenant_id = $1", tenant),
    }
    .execute(&mut *connection)
    .await?;
    sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(connection).await?;
    Ok(())
}
