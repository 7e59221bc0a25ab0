//! Accounts at CAs: one for each directory.

use certmill_model::{AccountId, Chance};
use certmill_vault::{Place, Secret, Vault};
use time::OffsetDateTime;

use super::Engine;
use crate::StoreError;

const TABLE: &str = "accounts";

/// An account at a CA. Its key exists before the CA hears of it.
pub struct Account {
    /// Its id here.
    pub account_id: AccountId,
    /// Its private key.
    pub key: Secret,
    /// What the client needs to act for it; `None` until it is registered.
    pub credentials: Option<Secret>,
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

    /// Records that the CA knows the account.
    pub async fn account_registered(
        &self,
        account: AccountId,
        url: &str,
        credentials: &Secret,
        vault: &Vault,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE accounts SET url = $2, sealed_credentials = $3, registered_at = $4 WHERE account_id = $1",
            account.uuid(),
            url,
            vault.seal(&place(account, "sealed_credentials"), credentials),
            now,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
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
            "SELECT account_id, sealed_key, sealed_credentials FROM accounts WHERE directory_url = $1",
            directory_url,
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let account_id = AccountId::from_uuid(row.account_id);
        let key = vault.open(&place(account_id, "sealed_key"), &row.sealed_key)?;
        let credentials = match row.sealed_credentials {
            Some(sealed) => Some(vault.open(&place(account_id, "sealed_credentials"), &sealed)?),
            None => None,
        };
        Ok(Some(Account { account_id, key, credentials }))
    }
}

fn place(account: AccountId, column: &str) -> Place<'_> {
    Place { table: TABLE, column, tenant: None, row: account.uuid().into_bytes() }
}
