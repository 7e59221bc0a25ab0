//! `/v1/events`: everything that happens, in one order without gaps, to read page by page or as a stream.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use certmill_model::{EventDocument, EventId, EventKind, Health, ProblemCode, Severity};
use certmill_store::{FeedPlace, ScopedTx};
use http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    page::{Filters, ListQuery},
    refusals::OfList,
};
use crate::{
    WebState,
    access::Caller,
    feed::{self, Wanted},
    problem::{Problem, ProblemDocument},
};

/// Nothing is new: when it is worth asking again, in seconds.
const NOTHING_NEW: &str = "5";
/// What was asked for is about to get its place.
const SOON: &str = "1";

/// A part of the feed.
#[derive(Serialize, ToSchema)]
#[schema(title = "EventPage")]
pub(super) struct EventPage {
    /// The events, in their order.
    #[schema(value_type = Vec<EventSchema>)]
    data: Vec<EventDocument>,
    /// The `after` of the next request: the last event that was looked at, whether or not it is among these. Null while
    /// there is none.
    #[schema(example = "evt_01jd4z6k3m8q2v5w7x9y0a1b2c")]
    next_after: Option<String>,
}

/// An event: in the feed, in streams, on timelines and in webhooks it has the same form.
#[derive(ToSchema)]
#[schema(title = "Event")]
#[expect(dead_code, reason = "it describes what the model writes")]
pub(super) struct EventSchema {
    /// Its id.
    #[schema(example = "evt_01jd4z6k3m8q2v5w7x9y0a1b2c")]
    id: String,
    /// What happened, as a stable word; `/docs/webhooks` lists them.
    #[schema(rename = "type", example = "domain.active")]
    r#type: String,
    /// When.
    timestamp: OffsetDateTime,
    /// To whom.
    data: EventDataSchema,
}

/// To whom something happened, and how it stood then.
#[derive(ToSchema)]
#[schema(title = "EventData")]
#[expect(dead_code, reason = "it describes what the model writes")]
struct EventDataSchema {
    /// The id of the domain, or of what else it is about.
    id: String,
    /// Its name.
    name: String,
    /// The shop's id in the commerce system.
    external_id: Option<String>,
    /// The id of the tenant; null: the platform's.
    tenant: Option<String>,
    /// The status after what happened.
    status: Option<String>,
    /// The status before, where that changed.
    previous_status: Option<String>,
    /// `ok`, `warning` or `critical`.
    #[schema(value_type = Option<String>)]
    health: Option<Health>,
    /// What was wrong then.
    problems: Vec<EventProblemSchema>,
    /// The particulars, for people; may be empty.
    detail: String,
}

/// A problem that was open then.
#[derive(ToSchema)]
#[schema(title = "EventProblem")]
#[expect(dead_code, reason = "it describes what the model writes")]
struct EventProblemSchema {
    /// A stable word for programs.
    #[schema(value_type = String)]
    code: ProblemCode,
    /// `warning` or `critical`.
    #[schema(value_type = String)]
    severity: Severity,
    /// The kind of problem, for people.
    title: String,
    /// The particulars.
    detail: String,
    /// What mends it.
    fix: String,
    /// Since when.
    since: OffsetDateTime,
}

/// Which events are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventFilter {
    after: Option<EventId>,
    types: Option<String>,
}

/// Read what happened, in one order without gaps
///
/// A tenant reads what happened to its domains, the platform everything. Each event gets its place behind all that could be read
/// before: whoever asks again with `next_after` misses none. An empty answer says in `Retry-After` when to ask again.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "list_events", tag = "events", security(("token" = [])),
    params(
        ("after" = Option<String>, Query, description = "The event behind which to begin; from the beginning without it", example = "evt_01jd4z6k3m8q2v5w7x9y0a1b2c"),
        ("types" = Option<String>, Query, description = "Events of these types alone, separated by commas", example = "domain.active,domain.failed"),
        ("limit" = Option<u16>, Query, description = "Events at most, 1 to 1000; 100 by default"),
    ),
    responses(
        (status = 200, description = "Events", body = EventPage, headers(("Retry-After" = u32, description = "Nothing is new: seconds until it is worth asking again"))),
        (status = 404, description = "The event behind which to begin is not there any more", body = ProblemDocument, content_type = "application/problem+json"),
        OfList,
    )
)]
pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    query: ListQuery<EventFilter>,
) -> Result<Response, Problem> {
    query.refuse_cursor()?;
    let kinds = kinds(query.filter.types.as_deref())?;
    let mut tx = state.store.read(caller.reach).await?;
    let Some(position) = position(&mut tx, query.filter.after).await? else {
        return Ok(nothing(query.filter.after, SOON));
    };
    let page = tx.events_after(position, kinds.as_deref(), query.limit as i64).await?;
    let Some((_, reached)) = page.reached else { return Ok(nothing(query.filter.after, NOTHING_NEW)) };
    let data = page.events.into_iter().map(|(_, event)| event).collect();
    Ok(Json(EventPage { data, next_after: Some(reached.to_string()) }).into_response())
}

