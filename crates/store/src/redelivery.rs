//! Every domain of a tenant is to be configured anew, because its template or its upstream is another one: part by part, so that
//! nobody waits for a million.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{StoreError, WAKE_CHANNEL, steering::lock_with_members};

/// Domains in one transaction.
const PART: usize = 1_000;

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
    // The number stands in the text: it would not be known to a plan that is made once for any.
    let part = sqlx::query!(
        "SELECT domain_id, name FROM domains
         WHERE tenant_id = $1 AND name > $2 AND status <> 'deleted' ORDER BY name LIMIT 1000",
        tenant,
        after,
    )
    .fetch_all(&mut *connection)
    .await?;
    let ids: Vec<_> = part.iter().map(|row| row.domain_id).collect();
    lock_with_members(connection, &ids).await?;
    // Each a statement of its own: what was placed while we waited for the domains is seen.
    sqlx::query!("UPDATE domains SET revision = revision + 1 WHERE domain_id = ANY ($1)", &ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "UPDATE placements p SET wanted_revision = d.revision, pending = true, consecutive_failures = 0, next_attempt_at = $2
         FROM domains d WHERE d.domain_id = ANY ($1) AND p.domain_id = d.domain_id",
        &ids,
        now,
    )
    .execute(&mut *connection)
    .await?;
    match part.last().filter(|_| part.len() == PART) {
        Some(last) => sqlx::query!(
            "UPDATE redeliveries SET after_name = $2, turn_at = $3 WHERE tenant_id = $1",
            tenant,
            last.name,
            now,
        ),
        None => sqlx::query!("DELETE FROM redeliveries WHERE tenant_id = $1", tenant),
    }
    .execute(&mut *connection)
    .await?;
    sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(connection).await?;
    Ok(())
}
