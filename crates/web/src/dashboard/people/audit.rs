//! `/audit`: who changed what.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use certmill_store::{AuditFilter, AuditRow};
use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use time::OffsetDateTime;

use super::answer;
use crate::{
    WebState,
    access::Caller,
    dashboard::{frame::Frame, moment::Moment},
    problem::Problem,
};

/// Rows on a page.
const ROWS: usize = 50;

/// What is looked at.
#[derive(Default, Deserialize)]
pub(super) struct AuditQuery {
    #[serde(default)]
    actor: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    object: String,
    #[serde(default)]
    after: String,
}

struct Row {
    at: Moment,
    actor: String,
    actor_kind: String,
    /// The list of what this one did.
    by_actor: Option<String>,
    action: String,
    object_kind: String,
    object: String,
    /// The list of what became of this thing.
    of_object: Option<String>,
    detail: String,
    address: Option<String>,
    request_id: Option<String>,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    query: AuditQuery,
    rows: Vec<Row>,
    next: Option<String>,
}

pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    Query(query): Query<AuditQuery>,
) -> Result<Response, Problem> {
    // The database takes no NUL, and nothing in the log has one.
    let set = |text: &str| Some(text.trim().replace('\0', "?")).filter(|text| !text.is_empty());
    let filter = AuditFilter {
        actor: set(&query.actor),
        action: set(&query.action),
        object: set(&query.object),
        ..AuditFilter::default()
    };
    let mut tx = state.store.read(caller.reach).await?;
    let mut entries = tx.audit_entries(&filter, query.after.parse().ok(), ROWS as i64 + 1).await?;
    let more = entries.len() > ROWS;
    entries.truncate(ROWS);
    let next = entries.last().filter(|_| more).map(|last| query.address(&last.entry_id.to_string()));
    let page = AuditPage {
        frame: Frame::new(&caller, "/audit"),
        rows: entries.into_iter().map(|entry| Row::new(entry, state.now())).collect(),
        next,
        query,
    };
    Ok(answer(StatusCode::OK, &page))
}

impl AuditQuery {
    /// The address of this list behind the entry `after`.
    fn address(&self, after: &str) -> String {
        let pairs =
            [("actor", &*self.actor), ("action", &self.action), ("object", &self.object), ("after", after)];
        let set = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let query: Vec<_> = set
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
            .collect();
        format!("/audit?{}", query.join("&"))
    }
}

impl Row {
    fn new(entry: AuditRow, now: OffsetDateTime) -> Self {
        let by = |id: &String| AuditQuery { actor: id.clone(), ..AuditQuery::default() }.address("");
        let of = |id: &String| AuditQuery { object: id.clone(), ..AuditQuery::default() }.address("");
        let is_empty = entry.detail.as_object().is_none_or(serde_json::Map::is_empty);
        Self {
            at: Moment::new(entry.happened_at, now),
            by_actor: entry.actor_id.as_ref().map(by),
            of_object: entry.object_id.as_ref().map(of),
            actor: entry.actor_name,
            actor_kind: entry.actor_kind.replace('_', " "),
            action: entry.action,
            object_kind: entry.object_kind,
            object: entry.object_name,
            detail: if is_empty { String::new() } else { entry.detail.to_string() },
            address: entry.address,
            request_id: entry.request_id,
        }
    }
}
