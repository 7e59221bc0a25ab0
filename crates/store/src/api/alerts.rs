//! Alerts, rules and mails, as people see and change them.

use certmill_model::{
    AlertId, AlertLevel, Cause, Chance, DigestFrequency, DomainId, Label, MailId, RuleId, TenantId, UserId,
};
use certmill_vault::ApiToken;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Actor, Api, AuditEntry, ScopedTx};
use crate::{
    StoreError,
    mails::{self, NewMail, Origin},
    rows::parsed,
};

/// An alert.
#[derive(Clone, Debug)]
pub struct AlertRow {
    /// Its id.
    pub alert_id: AlertId,
    /// What it is about.
    pub cause: Cause,
    /// How pressing it is, or was when it ended.
    pub level: AlertLevel,
    /// The most pressing level that a letter told of.
    pub told: Option<AlertLevel>,
    /// How many names have it.
    pub names: u64,
    /// Those that end soonest: `[{domain_id, name, ends_at}]`.
    pub first: serde_json::Value,
    /// What was said of the one that ends soonest.
    pub detail: String,
    /// Since when the first name has it.
    pub since: OffsetDateTime,
    /// The last attempt.
    pub last_attempt_at: OffsetDateTime,
    /// The next one, if one is planned.
    pub next_attempt_at: Option<OffsetDateTime>,
    /// When it was opened.
    pub opened_at: OffsetDateTime,
    /// When it was over.
    pub resolved_at: Option<OffsetDateTime>,
    /// Since when nobody is mailed about it.
    pub muted_at: Option<OffsetDateTime>,
    /// Who wanted that.
    pub muted_by: Option<String>,
    /// When mails begin again by themselves; `None`: not before it is over.
    pub muted_until: Option<OffsetDateTime>,
    /// Why.
    pub mute_reason: Option<String>,
}

impl AlertRow {
    /// Whether nobody is mailed about it at `now`.
    pub fn is_muted(&self, now: OffsetDateTime) -> bool {
        self.muted_at.is_some() && self.muted_until.is_none_or(|until| until > now)
    }
}

/// Silence about an alert.
#[derive(Clone, Debug)]
pub struct Mute {
    /// Who wants it, by name.
    pub by: String,
    /// When mails begin again by themselves; `None`: not before it is over.
    pub until: Option<OffsetDateTime>,
    /// Why.
    pub reason: Option<Label>,
}

/// A name that has a cause.
#[derive(Clone, Debug)]
pub struct CauseDomain {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its domain.
    pub domain_id: DomainId,
    /// The name.
    pub name: String,
    /// What was said of it.
    pub detail: String,
    /// Since when.
    pub since: OffsetDateTime,
    /// When its certificate ends.
    pub expires_at: Option<OffsetDateTime>,
}

/// A mail, without what it says.
#[derive(Clone, Debug)]
pub struct MailRow {
    /// Its id.
    pub mail_id: MailId,
    /// The alert that it tells of.
    pub alert_id: Option<AlertId>,
    /// Who gets it.
    pub recipient: String,
    /// What kind of letter it is, as in `alert`.
    pub kind: String,
    /// `waiting`, `sent` or `refused`.
    pub status: String,
    /// Attempts so far.
    pub attempts: u32,
    /// What went wrong at the last one.
    pub error: Option<String>,
    /// When it was written down.
    pub created_at: OffsetDateTime,
    /// When the mail server took it.
    pub sent_at: Option<OffsetDateTime>,
}

/// How mail fares.
#[derive(Clone, Debug)]
pub struct MailState {
    /// The mail server, `host:port`; `None`: none is configured, and mail waits.
    pub server: Option<String>,
    /// When a mail last went out.
    pub last_success_at: Option<OffsetDateTime>,
    /// Since when the mail server fails; `None`: it does not.
    pub failing_since: Option<OffsetDateTime>,
    /// What it last said when it failed.
    pub last_error: Option<String>,
    /// Mails that wait.
    pub waiting: i64,
    /// When alerts were last looked for.
    pub looked_at: Option<OffsetDateTime>,
}

