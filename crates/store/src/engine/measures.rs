//! What is measured of the database: by sums that are kept, and by looks at indexes that end soon.

use std::collections::BTreeMap;

use certmill_model::{ProblemCode, TargetState};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::Engine;
use crate::{StoreError, rows::parsed};

/// Further than this nobody counts what waits.
const DEEPEST: i64 = 10_000;

/// How many of the certificates that end soonest are looked at.
const SOONEST: i64 = 500;

/// How much waits, and since when.
#[derive(Clone, Debug)]
pub struct QueueMeasure {
    /// What waits: `domains`, `troubled`, `events`, `webhooks`.
    pub kind: &'static str,
    /// How many are due, 10,000 at most.
    pub depth: i64,
    /// How long the first of them has been due, in seconds.
    pub oldest_seconds: f64,
}

/// How a load balancer stands.
#[derive(Clone, Debug)]
pub struct TargetMeasure {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: TargetState,
    /// What is still to be delivered to it.
    pub pending: i64,
    /// How long the oldest of that waits, in seconds.
    pub lag_seconds: f64,
}

/// The certificate that ends first among those of a CA and profile.
#[derive(Clone, Debug)]
pub struct EarliestEnd {
    /// The CA's directory.
    pub directory_url: String,
    /// The profile; empty: none was asked for.
    pub profile: String,
    /// When it ends.
    pub not_after: OffsetDateTime,
}

