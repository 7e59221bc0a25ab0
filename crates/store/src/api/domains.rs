//! Domains, as their tenant sees and wants them.

use certmill_model::{
    CertificateId, Chance, DomainId, DomainStatus, EventId, EventKind, Health, Hostname, Label, Problem,
    TemplateRef, TenantId,
};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{PlatformTx, TenantTx};
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

/// A domain as it stands.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Its id.
    pub domain_id: DomainId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The tenant's name.
    pub tenant: String,
    /// The name.
    pub name: Hostname,
    /// The shop's id in the commerce system.
    pub external_id: Option<String>,
    /// The template, where the domain names one itself.
    pub template: Option<String>,
    /// What is true of it.
    pub status: DomainStatus,
    /// Since when.
    pub status_since: OffsetDateTime,
    /// How it fares.
    pub health: Health,
    /// Its current certificate.
    pub certificate: Option<DomainCertificate>,
    /// When its renewal begins.
    pub renew_after: Option<OffsetDateTime>,
    /// When something is tried next, if something is planned.
    pub next_action_at: Option<OffsetDateTime>,
    /// When it was registered.
    pub created_at: OffsetDateTime,
    /// When anything of it last changed.
    pub updated_at: OffsetDateTime,
}

/// The certificate of a domain.
#[derive(Clone, Debug)]
pub struct DomainCertificate {
    /// Its id.
    pub certificate_id: CertificateId,
    /// The serial number, hexadecimal.
    pub serial_number: String,
    /// Who issued it.
    pub issuer: String,
    /// Valid from.
    pub not_before: OffsetDateTime,
    /// Valid until.
    pub not_after: OffsetDateTime,
}

/// Which domains are searched for; by default all.
#[derive(Clone, Copy, Debug, Default)]
pub struct DomainFilter<'a> {
    /// Those whose name begins so.
    pub prefix: Option<&'a str>,
    /// Those in this status.
    pub status: Option<DomainStatus>,
    /// Only those with a problem.
    pub unhealthy: bool,
}

/// An entry of a domain's timeline.
#[derive(Clone, Debug)]
pub struct DomainEvent {
    /// Its id; later ones sort behind.
    pub event_id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// The particulars, for people.
    pub detail: String,
    /// When.
    pub happened_at: OffsetDateTime,
}

impl TenantTx {
    /// Makes `wish` the tenant's will. The engine is woken when this transaction commits.
    pub async fn put_domain(
        &mut self,
        wish: &DomainWish,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<Put, StoreError> {
        let Some(domain) = self.find_domain(&wish.name).await? else {
            return self.create_domain(wish, chance, now).await.map(Put::Created);
        };
        let same = domain.external_id.as_deref() == wish.external_id.as_ref().map(Label::as_str)
            && domain.template == wish.template.as_ref().map(ToString::to_string)
            && domain.status != DomainStatus::PendingDeletion;
        if same {
            return Ok(Put::Same(domain));
        }
        self.change_domain(&domain, wish, chance, now).await.map(Put::Changed)
    }

    /// The domain called `name`, if it is this tenant's.
    pub async fn find_domain(&mut self, name: &Hostname) -> Result<Option<Domain>, StoreError> {
        let tenant = self.tenant;
        let which = Which { tenant: Some(tenant), name: Some(name.as_str()), ..Which::default() };
        select(self.connection(), which, 1).await.map(|mut found| found.pop())
    }

    /// Up to `limit` domains of this tenant by name, beginning behind the name `after`.
    pub async fn list_domains(&mut self, after: Option<&str>, limit: i64) -> Result<Vec<Domain>, StoreError> {
        let tenant = self.tenant;
        select(self.connection(), Which { tenant: Some(tenant), after, ..Which::default() }, limit).await
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
        sqlx::query!(
            "WITH gone AS (
                 UPDATE domains SET status = 'pending_deletion', status_since = $3, updated_at = $3, next_action_at = $3,
                     revision = revision + 1
                 WHERE domain_id = $1 AND tenant_id = $2
             ), cancelled AS (
                 UPDATE orders SET status = 'cancelled', updated_at = $3
                 WHERE domain_id = $1 AND tenant_id = $2
                   AND status IN ('queued', 'deferred', 'pending', 'ready', 'processing')
             )
             UPDATE placements SET wanted_certificate_id = NULL, pending = true, next_attempt_at = $3
             WHERE domain_id = $1 AND tenant_id = $2",
            id.uuid(),
            tenant.uuid(),
            now,
        )
        .execute(self.connection())
        .await?;
        self.record(&domain, EventKind::DomainDeletionRequested, "", chance, now).await?;
        self.wake_engine().await?;
        Ok(true)
    }

