//! Alerts: whose turn it is to look for them, what is open, and what a look changes, all of it in one transaction with the
//! mails that tell it.

mod digests;
mod hits;

use std::time::Duration as StdDuration;

use certmill_model::{
    AlertId, AlertLevel, AlertState, Cause, DomainId, Gathered, Hostname, Letter, MailId, ProblemCode, Rule,
    RuleId, TargetId, TenantId, Victim,
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{Engine, interval};
use crate::{
    StoreError,
    mails::{self, NewMail},
    rows::parsed,
};

pub use digests::{DigestFacts, TenantFacts};

/// How long one look for alerts may take before another process looks.
const LOOK: StdDuration = StdDuration::from_secs(300);

/// The right to look for alerts, and to record what follows.
#[derive(Clone, Copy, Debug)]
pub struct AlertRound {
    token: i64,
}

/// An alert that is open.
#[derive(Clone, Debug)]
pub struct OpenAlert {
    /// Its id.
    pub alert_id: AlertId,
    /// What it is about.
    pub cause: Cause,
    /// How it stands.
    pub state: AlertState,
    /// What the last look found.
    pub found: Gathered,
    /// Nobody is mailed about it any more.
    pub is_muted: bool,
}

/// What a look changes of one alert.
pub struct AlertRecord {
    /// Its id.
    pub alert_id: AlertId,
    /// What was found, or last known.
    pub found: Gathered,
    /// How it stands now.
    pub state: AlertState,
    /// It is over.
    pub is_over: bool,
    /// The letter, and to whom: a rule each.
    pub letters: Vec<AlertMail>,
}

/// A letter of an alert to one person.
pub struct AlertMail {
    /// The mail's id.
    pub mail_id: MailId,
    /// Which of the alert's letters, as in `urgent`.
    pub key: &'static str,
    /// The rule that asks for it.
    pub recipient: RuleOwner,
    /// What it says.
    pub letter: Letter,
}

/// A person who is told of something, and what they asked for.
#[derive(Clone, Debug)]
pub struct RuleOwner {
    /// The rule.
    pub rule_id: RuleId,
    /// What it says.
    pub rule: Rule,
    /// Where mail goes.
    pub email: String,
    /// In which language.
    pub language: String,
    /// Since when the rule is there: what was before is told nobody by it.
    pub created_at: OffsetDateTime,
}

/// A listed name, as it is stored.
#[derive(Deserialize, Serialize)]
struct StoredVictim {
    domain_id: DomainId,
    name: String,
    #[serde(with = "time::serde::rfc3339::option")]
    ends_at: Option<OffsetDateTime>,
}

impl Engine {
    /// Takes the turn to look for alerts, if it is due and nobody has it.
    pub async fn take_alert_round(&self, now: OffsetDateTime) -> Result<Option<AlertRound>, StoreError> {
        let token = sqlx::query_scalar!(
            "UPDATE alert_rounds SET lease_token = lease_token + 1, lease_until = now() + $2
             WHERE next_at <= $1 AND (lease_until IS NULL OR lease_until < now()) RETURNING lease_token",
            now,
            interval(LOOK),
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(token.map(|token| AlertRound { token }))
    }

    /// Every open alert, as it stands at `now`.
    pub async fn open_alerts(&self, now: OffsetDateTime) -> Result<Vec<OpenAlert>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT alert_id, tenant_id, code, about, level, told, is_incident, names, first, detail, since, last_attempt_at,
                    next_attempt_at, opened_at, quiet_since,
                    muted_at IS NOT NULL AND (muted_until IS NULL OR muted_until > $1) AS "is_muted!"
             FROM alerts WHERE resolved_at IS NULL"#,
            now,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let cause = Cause {
                    tenant_id: row.tenant_id.map(TenantId::from_uuid),
                    code: parsed("alerts", &row.code)?,
                    about: parsed("alerts", &row.about)?,
                };
                let level = parsed("alerts", &row.level)?;
                Ok(OpenAlert {
                    alert_id: AlertId::from_uuid(row.alert_id),
                    state: AlertState {
                        opened_at: row.opened_at,
                        level,
                        told: row.told.map(|told| parsed("alerts", &told)).transpose()?,
                        is_incident: row.is_incident,
                        quiet_since: row.quiet_since,
                    },
                    found: Gathered {
                        cause: cause.clone(),
                        names: row.names.unsigned_abs(),
                        level: Some(level),
                        first: victims(row.first)?,
                        since: row.since,
                        last_attempt_at: row.last_attempt_at,
                        next_attempt_at: row.next_attempt_at,
                        detail: row.detail,
                    },
                    cause,
                    is_muted: row.is_muted,
                })
            })
            .collect()
    }

    /// Records what a look changes, with its mails, and ends the turn; the next look is due at `next`. Nothing if the turn was
    /// lost: whoever has it now looks anew.
    pub async fn record_alerts(
        &self,
        round: AlertRound,
        records: &[AlertRecord],
        next: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query!(
            "UPDATE alert_rounds SET next_at = $2, lease_until = NULL, finished_at = $3 WHERE lease_token = $1",
            round.token,
            next,
            now,
        )
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::LeaseLost);
        }
        for record in records {
            save_alert(&mut tx, record, now).await?;
            for mail in &record.letters {
                save_mail(&mut tx, record, mail, now).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    async fn add_usual_rules(&self, now: OffsetDateTime) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            "SELECT u.user_id, u.tenant_id, u.role FROM users u
             WHERE u.password_hash IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM notification_rules r WHERE r.user_id = u.user_id)"
        )
        .fetch_all(&self.pool)
        .await?;
        for row in rows {
            let rule = Rule::usual(parsed("users", &row.role)?, row.tenant_id.map(TenantId::from_uuid));
            sqlx::query!(
                "INSERT INTO notification_rules (rule_id, user_id, tenant_id, least_level, digest, created_at, updated_at)
                 VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING",
                row.user_id,
                row.tenant_id,
                rule.least_level.map(AlertLevel::as_str),
                rule.digest.as_str(),
                now,
            )
            .execute(&self.pool)
            .await?;
        }
        Ok(())
    }

    /// Everybody who is to be told of something. Those who were never asked get what is usual for them first. Whoever has not
    /// taken the invitation may be a stranger whose address was mistyped, and of a tenant that is gone there is nothing to tell.
    pub async fn rule_owners(&self, now: OffsetDateTime) -> Result<Vec<RuleOwner>, StoreError> {
        self.add_usual_rules(now).await?;
        let rows = sqlx::query!(
            "SELECT r.rule_id, r.tenant_id, r.least_level, r.digest, r.created_at, u.email, u.language
             FROM notification_rules r JOIN users u USING (user_id)
             LEFT JOIN tenants t ON t.tenant_id = COALESCE(r.tenant_id, u.tenant_id)
             WHERE r.unsubscribed_at IS NULL AND u.disabled_at IS NULL AND u.password_hash IS NOT NULL
               AND t.status IS DISTINCT FROM 'deleted'
               AND (u.tenant_id IS NULL OR u.tenant_id = r.tenant_id)
             ORDER BY r.rule_id"
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(RuleOwner {
                    rule_id: RuleId::from_uuid(row.rule_id),
                    rule: Rule {
                        tenant_id: row.tenant_id.map(TenantId::from_uuid),
                        least_level: row
                            .least_level
                            .map(|level| parsed("notification_rules", &level))
                            .transpose()?,
                        digest: parsed("notification_rules", &row.digest)?,
                    },
                    email: row.email,
                    language: row.language,
                    created_at: row.created_at,
                })
            })
            .collect()
    }

    /// The addresses that were told of an alert.
    pub async fn told_of(&self, alert: AlertId) -> Result<Vec<String>, StoreError> {
        let told =
            sqlx::query_scalar!("SELECT DISTINCT recipient FROM mails WHERE alert_id = $1", alert.uuid());
        Ok(told.fetch_all(&self.pool).await?)
    }

    /// What tenants and load balancers are called.
    pub async fn names_of_tenants(&self) -> Result<Vec<(TenantId, String)>, StoreError> {
        let rows = sqlx::query!("SELECT tenant_id, name FROM tenants").fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| (TenantId::from_uuid(row.tenant_id), row.name)).collect())
    }

    /// What a load balancer is called.
    pub async fn name_of_target(&self, target: TargetId) -> Result<Option<String>, StoreError> {
        let name = sqlx::query_scalar!("SELECT name FROM targets WHERE target_id = $1", target.uuid());
        Ok(name.fetch_optional(&self.pool).await?)
    }
}

