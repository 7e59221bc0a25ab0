//! What the owner of a name is to set in DNS, what was seen there, and the wish to have it looked at.

use std::net::IpAddr;

use certmill_model::{Checks, DomainId, KeyType, OwnershipRecord};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{PlatformTx, ScopedTx, TenantTx};
use crate::{
    StoreError, WAKE_CHANNEL,
    rows::{hostname, parsed},
};

/// What the owner of a name is told.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What A and AAAA records must hold.
    pub addresses: Vec<IpAddr>,
    /// Where the CNAME record at `_acme-challenge` must lead; `None` while the platform has no zone.
    pub delegation: Option<String>,
    /// The record by which the owner says that the name is this tenant's; `None` while nobody asks for it.
    pub ownership: Option<OwnershipRecord>,
    /// What was last seen.
    pub checks: Option<Checks>,
    /// Whether an operator said to order whatever the checks find.
    pub checks_overridden: bool,
    /// The kind of key that its certificates have.
    pub key_type: KeyType,
}

impl TenantTx {
    /// Asks for a look at the name now. The engine is woken when this transaction commits. `false`: the same was asked for before,
    /// and the engine has not come to it, or there is nothing to look at.
    pub async fn request_check(&mut self, domain: DomainId, now: OffsetDateTime) -> Result<bool, StoreError> {
        // Slow looks become frequent again: somebody is at it. No CA is asked sooner for it.
        let is_new = sqlx::query_scalar!(
            r#"UPDATE domains d SET next_action_at = $3, check_after = $3, nudged_until = NULL,
                   consecutive_failures = CASE WHEN d.status IN ('pending_dns', 'failed') THEN 0 ELSE d.consecutive_failures END
               FROM (SELECT domain_id, check_after, next_action_at FROM domains
                     WHERE domain_id = $1 AND tenant_id = $2 FOR UPDATE) AS before
               WHERE d.domain_id = before.domain_id AND d.status NOT IN ('pending_deletion', 'deleted')
               RETURNING (before.check_after <= $3 AND before.next_action_at <= $3) IS NOT TRUE AS "is_new!""#,
            domain.uuid(),
            self.tenant.uuid(),
            now,
        )
        .fetch_optional(self.connection())
        .await?;
        sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(self.connection()).await?;
        Ok(is_new.unwrap_or(false))
    }
}

impl ScopedTx {
    /// What the owner of a name is told.
    pub async fn setup(&mut self, domain: DomainId) -> Result<Setup, StoreError> {
        setup(self.connection(), domain).await
    }
}

impl PlatformTx {
    /// Orders for a name whatever its checks find, or heeds them again. The name is looked at anew.
    pub async fn override_checks(
        &mut self,
        domain: DomainId,
        overridden: bool,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE domains SET checks_overridden = $2, next_action_at = $3, check_after = $3, nudged_until = NULL
             WHERE domain_id = $1 AND status NOT IN ('pending_deletion', 'deleted')",
            domain.uuid(),
            overridden,
            now,
        )
        .execute(self.connection())
        .await?;
        sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(self.connection()).await?;
        Ok(())
    }

    /// Lets the next attempt at the CA begin now, whatever it waits for; a step that is under way does not undo that.
    pub async fn retry_now(&mut self, domain: DomainId, now: OffsetDateTime) -> Result<(), StoreError> {
        // Of a domain that is laid aside the claims that were lost are left: its next claim closes the problem by them.
        sqlx::query!(
            "UPDATE domains SET order_after = NULL, validation_failed_at = NULL, consecutive_failures = 0,
                 lost_claims = CASE WHEN lease_until IS NULL THEN lost_claims ELSE 0 END,
                 without_replaces = false, without_profile = false, next_action_at = $2, nudged_until = NULL,
                 revision = revision + 1
             WHERE domain_id = $1 AND status NOT IN ('pending_deletion', 'deleted')",
            domain.uuid(),
            now,
        )
        .execute(self.connection())
        .await?;
        sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(self.connection()).await?;
        Ok(())
    }

    /// What a CA last said of an order for the domain that did not succeed, whole. Not for tenants: it may name pages that
    /// act for the platform's account.
    pub async fn last_refusal(&mut self, domain: DomainId) -> Result<Option<serde_json::Value>, StoreError> {
        let found = sqlx::query_scalar!(
            r#"SELECT problem AS "problem!" FROM orders WHERE domain_id = $1 AND problem IS NOT NULL
               ORDER BY order_id DESC LIMIT 1"#,
            domain.uuid(),
        )
        .fetch_optional(self.connection())
        .await?;
        Ok(found)
    }

    /// Has a certificate renewed now, whatever is planned and whatever step is under way. `false`: the domain has none yet.
    pub async fn renew_now(&mut self, domain: DomainId, now: OffsetDateTime) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE domains SET renew_after = $2, next_action_at = $2, nudged_until = NULL, revision = revision + 1
             WHERE domain_id = $1 AND renew_after IS NOT NULL AND status NOT IN ('pending_deletion', 'deleted')",
            domain.uuid(),
            now,
        )
        .execute(self.connection())
        .await?;
        sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(self.connection()).await?;
        Ok(done.rows_affected() > 0)
    }
}

async fn setup(connection: &mut PgConnection, domain: DomainId) -> Result<Setup, StoreError> {
    // By itself: behind row level security, what would be computed of a column is found by no index.
    let name = sqlx::query_scalar!("SELECT name FROM domains WHERE domain_id = $1", domain.uuid())
        .fetch_one(&mut *connection)
        .await?;
    let name = hostname("domains", &name)?;
    let row = sqlx::query!(
        r#"SELECT z.record_prefix || g.label || '.' || z.name AS delegation, d.checks_overridden,
                  COALESCE(d.key_type, t.key_type) AS "key_type!", c.observed AS "observed?",
                  (SELECT p.value FROM ownership_proofs p WHERE p.tenant_id = d.tenant_id AND p.name = $2 AND EXISTS (
                       SELECT 1 FROM problems w WHERE w.domain_id = d.domain_id
                         AND w.code IN ('ownership_missing', 'ownership_conflict'))) AS ownership,
                  ARRAY(SELECT DISTINCT unnest(s.public_addresses) FROM targets s
                        WHERE s.state <> 'disabled' AND (t.target_group_id IS NULL OR s.group_id = t.target_group_id)) AS "addresses!"
           FROM domains d
           JOIN tenants t USING (tenant_id)
           LEFT JOIN delegations g ON g.tenant_id = d.tenant_id AND g.name = $2
           LEFT JOIN zones z ON z.zone_id = g.zone_id
           LEFT JOIN checks c ON c.domain_id = d.domain_id
           WHERE d.domain_id = $1"#,
        domain.uuid(),
        name.base(),
    )
    .fetch_one(connection)
    .await?;
    let addresses = row.addresses.iter().map(|address| parsed("targets", address));
    let mut addresses = addresses.collect::<Result<Vec<IpAddr>, _>>()?;
    addresses.sort_unstable();
    let checks = row.observed.map(serde_json::from_value).transpose();
    Ok(Setup {
        addresses,
        delegation: row.delegation,
        ownership: row.ownership.map(|value| OwnershipRecord::new(&name, value)),
        checks: checks.map_err(|error| StoreError::inconsistent("checks", error))?,
        checks_overridden: row.checks_overridden,
        key_type: parsed("domains", &row.key_type)?,
    })
}
