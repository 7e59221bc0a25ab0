//! What is wrong with a domain, and what happened to it.

use certmill_model::{DomainId, EventId, EventKind, Problem};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::ScopedTx;
use crate::{StoreError, rows::parsed};

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

impl ScopedTx {
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

    /// The last `limit` events of `domain`, newest first.
    pub async fn latest_events(
        &mut self,
        domain: DomainId,
        limit: i64,
    ) -> Result<Vec<DomainEvent>, StoreError> {
        latest(self.connection(), domain, limit).await
    }
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

async fn latest(
    connection: &mut PgConnection,
    domain: DomainId,
    limit: i64,
) -> Result<Vec<DomainEvent>, StoreError> {
    let rows = sqlx::query!(
        "SELECT event_id, kind, detail, happened_at FROM events
         WHERE domain_id = $1 ORDER BY event_id DESC LIMIT $2",
        domain.uuid(),
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| DomainEvent::read(row.event_id, &row.kind, row.detail, row.happened_at))
        .collect()
}