async fn save_alert(
    connection: &mut PgConnection,
    record: &AlertRecord,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let (found, state) = (&record.found, &record.state);
    let first: Vec<_> = found.first.iter().map(StoredVictim::from).collect();
    let first = serde_json::to_value(first).map_err(|error| StoreError::inconsistent("alerts", error))?;
    sqlx::query!(
        "INSERT INTO alerts (alert_id, tenant_id, code, about, level, told, is_incident, names, first, detail, since,
                             last_attempt_at, next_attempt_at, opened_at, quiet_since, resolved_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         ON CONFLICT (alert_id) DO UPDATE SET level = $5, told = $6, is_incident = $7, names = $8, first = $9, detail = $10,
             since = $11, last_attempt_at = $12, next_attempt_at = $13, quiet_since = $15, resolved_at = $16",
        record.alert_id.uuid(),
        found.cause.tenant_id.map(TenantId::uuid),
        found.cause.code.as_str(),
        found.cause.about.to_string(),
        state.level.as_str(),
        state.told.map(AlertLevel::as_str),
        state.is_incident,
        found.names as i64,
        first,
        found.detail,
        found.since,
        found.last_attempt_at,
        found.next_attempt_at,
        state.opened_at,
        state.quiet_since,
        record.is_over.then_some(now),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn save_mail(
    connection: &mut PgConnection,
    record: &AlertRecord,
    mail: &AlertMail,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let new = NewMail {
        mail_id: mail.mail_id,
        key: format!("{}/{}/{}", record.alert_id, mail.key, mail.recipient.email),
        tenant_id: record.found.cause.tenant_id,
        recipient: &mail.recipient.email,
        language: &mail.recipient.language,
        letter: &mail.letter,
    };
    let of = mails::Origin { alert_id: Some(record.alert_id), rule_id: Some(mail.recipient.rule_id) };
    mails::insert(connection, &new, of, now).await.map(drop)
}

fn victims(stored: serde_json::Value) -> Result<Vec<Victim>, StoreError> {
    let stored: Vec<StoredVictim> =
        serde_json::from_value(stored).map_err(|error| StoreError::inconsistent("alerts", error))?;
    let victim = |stored: StoredVictim| {
        let name =
            Hostname::from_stored(&stored.name).map_err(|error| StoreError::inconsistent("alerts", error))?;
        Ok(Victim { domain_id: stored.domain_id, name, ends_at: stored.ends_at })
    };
    stored.into_iter().map(victim).collect()
}

impl From<&Victim> for StoredVictim {
    fn from(victim: &Victim) -> Self {
        Self { domain_id: victim.domain_id, name: victim.name.to_string(), ends_at: victim.ends_at }
    }
}

/// The word of a problem that stands for a renewal that did not come, without anything that says why.
const NOTHING_SAYS_WHY: ProblemCode = ProblemCode::RenewalLate;