/// What somebody wants to be told.
#[derive(Clone, Debug)]
pub struct RuleRow {
    /// Its id.
    pub rule_id: RuleId,
    /// Whose it is.
    pub user_id: UserId,
    /// Of whose names; `None`: of everybody's.
    pub tenant_id: Option<TenantId>,
    /// From which level on; `None`: no alerts.
    pub least_level: Option<AlertLevel>,
    /// How often there is a digest.
    pub digest: DigestFrequency,
    /// Nothing is sent since.
    pub unsubscribed_at: Option<OffsetDateTime>,
    /// Grows with each change.
    pub revision: i64,
}

/// What a link in a mail belongs to.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The rule behind the mail.
    pub rule_id: RuleId,
    /// Whose it is.
    pub email: String,
    /// Of which tenant's names, by its name; `None`: of everybody's.
    pub tenant: Option<String>,
    /// Nothing is sent since.
    pub unsubscribed_at: Option<OffsetDateTime>,
}

/// Rows of one page at most.
const PAGE: i64 = 200;

impl ScopedTx {
    /// Up to 200 alerts, the newest first, behind `before`: open ones, or those that are over.
    pub async fn list_alerts(
        &mut self,
        open: bool,
        before: Option<AlertId>,
    ) -> Result<Vec<AlertRow>, StoreError> {
        self.select_alerts(Some(open), before, None).await
    }

    /// One alert.
    pub async fn find_alert(&mut self, alert: AlertId) -> Result<Option<AlertRow>, StoreError> {
        Ok(self.select_alerts(None, None, Some(alert)).await?.pop())
    }