    /// The open problems of `domain`.
    pub async fn problems(&mut self, domain: DomainId) -> Result<Vec<Problem>, StoreError> {
        let found = problems(self.connection(), &[domain]).await?;
        Ok(found.into_iter().map(|(_, problem)| problem).collect())
    }

    /// The open problems of each of `domains`.
    pub async fn problems_of(
        &mut self,
        domains: &[DomainId],
    ) -> Result<Vec<(DomainId, Problem)>, StoreError> {
        problems(self.connection(), domains).await
    }

    /// Up to `limit` events of `domain` behind the event `after`, oldest first.
    pub async fn timeline(
        &mut self,
        domain: DomainId,
        after: Option<EventId>,
        limit: i64,
    ) -> Result<Vec<DomainEvent>, StoreError> {
        timeline(self.connection(), domain, after, limit).await
    }

    async fn create_domain(
        &mut self,
        wish: &DomainWish,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<Domain, StoreError> {
        let id = DomainId::new(chance, now);
        let tenant = self.tenant;
        sqlx::query!(
            "INSERT INTO domains (domain_id, tenant_id, name, external_id, template, status, status_since,
                                  next_action_at, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, 'pending_dns', $6, $6, $6, $6)",
            id.uuid(),
            tenant.uuid(),
            wish.name.as_str(),
            wish.external_id.as_ref().map(Label::as_str),
            wish.template.as_ref().map(ToString::to_string),
            now,
        )
        .execute(self.connection())
        .await
        .map_err(taken)?;
        let created =
            self.find_domain(&wish.name).await?.ok_or(StoreError::Database(sqlx::Error::RowNotFound))?;
        self.record(&created, EventKind::DomainCreated, "", chance, now).await?;
        self.wake_engine().await?;
        Ok(created)
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
        sqlx::query!(
            "WITH changed AS (
                 UPDATE domains SET external_id = $3, template = $4, revision = revision + 1, updated_at = $5,
                     next_action_at = $5,
                     status = CASE WHEN status = 'pending_deletion' THEN 'pending_dns' ELSE status END,
                     status_since = CASE WHEN status = 'pending_deletion' THEN $5 ELSE status_since END,
                     certificate_id = CASE WHEN status = 'pending_deletion' THEN NULL ELSE certificate_id END,
                     renew_after = CASE WHEN status = 'pending_deletion' THEN NULL ELSE renew_after END
                 WHERE domain_id = $1 AND tenant_id = $2
                 RETURNING domain_id, revision
             )
             UPDATE placements SET wanted_revision = changed.revision, pending = true, next_attempt_at = $5
             FROM changed WHERE placements.domain_id = changed.domain_id",
            id.uuid(),
            tenant.uuid(),
            wish.external_id.as_ref().map(Label::as_str),
            wish.template.as_ref().map(ToString::to_string),
            now,
        )
        .execute(self.connection())
        .await?;
        self.record(domain, EventKind::DomainChanged, "", chance, now).await?;
        self.wake_engine().await?;
        self.find_domain(&wish.name).await?.ok_or(StoreError::Database(sqlx::Error::RowNotFound))
    }

    async fn record(
        &mut self,
        domain: &Domain,
        kind: EventKind,
        detail: &str,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            EventId::new(chance, now).uuid(),
            domain.tenant_id.uuid(),
            domain.domain_id.uuid(),
            kind.as_str(),
            detail,
            now,
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

impl PlatformTx {
    /// Up to `limit` domains of all tenants by name, beginning behind the name `after`.
    pub async fn list_domains(&mut self, after: Option<&str>, limit: i64) -> Result<Vec<Domain>, StoreError> {
        select(self.connection(), Which { after, ..Which::default() }, limit).await
    }

    /// The domain called `name`, whoever's it is.
    pub async fn find_domain(&mut self, name: &Hostname) -> Result<Option<Domain>, StoreError> {
        let which = Which { name: Some(name.as_str()), ..Which::default() };
        select(self.connection(), which, 1).await.map(|mut found| found.pop())
    }

    /// The open problems of `domain`.
    pub async fn problems(&mut self, domain: DomainId) -> Result<Vec<Problem>, StoreError> {
        let found = problems(self.connection(), &[domain]).await?;
        Ok(found.into_iter().map(|(_, problem)| problem).collect())
    }

    /// The open problems of each of `domains`.
    pub async fn problems_of(
        &mut self,
        domains: &[DomainId],
    ) -> Result<Vec<(DomainId, Problem)>, StoreError> {
        problems(self.connection(), domains).await
    }

    /// Up to `limit` events of `domain` behind the event `after`, oldest first.
    pub async fn timeline(
        &mut self,
        domain: DomainId,
        after: Option<EventId>,
        limit: i64,
    ) -> Result<Vec<DomainEvent>, StoreError> {
        timeline(self.connection(), domain, after, limit).await
    }

    /// Up to `limit` domains of all tenants that suit `filter`, by name, beginning behind the name `after`.
    pub async fn search_domains(
        &mut self,
        filter: DomainFilter<'_>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<Domain>, StoreError> {
        select(self.connection(), Which { after, filter, ..Which::default() }, limit).await
    }

    /// The last `limit` events of `domain`, newest first.
    pub async fn latest_events(
        &mut self,
        domain: DomainId,
        limit: i64,
    ) -> Result<Vec<DomainEvent>, StoreError> {
        let rows = sqlx::query!(
            "SELECT event_id, kind, detail, happened_at FROM events
             WHERE domain_id = $1 ORDER BY event_id DESC LIMIT $2",
            domain.uuid(),
            limit,
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| DomainEvent::read(row.event_id, &row.kind, row.detail, row.happened_at))
            .collect()
    }

    /// How many domains have a problem.
    pub async fn count_unhealthy(&mut self) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM domains WHERE status <> 'deleted' AND health <> 'ok'"#
        )
        .fetch_one(self.connection())
        .await?;
        Ok(count)
    }

    /// How many domains are in each status.
    pub async fn count_domains(&mut self) -> Result<Vec<(DomainStatus, i64)>, StoreError> {
        let counts = sqlx::query!(
            r#"SELECT status, count(*) AS "count!" FROM domains WHERE status <> 'deleted' GROUP BY status"#
        )
        .fetch_all(self.connection())
        .await?;
        counts.into_iter().map(|row| Ok((parsed("domains", &row.status)?, row.count))).collect()
    }
}

