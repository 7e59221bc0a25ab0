//! `/v1/operations`: how far long operations are, and what came of each line.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use certmill_model::{OperationId, OperationStatus};
use certmill_store::{LineRow, OperationRow, ScopedTx};
use futures_util::stream;
use http::{StatusCode, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    page::{Filters, Page, PageQuery, cut},
    refusals::{OfAction, OfList, OfRead},
};
use crate::{WebState, access::Caller, feed::Place, problem::Problem, streamed};

const LIST: &str = "operations";

/// Lines that are read at a time.
const AT_ONCE: i64 = 1_000;

/// How often a stream looks how far an operation is, and how often it gives a sign of life.
const POLL: Duration = Duration::from_secs(1);
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A long operation.
#[derive(Serialize, ToSchema)]
#[schema(title = "Operation")]
pub(super) struct OperationDocument {
    /// Its id.
    #[schema(example = "opn_01jd4z6k3m8q2v5w7x9y0a1b2c")]
    id: String,
    /// The id of the tenant.
    tenant: String,
    /// What it is called.
    title: String,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`. One of which lines failed has succeeded all the same.
    status: &'static str,
    /// How far it is.
    progress: Progress,
    /// Whether somebody asked for its end: what is under way is finished first.
    cancel_requested: bool,
    /// Why it cannot go on.
    problem: Option<String>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When its first line was worked on.
    #[serde(with = "time::serde::rfc3339::option")]
    started_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    finished_at: Option<OffsetDateTime>,
    /// When anything of it last changed.
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

/// How far an operation is.
#[derive(Serialize, ToSchema)]
struct Progress {
    /// Lines.
    total: i32,
    /// Lines that have a result.
    done: i32,
    /// Of these, lines that were refused or failed.
    failed: i32,
}

/// What came of a line.
#[derive(Serialize, ToSchema)]
struct LineResult {
    /// Its number in the request, from 1 on.
    line: i32,
    /// What the sender called it.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    /// The name, if it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The status that a request of its own would have been answered with; null: nothing was done, yet or at all.
    status: Option<i16>,
    /// The id of the domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<LineProblem>,
}

/// What is wrong with a line.
#[derive(Serialize, ToSchema)]
struct LineProblem {
    /// A stable word for programs.
    code: String,
    /// The same for people.
    detail: String,
}

/// Which results are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResultQuery {
    #[serde(default)]
    failed: Option<String>,
    #[serde(default)]
    after: Option<String>,
}

/// List long operations, newest first
#[utoipa::path(
    get, path = "/v1/operations", operation_id = "list_operations", tag = "operations", security(("token" = [])),
    params(
        ("limit" = Option<u16>, Query, description = "Entries on a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Page<OperationDocument>, headers(("Link" = String, description = "The next page, rel=next"))), OfList)
)]
pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    query: PageQuery,
) -> Result<Response, Problem> {
    let before = query.after::<OperationId>(caller.reach, LIST)?;
    let mut rows = state.store.read(caller.reach).await?.list_operations(before, query.rows()).await?;
    let end = cut(&mut rows, query.limit, |row| row.operation_id.to_string());
    let data = rows.into_iter().map(OperationDocument::from).collect();
    Ok(query.answer(caller.reach, LIST, "/v1/operations", data, end.as_deref()))
}

/// Read how far an operation is
#[utoipa::path(
    get, path = "/v1/operations/{operation}", operation_id = "show_operation", tag = "operations", security(("token" = [])),
    params(("operation" = String, Path, description = "Its id")),
    responses((status = 200, description = "The operation", body = OperationDocument), OfRead)
)]
pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(operation): Path<String>,
) -> Result<Json<OperationDocument>, Problem> {
    Ok(Json(find(&mut state.store.read(caller.reach).await?, &operation).await?.into()))
}

/// Read what came of each line
///
/// A JSON object on each line, in the order of the lines, as they are now. `after` goes on behind a line.
#[utoipa::path(
    get, path = "/v1/operations/{operation}/results", operation_id = "show_results", tag = "operations", security(("token" = [])),
    params(
        ("operation" = String, Path, description = "Its id"),
        ("failed" = Option<String>, Query, description = "`true`: only the lines that were refused or failed"),
        ("after" = Option<i32>, Query, description = "The number of the line behind which to begin"),
    ),
    responses(
        (status = 200, description = "The results, an object on each line", body = Vec<LineResult>, content_type = "application/x-ndjson"),
        (status = 400, description = "The query cannot be used", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        OfRead,
    )
)]
pub(super) async fn results(
    State(state): State<WebState>,
    caller: Caller,
    Path(operation): Path<String>,
    Filters(query): Filters<ResultQuery>,
) -> Result<Response, Problem> {
    let operation = find(&mut state.store.read(caller.reach).await?, &operation).await?.operation_id;
    let is_failed = match query.failed.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(invalid("failed in the query: it is neither true nor false.")),
    };
    let after = query.after.as_deref().map_or(Ok(0), str::parse);
    let after = after.map_err(|_| invalid("after in the query: it is not the number of a line."))?;
    Ok(lines_of(state, caller, operation, is_failed, after))
}

/// Answers with what came of the lines of an operation behind `after`, perhaps only of those that failed.
pub(crate) fn lines_of(
    state: WebState,
    caller: Caller,
    operation: OperationId,
    is_failed: bool,
    after: i32,
) -> Response {
    let start = Results { state, caller, operation, is_failed, after, is_first: true };
    ([(CONTENT_TYPE, "application/x-ndjson")], streamed::body(start, Results::next)).into_response()
}

/// Results from here on.
struct Results {
    state: WebState,
    caller: Caller,
    operation: OperationId,
    is_failed: bool,
    after: i32,
    is_first: bool,
}

impl Results {
    async fn next(self) -> Result<(String, Option<Self>), Problem> {
        // It may last for minutes, and the token may have been revoked meanwhile.
        if !self.is_first {
            self.caller.may_go_on(&self.state).await?;
        }
        let mut tx = self.state.store.read(self.caller.reach).await?;
        let rows = tx.operation_lines(self.operation, self.is_failed, self.after, AT_ONCE).await?;
        drop(tx);
        let last = rows.last().map(|row| row.line).filter(|_| rows.len() as i64 == AT_ONCE);
        let mut lines = String::new();
        for row in rows {
            lines += &serde_json::to_string(&LineResult::from(row)).map_err(|_| Problem::internal())?;
            lines.push('\n');
        }
        Ok((lines, last.map(|after| Self { after, is_first: false, ..self })))
    }
}

/// Follow how far an operation is, as a stream
///
/// Server-sent events: each `progress` has the operation as its data. It begins with how it stands, and ends with the operation.
#[utoipa::path(
    get, path = "/v1/operations/{operation}/stream", operation_id = "stream_operation", tag = "operations", security(("token" = [])),
    params(("operation" = String, Path, description = "Its id")),
    responses((status = 200, description = "How it stands, as it changes", body = String, content_type = "text/event-stream"), OfRead)
)]
pub(super) async fn stream(
    State(state): State<WebState>,
    caller: Caller,
    Path(operation): Path<String>,
) -> Result<Response, Problem> {
    let operation = find(&mut state.store.read(caller.reach).await?, &operation).await?.operation_id;
    let place = match state.places.take(caller.reach) {
        Ok(place) => place,
        Err(refused) => return Ok(*refused),
    };
    let follow = Follow { state, caller, operation, told: None, _place: place };
    let events = stream::unfold(Some(follow), |follow| async { follow?.next().await });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("alive")).into_response())
}

/// Somebody who follows an operation.
struct Follow {
    state: WebState,
    caller: Caller,
    operation: OperationId,
    /// What was last told: when it changed.
    told: Option<OffsetDateTime>,
    _place: Place,
}

impl Follow {
    /// How it stands, once that is something else than was told before; `None`: nothing more is to be told.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Option<Self>)> {
        let mut stopping = self.state.stopping.subscribe();
        loop {
            if !self.caller.is_still_valid(&self.state).await.ok()? {
                return None;
            }
            let row = self
                .state
                .store
                .read(self.caller.reach)
                .await
                .ok()?
                .operation(self.operation)
                .await
                .ok()??;
            let has_ended = !is_under_way(row.status);
            if self.told != Some(row.updated_at) {
                self.told = Some(row.updated_at);
                let json = serde_json::to_string(&OperationDocument::from(row)).ok()?;
                let event = Event::default().event("progress").data(json);
                return Some((Ok(event), (!has_ended).then_some(self)));
            }
            if has_ended {
                return None;
            }
            tokio::select! {
                _ = stopping.wait_for(|stops| *stops) => return None,
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }
}

/// Cancel an operation
///
/// What is under way is finished first; the other lines are left.
#[utoipa::path(
    post, path = "/v1/operations/{operation}/cancel", operation_id = "cancel_operation", tag = "operations", security(("token" = [])),
    params(("operation" = String, Path, description = "Its id")),
    responses((status = 202, description = "It will end", body = OperationDocument), OfAction)
)]
pub(super) async fn cancel(
    State(state): State<WebState>,
    caller: Caller,
    Path(operation): Path<String>,
) -> Result<Response, Problem> {
    let row = end(&state, &caller, &operation).await?;
    Ok((StatusCode::ACCEPTED, Json(OperationDocument::from(row))).into_response())
}

/// Asks for the end of an operation; how it stands then.
pub(crate) async fn end(state: &WebState, caller: &Caller, operation: &str) -> Result<OperationRow, Problem> {
    let (mut tx, now) = (state.store.scoped(caller.reach).await?, state.now());
    let before = find(&mut tx, operation).await?;
    if !tx.cancel_operation(before.operation_id, now).await? {
        let detail = "The operation has ended already.";
        return Err(Problem::new(StatusCode::CONFLICT, "operation_ended", "Operation has ended", detail));
    }
    let row = find(&mut tx, operation).await?;
    let did = caller.did("operation.cancelled", "operation", row.operation_id, &row.title, json!({}));
    let entry = certmill_store::AuditEntry { tenant: Some(row.tenant_id), ..did };
    tx.commit(&entry, &state.chance, now).await?;
    Ok(row)
}

/// The operation of this id.
pub(crate) async fn find(tx: &mut ScopedTx, id: &str) -> Result<OperationRow, Problem> {
    let missing = || Problem::no_such("operation");
    let id: OperationId = id.parse().map_err(|_| missing())?;
    tx.operation(id).await?.ok_or_else(missing)
}

/// Whether something is still to be done.
pub(crate) fn is_under_way(status: OperationStatus) -> bool {
    matches!(status, OperationStatus::Queued | OperationStatus::Running)
}

fn invalid(detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_query", "Invalid query", detail)
}

impl From<OperationRow> for OperationDocument {
    fn from(row: OperationRow) -> Self {
        Self {
            id: row.operation_id.to_string(),
            tenant: row.tenant_id.to_string(),
            title: row.title,
            status: row.status.as_str(),
            progress: Progress { total: row.total, done: row.done, failed: row.failed },
            cancel_requested: row.is_cancelled,
            problem: row.problem,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            updated_at: row.updated_at,
        }
    }
}

impl From<LineRow> for LineResult {
    fn from(row: LineRow) -> Self {
        let detail = row.detail.unwrap_or_default();
        Self {
            line: row.line,
            reference: row.reference,
            name: row.name,
            status: row.result,
            id: row.domain_id.map(|id| id.to_string()),
            problem: row.code.map(|code| LineProblem { code, detail }),
        }
    }
}