    async fn select_alerts(
        &mut self,
        open: Option<bool>,
        before: Option<AlertId>,
        only: Option<AlertId>,
    ) -> Result<Vec<AlertRow>, StoreError> {
        let tenant = self.reach.tenant().map(TenantId::uuid);
        let rows = sqlx::query!(
            "SELECT alert_id, tenant_id, code, about, level, told, names, first, detail, since, last_attempt_at,
                    next_attempt_at, opened_at, resolved_at, muted_at, muted_by, muted_until, mute_reason
             FROM alerts
             WHERE ($1::uuid IS NULL OR tenant_id = $1) AND ($2::boolean IS NULL OR (resolved_at IS NULL) = $2)
               AND ($3::uuid IS NULL OR alert_id < $3) AND ($4::uuid IS NULL OR alert_id = $4)
             ORDER BY alert_id DESC LIMIT $5",
            tenant,
            open,
            before.map(AlertId::uuid),
            only.map(AlertId::uuid),
            PAGE,
        )
        .fetch_all(&mut *self.tx)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(AlertRow {
                    alert_id: AlertId::from_uuid(row.alert_id),
                    cause: Cause {
                        tenant_id: row.tenant_id.map(TenantId::from_uuid),
                        code: parsed("alerts", &row.code)?,
                        about: parsed("alerts", &row.about)?,
                    },
                    level: parsed("alerts", &row.level)?,
                    told: row.told.map(|told| parsed("alerts", &told)).transpose()?,
                    names: row.names.unsigned_abs(),
                    first: row.first,
                    detail: row.detail,
                    since: row.since,
                    last_attempt_at: row.last_attempt_at,
                    next_attempt_at: row.next_attempt_at,
                    opened_at: row.opened_at,
                    resolved_at: row.resolved_at,
                    muted_at: row.muted_at,
                    muted_by: row.muted_by,
                    muted_until: row.muted_until,
                    mute_reason: row.mute_reason,
                })
            })
            .collect()
    }

    /// Up to `limit` names that have a cause now, behind `after`, one tenant's behind another's, the oldest first: those with an
    /// open problem of its kind. In the order of the index: an outage has a million of them.
    pub async fn domains_of_cause(
        &mut self,
        cause: &Cause,
        after: Option<&CauseDomain>,
        limit: i64,
    ) -> Result<Vec<CauseDomain>, StoreError> {
        let tenant = self.reach.tenant().or(cause.tenant_id).map(TenantId::uuid);
        let (after_tenant, after_domain) = match after {
            Some(after) => (after.tenant_id.uuid(), after.domain_id.uuid()),
            None => (tenant.unwrap_or_default(), Uuid::nil()),
        };
        let rows = sqlx::query!(
            "SELECT p.tenant_id, d.domain_id, d.name, p.detail, p.since, d.expires_at
             FROM problems p JOIN domains d USING (domain_id)
             WHERE p.code = $1 AND (p.tenant_id, p.domain_id) > ($2, $3) AND p.tenant_id <= $4
               AND d.status NOT IN ('moved', 'paused', 'blocked', 'pending_deletion', 'deleted')
             ORDER BY p.tenant_id, p.domain_id LIMIT $5",
            cause.code.as_str(),
            after_tenant,
            after_domain,
            tenant.unwrap_or(Uuid::max()),
            limit,
        )
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| CauseDomain {
                tenant_id: TenantId::from_uuid(row.tenant_id),
                domain_id: DomainId::from_uuid(row.domain_id),
                name: row.name,
                detail: row.detail,
                since: row.since,
                expires_at: row.expires_at,
            })
            .collect())
    }

    /// Ends mails about an alert, or begins them again; `false`: there is no such alert.
    pub async fn mute_alert(
        &mut self,
        alert: AlertId,
        mute: Option<&Mute>,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let tenant = self.reach.tenant().map(TenantId::uuid);
        let done = sqlx::query!(
            "UPDATE alerts SET muted_at = CASE WHEN $3::text IS NOT NULL THEN $4::timestamptz END, muted_by = $3,
                 muted_until = $5, mute_reason = $6
             WHERE alert_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2)",
            alert.uuid(),
            tenant,
            mute.map(|mute| mute.by.as_str()),
            now,
            mute.and_then(|mute| mute.until),
            mute.and_then(|mute| mute.reason.as_ref()).map(Label::as_str),
        )
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Who was mailed about an alert and when, the first mail first.
    pub async fn mails_of_alert(&mut self, alert: AlertId) -> Result<Vec<MailRow>, StoreError> {
        let tenant = self.reach.tenant().map(TenantId::uuid);
        let rows = sqlx::query!(
            "SELECT mail_id, alert_id, recipient, kind, status, attempts, error, created_at, sent_at FROM mails
             WHERE alert_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2) ORDER BY mail_id LIMIT $3",
            alert.uuid(),
            tenant,
            PAGE,
        )
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| MailRow {
                mail_id: MailId::from_uuid(row.mail_id),
                alert_id: row.alert_id.map(AlertId::from_uuid),
                recipient: row.recipient,
                kind: row.kind,
                status: row.status,
                attempts: row.attempts.unsigned_abs(),
                error: row.error,
                created_at: row.created_at,
                sent_at: row.sent_at,
            })
            .collect())
    }

    /// How mail fares.
    pub async fn mail_state(&mut self) -> Result<MailState, StoreError> {
        let row = sqlx::query!(
            r#"SELECT s.server, s.last_success_at, s.failing_since, s.last_error, r.finished_at,
                      (SELECT count(*) FROM mails WHERE status = 'waiting') AS "waiting!"
               FROM mail_state s, alert_rounds r"#
        )
        .fetch_one(&mut *self.tx)
        .await?;
        Ok(MailState {
            server: row.server,
            last_success_at: row.last_success_at,
            failing_since: row.failing_since,
            last_error: row.last_error,
            waiting: row.waiting,
            looked_at: row.finished_at,
        })
    }

    /// Writes a mail down, which goes out as soon as there is a mail server; `false`: there is one with that key. A link in it
    /// that lets somebody in stands there until the server has the mail, and is wiped then.
    pub async fn enqueue_mail(
        &mut self,
        mail: &NewMail<'_>,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        mails::insert(&mut self.tx, mail, Origin::default(), now).await
    }

    /// The rules of a user.
    pub async fn rules_of_user(&mut self, user: UserId) -> Result<Vec<RuleRow>, StoreError> {
        let rows = sqlx::query!(
            "SELECT rule_id, user_id, tenant_id, least_level, digest, unsubscribed_at, revision
             FROM notification_rules WHERE user_id = $1 ORDER BY rule_id LIMIT $2",
            user.uuid(),
            PAGE,
        )
        .fetch_all(&mut *self.tx)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(RuleRow {
                    rule_id: RuleId::from_uuid(row.rule_id),
                    user_id: UserId::from_uuid(row.user_id),
                    tenant_id: row.tenant_id.map(TenantId::from_uuid),
                    least_level: row
                        .least_level
                        .map(|level| parsed("notification_rules", &level))
                        .transpose()?,
                    digest: parsed("notification_rules", &row.digest)?,
                    unsubscribed_at: row.unsubscribed_at,
                    revision: row.revision,
                })
            })
            .collect()
    }

    /// Adds a rule, or changes the one of the same user for the same names, which has the revision of `rule`, or is `Stale`; that
    /// takes back that it was unsubscribed from.
    pub async fn put_rule(&mut self, rule: &RuleRow, now: OffsetDateTime) -> Result<RuleId, StoreError> {
        let id = sqlx::query_scalar!(
            "INSERT INTO notification_rules (rule_id, user_id, tenant_id, least_level, digest, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $6)
             ON CONFLICT (user_id, tenant_id) DO UPDATE SET least_level = $4, digest = $5, updated_at = $6,
                 unsubscribed_at = NULL, revision = notification_rules.revision + 1
             WHERE notification_rules.revision = $7
             RETURNING rule_id",
            rule.rule_id.uuid(),
            rule.user_id.uuid(),
            rule.tenant_id.map(TenantId::uuid),
            rule.least_level.map(AlertLevel::as_str),
            rule.digest.as_str(),
            now,
            rule.revision,
        )
        .fetch_optional(&mut *self.tx)
        .await?;
        id.map(RuleId::from_uuid).ok_or(StoreError::Stale)
    }

    /// Removes a rule; `false`: there is none. A user's last one comes back as it is at first: set it to nothing instead.
    pub async fn remove_rule(&mut self, rule: RuleId) -> Result<bool, StoreError> {
        let done = sqlx::query!("DELETE FROM notification_rules WHERE rule_id = $1", rule.uuid())
            .execute(&mut *self.tx)
            .await?;
        Ok(done.rows_affected() > 0)
    }
}

