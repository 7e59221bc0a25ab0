//! The outbox, as both doors write to it.

use certmill_model::{AlertId, Letter, MailId, RuleId, TenantId};
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::StoreError;

/// A mail that is to be sent.
pub struct NewMail<'a> {
    /// Its id.
    pub mail_id: MailId,
    /// What it tells whom, as in `invitation/usr_…/1`: of two with the same key the second is none.
    pub key: String,
    /// Whose matter it is; `None`: the platform's.
    pub tenant_id: Option<TenantId>,
    /// Where it goes.
    pub recipient: &'a str,
    /// In which language, where there is a choice: `en` or `de`.
    pub language: &'a str,
    /// What it says.
    pub letter: &'a Letter,
}

/// Why somebody gets a mail that an alert or a rule is behind.
#[derive(Default)]
pub(crate) struct Origin {
    pub(crate) alert_id: Option<AlertId>,
    pub(crate) rule_id: Option<RuleId>,
}

/// Writes a mail down, to be sent at once; `false`: there is one with that key.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    mail: &NewMail<'_>,
    of: Origin,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let letter =
        serde_json::to_value(mail.letter).map_err(|error| StoreError::inconsistent("mails", error))?;
    let kind = letter["kind"].as_str().unwrap_or_default().to_owned();
    let done = sqlx::query!(
        "INSERT INTO mails (mail_id, key, tenant_id, alert_id, rule_id, recipient, language, kind, is_reply, letter,
                            next_attempt_at, created_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8,
                EXISTS (SELECT 1 FROM mails m WHERE m.alert_id = $4 AND m.recipient = $6), $9, $10, $10
         ON CONFLICT (key) DO NOTHING",
        mail.mail_id.uuid(),
        mail.key,
        mail.tenant_id.map(TenantId::uuid),
        of.alert_id.map(AlertId::uuid),
        of.rule_id.map(RuleId::uuid),
        mail.recipient,
        mail.language,
        kind,
        letter,
        now,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}
