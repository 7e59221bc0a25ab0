//! Tokens and login links.

use certmill_model::{Chance, Clock, Label, SystemClock, TenantId, TokenId};
use certmill_store::Api;
use certmill_vault::ApiToken;
use time::Duration;

use super::{say, tenants::find_tenant};
use crate::{config::Config, start, trouble::Trouble};

/// How long a login link works.
const LINK_LASTS: Duration = Duration::minutes(10);

pub(super) async fn create_token(
    store: &Api,
    name: &str,
    tenant: Option<&str>,
    days: u16,
) -> Result<(), Trouble> {
    let name = Label::parse(name)
        .map_err(|error| Trouble::new("the token's name cannot be used", &error, "Give it another name."))?;
    let tenant: Option<TenantId> = match tenant {
        Some(tenant) => Some(find_tenant(store, tenant).await?.tenant_id),
        None => None,
    };
    let token = ApiToken::generate();
    let now = SystemClock.now();
    let id = TokenId::new(&Chance::from_system(), now);
    let mut tx = store.platform().await?;
    tx.add_token(id, tenant, &name, &token.hash(), now, now + Duration::days(i64::from(days))).await?;
    tx.commit().await?;
    say(token.expose());
    Ok(())
}

pub(super) async fn login_link(store: &Api, config: &Config) -> Result<(), Trouble> {
    let url = start::public_url(config)?;
    let token = ApiToken::generate();
    let now = SystemClock.now();
    let mut tx = store.platform().await?;
    tx.add_login_link(&token.hash(), now, now + LINK_LASTS).await?;
    tx.commit().await?;
    say(url.login_link(&token));
    Ok(())
}