impl Engine {
    /// How many domains have each status and health, as of the last time that they were counted.
    pub async fn measure_domains(&self) -> Result<BTreeMap<(String, String), i64>, StoreError> {
        let rows = sqlx::query!(
            "SELECT status, health, count FROM rollup_domains WHERE tenant_id = $1",
            Uuid::nil(),
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| ((row.status, row.health), row.count)).collect())
    }

    /// Domains for which a load balancer serves another certificate than it should, as of the last count.
    pub async fn measure_mismatches(&self) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"SELECT COALESCE(sum(count), 0)::bigint AS "count!" FROM rollup_problems
               WHERE tenant_id = $1 AND code = $2"#,
            Uuid::nil(),
            ProblemCode::ServedWrongCertificate.as_str(),
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(count)
    }

    /// What is due and waits.
    pub async fn measure_queues(&self, now: OffsetDateTime) -> Result<Vec<QueueMeasure>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT
                 (SELECT count(*) FROM (SELECT 1 FROM domains WHERE next_action_at <= $1 AND consecutive_failures = 0
                      AND status NOT IN ('failed', 'moved', 'expired') LIMIT $2) AS due) AS "domains!",
                 (SELECT min(next_action_at) FROM domains WHERE next_action_at IS NOT NULL AND consecutive_failures = 0
                      AND status NOT IN ('failed', 'moved', 'expired')) AS first_domain,
                 (SELECT count(*) FROM (SELECT 1 FROM domains WHERE next_action_at <= $1
                      AND (consecutive_failures > 0 OR status IN ('failed', 'moved', 'expired'))
                      AND (certificate_id IS NOT NULL OR order_id IS NOT NULL) LIMIT $2) AS due) AS "troubled!",
                 (SELECT min(next_action_at) FROM domains WHERE next_action_at IS NOT NULL
                      AND (consecutive_failures > 0 OR status IN ('failed', 'moved', 'expired'))
                      AND (certificate_id IS NOT NULL OR order_id IS NOT NULL)) AS first_troubled,
                 (SELECT count(*) FROM (SELECT 1 FROM events WHERE position IS NULL LIMIT $2) AS due) AS "events!",
                 (SELECT happened_at FROM events WHERE position IS NULL ORDER BY event_id LIMIT 1) AS first_event,
                 (SELECT count(*) FROM (SELECT 1 FROM webhook_deliveries WHERE status = 'pending' AND next_attempt_at <= $1
                      LIMIT $2) AS due) AS "webhooks!",
                 (SELECT min(next_attempt_at) FROM (SELECT next_attempt_at FROM webhook_deliveries
                      WHERE status = 'pending' AND next_attempt_at <= $1 LIMIT $2) AS due) AS first_webhook,
                 (SELECT count(*) FROM (SELECT 1 FROM mails WHERE status = 'waiting' AND next_attempt_at <= $1
                      LIMIT $2) AS due) AS "mails!",
                 (SELECT min(next_attempt_at) FROM mails WHERE status = 'waiting') AS first_mail"#,
            now,
            DEEPEST,
        )
        .fetch_one(&self.pool)
        .await?;
        let queue = |kind, depth, first: Option<OffsetDateTime>| QueueMeasure {
            kind,
            depth,
            oldest_seconds: first.map_or(0.0, |first| (now - first).max(Duration::ZERO).as_seconds_f64()),
        };
        Ok(vec![
            queue("domains", row.domains, row.first_domain),
            queue("troubled", row.troubled, row.first_troubled),
            queue("events", row.events, row.first_event),
            queue("webhooks", row.webhooks, row.first_webhook),
            queue("mails", row.mails, row.first_mail),
        ])
    }

    /// How each load balancer stands.
    pub async fn measure_targets(&self, now: OffsetDateTime) -> Result<Vec<TargetMeasure>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT t.name, t.state, due.pending AS "pending!", due.first
               FROM targets t, LATERAL (
                   SELECT count(*) AS pending, min(next_attempt_at) AS first FROM (
                       SELECT next_attempt_at FROM placements p WHERE p.target_id = t.target_id AND p.pending
                       ORDER BY next_attempt_at LIMIT $1) AS waiting) AS due"#,
            DEEPEST,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let lag = row.first.map_or(Duration::ZERO, |first| (now - first).max(Duration::ZERO));
                Ok(TargetMeasure {
                    name: row.name,
                    state: parsed("targets", &row.state)?,
                    pending: row.pending,
                    lag_seconds: lag.as_seconds_f64(),
                })
            })
            .collect()
    }

    /// How many certificates in use end within each of `days`. It counts an index, so it is not for every look.
    pub async fn measure_expiry(&self, days: &[i32], now: OffsetDateTime) -> Result<Vec<i64>, StoreError> {
        let counts = sqlx::query_scalar!(
            r#"SELECT (SELECT count(*) FROM domains WHERE expires_at > $2 AND expires_at <= $2 + make_interval(days => within)
                           AND status <> 'deleted') AS "count!"
               FROM UNNEST($1::integer[]) WITH ORDINALITY AS d (within, number) ORDER BY number"#,
            days,
            now,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(counts)
    }

    /// The certificate that ends first of each CA and profile, as far as it is among those that end soonest.
    pub async fn measure_earliest_ends(&self, now: OffsetDateTime) -> Result<Vec<EarliestEnd>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT a.directory_url, COALESCE(o.profile, '') AS "profile!", min(d.expires_at) AS "not_after!"
               FROM (SELECT certificate_id, expires_at FROM domains
                     WHERE expires_at > $1 AND next_action_at IS NOT NULL AND certificate_id IS NOT NULL
                     ORDER BY expires_at LIMIT $2) d
               JOIN certificates c USING (certificate_id) JOIN orders o USING (order_id) JOIN accounts a USING (account_id)
               GROUP BY 1, 2"#,
            now,
            SOONEST,
        )
        .fetch_all(&self.pool)
        .await?;
        let ends = rows.into_iter().map(|row| EarliestEnd {
            directory_url: row.directory_url,
            profile: row.profile,
            not_after: row.not_after,
        });
        Ok(ends.collect())
    }

    /// When the buckets of what a CA takes of an account as a whole are full again, by the limit's word; missing: they are.
    pub async fn measure_limits(
        &self,
        account: certmill_model::AccountId,
    ) -> Result<BTreeMap<String, OffsetDateTime>, StoreError> {
        let rows = sqlx::query!(
            "SELECT kind, full_at FROM limit_buckets WHERE owner = $1 AND key = '' AND share_of = $2",
            account.to_string(),
            Uuid::nil(),
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.kind, row.full_at)).collect())
    }
}
