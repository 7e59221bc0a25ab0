//! Our account at a CA: made once, its key on record before the CA hears of it.

use std::{sync::Arc, time::Duration};

use certmill_acme::{AccountCredentials, AccountKey, AcmeError, Client, find_account, register, roll_over};
use certmill_model::{AccountId, Chance, Clock};
use certmill_store::{self as store, Account, AuditEntry};
use certmill_vault::{Secret, Vault};
use tokio::time::Instant;

use super::{Authority, AuthoritySettings, OpenAuthority};
use crate::{Engine, checkpoint::reached, error::AuthorityError};

/// How long a CA's directory is believed: it may move its resources, and name other profiles.
const DIRECTORY_LASTS: Duration = Duration::from_secs(6 * 60 * 60);

/// How long an old directory goes on being used when no new one could be had.
const AGAIN: Duration = Duration::from_secs(5 * 60);

/// An account that was opened, and until when it is believed.
pub(super) struct Kept {
    open: Arc<OpenAuthority>,
    fresh_until: Instant,
}

impl Authority {
    /// The first caller opens it while the others wait; a failure is kept by nobody, so the next caller tries again, as
    /// far as the breaker lets it. A directory that grows old is fetched anew, and goes on being used where that fails.
    pub(super) async fn opened(&self, engine: &Engine) -> Result<Arc<OpenAuthority>, AuthorityError> {
        let (waited, mut kept) = match self.open.try_lock() {
            Ok(kept) => (false, kept),
            Err(_) => (true, self.open.lock().await),
        };
        if let Some(Kept { open, fresh_until }) = &*kept
            && Instant::now() < *fresh_until
        {
            return Ok(open.clone());
        }
        // Those before this one found nobody: it is not for each to find the same.
        if let Err(until) = self.available(engine.now())
            && waited
        {
            return Err(AuthorityError::Away { until });
        }
        let (open, lasts) = match (self.access(engine).open().await, kept.take()) {
            (Ok(open), _) => (Arc::new(open), DIRECTORY_LASTS),
            (Err(AuthorityError::Ca(error)), Some(old)) if error.is_ca_side() => {
                self.note(engine, &error);
                (old.open, AGAIN)
            }
            (Err(error), _) => return Err(error),
        };
        *kept = Some(Kept { open: open.clone(), fresh_until: Instant::now() + lasts });
        *self.known.lock().expect("no holder of this lock panics") = Some(open.clone());
        Ok(open)
    }

    fn access<'a>(&'a self, engine: &'a Engine) -> Access<'a> {
        let parts = &engine.parts;
        Access {
            store: &parts.store,
            vault: &parts.vault,
            clock: &parts.clock,
            chance: &parts.chance,
            settings: &self.settings,
            goes_on: true,
        }
    }

