//! Tokens: making and revoking them.

use certmill_model::{Label, Permission, Scope, TenantId, TokenId};
use certmill_store::{NewToken, TokenRow};
use certmill_vault::ApiToken;
use serde::Deserialize;
use serde_json::json;
use time::Duration;
use utoipa::ToSchema;

use super::{invalid, is_platforms, matter_of, one_of, tenant_for};
use crate::{WebState, access::Caller, problem::Problem};

/// A token to be made, as a program sends it or a person types it.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "TokenWish")]
pub(crate) struct TokenText {
    /// The tenant it speaks for, by id or name; left out, the caller's own, or the platform.
    #[serde(default)]
    pub(crate) tenant: Option<String>,
    /// What it is for.
    #[schema(example = "shop backend")]
    pub(crate) name: String,
    /// What it may be used for: `domains:read`, `domains:write`, `webhooks:write`, `admin`; of the platform also
    /// `targets:read` and `targets:write`.
    #[schema(example = json!(["domains:write"]))]
    pub(crate) scopes: Vec<String>,
    /// Days until it expires, 1 to 365; 90 if it is left out.
    #[serde(default)]
    pub(crate) days: Option<i64>,
}

/// A token that was just made, with its text: this is the only time that it can be shown.
pub(crate) struct MadeToken {
    pub(crate) row: TokenRow,
    pub(crate) token: ApiToken,
}

/// Makes a token.
pub(crate) async fn make_token(
    state: &WebState,
    caller: &Caller,
    text: &TokenText,
) -> Result<MadeToken, Problem> {
    let (now, token) = (state.now(), ApiToken::generate());
    let mut tx = state.store.scoped(caller.reach).await?;
    let tenant = tenant_for(&mut tx, caller, text.tenant.as_deref()).await?;
    let days = text.days.unwrap_or(90);
    if !(1..=365).contains(&days) {
        return Err(invalid("days", "it is a number from 1 to 365"));
    }
    let new = NewToken {
        token_id: TokenId::new(&state.chance, now),
        tenant_id: tenant,
        name: Label::parse(text.name.trim()).map_err(|error| invalid("name", error))?,
        hash: token.hash(),
        scopes: parse_scopes(caller, &text.scopes, tenant)?,
        expires_at: now + Duration::days(days),
        created_by: caller.actor.name.clone(),
        maker: caller.as_maker(),
    };
    tx.add_token(&new, now).await?;
    let row = tx.find_token(new.token_id).await?.ok_or_else(Problem::internal)?;
    let detail = json!({ "scopes": new.scopes, "expires_at": new.expires_at.unix_timestamp() });
    let entry = caller.did("token.created", "token", new.token_id, &new.name, detail);
    tx.commit(&matter_of(tenant, entry), &state.chance, now).await?;
    Ok(MadeToken { row, token })
}

/// Revokes a token: the next request with it is refused. Doing it again changes nothing.
pub(crate) async fn revoke_token(state: &WebState, caller: &Caller, id: TokenId) -> Result<(), Problem> {
    let now = state.now();
    let mut tx = state.store.scoped(caller.reach).await?;
    let token = tx.find_token(id).await?.ok_or_else(|| Problem::no_such("token"))?;
    if !tx.revoke_token(id, now).await? {
        return Ok(());
    }
    let entry = caller.did("token.revoked", "token", id, &token.name, json!({}));
    tx.commit(&matter_of(token.tenant_id, entry), &state.chance, now).await?;
    Ok(())
}

/// Scopes that make sense there, and open nothing that the caller may not do.
fn parse_scopes(caller: &Caller, texts: &[String], tenant: Option<TenantId>) -> Result<Vec<Scope>, Problem> {
    let of_platform = is_platforms(tenant);
    let possible: Vec<_> = Scope::possible(of_platform).collect();
    let words: Vec<_> = possible.iter().map(|scope| scope.as_str()).collect();
    let mut scopes = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let scope: Option<Scope> = text.parse().ok().filter(|scope| possible.contains(scope));
        let scope = scope.ok_or_else(|| invalid(&format!("scopes/{index}"), one_of(&words)))?;
        let allowed = |permission: &Permission| scope.allows(*permission, of_platform);
        if Permission::ALL.iter().filter(|permission| allowed(permission)).any(|one| !caller.may(*one)) {
            let detail = "it opens more than you may do yourself";
            return Err(invalid(&format!("scopes/{index}"), detail));
        }
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    if scopes.is_empty() {
        return Err(invalid("scopes", "choose one at least"));
    }
    Ok(scopes)
}
