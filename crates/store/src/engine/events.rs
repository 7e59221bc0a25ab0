//! What the engine tells of domains and load balancers. Events get their place in the feed later: [`super::feed`].

use certmill_model::{Chance, DomainId, DomainStatus, EventId, EventKind, TargetId, TargetState};
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::{StoreError, rows::parsed};

/// A domain whose status changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatusChange {
    pub(super) domain: DomainId,
    pub(super) from: DomainStatus,
    pub(super) to: DomainStatus,
}

impl StatusChange {
    /// From columns; `None`: nothing changed.
    pub(super) fn read(domain: DomainId, from: &str, to: &str) -> Result<Option<Self>, StoreError> {
        let turned = Self { domain, from: parsed("domains", from)?, to: parsed("domains", to)? };
        Ok((turned.from != turned.to).then_some(turned))
    }

    /// What is told of it, where nothing else tells it.
    pub(super) fn kind(self) -> Option<EventKind> {
        match (self.from, self.to) {
            (DomainStatus::Active, DomainStatus::Moved) => Some(EventKind::DomainMoved),
            (DomainStatus::Moved, DomainStatus::Active) => Some(EventKind::DomainReturned),
            (DomainStatus::PendingDns, DomainStatus::PendingIssuance) => Some(EventKind::DnsVerified),
            (_, DomainStatus::Failed) => Some(EventKind::DomainFailed),
            _ => None,
        }
    }
}

/// Adds one event for each of `domains`.
pub(super) async fn add_events(
    connection: &mut PgConnection,
    domains: &[DomainId],
    kind: EventKind,
    detail: &str,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    if domains.is_empty() {
        return Ok(());
    }
    let events: Vec<_> = domains.iter().map(|_| EventId::new(chance, now).uuid()).collect();
    let ids: Vec<_> = domains.iter().map(|id| id.uuid()).collect();
    sqlx::query!(
        "INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at)
         SELECT new.event_id, d.tenant_id, d.domain_id, $3, $4, $5
         FROM UNNEST($1::uuid[], $2::uuid[]) AS new (event_id, domain_id) JOIN domains d USING (domain_id)",
        &events,
        &ids,
        kind.as_str(),
        detail,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds one event for each of `changes`.
pub(super) async fn add_changes(
    connection: &mut PgConnection,
    changes: &[StatusChange],
    kind: EventKind,
    detail: &str,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    let events: Vec<_> = changes.iter().map(|_| EventId::new(chance, now).uuid()).collect();
    let ids: Vec<_> = changes.iter().map(|turned| turned.domain.uuid()).collect();
    let from: Vec<_> = changes.iter().map(|turned| turned.from.to_string()).collect();
    let to: Vec<_> = changes.iter().map(|turned| turned.to.to_string()).collect();
    sqlx::query!(
        "INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at, previous_status, status)
         SELECT new.event_id, d.tenant_id, d.domain_id, $3, $4, $5, new.previous_status, new.status
         FROM UNNEST($1::uuid[], $2::uuid[], $6::text[], $7::text[]) AS new (event_id, domain_id, previous_status, status)
         JOIN domains d USING (domain_id)",
        &events,
        &ids,
        kind.as_str(),
        detail,
        now,
        &from,
        &to,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds an event of a load balancer, which is the platform's.
#[expect(clippy::too_many_arguments, reason = "the columns of one row")]
pub(super) async fn add_target_event(
    connection: &mut PgConnection,
    (target, name): (TargetId, &str),
    kind: EventKind,
    from: TargetState,
    to: TargetState,
    detail: &str,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO events (event_id, kind, detail, happened_at, previous_status, status, subject, subject_name)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        EventId::new(chance, now).uuid(),
        kind.as_str(),
        detail,
        now,
        Some(from.as_str()).filter(|_| from != to),
        to.as_str(),
        target.to_string(),
        name,
    )
    .execute(connection)
    .await?;
    Ok(())
}