    /// The CA refuses our account, or says that its directory has changed: both are read anew before the next order,
    /// unless they were since `open`.
    pub(crate) async fn forget_account(&self, open: &OpenAuthority) {
        self.open.lock().await.take_if(|kept| std::ptr::eq(Arc::as_ptr(&kept.open), open));
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
    let access = Access { store, vault, clock: &clock, chance: &chance, settings, goes_on: false };
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
    let access = Access { store, vault, clock: &clock, chance: &chance, settings, goes_on: false };
    let is_begun = access.account().await?.next_key.is_some();
    let mut open = access.open().await?;
    if !is_begun {
        let (actor, now) = (store::Actor::command_line(), clock.now());
        let entry =
            access.entry(&actor, "ca_account.key_changed", open.account_id, open.client.account_url());
        store.next_account_key(open.account_id, new_key, vault, &entry, &chance, now).await?;
        reached("account_key_stored");
        open = access.open().await?;
    }
    Ok(open.client.account_url().to_owned())
}

/// What came of the wish for another account.
pub enum Replaced {
    /// It is registered, and this is its URL.
    By(String),
    /// That is not our account's URL.
    NotOurs,
    /// The CA still knows the account: there is nothing to replace.
    StillKnown,
}

/// Registers a new account in the place of the one at `url`, if the CA does not know that any more: its limits, and what CAA
/// records say of it, are lost with it.
pub async fn replace_account(
    store: &store::Engine,
    vault: &Vault,
    clock: Arc<dyn Clock>,
    settings: &AuthoritySettings,
    url: &str,
) -> Result<Replaced, AuthorityError> {
    let chance = Chance::from_system();
    let access = Access { store, vault, clock: &clock, chance: &chance, settings, goes_on: false };
    let account = access.account().await?;
    if account.url.as_deref() != Some(url) {
        return Ok(Replaced::NotOurs);
    }
    for key in [Some(&account.key), account.next_key.as_ref()].into_iter().flatten() {
        match find_account(&settings.ca, &AccountKey::from_pkcs8(key.expose())?, clock.clone()).await {
            Ok(_) => return Ok(Replaced::StillKnown),
            Err(error) if is_forgotten(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (actor, now) = (store::Actor::command_line(), clock.now());
    let entry = access.entry(&actor, "ca_account.given_up", account.account_id, url);
    store.give_up_account(account.account_id, url, &entry, &chance, now).await?;
    let open = access.open().await?;
    Ok(Replaced::By(open.client.account_url().to_owned()))
}

fn is_forgotten(error: &AcmeError) -> bool {
    error.problem().is_some_and(|problem| problem.kind.ends_with(":accountDoesNotExist"))
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
    /// A key that the CA does not take is no reason to stop; a command says so instead.
    goes_on: bool,
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
            None => self.register(&account, &key).await?,
        };
        let client = Client::open(ca, &credentials, self.clock.clone()).await?;
        let Account { account_id, key, .. } = account;
        Ok(OpenAuthority { account_id, client, key })
    }

    /// For the audit log: what is changed of an account, which has no change without it.
    fn entry<'a>(
        &self,
        actor: &'a store::Actor,
        action: &'static str,
        account: AccountId,
        url: &str,
    ) -> AuditEntry<'a> {
        AuditEntry {
            actor,
            action,
            object_kind: "ca_account",
            object_id: Some(account.to_string()),
            object_name: self.settings.name.clone(),
            tenant: None,
            detail: serde_json::json!({ "account_url": url }),
        }
    }

    /// The account as it is on record; its key is made if there is none.
    async fn account(&self) -> Result<Account, AuthorityError> {
        let directory = self.settings.ca.directory_url().to_string();
        let now = self.clock.now();
        Ok(self.store.account(&directory, new_key, self.vault, self.chance, now).await?)
    }

    async fn register(
        &self,
        account: &Account,
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

    /// Ends a change of the account's key that was begun, wherever it stopped. A change that the CA refuses leaves the account
    /// as it was.
    async fn finish_roll_over(&self, account: Account) -> Result<Account, AuthorityError> {
        let (Some(next), Some(url)) = (&account.next_key, &account.url) else { return Ok(account) };
        let old_key = AccountKey::from_pkcs8(account.key.expose())?;
        let new_key = AccountKey::from_pkcs8(next.expose())?;
        let ca = &self.settings.ca;
        match roll_over(ca, url, &old_key, &new_key, self.clock.clone()).await {
            Ok(()) => {}
            Err(error @ AcmeError::NeedsOperator { .. }) if self.goes_on => {
                let (authority, detail) = (&self.settings.name, error.detail());
                tracing::warn!(authority, detail, "the CA does not take the account's new key");
                return Ok(account);
            }
            Err(error) => return Err(error.into()),
        }
        reached("account_key_taken");
        let credentials = AccountCredentials::of(ca, url, &new_key);
        let credentials = Secret::new(credentials.secret_bytes().to_vec());
        match self.store.account_key_changed(&account, &credentials, self.vault).await {
            Ok(()) => {
                tracing::info!(
                    authority = self.settings.name,
                    account.url = url,
                    "the account has a new key"
                );
            }
            // Another one was quicker.
            Err(store::StoreError::LeaseLost) => {}
            Err(error) => return Err(error.into()),
        }
        self.account().await
    }
}
