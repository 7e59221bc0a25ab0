//! What people and programs do with a domain that is there: pause it, let it go on, have it renewed; and what is left of one that
//! is gone.

use certmill_model::{Chance, DomainId, Hostname};
use time::OffsetDateTime;

use super::{Domain, ScopedTx, TenantTx};
use crate::{StoreError, WAKE_CHANNEL, rows::hostname, steering};

/// What is left of a domain that is gone.
#[derive(Clone, Debug)]
pub struct Tombstone {
    /// Its id.
    pub domain_id: DomainId,
    /// Its name, which may be somebody else's by now.
    pub name: Hostname,
    /// Since when.
    pub gone_since: OffsetDateTime,
}

impl TenantTx {
    /// The domain called `name`, if it is this tenant's; nobody else changes it before this transaction ends. Other names of its
    /// order are held as well, in the order in which everybody locks domains: what is done with this one may free them.
    pub async fn lock_domain(&mut self, name: &Hostname) -> Result<Option<Domain>, StoreError> {
        let tenant = self.tenant.uuid();
        let id = sqlx::query_scalar!(
            "SELECT domain_id FROM domains WHERE name = $1 AND tenant_id = $2 AND status <> 'deleted'",
            name.as_str(),
            tenant,
        )
        .fetch_optional(self.connection())
        .await?;
        let Some(id) = id else { return Ok(None) };
        steering::lock_with_members(self.connection(), &[id]).await?;
        self.find_domain(name).await
    }

    /// Stops all work on a domain, an order under way too. What is served stays, until its certificate ends.
    pub async fn pause_domain(
        &mut self,
        domain: &Domain,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let (ids, tenant) = ([domain.domain_id.uuid()], self.tenant);
        steering::lock_with_members(self.connection(), &ids).await?;
        steering::pause(self.connection(), tenant, &ids, chance, now).await?;
        self.wake_engine().await
    }

    /// Lets a paused domain go on: with its certificate, or from the beginning.
    pub async fn resume_domain(
        &mut self,
        domain: &Domain,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let (ids, tenant) = ([domain.domain_id.uuid()], self.tenant);
        steering::resume(self.connection(), tenant, &ids, chance, now).await?;
        self.wake_engine().await
    }

    /// Has a certificate renewed now, whatever is planned and whatever step is under way. `false`: the domain has none yet.
    pub async fn renew_domain(&mut self, domain: &Domain, now: OffsetDateTime) -> Result<bool, StoreError> {
        let tenant = self.tenant.uuid();
        let done = sqlx::query!(
            "WITH woken AS (SELECT pg_notify($4, ''))
             UPDATE domains SET renew_after = $3, next_action_at = $3, nudged_until = NULL, revision = revision + 1
             FROM woken
             WHERE domain_id = $1 AND tenant_id = $2 AND renew_after IS NOT NULL
               AND status NOT IN ('pending_deletion', 'deleted', 'paused', 'blocked')",
            domain.domain_id.uuid(),
            tenant,
            now,
            WAKE_CHANNEL,
        )
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() > 0)
    }
}

impl ScopedTx {
    /// What is left of the domain that was last called `name`, if it is gone since `since` or later.
    pub async fn tombstone(
        &mut self,
        name: &Hostname,
        since: OffsetDateTime,
    ) -> Result<Option<Tombstone>, StoreError> {
        let Some(tenant) = self.only() else { return Ok(None) };
        let found = sqlx::query!(
            "SELECT domain_id, name, status_since FROM domains
             WHERE tenant_id = $1 AND name = $2 AND status = 'deleted' AND status_since >= $3
             ORDER BY status_since DESC LIMIT 1",
            tenant,
            name.as_str(),
            since,
        )
        .fetch_optional(self.connection())
        .await?;
        let tombstone = |id, name: &str, gone_since| {
            let (domain_id, name) = (DomainId::from_uuid(id), hostname("domains", name)?);
            Ok(Tombstone { domain_id, name, gone_since })
        };
        found.map(|row| tombstone(row.domain_id, &row.name, row.status_since)).transpose()
    }

    /// What is left of the domain with this id, if it is gone since `since` or later.
    pub async fn tombstone_of(
        &mut self,
        domain: DomainId,
        since: OffsetDateTime,
    ) -> Result<Option<Tombstone>, StoreError> {
        let only = self.only();
        let found = sqlx::query!(
            "SELECT name, status_since FROM domains
             WHERE domain_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2) AND status = 'deleted' AND status_since >= $3",
            domain.uuid(),
            only,
            since,
        )
        .fetch_optional(self.connection())
        .await?;
        found
            .map(|row| {
                let name = hostname("domains", &row.name)?;
                Ok(Tombstone { domain_id: domain, name, gone_since: row.status_since })
            })
            .transpose()
    }
}
