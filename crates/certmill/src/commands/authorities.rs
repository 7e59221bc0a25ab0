//! Certificate authorities, and our accounts with them.

use std::sync::Arc;

use certmill_engine::{AuthoritySettings, Replaced, open_authority, replace_account, roll_over_account};
use certmill_model::{LimitKind, SystemClock};

use super::say;
use crate::{
    cli::AuthorityCommand,
    config::{Config, authorities},
    database::Database,
    start,
    trouble::Trouble,
};

/// Connections that a command needs at a time.
const CONNECTIONS: u32 = 2;

pub(super) async fn run(
    database: &Database,
    config: &Config,
    command: AuthorityCommand,
) -> Result<(), Trouble> {
    let known = authorities(config)?;
    match command {
        AuthorityCommand::List => list(database, &known).await,
        AuthorityCommand::Test { name } => test(database, config, find(&known, &name)?).await,
        AuthorityCommand::ReplaceAccount { name, account } => {
            replace(database, config, find(&known, &name)?, &account).await
        }
        AuthorityCommand::RollOver { name } => roll_over(database, config, find(&known, &name)?).await,
    }
}

fn find<'a>(known: &'a [AuthoritySettings], name: &str) -> Result<&'a AuthoritySettings, Trouble> {
    known.iter().find(|one| one.name == name).ok_or_else(|| {
        let what = format!("there is no certificate authority {name:?}");
        Trouble::not_found(what, "`certmill authority list` names them.")
    })
}

async fn list(database: &Database, known: &[AuthoritySettings]) -> Result<(), Trouble> {
    let store = certmill_store::connect_engine(&database.url, CONNECTIONS).await?;
    let accounts = store.accounts().await?;
    for authority in known {
        let directory = authority.ca.directory_url().to_string();
        let account = accounts.iter().find(|account| account.directory_url == directory);
        let account = account.and_then(|account| account.url.clone());
        let account = account.unwrap_or_else(|| "no account yet".to_owned());
        say(format!("{:<16} {directory}  {account}", authority.name));
        for kind in LimitKind::ALL {
            if let Some(rate) = authority.limits.rate(*kind) {
                say(format!("    {kind}: {rate}"));
            }
        }
    }
    Ok(())
}

/// Opens our account, as a worker would for its first order.
async fn test(database: &Database, config: &Config, authority: &AuthoritySettings) -> Result<(), Trouble> {
    let store = certmill_store::connect_engine(&database.url, CONNECTIONS).await?;
    let vault = start::vault(config)?;
    let opened = open_authority(&store, &vault, Arc::new(SystemClock), authority).await;
    let client = opened.map_err(|error| {
        Trouble::new(
            format!("{} cannot be used", authority.name),
            &error,
            "Check its keys in the configuration, and that it can be reached from here.",
        )
    })?;
    say(format!("account: {}", client.account_url()));
    say(format!("in CAA records: {}", client.identities().join(", ")));
    say(format!("tells when to renew: {}", if client.has_renewal_info() { "yes" } else { "no" }));
    say(format!("profiles: {}", client.profiles().keys().cloned().collect::<Vec<_>>().join(", ")));
    Ok(())
}

async fn replace(
    database: &Database,
    config: &Config,
    authority: &AuthoritySettings,
    account: &str,
) -> Result<(), Trouble> {
    let store = certmill_store::connect_engine(&database.url, CONNECTIONS).await?;
    let vault = start::vault(config)?;
    let replaced = replace_account(&store, &vault, Arc::new(SystemClock), authority, account).await;
    let replaced = replaced.map_err(|error| {
        let what = format!("no new account is registered at {} yet", authority.name);
        Trouble::new(what, &error, "Mend that; workers register it with the next order.")
    })?;
    let name = &authority.name;
    match replaced {
        Replaced::By(url) => {
            say(format!("{account} is given up; the new account is {url}"));
            Ok(())
        }
        Replaced::NotOurs => {
            let what = format!("{account} is not our account at {name}");
            Err(Trouble::plain(what, "`certmill authority list` shows it."))
        }
        Replaced::StillKnown => {
            let what = format!("{name} still knows {account}");
            Err(Trouble::plain(what, "Nothing is to be done; `certmill authority test` shows more."))
        }
    }
}

async fn roll_over(
    database: &Database,
    config: &Config,
    authority: &AuthoritySettings,
) -> Result<(), Trouble> {
    let store = certmill_store::connect_engine(&database.url, CONNECTIONS).await?;
    let vault = start::vault(config)?;
    let rolled = roll_over_account(&store, &vault, Arc::new(SystemClock), authority).await;
    let account_url = rolled.map_err(|error| {
        Trouble::new(
            format!("the account's key at {} is not changed yet", authority.name),
            &error,
            "Repeat the command; workers go on with the change too when they start. Nothing is lost.",
        )
    })?;
    say(format!("{account_url} has a new key"));
    Ok(())
}
