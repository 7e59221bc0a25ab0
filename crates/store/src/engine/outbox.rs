//! The outbox: mails that are due, and what became of them.

use certmill_model::{AlertId, Letter, MailId};
use time::{Duration, OffsetDateTime};

use super::{Engine, domains::held, interval};
use crate::{
    StoreError,
    mails::{self, NewMail, Origin},
};

/// How long sending one mail may take before another process sends it.
const SENDING: std::time::Duration = std::time::Duration::from_secs(120);

/// For how long no mail has gone out when what one meets is taken for the server's doing.
const QUIET: std::time::Duration = std::time::Duration::from_secs(15 * 60);

/// How long mails are kept.
const KEPT: Duration = Duration::days(400);

/// A mail that is to be sent by the caller alone for a while.
pub struct DueMail {
    /// Its id.
    pub mail_id: MailId,
    /// The alert whose thread it belongs to.
    pub alert_id: Option<AlertId>,
    /// An earlier mail began the thread.
    pub is_reply: bool,
    /// A rule is behind it, so that it can be unsubscribed from.
    pub is_subscribed: bool,
    /// Where it goes.
    pub recipient: String,
    /// In which language.
    pub language: String,
    /// What it says; `None`: this version cannot read it, another one wrote it.
    pub letter: Option<Letter>,
    /// Attempts before this one.
    pub attempts: u32,
    /// When it was written down.
    pub created_at: OffsetDateTime,
    token: i64,
}

impl DueMail {
    /// Whether its letter is wiped once it is over: what cannot be read may let somebody in, too.
    fn may_hold_secret(&self) -> bool {
        self.letter.as_ref().is_none_or(Letter::holds_secret)
    }
}

impl Engine {
    /// Takes up to `limit` mails that are due, the oldest first.
    pub async fn take_due_mails(&self, limit: i64, now: OffsetDateTime) -> Result<Vec<DueMail>, StoreError> {
        let rows = sqlx::query!(
            r#"UPDATE mails SET lease_token = lease_token + 1, lease_until = now() + $3
               WHERE mail_id IN (
                   SELECT mail_id FROM mails WHERE status = 'waiting' AND next_attempt_at <= $1
                     AND (lease_until IS NULL OR lease_until < now())
                   ORDER BY next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED)
               RETURNING mail_id, alert_id, rule_id, is_reply, recipient, language, letter AS "letter!", attempts,
                   created_at, lease_token"#,
            now,
            limit,
            interval(SENDING),
        )
        .fetch_all(&self.pool)
        .await?;
        let mails = rows.into_iter().map(|row| DueMail {
            mail_id: MailId::from_uuid(row.mail_id),
            alert_id: row.alert_id.map(AlertId::from_uuid),
            is_reply: row.is_reply,
            is_subscribed: row.rule_id.is_some(),
            recipient: row.recipient,
            language: row.language,
            letter: serde_json::from_value(row.letter).ok(),
            attempts: row.attempts.unsigned_abs(),
            created_at: row.created_at,
            token: row.lease_token,
        });
        Ok(mails.collect())
    }

    /// A mail goes out now: whoever sends it has all of the time for it, however long those before it took, and it is known by
    /// which hash its link to unsubscribe is, if it has one. [`StoreError::LeaseLost`]: another process has the mail.
    pub async fn mail_goes_out(&self, mail: &DueMail, unsubscribe: Option<&[u8]>) -> Result<(), StoreError> {
        let done = sqlx::query!(
            "UPDATE mails SET lease_until = now() + $4, unsubscribe_hash = COALESCE($3, unsubscribe_hash)
             WHERE mail_id = $1 AND lease_token = $2 AND status = 'waiting'",
            mail.mail_id.uuid(),
            mail.token,
            unsubscribe,
            interval(SENDING),
        )
        .execute(&self.pool)
        .await?;
        held(done.rows_affected())
    }

