//! `/v1/domains/{name}/timeline` and `/stream`: what happened to a domain, and what happens to it.

use axum::{extract::State, response::Response};
use certmill_model::{EventDocument, EventId};
use http::HeaderMap;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    super::{
        cursor::cursor,
        events::{EventSchema, StreamFilter, follow, kinds},
        page::{Filters, Page, PageQuery, cut},
        refusals::{OfList, OfRead},
    },
    name::DomainRef,
};
use crate::{WebState, access::Caller, feed::Wanted, problem::Problem};

/// An entry of a domain's timeline: the event, and beside it the words that timelines had before there was a feed.
#[derive(Serialize, ToSchema)]
#[schema(title = "TimelineEntry")]
pub(super) struct TimelineEntry {
    #[serde(flatten)]
    #[schema(value_type = EventSchema)]
    event: EventDocument,
    /// What happened, as a stable word; `type` says the same as in the feed.
    #[schema(example = "domain_active")]
    kind: &'static str,
    /// As `data.detail`.
    detail: String,
    /// As `timestamp`.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

/// Read what happened to a domain, oldest first
#[utoipa::path(
    get, path = "/v1/domains/{name}/timeline", operation_id = "show_timeline", tag = "domains", security(("token" = [])),
    params(
        ("name" = String, Path, description = "The name, in A-label or U-label form, or the id", example = "shop.brand.test"),
        ("limit" = Option<u16>, Query, description = "Entries on a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<TimelineEntry>, headers(("Link" = String, description = "The next page, rel=next"))),
        (status = 404, description = "Not registered by this caller", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "It was removed", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "Not a name", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        OfList,
    )
)]
pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
    query: PageQuery,
) -> Result<Response, Problem> {
    let mut reader = state.store.read(caller.reach).await?;
    let domain = name.find(&state, &mut reader).await?;
    let list = format!("timeline of {}", domain.domain_id);
    let after = query.after::<EventId>(caller.reach, &list)?;
    let mut events = reader.domain_timeline(domain.domain_id, after, query.rows()).await?;
    let end = cut(&mut events, query.limit, |event| event.id.to_string());
    let next = end.map(|id| cursor(caller.reach, &list, &id));
    let entries: Vec<_> = events.into_iter().map(TimelineEntry::from).collect();
    Ok(Page::answer(entries, next, query.limit, &format!("/v1/domains/{}/timeline", domain.name)))
}

/// Follow what happens to a domain, as a stream
///
/// As `/v1/events/stream`, for one domain.
#[utoipa::path(
    get, path = "/v1/domains/{name}/stream", operation_id = "stream_domain", tag = "domains", security(("token" = [])),
    params(
        ("name" = String, Path, description = "The name, in A-label or U-label form, or the id", example = "shop.brand.test"),
        ("types" = Option<String>, Query, description = "Events of these types alone, separated by commas", example = "domain.active,domain.failed"),
        ("Last-Event-ID" = Option<String>, Header, description = "The event behind which to go on"),
    ),
    responses(
        (status = 200, description = "Events, as they come", body = String, content_type = "text/event-stream"),
        (status = 410, description = "It was removed", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 400, description = "The query or Last-Event-ID cannot be used", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "Not a name", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        OfRead,
    )
)]
pub(super) async fn stream(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
    headers: HeaderMap,
    Filters(filter): Filters<StreamFilter>,
) -> Result<Response, Problem> {
    let domain = name.find(&state, &mut state.store.read(caller.reach).await?).await?;
    let wanted = Wanted { kinds: kinds(filter.types.as_deref())?, domain: Some(domain.domain_id) };
    follow(&state, caller, &headers, wanted).await
}

impl From<EventDocument> for TimelineEntry {
    fn from(event: EventDocument) -> Self {
        let (kind, detail, at) = (event.kind.as_str(), event.data.detail.clone(), event.timestamp);
        Self { event, kind, detail, at }
    }
}
