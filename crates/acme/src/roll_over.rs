//! A new key for our account (RFC 8555 section 7.3.5).

use std::sync::Arc;

use certmill_model::{Clock, ProblemCode};
use instant_acme::Error;
use serde_json::json;

use crate::{
    AccountKey, AcmeError, CaSettings, Failure,
    account::{find_account_url, is_account_missing, unusable_settings},
    exchange::attempt,
    jws::{Signer, sign},
    reaction::Stage,
    transport::Transport,
};

/// Makes `new` the account's key in place of `old`; the account's URL stays. Store `new` before calling this, and keep
/// both until it succeeds: it may then be repeated after any crash, and asks first whether it is done already.
/// Afterwards [`crate::AccountCredentials::of`] gives the credentials with the new key.
pub async fn roll_over(
    settings: &CaSettings,
    account_url: &str,
    old: &AccountKey,
    new: &AccountKey,
    clock: Arc<dyn Clock>,
) -> Result<(), AcmeError> {
    let transport = Transport::new(settings).map_err(unusable_settings)?;
    if is_key_of(&transport, account_url, new, &clock).await? {
        return Ok(());
    }
    let (old, new_signer) = (Signer::account(old, account_url)?, Signer::key(new)?);
    match attempt!(Stage::Account, clock, change(&transport, account_url, &old, &new_signer)) {
        Ok(_) => Ok(()),
        // Perhaps somebody else was quicker, and the old key or the new one is refused for that.
        Err(error @ AcmeError::NeedsOperator { .. }) => {
            let is_done = is_key_of(&transport, account_url, new, &clock).await?;
            if is_done { Ok(()) } else { Err(error) }
        }
        Err(error) => Err(error),
    }
}

/// Whether the CA knows the key as the account's. That of another account is an operator's matter.
async fn is_key_of(
    transport: &Transport,
    account_url: &str,
    key: &AccountKey,
    clock: &Arc<dyn Clock>,
) -> Result<bool, AcmeError> {
    match find_account_url(transport, key, clock).await {
        Ok(found) if found == account_url => Ok(true),
        Ok(found) => {
            let summary = format!("the new key is that of another account, {found}");
            Err(AcmeError::NeedsOperator { failure: Failure::found(ProblemCode::CaAccount, summary) })
        }
        Err(error) if is_account_missing(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The new key says that it wants to be the account's, and the old one that it agrees.
async fn change(
    transport: &Transport,
    account_url: &str,
    old: &Signer<'_>,
    new: &Signer<'_>,
) -> Result<(), Error> {
    let directory = transport.fetch_directory().await?;
    let url = directory.key_change.clone().ok_or(Error::Unsupported("account key rollover"))?;
    let payload = json!({ "account": account_url, "oldKey": old.public_key() });
    transport.post(old, &url, &sign(new, None, &url, &payload)).await
}
