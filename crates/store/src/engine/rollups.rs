//! The sums behind the pictures: counted by one scan of the domains when something has changed, and written where they
//! differ from what was known.

use std::time::Duration;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Engine, interval};
use crate::StoreError;

/// How long the sums of ended orders are kept.
const KEPT: time::Duration = time::Duration::days(400);

impl Engine {
    /// Brings the sums up to date, unless somebody did so less than `pause` ago. Returns whether anything had changed.
    pub async fn sum_up(&self, pause: Duration, now: OffsetDateTime) -> Result<bool, StoreError> {
        let taken = sqlx::query!(
            r#"UPDATE rollups SET next_at = now() + $1 WHERE next_at <= now()
               RETURNING as_of, seen, concat((SELECT max(updated_at) FROM domains WHERE status <> 'deleted'), ' ',
                                             (SELECT event_id FROM events ORDER BY event_id DESC LIMIT 1)) AS "newest!""#,
            interval(pause),
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(taken) = taken else { return Ok(false) };
        if taken.as_of.is_some() && taken.seen == taken.newest {
            sqlx::query!("UPDATE rollups SET as_of = $1", now).execute(&self.pool).await?;
            return Ok(false);
        }
        let mut tx = self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
        sum_domains(&mut tx).await?;
        sum_problems(&mut tx).await?;
        sum_targets(&mut tx).await?;
        // An order may be recorded a moment after the time that it bears.
        let from = taken.as_of.map_or(now - KEPT, |at| at - time::Duration::HOUR);
        sum_orders(&mut tx, from, now - KEPT).await?;
        sqlx::query!("UPDATE rollups SET as_of = $1, seen = $2", now, taken.newest).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// One scan for three tables. The nil tenant has the sums over all.
async fn sum_domains(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH counted AS MATERIALIZED (
             SELECT COALESCE(tenant_id, $1) AS tenant_id, status, health, week, day, count(*) AS count,
                    GROUPING(status) = 0 AS of_status, GROUPING(week) = 0 AS of_week
             FROM (SELECT tenant_id, status, health,
                          CASE WHEN certificate_id IS NOT NULL
                               THEN date_trunc('week', expires_at AT TIME ZONE 'UTC')::date END AS week,
                          (renew_after AT TIME ZONE 'UTC')::date AS day
                   FROM domains WHERE status <> 'deleted') AS d
             GROUP BY GROUPING SETS ((tenant_id, status, health), (status, health), (tenant_id, week, health),
                                     (week, health), (day))
         ), statuses AS (
             INSERT INTO rollup_domains AS r (tenant_id, status, health, count)
             SELECT tenant_id, status, health, count FROM counted WHERE of_status
             ON CONFLICT (tenant_id, status, health) DO UPDATE SET count = EXCLUDED.count
             WHERE r.count <> EXCLUDED.count
         ), no_status AS (
             DELETE FROM rollup_domains r WHERE NOT EXISTS (
                 SELECT 1 FROM counted c WHERE of_status AND c.tenant_id = r.tenant_id AND c.status = r.status
                   AND c.health = r.health)
         ), weeks AS (
             INSERT INTO rollup_expiry AS r (tenant_id, week, health, count)
             SELECT tenant_id, week, health, count FROM counted WHERE of_week AND week IS NOT NULL
             ON CONFLICT (tenant_id, week, health) DO UPDATE SET count = EXCLUDED.count
             WHERE r.count <> EXCLUDED.count
         ), no_week AS (
             DELETE FROM rollup_expiry r WHERE NOT EXISTS (
                 SELECT 1 FROM counted c WHERE of_week AND c.tenant_id = r.tenant_id AND c.week = r.week
                   AND c.health = r.health)
         ), days AS (
             INSERT INTO rollup_renewals AS r (day, count)
             SELECT day, count FROM counted WHERE NOT of_status AND NOT of_week AND day IS NOT NULL
             ON CONFLICT (day) DO UPDATE SET count = EXCLUDED.count WHERE r.count <> EXCLUDED.count
         )
         DELETE FROM rollup_renewals r WHERE NOT EXISTS (
             SELECT 1 FROM counted c WHERE NOT of_status AND NOT of_week AND c.day = r.day)",
        Uuid::nil(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn sum_problems(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH counted AS MATERIALIZED (
             SELECT COALESCE(tenant_id, $1) AS tenant_id, code, count(*) AS count FROM problems
             GROUP BY GROUPING SETS ((tenant_id, code), (code))
         ), codes AS (
             INSERT INTO rollup_problems AS r (tenant_id, code, count) SELECT tenant_id, code, count FROM counted
             ON CONFLICT (tenant_id, code) DO UPDATE SET count = EXCLUDED.count WHERE r.count <> EXCLUDED.count
         )
         DELETE FROM rollup_problems r WHERE NOT EXISTS (
             SELECT 1 FROM counted c WHERE c.tenant_id = r.tenant_id AND c.code = r.code)",
        Uuid::nil(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn sum_targets(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO rollup_targets AS r (target_id, domains)
         SELECT t.target_id, (SELECT count(*) FROM placements p WHERE p.target_id = t.target_id) FROM targets t
         ON CONFLICT (target_id) DO UPDATE SET domains = EXCLUDED.domains WHERE r.domains <> EXCLUDED.domains"
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Only the hours since `from`: what ended before does not change any more.
async fn sum_orders(
    connection: &mut PgConnection,
    from: OffsetDateTime,
    oldest: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        r"WITH old AS (
             DELETE FROM rollup_orders WHERE hour < $2
         ), ended AS (
             SELECT date_trunc('hour', o.updated_at, 'UTC') AS hour, split_part(a.directory_url, '#', 1) AS authority,
                    o.status AS result, COALESCE(left(regexp_replace(o.problem ->> 'type', '^.*:', ''), 80), '') AS code
             FROM orders o JOIN accounts a USING (account_id)
             WHERE o.status IN ('valid', 'invalid', 'cancelled') AND o.updated_at >= date_trunc('hour', $1::timestamptz, 'UTC')
         )
         INSERT INTO rollup_orders AS r (hour, authority, result, code, count)
         SELECT hour, authority, result, code, count(*) FROM ended GROUP BY hour, authority, result, code
         ON CONFLICT (hour, authority, result, code) DO UPDATE SET count = EXCLUDED.count
         WHERE r.count <> EXCLUDED.count",
        from,
        oldest,
    )
    .execute(connection)
    .await?;
    Ok(())
}
