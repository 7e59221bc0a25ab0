//! Our account at a CA: made once, its key on record before the CA hears of it.

use std::{sync::Arc, time::Duration};

use certmill_acme::{AccountCredentials, AccountKey, Client, find_account, register, roll_over};
use certmill_model::{AccountId, Chance, Clock};
use certmill_store::{self as store, Account};
use certmill_vault::{Secret, Vault};
use tokio::time::Instant;

use super::{Authority, AuthoritySettings, OpenAuthority};
use crate::{Engine, checkpoint::reached, error::AuthorityError};

/// How long a CA's directory is believed: it may move its resources, and name other profiles.
const DIRECTORY_LASTS: Duration = Duration::from_secs(6 * 60 * 60);

impl Authority {
    /// The first caller opens it while the others wait; a failure is kept by nobody, so the next caller tries again, as
    /// far as the breaker lets it. A directory that grows old is fetched anew, and goes on being used where that fails.
    pub(super) async fn opened(&self, engine: &Engine) -> Result<Arc<OpenAuthority>, AuthorityError> {
        let (waited, mut kept) = match self.open.try_lock() {
            Ok(kept) => (false, kept),
            Err(_) => (true, self.open.lock().await),
        };
        if let Some(open) = &*kept
            && open.opened_at.elapsed() < DIRECTORY_LASTS
        {
            return Ok(open.clone());
        }
        // Those before this one found nobody: it is not for each to find the same.
        if let Err(until) = self.available(engine.now())
            && waited
        {
            return Err(AuthorityError::Away { until });
        }
        let parts = &engine.parts;
        let access = Access {
            store: &parts.store,
            vault: &parts.vault,
            clock: &parts.clock,
            chance: &parts.chance,
            settings: &self.settings,
        };
        let open = match (access.open().await, kept.take()) {
            (Ok(open), _) => Arc::new(open),
            (Err(AuthorityError::Ca(error)), Some(old)) if error.is_ca_side() => old,
            (Err(error), _) => return Err(error),
        };
        *kept = Some(open.clone());
        *self.known.lock().expect("no holder of this lock panics") = Some(open.clone());
        Ok(open)
    }

    /// The CA refuses our account, or says that its directory has changed: both are read anew before the next order,
    /// unless they were since `open`.
    pub(crate) async fn forget_account(&self, open: &OpenAuthority) {
        self.open.lock().await.take_if(|kept| std::ptr::eq(&raw const **kept, open));
    }

    /// Whether our account has another key than `open` knows, so that what was signed with that one says nothing.
    pub(crate) async fn has_another_key(&self, engine: &Engine, open: &OpenAuthority) -> bool {
        self.opened(engine).await.is_ok_and(|now| now.key != open.key)
    }
}

/// Opens our account at a CA, for a command, and has the CA look whether it knows it.
pub async fn open_authority(
    store: &store::Engine,
    vault: &Vault,
    clock: Arc<dyn Clock>,
    settings: &AuthoritySettings,
) -> Result<Client, AuthorityError> {
    let chance = Chance::from_system();
    let access = Access { store, vault, clock: &clock, chance: &chance, settings };
    let open = access.open().await?;
    find_account(&settings.ca, &AccountKey::from_pkcs8(open.key.expose())?, clock.clone()).await?;
    Ok(open.client)
}

/// Gives our account at a CA a new key, which is on record before the CA hears of it (RFC 8555 section 7.3.5); returns the
/// account's URL. A change that was begun before, by whomever, is ended, and no other is made.
pub async fn roll_over_account(
    store: &store::Engine,
    vault: &Vault,
    clock: Arc<dyn Clock>,
    settings: &AuthoritySettings,
) -> Result<String, AuthorityError> {
    let chance = Chance::from_system();
    let access = Access { store, vault, clock: &clock, chance: &chance, settings };
    let is_begun = access.account().await?.next_key.is_some();
    let mut open = access.open().await?;
    if !is_begun {
        store.next_account_key(open.account_id, new_key, vault).await?;
        reached("account_key_stored");
        open = access.open().await?;
    }
    Ok(open.client.account_url().to_owned())
}

