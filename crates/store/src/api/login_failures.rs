//! Log-ins that failed: each attempt is counted as one of them before it is known how it ends.

use time::OffsetDateTime;

use crate::{Api, StoreError};

/// Failed log-ins in a row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LoginFailures {
    /// How many.
    pub failures: i32,
    /// When the last one was.
    pub last_at: OffsetDateTime,
}

/// An attempt that counts as a failure until it is known to be none.
#[derive(Clone, Debug)]
pub struct LoginAttempt {
    at: OffsetDateTime,
    /// What it is counted under, and when the last failure before it was.
    counted: Vec<(String, OffsetDateTime)>,
}

impl Api {
    /// Counts an attempt under each of `keys`, unless `throttled` says from what is counted until when it has to wait: then
    /// nothing is counted, and nobody who goes on trying makes the wait longer. Of attempts at the same time each sees those
    /// before it. What lies before `forgotten` no longer counts.
    pub async fn count_login_attempt(
        &self,
        keys: &[String],
        now: OffsetDateTime,
        forgotten: OffsetDateTime,
        throttled: impl Fn(&[LoginFailures]) -> Option<OffsetDateTime>,
    ) -> Result<Result<LoginAttempt, OffsetDateTime>, StoreError> {
        // Most who come too early are seen without a lock.
        if let Some(until) = throttled(&self.login_failures(keys).await?) {
            return Ok(Err(until));
        }
        let mut tx = self.platform().await?;
        // Changes nothing where there is a row: it locks, in one order, what others have counted by then.
        let locked = sqlx::query!(
            "INSERT INTO login_failures AS f (key, failures, last_at)
             SELECT key, 0, $2 FROM UNNEST($1::text[]) AS k (key) ORDER BY key
             ON CONFLICT (key) DO UPDATE SET failures = f.failures
             RETURNING key, failures, last_at",
            keys,
            now,
        )
        .fetch_all(tx.connection())
        .await?;
        let found: Vec<_> =
            locked.iter().map(|row| LoginFailures { failures: row.failures, last_at: row.last_at }).collect();
        if let Some(until) = throttled(&found) {
            return Ok(Err(until));
        }
        sqlx::query!(
            "WITH old AS (
                 DELETE FROM login_failures WHERE key IN (
                     SELECT key FROM login_failures WHERE last_at < $3 AND key <> ALL($1) FOR UPDATE SKIP LOCKED)
             )
             UPDATE login_failures SET failures = CASE WHEN last_at < $3 THEN 1 ELSE failures + 1 END, last_at = $2
             WHERE key = ANY($1)",
            keys,
            now,
            forgotten,
        )
        .execute(tx.connection())
        .await?;
        tx.commit().await?;
        let counted = locked.into_iter().map(|row| (row.key, row.last_at)).collect();
        Ok(Ok(LoginAttempt { at: now, counted }))
    }

    /// The attempt was none of those that fail: what failed under `key` is forgotten, and under its other keys only it itself
    /// is, for others fail there as well.
    pub async fn login_succeeded(&self, attempt: &LoginAttempt, key: &str) -> Result<(), StoreError> {
        // Each statement locks one row alone: nobody waits for one while holding another.
        sqlx::query!("DELETE FROM login_failures WHERE key = $1", key).execute(&self.pool).await?;
        for (other, before) in attempt.counted.iter().filter(|(counted, _)| counted != key) {
            sqlx::query!(
                "UPDATE login_failures SET failures = GREATEST(failures - 1, 0),
                     last_at = CASE WHEN last_at = $2 THEN $3 ELSE last_at END
                 WHERE key = $1",
                other,
                attempt.at,
                before,
            )
            .execute(&self.pool)
            .await?;
        }
        Ok(())
    }

    async fn login_failures(&self, keys: &[String]) -> Result<Vec<LoginFailures>, StoreError> {
        let found = sqlx::query_as!(
            LoginFailures,
            "SELECT failures, last_at FROM login_failures WHERE key = ANY($1)",
            keys
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(found)
    }
}
