//! What users are mailed.

use certmill_model::{AlertLevel, DigestFrequency, Rule, RuleId, UserId};
use certmill_store::{RuleRow, ScopedTx, User};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use utoipa::ToSchema;

use super::{invalid, matter_of, one_of};
use crate::{WebState, access::Caller, problem::Problem};

/// What somebody is to be mailed, as a program sends it or a person chooses it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "NotificationRuleText")]
pub(crate) struct RuleText {
    /// From which level on alerts are mailed: `notice`, `late`, `urgent`, `page` or `expired`; null: none.
    #[serde(deserialize_with = "nullable")]
    #[schema(required, example = "late")]
    pub(crate) least_level: Option<String>,
    /// How often a digest is mailed: `off`, `daily` or `weekly`.
    #[schema(example = "weekly")]
    pub(crate) digest: String,
}

/// It must be said, be it null.
fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// The rule of `user` for the names that are theirs; of somebody who was never asked what is usual, at revision 0.
pub(crate) async fn rule_of(state: &WebState, tx: &mut ScopedTx, user: &User) -> Result<RuleRow, Problem> {
    let rules = tx.rules_of_user(user.user_id).await?;
    let kept = rules.into_iter().find(|rule| rule.tenant_id == user.tenant_id);
    Ok(kept.unwrap_or_else(|| {
        let Rule { tenant_id, least_level, digest } = Rule::usual(user.role, user.tenant_id);
        let rule_id = RuleId::new(&state.chance, state.now());
        RuleRow {
            rule_id,
            user_id: user.user_id,
            tenant_id,
            least_level,
            digest,
            unsubscribed_at: None,
            revision: 0,
        }
    }))
}

/// Changes the rule of a user, if `check` lets its revision pass. That takes back that it was unsubscribed from.
pub(crate) async fn put_rule(
    state: &WebState,
    caller: &Caller,
    user: UserId,
    text: &RuleText,
    check: impl FnOnce(i64) -> Result<(), Problem>,
) -> Result<RuleRow, Problem> {
    let (mut tx, now) = (state.store.scoped(caller.reach).await?, state.now());
    let user = tx.find_user(user).await?.ok_or_else(|| Problem::no_such("user"))?;
    let before = rule_of(state, &mut tx, &user).await?;
    check(before.revision)?;
    let wanted = RuleRow {
        least_level: text.least_level.as_deref().map(parse_level).transpose()?,
        digest: parse_digest(&text.digest)?,
        ..before
    };
    let id = tx.put_rule(&wanted, now).await?;
    let rule = rule_of(state, &mut tx, &user).await?;
    let detail = json!({ "least_level": rule.least_level, "digest": rule.digest });
    let did = caller.did("notification_rule.changed", "notification_rule", id, &user.name, detail);
    tx.commit(&matter_of(user.tenant_id, did), &state.chance, now).await?;
    Ok(rule)
}

fn parse_level(text: &str) -> Result<AlertLevel, Problem> {
    let words: Vec<_> = AlertLevel::ALL.iter().map(|level| level.as_str()).collect();
    text.parse().map_err(|_| invalid("least_level", one_of(&words)))
}

fn parse_digest(text: &str) -> Result<DigestFrequency, Problem> {
    let words: Vec<_> = DigestFrequency::ALL.iter().map(|often| often.as_str()).collect();
    text.parse().map_err(|_| invalid("digest", one_of(&words)))
}
