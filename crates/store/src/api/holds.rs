//! What CAs asked us to wait for, and an operator who knows better.

use certmill_model::{AccountId, Exemption, Hostname, order_needs};
use time::OffsetDateTime;

use super::PlatformTx;
use crate::StoreError;

impl PlatformTx {
    /// Forgets what CAs said of the limits that an order for `name` counts for: the next attempt asks them again.
    pub async fn lift_holds(&mut self, name: &Hostname, now: OffsetDateTime) -> Result<(), StoreError> {
        let accounts = sqlx::query!("SELECT account_id, directory_url FROM accounts")
            .fetch_all(self.connection())
            .await?;
        let owners: Vec<_> = accounts
            .into_iter()
            .flat_map(|row| [AccountId::from_uuid(row.account_id).to_string(), row.directory_url])
            .collect();
        let needs = order_needs(std::slice::from_ref(name), Exemption::None);
        let kinds: Vec<_> = needs.iter().map(|need| need.kind.as_str().to_owned()).collect();
        let keys: Vec<_> = needs.iter().map(|need| need.key.clone()).collect();
        sqlx::query!(
            "UPDATE limit_buckets b SET held_until = NULL
             FROM UNNEST($1::text[]) AS o (owner), UNNEST($2::text[], $3::text[]) AS n (kind, key)
             WHERE b.owner = o.owner AND b.kind = n.kind AND b.key = n.key AND b.held_until > $4",
            &owners,
            &kinds,
            &keys,
            now,
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
