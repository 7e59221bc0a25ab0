//! Our accounts at CAs, what became of their orders, and what CAs told us to wait for.

use certmill_model::{AccountId, Bucket, Endpoint, LimitKind};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::ScopedTx;
use crate::{StoreError, rows::parsed};

/// Orders are counted over so long.
const COUNTED: Duration = Duration::days(7);

/// Holds of one account that are read at most.
const HOLDS: i64 = 20;

/// An account at a CA.
#[derive(Clone, Debug)]
pub struct CaAccount {
    /// Its id here.
    pub account_id: AccountId,
    /// The CA's directory (RFC 8555 section 7.1.1).
    pub directory_url: String,
    /// Its URL at the CA; `None`: it is not registered yet.
    pub url: Option<String>,
    /// When its key was made.
    pub created_at: OffsetDateTime,
    /// When the CA took it.
    pub registered_at: Option<OffsetDateTime>,
    /// Orders at this CA that ended with a certificate, in the last seven days.
    pub issued: i64,
    /// Orders at this CA that it refused, in the last seven days.
    pub refused: i64,
    /// What the CA told us to wait for, the first end first.
    pub holds: Vec<HeldLimit>,
    /// The buckets of the account's new orders and of requests to the CA's endpoints; one that is not there is full.
    pub buckets: Vec<(LimitKind, String, Bucket)>,
}

/// A limit of a CA that is reached, by the CA's own word.
#[derive(Clone, Debug)]
pub struct HeldLimit {
    /// Which limit.
    pub kind: String,
    /// Of what: a registered domain, names; empty: of the account itself.
    pub key: String,
    /// Until when.
    pub until: OffsetDateTime,
}

impl ScopedTx {
    /// Every account, by directory; for the platform alone, a tenant sees none.
    pub async fn ca_accounts(&mut self, now: OffsetDateTime) -> Result<Vec<CaAccount>, StoreError> {
        let is_platform = self.only().is_none();
        let rows = sqlx::query!(
            r#"SELECT account_id, directory_url, url, created_at, registered_at,
                      COALESCE((SELECT sum(count) FROM rollup_orders o WHERE o.authority = directory_url
                                  AND o.hour > $1 AND o.result = 'valid'), 0)::bigint AS "issued!",
                      COALESCE((SELECT sum(count) FROM rollup_orders o WHERE o.authority = directory_url
                                  AND o.hour > $1 AND o.result = 'invalid'), 0)::bigint AS "refused!"
               FROM accounts WHERE $2 ORDER BY directory_url"#,
            now - COUNTED,
            is_platform,
        )
        .fetch_all(self.connection())
        .await?;
        let mut accounts = Vec::with_capacity(rows.len());
        for row in rows {
            let account_id = AccountId::from_uuid(row.account_id);
            accounts.push(CaAccount {
                account_id,
                holds: self.holds(account_id, &row.directory_url, now).await?,
                buckets: self.buckets(account_id, &row.directory_url).await?,
                directory_url: row.directory_url,
                url: row.url,
                created_at: row.created_at,
                registered_at: row.registered_at,
                issued: row.issued,
                refused: row.refused,
            });
        }
        Ok(accounts)
    }

    async fn holds(
        &mut self,
        account: AccountId,
        directory_url: &str,
        now: OffsetDateTime,
    ) -> Result<Vec<HeldLimit>, StoreError> {
        // A limit counts for the account, or for all accounts at that CA.
        let owners = [account.to_string(), directory_url.to_owned()];
        let held = sqlx::query_as!(
            HeldLimit,
            r#"SELECT kind, key, held_until AS "until!" FROM limit_buckets
               WHERE owner = ANY($1) AND held_until > $2 ORDER BY held_until LIMIT $3"#,
            &owners,
            now,
            HOLDS,
        );
        Ok(held.fetch_all(self.connection()).await?)
    }

    async fn buckets(
        &mut self,
        account: AccountId,
        directory_url: &str,
    ) -> Result<Vec<(LimitKind, String, Bucket)>, StoreError> {
        let owners = [account.to_string(), directory_url.to_owned()];
        let kinds = [LimitKind::OrdersPerAccount, LimitKind::Requests].map(|kind| kind.as_str().to_owned());
        let endpoints = Endpoint::ALL.iter().map(|endpoint| endpoint.as_str().to_owned());
        let keys: Vec<_> = std::iter::once(String::new()).chain(endpoints).collect();
        let rows = sqlx::query!(
            "SELECT kind, key, full_at, held_until FROM limit_buckets
             WHERE owner = ANY ($1) AND kind = ANY ($2) AND key = ANY ($3) AND share_of = $4",
            &owners,
            &kinds,
            &keys,
            Uuid::nil(),
        )
        .fetch_all(self.connection())
        .await?;
        let bucket = |full_at, held_until| Bucket { full_at, held_until };
        rows.into_iter()
            .map(|row| {
                Ok((parsed("limit_buckets", &row.kind)?, row.key, bucket(row.full_at, row.held_until)))
            })
            .collect()
    }

    /// The id of the master key that secrets are sealed for by now, and since when; `None`: no worker has run yet.
    pub async fn sealing_key(&mut self) -> Result<Option<(Vec<u8>, OffsetDateTime)>, StoreError> {
        let row =
            sqlx::query!("SELECT key_id, created_at FROM sealing_keys ORDER BY created_at DESC LIMIT 1")
                .fetch_optional(self.connection())
                .await?;
        Ok(row.map(|row| (row.key_id, row.created_at)))
    }
}
