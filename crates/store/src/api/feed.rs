//! The feed of events, as people and programs read it.

use certmill_model::{DomainId, EventData, EventDocument, EventId, EventKind, EventProblem, TenantId};
use serde::Deserialize;
use sqlx::{PgConnection, postgres::PgListener};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Api, ScopedTx};
use crate::{FEED_CHANNEL, StoreError, rows::parsed};

/// How many events are looked at for one page, where few are of the wanted kinds.
const SEARCHED: i64 = 5_000;

/// Where in the feed an event stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FeedPlace {
    /// At this position; 0 is in front of the feed.
    At(i64),
    /// Committed a moment ago: it gets its position soon.
    Soon,
    /// There is none with that id, or it is somebody else's.
    Unknown,
}

/// A part of the feed.
#[derive(Debug)]
pub struct FeedPage {
    /// The events, by position.
    pub events: Vec<(i64, EventDocument)>,
    /// How far the feed was looked through: the position and event behind which the next page begins. `None`: there is
    /// nothing behind where this page began.
    pub reached: Option<(i64, EventId)>,
}

/// A row of the feed, with what its domain is called.
pub(crate) struct FeedColumns {
    pub(crate) event_id: Uuid,
    pub(crate) position: i64,
    pub(crate) tenant_id: Option<Uuid>,
    pub(crate) domain_id: Option<Uuid>,
    pub(crate) kind: String,
    pub(crate) detail: String,
    pub(crate) happened_at: OffsetDateTime,
    pub(crate) status: Option<String>,
    pub(crate) previous_status: Option<String>,
    pub(crate) health: Option<String>,
    pub(crate) problems: Option<serde_json::Value>,
    pub(crate) subject: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) external_id: Option<String>,
}

#[derive(Deserialize)]
struct StoredProblem {
    code: String,
    detail: String,
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
}

impl TryFrom<FeedColumns> for EventDocument {
    type Error = StoreError;

    fn try_from(row: FeedColumns) -> Result<Self, StoreError> {
        let stored: Vec<StoredProblem> = match row.problems {
            Some(problems) => {
                serde_json::from_value(problems).map_err(|error| StoreError::inconsistent("events", error))?
            }
            None => Vec::new(),
        };
        let problems = stored.into_iter().map(|problem| {
            Ok(EventProblem::new(parsed("events", &problem.code)?, problem.detail, problem.since))
        });
        let subject = row.domain_id.map(|id| DomainId::from_uuid(id).to_string()).or(row.subject);
        Ok(Self {
            id: EventId::from_uuid(row.event_id),
            kind: parsed("events", &row.kind)?,
            timestamp: row.happened_at,
            data: EventData {
                id: subject.unwrap_or_default(),
                name: row.name.unwrap_or_default(),
                external_id: row.external_id,
                tenant: row.tenant_id.map(TenantId::from_uuid),
                status: row.status,
                previous_status: row.previous_status,
                health: row.health.map(|word| parsed("events", &word)).transpose()?,
                problems: problems.collect::<Result<_, StoreError>>()?,
                detail: row.detail,
            },
        })
    }
}

impl Api {
    /// Hears when there is more of the feed: `recv` returns then.
    pub async fn listen_to_feed(&self) -> Result<PgListener, StoreError> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(FEED_CHANNEL).await?;
        Ok(listener)
    }
}

impl Api {
    /// How far the feed reaches now.
    pub async fn feed_end(&self) -> Result<i64, StoreError> {
        let end = sqlx::query_scalar!("SELECT last_position FROM event_feed").fetch_one(&self.pool).await?;
        Ok(end)
    }
}