    /// The mail server has it. A letter with a link that lets somebody in is wiped.
    pub async fn mail_sent(&self, mail: &DueMail, now: OffsetDateTime) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!(
            "UPDATE mails SET status = 'sent', sent_at = $3, attempts = attempts + 1, lease_until = NULL, error = NULL,
                 letter = CASE WHEN $4 THEN NULL ELSE letter END
             WHERE mail_id = $1 AND lease_token = $2",
            mail.mail_id.uuid(),
            mail.token,
            now,
            mail.may_hold_secret(),
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!("UPDATE mail_state SET last_success_at = $1, failing_since = NULL", now)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// It was not sent; `next` is the next attempt, `None`: it is refused for good. `is_servers_fault`: no other mail would fare
    /// better.
    pub async fn mail_not_sent(
        &self,
        mail: &DueMail,
        error: &str,
        next: Option<OffsetDateTime>,
        is_servers_fault: bool,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!(
            "UPDATE mails SET attempts = attempts + 1, lease_until = NULL, error = $3,
                 status = CASE WHEN $4::timestamptz IS NULL THEN 'refused' ELSE status END,
                 next_attempt_at = COALESCE($4, next_attempt_at),
                 letter = CASE WHEN $4::timestamptz IS NULL AND $5 THEN NULL ELSE letter END
             WHERE mail_id = $1 AND lease_token = $2",
            mail.mail_id.uuid(),
            mail.token,
            error,
            next,
            mail.may_hold_secret(),
        )
        .execute(&mut *tx)
        .await?;
        // What one mail meets says nothing of the server while others go out; where none does, it is the server.
        if is_servers_fault || next.is_some() {
            sqlx::query!(
                "UPDATE mail_state SET last_failure_at = $1, last_error = $2, failing_since = COALESCE(failing_since, $1)
                 WHERE $3 OR last_success_at IS NULL OR last_success_at < $1::timestamptz - $4::interval",
                now,
                error,
                is_servers_fault,
                interval(QUIET),
            )
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Lets go of mails that were taken and not tried, so that they are due again at `next`.
    pub async fn put_mails_off(&self, mails: &[DueMail], next: OffsetDateTime) -> Result<(), StoreError> {
        let (ids, tokens): (Vec<_>, Vec<_>) =
            mails.iter().map(|mail| (mail.mail_id.uuid(), mail.token)).unzip();
        sqlx::query!(
            "UPDATE mails m SET lease_until = NULL, next_attempt_at = $3
             FROM UNNEST($1::uuid[], $2::bigint[]) AS taken (mail_id, token)
             WHERE m.mail_id = taken.mail_id AND m.lease_token = taken.token",
            &ids,
            &tokens,
            next,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Says which mail server is used; `None`: none is configured, and mail waits.
    pub async fn use_mail_server(&self, server: Option<&str>) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE mail_state SET server = $1, failing_since = CASE WHEN $1::text IS NULL THEN NULL ELSE failing_since END",
            server
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Writes a mail of the engine's own down; `rule` is what asks for it. `false`: there is one with that key.
    pub async fn enqueue_digest(
        &self,
        mail: &NewMail<'_>,
        rule: certmill_model::RuleId,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut connection = self.pool.acquire().await?;
        mails::insert(&mut connection, mail, Origin { alert_id: None, rule_id: Some(rule) }, now).await
    }

    /// Whether a mail with that key was written down.
    pub async fn has_mail(&self, key: &str) -> Result<bool, StoreError> {
        let found =
            sqlx::query_scalar!(r#"SELECT EXISTS (SELECT 1 FROM mails WHERE key = $1) AS "found!""#, key);
        Ok(found.fetch_one(&self.pool).await?)
    }

    /// Forgets mails after 400 days, and alerts that nothing refers to any more.
    pub async fn forget_old_mails(&self, now: OffsetDateTime) -> Result<u64, StoreError> {
        let mails = sqlx::query!(
            "DELETE FROM mails WHERE mail_id IN (
                 SELECT mail_id FROM mails WHERE created_at < $1 AND status <> 'waiting' LIMIT 1000)",
            now - KEPT,
        )
        .execute(&self.pool)
        .await?;
        let alerts = sqlx::query!(
            "DELETE FROM alerts a WHERE a.alert_id IN (
                 SELECT alert_id FROM alerts WHERE resolved_at < $1 LIMIT 1000)
               AND NOT EXISTS (SELECT 1 FROM mails m WHERE m.alert_id = a.alert_id)",
            now - KEPT,
        )
        .execute(&self.pool)
        .await?;
        Ok(mails.rows_affected() + alerts.rows_affected())
    }
}
