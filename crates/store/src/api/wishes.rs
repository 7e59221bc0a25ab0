//! What a tenant wants of its domains.

use certmill_model::{
    Chance, DomainStatus, EventId, EventKind, Hostname, KeyType, Label, Metadata, Tags, TemplateRef,
};
use time::OffsetDateTime;

use super::{Domain, TenantTx};
use crate::{
    StoreError, WAKE_CHANNEL,
    registration::{keep_labels, labels, register},
    removal::{Removal, remove},
};

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
        let tenant = self.tenant;
        if let Some(created) = register(self.connection(), tenant, wish, chance, now).await? {
            return Ok(Put::Created(created));
        }
        // There is one: ours, or it is not for us to see.
        let domain = self.find_domain(&wish.name).await?.ok_or(StoreError::NameTaken)?;
        let (tags, metadata) = labels(wish);
        if (&domain.tags, &domain.metadata) != (&tags, &metadata) {
            keep_labels(self.connection(), tenant, domain.domain_id, wish).await?;
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
        let kind = EventKind::DomainDeletionRequested;
        let removal = Removal { domain: domain.domain_id, kind, detail: "" };
        remove(self.connection(), &removal, chance, now).await?;
        Ok(true)
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

    pub(super) async fn wake_engine(&mut self) -> Result<(), StoreError> {
        sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(self.connection()).await?;
        Ok(())
    }
}