impl Api {
    /// What the link with `token` belongs to, for the page that asks; nothing changes by it. `None`: to nothing.
    pub async fn subscription(&self, token: &str) -> Result<Option<Subscription>, StoreError> {
        let Some(hash) = hash(token) else { return Ok(None) };
        let mut platform = self.platform().await?;
        let row = sqlx::query!(
            r#"SELECT r.rule_id, u.email, t.name AS "tenant?", r.unsubscribed_at
               FROM mails m JOIN notification_rules r USING (rule_id) JOIN users u USING (user_id)
               LEFT JOIN tenants t ON t.tenant_id = r.tenant_id
               WHERE m.unsubscribe_hash = $1"#,
            hash,
        )
        .fetch_optional(&mut *platform.tx)
        .await?;
        Ok(row.map(|row| Subscription {
            rule_id: RuleId::from_uuid(row.rule_id),
            email: row.email,
            tenant: row.tenant,
            unsubscribed_at: row.unsubscribed_at,
        }))
    }

    /// Ends what the rule behind the link with `token` sends, or takes that back; may be repeated.
    pub async fn set_unsubscribed(
        &self,
        token: &str,
        is_out: bool,
        address: Option<String>,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let Some(hash) = hash(token) else { return Ok(()) };
        let mut platform = self.platform().await?;
        let changed = sqlx::query!(
            "UPDATE notification_rules r
             SET unsubscribed_at = CASE WHEN $2 THEN $3::timestamptz END, revision = r.revision + 1
             FROM mails m, users u
             WHERE m.rule_id = r.rule_id AND m.unsubscribe_hash = $1 AND u.user_id = r.user_id
               AND (r.unsubscribed_at IS NULL) = $2
             RETURNING r.rule_id, r.tenant_id, u.user_id, u.name",
            hash,
            is_out,
            now,
        )
        .fetch_optional(&mut *platform.tx)
        .await?;
        let Some(changed) = changed else { return Ok(()) };
        let user = UserId::from_uuid(changed.user_id).to_string();
        let actor = Actor {
            kind: "user",
            id: Some(user),
            name: changed.name,
            request_id: None,
            address,
            keyed: None,
        };
        let entry = AuditEntry {
            actor: &actor,
            action: if is_out { "notification_rule.unsubscribed" } else { "notification_rule.resubscribed" },
            object_kind: "notification_rule",
            object_id: Some(RuleId::from_uuid(changed.rule_id).to_string()),
            object_name: actor.name.clone(),
            tenant: changed.tenant_id.map(TenantId::from_uuid),
            detail: json!({ "by": "the link in a mail" }),
        };
        platform.commit_audited(&entry, chance, now).await
    }
}

fn hash(token: &str) -> Option<Vec<u8>> {
    Some(ApiToken::parse(token).ok()?.hash().as_bytes().to_vec())
}
