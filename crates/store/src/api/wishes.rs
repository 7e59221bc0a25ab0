//! What a tenant wants of its domains.

use certmill_model::{
    Chance, DomainId, DomainStatus, EventId, EventKind, Health, Hostname, KeyType, Label, Metadata, Tags,
    TemplateRef,
};
use time::OffsetDateTime;

use super::{Domain, TenantTx};
use crate::{StoreError, WAKE_CHANNEL, rows::parsed};

/// What a tenant wants of a domain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DomainWish {
    /// The name.
    pub name: Hostname,
    /// The shop's id in the commerce system.
    pub external_id: Option<Label>,
    /// The template; `None` for the tenant's.
    pub template: Option<TemplateRef>,
    /// The kind of key; `None` for the tenant's.
    pub key_type: Option<KeyType>,
    /// The words that the tenant sorts it by.
    pub tags: Tags,
    /// What the tenant keeps with it.
    pub metadata: Metadata,
}

impl DomainWish {
    /// That `name` is served, and nothing beside.
    pub fn of(name: Hostname) -> Self {
        let (tags, metadata) = (Tags::default(), Metadata::default());
        Self { name, external_id: None, template: None, key_type: None, tags, metadata }
    }
}

/// What [`TenantTx::put_domain`] did.
#[derive(Clone, Debug)]
pub enum Put {
    /// The name is new here.
    Created(Domain),
    /// It was there and is wanted otherwise now.
    Changed(Domain),
    /// It was there, wanted just so.
    Same(Domain),
}

