//! Tokens and login links.

use certmill_model::{Chance, Clock, Label, Scope, SystemClock, TenantId, TokenId};
use certmill_store::{Actor, Api, NewToken, Reach, TokenMaker};
use certmill_vault::ApiToken;
use time::Duration;

use super::{did, say, tenants::find_tenant};
use crate::{config::Config, start, trouble::Trouble};

/// How long a login link works.
const LINK_LASTS: Duration = Duration::minutes(10);

pub(super) async fn create_token(
    store: &Api,
    name: &str,
    tenant: Option<&str>,
    days: u16,
    scopes: Vec<Scope>,
) -> Result<(), Trouble> {
    let name = Label::parse(name)
        .map_err(|error| Trouble::new("the token's name cannot be used", &error, "Give it another name."))?;
    let tenant: Option<TenantId> = match tenant {
        Some(tenant) => Some(find_tenant(store, tenant).await?.tenant_id),
        None => None,
    };
    let token = ApiToken::generate();
    let now = SystemClock.now();
    let chance = Chance::from_system();
    let id = TokenId::new(&chance, now);
    let new = NewToken {
        token_id: id,
        tenant_id: tenant,
        name,
        hash: token.hash(),
        scopes,
        expires_at: now + Duration::days(i64::from(days)),
        created_by: Actor::command_line().name,
        maker: TokenMaker::CommandLine,
    };
    let mut entry = did("token.created", "token", id, &new.name);
    entry.tenant = tenant;
    entry.detail = serde_json::json!({ "scopes": new.scopes, "expires_at": new.expires_at.unix_timestamp() });
    let mut tx = store.scoped(Reach::Platform).await?;
    tx.add_token(&new, now).await?;
    tx.commit(&entry, &chance, now).await?;
    say(token.expose());
    Ok(())
}

pub(super) async fn login_link(store: &Api, config: &Config) -> Result<(), Trouble> {
    let url = start::public_url(config)?;
    let token = ApiToken::generate();
    let now = SystemClock.now();
    let mut tx = store.platform().await?;
    tx.add_login_link(&token.hash(), now, now + LINK_LASTS).await?;
    let entry = did("login_link.created", "login_link", "", "a link that logs one person in");
    tx.commit_audited(&entry, &Chance::from_system(), now).await?;
    say(url.login_link(&token));
    Ok(())
}
