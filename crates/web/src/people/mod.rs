//! People and programs that may come in: what the API and the dashboard do alike.

mod rules;
mod tenants;
mod tokens;
mod users;

pub(crate) use rules::{RuleText, put_rule, rule_of};
pub(crate) use tenants::{
    BrandingText, GRACE, NewTenantText, TenantAction, TenantText, act_on_tenant, add_tenant, change_tenant,
};
pub(crate) use tokens::{MadeToken, TokenText, make_token, revoke_token};
pub(crate) use users::{
    InvitationText, Invited, UserStatus, UserText, change_user, delete_user, invite, invite_again,
    mail_new_password, open_tokens, status_of,
};

use certmill_model::TenantId;
use certmill_store::{AuditEntry, Reach, ScopedTx};
use serde::{Deserialize, Deserializer};

use crate::{access::Caller, problem::Problem};

/// `entry`, as a matter of `tenant`'s, whoever did it.
fn matter_of(tenant: Option<TenantId>, entry: AuditEntry<'_>) -> AuditEntry<'_> {
    AuditEntry { tenant, ..entry }
}

/// For whom something is to be: the tenant whose id or name is `asked`, or with none the caller's own, be that a tenant or
/// the platform.
async fn tenant_for(
    tx: &mut ScopedTx,
    caller: &Caller,
    asked: Option<&str>,
) -> Result<Option<TenantId>, Problem> {
    let Some(asked) = asked.filter(|asked| !asked.is_empty()) else { return Ok(caller.reach.tenant()) };
    tx.resolve_tenant(asked).await?.map(Some).ok_or_else(|| Problem::no_such("tenant"))
}

/// Whether what belongs to `tenant` is the platform's own.
fn is_platforms(tenant: Option<TenantId>) -> bool {
    tenant.map_or(Reach::Platform, Reach::Tenant) == Reach::Platform
}

/// A field of a change that may be left out, but not be null: it cannot be unset.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

pub(crate) fn invalid(field: &str, detail: impl std::fmt::Display) -> Problem {
    Problem::field(format!("/{field}"), "invalid_field", detail.to_string())
}

fn one_of(words: &[&str]) -> String {
    format!("it is none of {}", words.join(", "))
}