impl TenantTx {
    /// Makes `wish` the tenant's will. The engine is woken when this transaction commits.
    pub async fn put_domain(
        &mut self,
        wish: &DomainWish,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<Put, StoreError> {
        if let Some(created) = self.create_domain(wish, chance, now).await? {
            if !wish.tags.is_empty() || !wish.metadata.is_empty() {
                self.keep_labels(created.domain_id, wish).await?;
            }
            let (tags, metadata) = labels(wish);
            return Ok(Put::Created(Domain { tags, metadata, ..created }));
        }
        // There is one: ours, or it is not for us to see.
        let domain = self.find_domain(&wish.name).await?.ok_or(StoreError::NameTaken)?;
        let (tags, metadata) = labels(wish);
        if (&domain.tags, &domain.metadata) != (&tags, &metadata) {
            self.keep_labels(domain.domain_id, wish).await?;
        }
        let same = domain.external_id.as_deref() == wish.external_id.as_ref().map(Label::as_str)
            && domain.template == wish.template.as_ref().map(ToString::to_string)
            && domain.key_type == wish.key_type
            && !matches!(domain.status, DomainStatus::PendingDeletion | DomainStatus::Failed);
        if same {
            let is_same = (&domain.tags, &domain.metadata) == (&tags, &metadata);
            let domain = Domain { tags, metadata, ..domain };
            // Nothing of it is delivered: the engine has nothing to do.
            return Ok(if is_same {
                Put::Same(domain)
            } else {
                Put::Changed(self.touch(domain, now).await?)
            });
        }
        self.change_domain(&domain, wish, chance, now).await.map(Put::Changed)
    }

    /// Asks for the removal of the domain called `name`. `false`: there is none.
    pub async fn delete_domain(
        &mut self,
        name: &Hostname,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let Some(domain) = self.find_domain(name).await? else {
            return Ok(false);
        };
        if domain.status == DomainStatus::PendingDeletion {
            return Ok(true);
        }
        let (id, tenant) = (domain.domain_id, self.tenant);
        // A domain that its order includes as well is locked in the order in which everybody locks domains.
        sqlx::query!(
            "SELECT domain_id FROM domains WHERE domain_id = $1 OR order_id IN (
                 SELECT order_id FROM orders
                 WHERE domain_id = $1 AND status IN ('queued', 'deferred', 'pending', 'ready', 'processing'))
             ORDER BY domain_id FOR NO KEY UPDATE",
            id.uuid(),
        )
        .fetch_all(self.connection())
        .await?;
        // The domain first, then its placements: the order in which everybody locks, and what is inserted while we
        // wait for the domain is seen by the second statement.
        sqlx::query!(
            "UPDATE domains SET status = 'pending_deletion', status_since = $3, updated_at = $3, next_action_at = $3,
                 nudged_until = NULL, revision = revision + 1, order_id = NULL
             WHERE domain_id = $1 AND tenant_id = $2 AND status <> 'deleted'",
            id.uuid(),
            tenant.uuid(),
            now,
        )
        .execute(self.connection())
        .await?;
        sqlx::query!(
            "WITH cancelled AS (
                 UPDATE orders SET status = 'cancelled', updated_at = $3
                 WHERE domain_id = $1 AND tenant_id = $2
                   AND status IN ('queued', 'deferred', 'pending', 'ready', 'processing')
                 RETURNING order_id
             ), freed AS (
                 -- Another name of a cancelled order goes on without this one.
                 UPDATE domains d SET order_id = NULL, next_action_at = $3, nudged_until = NULL FROM cancelled
                 WHERE d.order_id = cancelled.order_id AND d.domain_id <> $1
             )
             UPDATE placements SET wanted_certificate_id = NULL, pending = true, consecutive_failures = 0,
                 next_attempt_at = $3
             WHERE domain_id = $1 AND tenant_id = $2",
            id.uuid(),
            tenant.uuid(),
            now,
        )
        .execute(self.connection())
        .await?;
        let to = DomainStatus::PendingDeletion;
        self.record(&domain, EventKind::DomainDeletionRequested, to, chance, now).await?;
        self.wake_engine().await?;
        Ok(true)
    }

    async fn create_domain(
        &mut self,
        wish: &DomainWish,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<Option<Domain>, StoreError> {
        let id = DomainId::new(chance, now);
        let tenant = self.tenant;
        let inserted = sqlx::query!(
            r#"WITH created AS (
                 INSERT INTO domains (domain_id, tenant_id, name, external_id, template, key_type, status, status_since,
                                      next_action_at, created_at, updated_at, order_after, validation_failed_at)
                 SELECT $1, $2, $3, $4, $5, $10, 'pending_dns', $6, $6, $6, $6, gone.order_after,
                        gone.validation_failed_at
                 -- Removed and registered again, a name has no more attempts at the CA than before.
                 FROM (VALUES (1)) AS one LEFT JOIN LATERAL (
                     SELECT order_after, validation_failed_at FROM domains
                     WHERE tenant_id = $2 AND name = $3 AND status = 'deleted'
                     ORDER BY status_since DESC LIMIT 1) AS gone ON true
                 ON CONFLICT (name) WHERE status <> 'deleted' DO NOTHING
                 RETURNING domain_id, tenant_id
             ), delegated AS (
                 INSERT INTO delegations (tenant_id, name, label, zone_id, created_at)
                 SELECT tenant_id, $11, $12, (SELECT zone_id FROM zones ORDER BY created_at DESC LIMIT 1), $6
                 FROM created
                 ON CONFLICT (tenant_id, name) DO NOTHING
             ), told AS (
                 INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at, status)
                 SELECT $7, tenant_id, domain_id, $8, '', $6, 'pending_dns' FROM created
             )
             SELECT t.name AS "tenant!", t.key_type AS "key_type!" FROM created JOIN tenants t USING (tenant_id),
                    LATERAL (SELECT pg_notify($9, '')) AS woken"#,
            id.uuid(),
            tenant.uuid(),
            wish.name.as_str(),
            wish.external_id.as_ref().map(Label::as_str),
            wish.template.as_ref().map(ToString::to_string),
            now,
            EventId::new(chance, now).uuid(),
            EventKind::DomainCreated.as_str(),
            WAKE_CHANNEL,
            wish.key_type.map(KeyType::as_str),
            wish.name.base(),
            chance.label(),
        )
        .fetch_optional(self.connection())
        .await?;
        let Some(owner) = inserted else { return Ok(None) };
        let created = Domain {
            domain_id: id,
            tenant_id: tenant,
            tenant: owner.tenant,
            name: wish.name.clone(),
            external_id: wish.external_id.as_ref().map(ToString::to_string),
            tags: Vec::new(),
            metadata: serde_json::json!({}),
            template: wish.template.as_ref().map(ToString::to_string),
            key_type: wish.key_type,
            effective_key_type: match wish.key_type {
                Some(key_type) => key_type,
                None => parsed("tenants", &owner.key_type)?,
            },
            status: DomainStatus::PendingDns,
            status_since: now,
            health: Health::Ok,
            certificate: None,
            renew_after: None,
            deferral: None,
            next_action_at: Some(now),
            created_at: now,
            updated_at: now,
        };
        Ok(Some(created))
    }

    /// Puts the tags and data of `wish` in the place of those that were there.
    async fn keep_labels(&mut self, domain: DomainId, wish: &DomainWish) -> Result<(), StoreError> {
        let (tags, metadata) = labels(wish);
        let tenant = self.tenant;
        sqlx::query!(
            "WITH old AS (
                 DELETE FROM domain_tags WHERE domain_id = $1 AND tag <> ALL($3)
             ), unset AS (
                 DELETE FROM domain_metadata WHERE domain_id = $1 AND $4::jsonb = '{}'
             ), set AS (
                 INSERT INTO domain_metadata (domain_id, tenant_id, metadata) SELECT $1, $2, $4 WHERE $4::jsonb <> '{}'
                 ON CONFLICT (domain_id) DO UPDATE SET metadata = EXCLUDED.metadata
             )
             INSERT INTO domain_tags (domain_id, tenant_id, tag) SELECT $1, $2, UNNEST($3::text[])
             ON CONFLICT (domain_id, tag) DO NOTHING",
            domain.uuid(),
            tenant.uuid(),
            &tags,
            metadata,
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Whoever reads what changed finds it.
    async fn touch(&mut self, domain: Domain, now: OffsetDateTime) -> Result<Domain, StoreError> {
        let id = domain.domain_id.uuid();
        sqlx::query!("UPDATE domains SET updated_at = $2 WHERE domain_id = $1", id, now)
            .execute(self.connection())
            .await?;
        Ok(Domain { updated_at: now, ..domain })
    }

    async fn change_domain(
        &mut self,
        domain: &Domain,
        wish: &DomainWish,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<Domain, StoreError> {
        let (id, tenant) = (domain.domain_id, self.tenant);
        // A domain that is being deleted and wanted again begins anew: its placements were told to go.
        let revision = sqlx::query_scalar!(
            "UPDATE domains SET external_id = $3, template = $4, key_type = $6, revision = revision + 1, updated_at = $5,
                 next_action_at = $5, nudged_until = NULL, consecutive_failures = 0,
                 status = CASE WHEN status IN ('pending_deletion', 'failed') THEN 'pending_dns' ELSE status END,
                 status_since = CASE WHEN status IN ('pending_deletion', 'failed') THEN $5 ELSE status_since END,
                 certificate_id = CASE WHEN status = 'pending_deletion' THEN NULL ELSE certificate_id END,
                 renew_after = CASE WHEN status = 'pending_deletion' THEN NULL ELSE renew_after END
             WHERE domain_id = $1 AND tenant_id = $2 AND status <> 'deleted'
             RETURNING revision",
            id.uuid(),
            tenant.uuid(),
            wish.external_id.as_ref().map(Label::as_str),
            wish.template.as_ref().map(ToString::to_string),
            now,
            wish.key_type.map(KeyType::as_str),
        )
        .fetch_optional(self.connection())
        .await?
        .ok_or(sqlx::Error::RowNotFound)?;
        sqlx::query!(
            "UPDATE placements SET wanted_revision = $2, pending = true, consecutive_failures = 0, next_attempt_at = $3
             WHERE domain_id = $1",
            id.uuid(),
            revision,
            now,
        )
        .execute(self.connection())
        .await?;
        let to = match domain.status {
            DomainStatus::PendingDeletion | DomainStatus::Failed => DomainStatus::PendingDns,
            status => status,
        };
        self.record(domain, EventKind::DomainChanged, to, chance, now).await?;
        self.wake_engine().await?;
        self.find_domain(&wish.name).await?.ok_or(StoreError::Database(sqlx::Error::RowNotFound))
    }

    async fn record(
        &mut self,
        domain: &Domain,
        kind: EventKind,
        to: DomainStatus,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at, previous_status, status)
             VALUES ($1, $2, $3, $4, '', $5, $6, $7)",
            EventId::new(chance, now).uuid(),
            domain.tenant_id.uuid(),
            domain.domain_id.uuid(),
            kind.as_str(),
            now,
            Some(domain.status.as_str()).filter(|_| to != domain.status),
            to.as_str(),
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn wake_engine(&mut self) -> Result<(), StoreError> {
        sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(self.connection()).await?;
        Ok(())
    }
}

/// Tags and data as they are stored.
fn labels(wish: &DomainWish) -> (Vec<String>, serde_json::Value) {
    let tags = wish.tags.iter().map(str::to_owned).collect();
    let metadata = wish.metadata.iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
    (tags, serde_json::Value::Object(metadata))
}
