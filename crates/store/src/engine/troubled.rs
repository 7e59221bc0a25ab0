//! Domains that are due and in trouble: a lane of their own, since their lookups hang.

use certmill_model::DomainId;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{
    Due, Engine,
    due::{SEARCHED, take},
};
use crate::StoreError;

/// Of the room for what is in trouble, dead names have a quarter if they need it, and a half at most while others are due.
const DEAD_AT_LEAST: usize = 4;
const DEAD_AT_MOST: usize = 2;

/// How long ago a certificate ended whose domain is urgent no more: it is one of those that nobody mends.
const GIVEN_UP_AFTER: time::Duration = time::Duration::days(7);

impl Engine {
    /// Takes up to `room` domains that are due at `now` and failed lately, or do not point at us. Those with a certificate
    /// come first, the least life left before all, then those with an open order, then names that never had one, the longest
    /// due first.
    pub async fn take_due_troubled(
        &self,
        connection: &mut PgConnection,
        room: i64,
        now: OffsetDateTime,
    ) -> Result<Due, StoreError> {
        let chosen = troubled(connection, room, now).await?;
        let is_more = chosen.len() as i64 == room;
        Ok(Due { taken: take(connection, &chosen, now).await?, is_more, next_tenant: None })
    }
}

/// Dead names are left a part of the room, so that one whose owner sets it right at last has its turn, and get no more than
/// a part while others are due: their lookups hang.
async fn troubled(
    connection: &mut PgConnection,
    room: i64,
    now: OffsetDateTime,
) -> Result<Vec<DomainId>, StoreError> {
    let rows = sqlx::query!(
        r#"WITH longest AS (
               SELECT domain_id FROM domains
               WHERE next_action_at <= $1
                 AND (consecutive_failures > 0 OR status IN ('failed', 'moved', 'expired'))
                 AND (certificate_id IS NOT NULL OR order_id IS NOT NULL)
                 AND (lease_until IS NULL OR lease_until < now())
                 AND (nudged_until IS NULL OR nudged_until < now())
               ORDER BY next_action_at LIMIT $2
           ), ending AS (
               SELECT domain_id FROM (
                   SELECT domain_id, next_action_at, lease_until, nudged_until FROM domains
                   WHERE expires_at > $3 AND next_action_at IS NOT NULL
                     AND (consecutive_failures > 0 OR status IN ('failed', 'moved', 'expired'))
                     AND (SELECT count(*) FROM longest) = $2
                   ORDER BY expires_at LIMIT $4) AS soonest
               WHERE next_action_at <= $1 AND (lease_until IS NULL OR lease_until < now())
                 AND (nudged_until IS NULL OR nudged_until < now())
           ), alive AS (
               SELECT d.domain_id, row_number() OVER (
                   ORDER BY d.certificate_id IS NULL, d.expires_at <= $3, d.expires_at, d.next_action_at) AS place
               FROM domains d
               WHERE d.domain_id = ANY (ARRAY (SELECT domain_id FROM longest UNION SELECT domain_id FROM ending))
               ORDER BY place LIMIT $2
           ), dead AS (
               SELECT domain_id, next_action_at FROM domains
               WHERE next_action_at <= $1
                 AND (consecutive_failures > 0 OR status IN ('failed', 'moved', 'expired'))
                 AND certificate_id IS NULL AND order_id IS NULL
                 AND (lease_until IS NULL OR lease_until < now())
                 AND (nudged_until IS NULL OR nudged_until < now())
               ORDER BY next_action_at LIMIT $2
           )
           SELECT domain_id AS "domain_id!", place AS "place!", false AS "is_dead!" FROM alive
           UNION ALL
           SELECT domain_id, row_number() OVER (ORDER BY next_action_at), true FROM dead
           ORDER BY 3, 2"#,
        now,
        room,
        now - GIVEN_UP_AFTER,
        SEARCHED,
    )
    .fetch_all(connection)
    .await?;
    let (dead, alive): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.is_dead);
    let room = room.unsigned_abs() as usize;
    let of_alive = alive.len().min(room - dead.len().min(dead_at_least(room)));
    let at_most = if alive.is_empty() { room } else { (room / DEAD_AT_MOST).max(dead_at_least(room)) };
    let of_dead = at_most.min(room - of_alive);
    let chosen = alive.iter().take(of_alive).chain(dead.iter().take(of_dead));
    Ok(chosen.map(|row| DomainId::from_uuid(row.domain_id)).collect())
}

/// None of a single place, which is for what has a certificate.
fn dead_at_least(room: usize) -> usize {
    (room + 2) / DEAD_AT_LEAST
}