impl ScopedTx {
    /// Up to `limit` events of `domain` behind the position `after`, in their order.
    pub async fn domain_events_after(
        &mut self,
        domain: DomainId,
        after: i64,
        limit: i64,
    ) -> Result<FeedPage, StoreError> {
        let only = self.only();
        // A domain has few events: they are found by it, and sorted.
        let rows = sqlx::query_as!(
            FeedColumns,
            r#"SELECT e.event_id, e.position AS "position!", e.tenant_id, e.domain_id, e.kind, e.detail, e.happened_at,
                      e.status, e.previous_status, e.health, e.problems, e.subject,
                      COALESCE(d.name, e.subject_name) AS name, d.external_id AS "external_id?"
               FROM events e LEFT JOIN domains d ON d.domain_id = e.domain_id
               WHERE e.domain_id = $1 AND ($2::uuid IS NULL OR e.tenant_id = $2) AND e.position > GREATEST($3, 0::bigint)
               ORDER BY e.position LIMIT $4"#,
            domain.uuid(),
            only,
            after,
            limit,
        )
        .fetch_all(self.connection())
        .await?;
        let reached = rows.last().map(|row| (row.position, EventId::from_uuid(row.event_id)));
        let events = rows.into_iter().map(|row| Ok((row.position, row.try_into()?)));
        Ok(FeedPage { events: events.collect::<Result<_, StoreError>>()?, reached })
    }

    /// Up to `limit` events of `domain` behind the event `after`, oldest first, those without a place in the feed too.
    pub async fn domain_timeline(
        &mut self,
        domain: DomainId,
        after: Option<EventId>,
        limit: i64,
    ) -> Result<Vec<EventDocument>, StoreError> {
        let only = self.only();
        let rows = sqlx::query_as!(
            FeedColumns,
            r#"SELECT e.event_id, COALESCE(e.position, 0) AS "position!", e.tenant_id, e.domain_id, e.kind, e.detail,
                      e.happened_at, e.status, e.previous_status, e.health, e.problems, e.subject,
                      COALESCE(d.name, e.subject_name) AS name, d.external_id AS "external_id?"
               FROM events e LEFT JOIN domains d ON d.domain_id = e.domain_id
               WHERE e.domain_id = $1 AND ($2::uuid IS NULL OR e.tenant_id = $2)
                 AND ($3::uuid IS NULL OR e.event_id > $3)
               ORDER BY e.event_id LIMIT $4"#,
            domain.uuid(),
            only,
            after.map(EventId::uuid),
            limit,
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter().map(EventDocument::try_from).collect()
    }

    /// Up to `limit` events behind the position `after`, in their order; of `kinds` alone, if some are given. Those of its
    /// tenant, or those of all and the platform's own.
    pub async fn events_after(
        &mut self,
        after: i64,
        kinds: Option<&[EventKind]>,
        limit: i64,
    ) -> Result<FeedPage, StoreError> {
        let (only, searched) = (self.only(), if kinds.is_some() { SEARCHED } else { limit });
        let kinds: Option<Vec<_>> = kinds.map(|kinds| kinds.iter().map(ToString::to_string).collect());
        let (connection, kinds) = (self.connection(), kinds.as_deref());
        // First how far is looked, then what is there: what comes meanwhile belongs to the next page.
        let end = match only {
            Some(tenant) => end_of_tenant(connection, tenant, after, searched).await?,
            None => end_of_all(connection, after, searched).await?,
        };
        let Some(end) = end else { return Ok(FeedPage { events: Vec::new(), reached: None }) };
        let rows = match only {
            Some(tenant) => rows_of_tenant(connection, tenant, after, end.0, kinds, limit).await?,
            None => rows_of_all(connection, after, end.0, kinds, limit).await?,
        };
        page(rows, limit, end)
    }

    /// Where an event stands.
    pub async fn position_of(&mut self, event: EventId) -> Result<FeedPlace, StoreError> {
        let only = self.only();
        let found = sqlx::query_scalar!(
            "SELECT position FROM events WHERE event_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2)",
            event.uuid(),
            only,
        )
        .fetch_optional(self.connection())
        .await?;
        Ok(match found {
            None => FeedPlace::Unknown,
            Some(None) => FeedPlace::Soon,
            Some(Some(position)) => FeedPlace::At(position),
        })
    }
}

/// How far is looked: the last event of those that a page may hold.
async fn end_of_tenant(
    connection: &mut PgConnection,
    tenant: Uuid,
    after: i64,
    limit: i64,
) -> Result<Option<(i64, EventId)>, StoreError> {
    let end = sqlx::query!(
        r#"SELECT event_id, position AS "position!" FROM (
               SELECT event_id, position FROM events WHERE tenant_id = $1 AND position > GREATEST($2, 0::bigint)
               ORDER BY position LIMIT $3) AS searched
           ORDER BY position DESC LIMIT 1"#,
        tenant,
        after,
        limit,
    )
    .fetch_optional(connection)
    .await?;
    Ok(end.map(|end| (end.position, EventId::from_uuid(end.event_id))))
}