/// Registers a new account in the place of the one at `url`, which the CA does not know any more: its limits, and what CAA
/// records say of it, are lost with it. Returns the new account's URL; `None`: `url` is not our account's.
pub async fn replace_account(
    store: &store::Engine,
    vault: &Vault,
    clock: Arc<dyn Clock>,
    settings: &AuthoritySettings,
    url: &str,
) -> Result<Option<String>, AuthorityError> {
    let chance = Chance::from_system();
    let access = Access { store, vault, clock: &clock, chance: &chance, settings };
    let account = access.account().await?;
    if !store.give_up_account(account.account_id, url, &new_key(), vault).await? {
        return Ok(None);
    }
    let open = access.open().await?;
    Ok(Some(open.client.account_url().to_owned()))
}

fn new_key() -> Secret {
    Secret::new(AccountKey::generate().pkcs8().to_vec())
}

/// Everything that opening an account needs.
struct Access<'a> {
    store: &'a store::Engine,
    vault: &'a Vault,
    clock: &'a Arc<dyn Clock>,
    chance: &'a Chance,
    settings: &'a AuthoritySettings,
}

impl Access<'_> {
    /// The key is on record before the CA hears of it, and the CA finds the account by its key (RFC 8555 section
    /// 7.3.1): a crash in between, or another process, ends up with the same account. One that was registered is never
    /// registered again: limits, CAA records and challenges of other kinds hang on its URL.
    async fn open(&self) -> Result<OpenAuthority, AuthorityError> {
        let ca = &self.settings.ca;
        let account = self.finish_roll_over(self.account().await?).await?;
        let key = AccountKey::from_pkcs8(account.key.expose())?;
        let credentials = match &account.url {
            Some(url) => AccountCredentials::of(ca, url, &key),
            None => self.register(account.account_id, &key).await?,
        };
        let client = Client::open(ca, &credentials, self.clock.clone()).await?;
        let Account { account_id, key, .. } = account;
        Ok(OpenAuthority { account_id, client, key, opened_at: Instant::now() })
    }

    /// The account as it is on record; its key is made if there is none.
    async fn account(&self) -> Result<Account, AuthorityError> {
        let directory = self.settings.ca.directory_url().to_string();
        let now = self.clock.now();
        Ok(self.store.account(&directory, new_key, self.vault, self.chance, now).await?)
    }

    async fn register(
        &self,
        account: AccountId,
        key: &AccountKey,
    ) -> Result<AccountCredentials, AuthorityError> {
        let registration = register(&self.settings.ca, key, self.clock.clone()).await?;
        let url = &registration.account_url;
        let secret = Secret::new(registration.credentials.secret_bytes().to_vec());
        self.store.account_registered(account, url, &secret, self.vault, self.clock.now()).await?;
        tracing::info!(
            authority = self.settings.name,
            account.url = url,
            "registered with the certificate authority"
        );
        Ok(registration.credentials)
    }

    /// Ends a change of the account's key that was begun, wherever it stopped.
    async fn finish_roll_over(&self, account: Account) -> Result<Account, AuthorityError> {
        let (Some(next), Some(url)) = (&account.next_key, &account.url) else { return Ok(account) };
        let old_key = AccountKey::from_pkcs8(account.key.expose())?;
        let new_key = AccountKey::from_pkcs8(next.expose())?;
        let ca = &self.settings.ca;
        roll_over(ca, url, &old_key, &new_key, self.clock.clone()).await?;
        reached("account_key_taken");
        let credentials = AccountCredentials::of(ca, url, &new_key);
        let credentials = Secret::new(credentials.secret_bytes().to_vec());
        self.store.account_key_changed(account.account_id, next, &credentials, self.vault).await?;
        tracing::info!(authority = self.settings.name, account.url = url, "the account has a new key");
        let key = Secret::new(new_key.pkcs8().to_vec());
        Ok(Account { key, next_key: None, ..account })
    }
}
