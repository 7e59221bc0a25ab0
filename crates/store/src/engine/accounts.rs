//! Accounts at CAs: one for each directory.

use certmill_model::{AccountId, Chance};
use certmill_vault::{Place, Secret, Vault};
use time::OffsetDateTime;

use super::{Engine, domains::held};
use crate::{AuditEntry, StoreError, api::audit};

const TABLE: &str = "accounts";

/// An account at a CA. Its key exists before the CA hears of it.
pub struct Account {
    /// Its id here.
    pub account_id: AccountId,
    /// Its private key.
    pub key: Secret,
    /// A key that is to take its place; the CA may know it already.
    pub next_key: Option<Secret>,
    /// By what the CA and CAA records know it; `None` until it is registered.
    pub url: Option<String>,
    /// The keys as they were read: what is recorded about them holds only while they are still these.
    sealed_key: Vec<u8>,
    sealed_next_key: Option<Vec<u8>>,
}

/// What may be told of an account.
#[derive(Clone, Debug)]
pub struct KnownAccount {
    /// Its id here.
    pub account_id: AccountId,
    /// The CA's directory.
    pub directory_url: String,
    /// By what the CA knows it; `None` until it is registered.
    pub url: Option<String>,
}

impl Engine {
    /// The account at `directory_url`; if there is none, one with the key that `new_key` makes, not registered yet.
    /// Processes that start together all get the same one.
    pub async fn account(
        &self,
        directory_url: &str,
        new_key: impl FnOnce() -> Secret,
        vault: &Vault,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<Account, StoreError> {
        if let Some(account) = self.find_account(directory_url, vault).await? {
            return Ok(account);
        }
        let id = AccountId::new(chance, now);
        sqlx::query!(
            "INSERT INTO accounts (account_id, directory_url, sealed_key, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (directory_url) DO NOTHING",
            id.uuid(),
            directory_url,
            vault.seal(&place(id, "sealed_key"), &new_key()),
            now,
        )
        .execute(&self.pool)
        .await?;
        let account = self.find_account(directory_url, vault).await?;
        account.ok_or(StoreError::Database(sqlx::Error::RowNotFound))
    }

    /// Records that the CA knows the account. [`StoreError::LeaseLost`]: it has another key by now.
    pub async fn account_registered(
        &self,
        account: &Account,
        url: &str,
        credentials: &Secret,
        vault: &Vault,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let done = sqlx::query!(
            "UPDATE accounts SET url = $2, sealed_credentials = $3, registered_at = $4
             WHERE account_id = $1 AND sealed_key = $5",
            account.account_id.uuid(),
            url,
            vault.seal(&place(account.account_id, "sealed_credentials"), credentials),
            now,
            &account.sealed_key,
        )
        .execute(&self.pool)
        .await?;
        held(done.rows_affected())
    }

    /// The account's next key: the one that is on record, else the one that `new_key` makes, which is then on record with
    /// `entry` before the CA hears of it. Processes that begin together get the same.
    pub async fn next_account_key(
        &self,
        account: AccountId,
        new_key: impl FnOnce() -> Secret,
        vault: &Vault,
        entry: &AuditEntry<'_>,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<Secret, StoreError> {
        let mut tx = self.pool.begin().await?;
        let begun = sqlx::query!(
            "UPDATE accounts SET sealed_next_key = $2 WHERE account_id = $1 AND sealed_next_key IS NULL",
            account.uuid(),
            vault.seal(&place(account, "sealed_next_key"), &new_key()),
        )
        .execute(&mut *tx)
        .await?;
        if begun.rows_affected() > 0 {
            audit::record(&mut tx, entry, chance, now).await?;
        }
        let sealed = sqlx::query_scalar!(
            r#"SELECT sealed_next_key AS "sealed_next_key!" FROM accounts WHERE account_id = $1"#,
            account.uuid(),
        )
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(vault.open(&place(account, "sealed_next_key"), &sealed)?)
    }

    /// Records that the CA has taken the account's next key. [`StoreError::LeaseLost`]: another has recorded that already, and
    /// there may be yet another next key.
    pub async fn account_key_changed(
        &self,
        account: &Account,
        credentials: &Secret,
        vault: &Vault,
    ) -> Result<(), StoreError> {
        let Some(key) = &account.next_key else { return Ok(()) };
        let id = account.account_id;
        let done = sqlx::query!(
            "UPDATE accounts SET sealed_key = $2, sealed_credentials = $3, sealed_next_key = NULL
             WHERE account_id = $1 AND sealed_next_key = $4",
            id.uuid(),
            vault.seal(&place(id, "sealed_key"), key),
            vault.seal(&place(id, "sealed_credentials"), credentials),
            account.sealed_next_key.as_deref(),
        )
        .execute(&self.pool)
        .await?;
        held(done.rows_affected())
    }

    /// Gives up the account that the CA knows by `url`: the next one to be asked for is new. Its row stays, with its key, for
    /// the orders and certificates that came of it. `false`: that is not its URL.
    pub async fn give_up_account(
        &self,
        account: AccountId,
        url: &str,
        entry: &AuditEntry<'_>,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query!(
            "UPDATE accounts SET directory_url = directory_url || '#' || account_id
             WHERE account_id = $1 AND url = $2",
            account.uuid(),
            url,
        )
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        audit::record(&mut tx, entry, chance, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// All accounts there are.
    pub async fn accounts(&self) -> Result<Vec<KnownAccount>, StoreError> {
        let rows = sqlx::query!("SELECT account_id, directory_url, url FROM accounts");
        let rows = rows.fetch_all(&self.pool).await?;
        let known = rows.into_iter().map(|row| KnownAccount {
            account_id: AccountId::from_uuid(row.account_id),
            directory_url: row.directory_url,
            url: row.url,
        });
        Ok(known.collect())
    }

    /// Opens one stored secret, if there is any: with the wrong key file it is better to say so before any work.
    pub async fn check_master_key(&self, vault: &Vault) -> Result<(), StoreError> {
        let row = sqlx::query!("SELECT account_id, sealed_key FROM accounts LIMIT 1")
            .fetch_optional(&self.pool)
            .await?;
        if let Some(row) = row {
            vault.open(&place(AccountId::from_uuid(row.account_id), "sealed_key"), &row.sealed_key)?;
        }
        Ok(())
    }

    async fn find_account(&self, directory_url: &str, vault: &Vault) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query!(
            "SELECT account_id, sealed_key, sealed_next_key, url FROM accounts WHERE directory_url = $1",
            directory_url,
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let account_id = AccountId::from_uuid(row.account_id);
        let key = vault.open(&place(account_id, "sealed_key"), &row.sealed_key)?;
        let next_key = match &row.sealed_next_key {
            Some(sealed) => Some(vault.open(&place(account_id, "sealed_next_key"), sealed)?),
            None => None,
        };
        let (sealed_key, sealed_next_key) = (row.sealed_key, row.sealed_next_key);
        Ok(Some(Account { account_id, key, next_key, url: row.url, sealed_key, sealed_next_key }))
    }
}

fn place(account: AccountId, column: &str) -> Place<'_> {
    Place { table: TABLE, column, tenant: None, row: account.uuid().into_bytes() }
}