struct DomainColumns {
    domain_id: Uuid,
    tenant_id: Uuid,
    tenant: String,
    name: String,
    external_id: Option<String>,
    template: Option<String>,
    status: String,
    status_since: OffsetDateTime,
    health: String,
    renew_after: Option<OffsetDateTime>,
    next_action_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    certificate_id: Option<Uuid>,
    serial_number: Option<String>,
    issuer: Option<String>,
    not_before: Option<OffsetDateTime>,
    not_after: Option<OffsetDateTime>,
}

impl TryFrom<DomainColumns> for Domain {
    type Error = StoreError;

    fn try_from(row: DomainColumns) -> Result<Self, StoreError> {
        let certificate =
            match (row.certificate_id, row.serial_number, row.issuer, row.not_before, row.not_after) {
                (Some(id), Some(serial_number), Some(issuer), Some(not_before), Some(not_after)) => {
                    let certificate_id = CertificateId::from_uuid(id);
                    Some(DomainCertificate { certificate_id, serial_number, issuer, not_before, not_after })
                }
                _ => None,
            };
        Ok(Self {
            domain_id: DomainId::from_uuid(row.domain_id),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            tenant: row.tenant,
            name: parsed("domains", &row.name)?,
            external_id: row.external_id,
            template: row.template,
            status: parsed("domains", &row.status)?,
            status_since: row.status_since,
            health: parsed("domains", &row.health)?,
            certificate,
            renew_after: row.renew_after,
            next_action_at: row.next_action_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Which domains are read; by default all.
#[derive(Default)]
struct Which<'a> {
    tenant: Option<TenantId>,
    name: Option<&'a str>,
    after: Option<&'a str>,
    filter: DomainFilter<'a>,
}

async fn select(
    connection: &mut PgConnection,
    which: Which<'_>,
    limit: i64,
) -> Result<Vec<Domain>, StoreError> {
    // A prefix as a range, which the index on names serves: no name has a character behind the tilde.
    sqlx::query_as!(
        DomainColumns,
        r#"SELECT d.domain_id, d.tenant_id, t.name AS tenant, d.name, d.external_id, d.template, d.status,
                  d.status_since, d.health, d.renew_after, d.next_action_at, d.created_at, d.updated_at,
                  d.certificate_id, c.serial_number AS "serial_number?", c.issuer AS "issuer?",
                  c.not_before AS "not_before?", c.not_after AS "not_after?"
           FROM domains d
           JOIN tenants t USING (tenant_id)
           LEFT JOIN certificates c ON c.certificate_id = d.certificate_id
           WHERE d.status <> 'deleted'
             AND ($1::uuid IS NULL OR d.tenant_id = $1)
             AND ($2::text IS NULL OR d.name = $2)
             AND ($3::text IS NULL OR d.name > $3)
             AND ($4::text IS NULL OR (d.name >= $4 AND d.name < $4 || '~'))
             AND ($5::text IS NULL OR d.status = $5)
             AND (NOT $6::boolean OR d.health <> 'ok')
           ORDER BY d.name
           LIMIT $7"#,
        which.tenant.map(TenantId::uuid),
        which.name,
        which.after,
        which.filter.prefix,
        which.filter.status.map(DomainStatus::as_str),
        which.filter.unhealthy,
        limit,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(Domain::try_from)
    .collect()
}

async fn problems(
    connection: &mut PgConnection,
    domains: &[DomainId],
) -> Result<Vec<(DomainId, Problem)>, StoreError> {
    let ids: Vec<Uuid> = domains.iter().map(|domain| domain.uuid()).collect();
    let rows = sqlx::query!(
        "SELECT domain_id, code, detail, since, last_attempt_at, next_attempt_at
         FROM problems WHERE domain_id = ANY($1) ORDER BY domain_id, since",
        &ids,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let problem = Problem {
                code: parsed("problems", &row.code)?,
                detail: row.detail,
                since: row.since,
                last_attempt_at: row.last_attempt_at,
                next_attempt_at: row.next_attempt_at,
            };
            Ok((DomainId::from_uuid(row.domain_id), problem))
        })
        .collect()
}

async fn timeline(
    connection: &mut PgConnection,
    domain: DomainId,
    after: Option<EventId>,
    limit: i64,
) -> Result<Vec<DomainEvent>, StoreError> {
    let rows = sqlx::query!(
        "SELECT event_id, kind, detail, happened_at FROM events
         WHERE domain_id = $1 AND ($2::uuid IS NULL OR event_id > $2) ORDER BY event_id LIMIT $3",
        domain.uuid(),
        after.map(EventId::uuid),
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| DomainEvent::read(row.event_id, &row.kind, row.detail, row.happened_at))
        .collect()
}

impl DomainEvent {
    fn read(
        event_id: Uuid,
        kind: &str,
        detail: String,
        happened_at: OffsetDateTime,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            event_id: EventId::from_uuid(event_id),
            kind: parsed("events", kind)?,
            detail,
            happened_at,
        })
    }
}

/// A unique violation on the name means that somebody else has it; nothing else is unique here but new ids.
fn taken(error: sqlx::Error) -> StoreError {
    match error.as_database_error() {
        Some(database) if database.is_unique_violation() => StoreError::NameTaken,
        _ => error.into(),
    }
}