async fn rows_of_tenant(
    connection: &mut PgConnection,
    tenant: Uuid,
    after: i64,
    end: i64,
    kinds: Option<&[String]>,
    limit: i64,
) -> Result<Vec<FeedColumns>, StoreError> {
    let rows = sqlx::query_as!(
        FeedColumns,
        r#"SELECT e.event_id, e.position AS "position!", e.tenant_id, e.domain_id, e.kind, e.detail, e.happened_at,
                  e.status, e.previous_status, e.health, e.problems, e.subject,
                  COALESCE(d.name, e.subject_name) AS name, d.external_id AS "external_id?"
           FROM events e LEFT JOIN domains d ON d.domain_id = e.domain_id
           WHERE e.tenant_id = $1 AND e.position > GREATEST($2, 0::bigint) AND e.position <= $3
             AND ($4::text[] IS NULL OR e.kind = ANY ($4))
           ORDER BY e.position LIMIT $5"#,
        tenant,
        after,
        end,
        kinds,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// How far is looked: the last event of those that a page may hold.
async fn end_of_all(
    connection: &mut PgConnection,
    after: i64,
    limit: i64,
) -> Result<Option<(i64, EventId)>, StoreError> {
    let end = sqlx::query!(
        r#"SELECT event_id, position AS "position!" FROM (
               SELECT event_id, position FROM events WHERE position > GREATEST($1, 0::bigint)
               ORDER BY position LIMIT $2) AS searched
           ORDER BY position DESC LIMIT 1"#,
        after,
        limit,
    )
    .fetch_optional(connection)
    .await?;
    Ok(end.map(|end| (end.position, EventId::from_uuid(end.event_id))))
}

async fn rows_of_all(
    connection: &mut PgConnection,
    after: i64,
    end: i64,
    kinds: Option<&[String]>,
    limit: i64,
) -> Result<Vec<FeedColumns>, StoreError> {
    let rows = sqlx::query_as!(
        FeedColumns,
        r#"SELECT e.event_id, e.position AS "position!", e.tenant_id, e.domain_id, e.kind, e.detail, e.happened_at,
                  e.status, e.previous_status, e.health, e.problems, e.subject,
                  COALESCE(d.name, e.subject_name) AS name, d.external_id AS "external_id?"
           FROM events e LEFT JOIN domains d ON d.domain_id = e.domain_id
           WHERE e.position > GREATEST($1, 0::bigint) AND e.position <= $2
             AND ($3::text[] IS NULL OR e.kind = ANY ($3))
           ORDER BY e.position LIMIT $4"#,
        after,
        end,
        kinds,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// A full page ends with its last event, any other where the look ended.
fn page(rows: Vec<FeedColumns>, limit: i64, end: (i64, EventId)) -> Result<FeedPage, StoreError> {
    let last = rows.last().map(|row| (row.position, EventId::from_uuid(row.event_id)));
    let reached = last.filter(|_| rows.len() as i64 == limit).unwrap_or(end);
    let events = rows.into_iter().map(|row| Ok((row.position, row.try_into()?)));
    Ok(FeedPage { events: events.collect::<Result<_, StoreError>>()?, reached: Some(reached) })
}
