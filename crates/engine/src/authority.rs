//! The account at the CA: one, made and stored before the first order.

use certmill_acme::{AccountCredentials, AccountKey, Client, register};
use certmill_model::AccountId;
use certmill_vault::Secret;
use tokio::sync::OnceCell;

use crate::{Engine, error::AuthorityError};

/// The client of the CA, once there is an account.
#[derive(Default)]
pub(crate) struct Authority(OnceCell<(AccountId, Client)>);

impl Engine {
    /// The CA's client and our account with it. The first caller opens it while the others wait; a failure is kept
    /// by nobody, so the next caller tries again.
    pub(crate) async fn authority(&self) -> Result<&(AccountId, Client), AuthorityError> {
        self.authority.0.get_or_try_init(|| self.open_account()).await
    }

    /// The CA's client, if anybody has needed it yet.
    pub(crate) fn known_authority(&self) -> Option<&Client> {
        self.authority.0.get().map(|(_, client)| client)
    }

    /// The key is on record before the CA hears of it, and the CA finds the account by its key (RFC 8555 section
    /// 7.3.1): a crash in between, or another process, ends up with the same account.
    async fn open_account(&self) -> Result<(AccountId, Client), AuthorityError> {
        let parts = &self.parts;
        let directory = parts.ca.directory_url().to_string();
        let new_key = || Secret::new(AccountKey::generate().pkcs8().to_vec());
        let account =
            parts.store.account(&directory, new_key, &parts.vault, &parts.chance, self.now()).await?;
        let credentials = match account.credentials {
            Some(credentials) => AccountCredentials::from_secret_bytes(credentials.expose().to_vec()),
            None => self.register(account.account_id, &AccountKey::from_pkcs8(account.key.expose())?).await?,
        };
        Ok((account.account_id, Client::open(&parts.ca, &credentials, parts.clock.clone()).await?))
    }

    async fn register(
        &self,
        account: AccountId,
        key: &AccountKey,
    ) -> Result<AccountCredentials, AuthorityError> {
        let parts = &self.parts;
        let registration = register(&parts.ca, key, parts.clock.clone()).await?;
        let url = &registration.account_url;
        let secret = Secret::new(registration.credentials.secret_bytes().to_vec());
        parts.store.account_registered(account, url, &secret, &parts.vault, self.now()).await?;
        tracing::info!(account.url = url, "registered with the certificate authority");
        Ok(registration.credentials)
    }
}