/// Follow what happens, as a stream
///
/// Server-sent events: the `id` is that of the event, the `event` its type, the `data` the same JSON as of `/v1/events`. It begins
/// behind the event that `Last-Event-ID` names, or now. A comment every 15 seconds is a sign of life.
#[utoipa::path(
    get, path = "/v1/events/stream", operation_id = "stream_events", tag = "events", security(("token" = [])),
    params(
        ("types" = Option<String>, Query, description = "Events of these types alone, separated by commas", example = "domain.active,domain.failed"),
        ("Last-Event-ID" = Option<String>, Header, description = "The event behind which to go on"),
    ),
    responses(
        (status = 200, description = "Events, as they come", body = String, content_type = "text/event-stream"),
        (status = 404, description = "The event behind which to go on is not there any more", body = ProblemDocument, content_type = "application/problem+json"),
        OfList,
    )
)]
pub(super) async fn stream(
    State(state): State<WebState>,
    caller: Caller,
    headers: HeaderMap,
    Filters(filter): Filters<StreamFilter>,
) -> Result<Response, Problem> {
    let wanted = Wanted { kinds: kinds(filter.types.as_deref())?, domain: None };
    follow(&state, caller, &headers, wanted).await
}

/// Which events a stream is for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamFilter {
    pub(super) types: Option<String>,
}

/// Answers with a stream that goes on behind `Last-Event-ID`, or begins now.
pub(super) async fn follow(
    state: &WebState,
    caller: Caller,
    headers: &HeaderMap,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let last = headers.get("last-event-id").map(last_event).transpose()?;
    let position = match last {
        // What has no place yet is behind everything that has.
        Some(_) => position(&mut state.store.read(caller.reach).await?, last).await?,
        None => None,
    };
    let position = match position {
        Some(position) => position,
        None => state.store.feed_end().await?,
    };
    let place = match state.places.take(caller.reach) {
        Ok(place) => place,
        Err(refused) => return Ok(*refused),
    };
    Ok(feed::answer(state, caller, wanted, position, place))
}

fn last_event(value: &HeaderValue) -> Result<EventId, Problem> {
    value.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
        let detail = "Last-Event-ID is the id of an event, evt_…";
        Problem::new(StatusCode::BAD_REQUEST, "invalid_event_id", "Invalid event id", detail)
    })
}

/// Where `after` stands; `None`: it gets its place in a moment.
async fn position(tx: &mut ScopedTx, after: Option<EventId>) -> Result<Option<i64>, Problem> {
    let Some(after) = after else { return Ok(Some(0)) };
    match tx.position_of(after).await? {
        FeedPlace::At(position) => Ok(Some(position)),
        FeedPlace::Soon => Ok(None),
        FeedPlace::Unknown => {
            let detail =
                "There is no such event here (any more). Begin without it, or read how everything stands.";
            Err(Problem::new(StatusCode::NOT_FOUND, "event_not_found", "Event not found", detail))
        }
    }
}

/// The kinds that stand in a query, by what programs know them by.
pub(super) fn kinds(types: Option<&str>) -> Result<Option<Vec<EventKind>>, Problem> {
    let Some(types) = types else { return Ok(None) };
    let kind = |word: &str| {
        EventKind::from_public_type(word.trim()).ok_or_else(|| {
            let detail = format!("types in the query: there is no event of the type {word:?}.");
            Problem::new(StatusCode::BAD_REQUEST, "invalid_query", "Invalid query", detail)
        })
    };
    types.split(',').map(kind).collect::<Result<_, _>>().map(Some)
}

fn nothing(after: Option<EventId>, retry_after: &'static str) -> Response {
    let page = EventPage { data: Vec::new(), next_after: after.map(|after| after.to_string()) };
    ([(RETRY_AFTER, retry_after)], Json(page)).into_response()
}
