//! `POST /v1/bulk`: many changes in one request, line by line, in constant memory.

use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use certmill_model::{BulkLine, Label, OperationId, RawLine, RefusedLine, TemplateRef, TenantId};
use certmill_store::{AuditEntry, NewLine, Reach};
use futures_util::{Stream, StreamExt};
use http::{StatusCode, header::LOCATION};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    json::require_type,
    lines::{LONGEST, Line, Lines},
    operations::OperationDocument,
    page::Filters,
    refusals::OfCreate,
};
use crate::{WebState, access::Caller, problem::Problem};

/// Lines of one request at most.
const MOST: i32 = 1_000_000;

/// Lines that are held before they are stored, and bytes of them.
const HELD: usize = 1_000;
const HELD_BYTES: usize = 1024 * 1024;

/// The longest that the next bytes of a request, and all of them, may take to come.
const PAUSE: Duration = Duration::from_secs(30);
const WHOLE: Duration = Duration::from_secs(3_600);

/// What is said of all lines together.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BulkQuery {
    tenant: Option<TenantId>,
    title: Option<String>,
}

/// Change many domains
///
/// Each line is a JSON object: `op` is `put`, `patch`, `delete`, `check`, `renew`, `pause` or `resume`, `name` the domain; `put` and
/// `patch` take what `PUT` and `PATCH` of a domain take. `ref` comes back with the result. Lines are worked on in their order behind
/// the answer. A line that cannot be used has its own result, and harms no other. A request may have 1,000,000 lines of up to 16 KiB;
/// empty ones are passed over.
#[utoipa::path(
    post, path = "/v1/bulk", operation_id = "change_many", tag = "operations", security(("token" = [])),
    params(
        ("tenant" = Option<String>, Query, description = "The id of the tenant that it is for: callers of the platform have to say it"),
        ("title" = Option<String>, Query, description = "What the operation is called: 1 to 200 printable characters"),
    ),
    request_body(content = String, content_type = "application/x-ndjson", description = "A JSON object on each line", example = "{\"op\":\"put\",\"name\":\"a.brand.test\",\"external_id\":\"1\",\"ref\":\"row-1\"}\n"),
    responses(
        (status = 202, description = "All lines are here, and are worked on", body = OperationDocument, headers(("Location" = String, description = "Where it is read how far that is"))),
        (status = 408, description = "The lines come too slowly", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        OfCreate,
    )
)]
pub(super) async fn post(
    State(state): State<WebState>,
    caller: Caller,
    Filters(query): Filters<BulkQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let title = Label::parse(query.title.as_deref().unwrap_or("Bulk change")).map_err(|error| {
        let detail = format!("title in the query: {error}.");
        Problem::new(StatusCode::BAD_REQUEST, "invalid_query", "Invalid query", detail)
    })?;
    let tenant = caller.tenant_or(query.tenant)?;
    if !state.store.read(caller.reach).await?.has_tenant(tenant).await? {
        return Err(Problem::no_such("tenant"));
    }
    require_type(request.headers(), &["application/x-ndjson", "application/jsonl"])?;
    let operation = begin(&state, tenant, title.as_str()).await?;
    let bytes = request.into_body().into_data_stream();
    let lines = match Intake::new(&state, tenant, operation).take_all(bytes).await {
        Ok(lines) => lines,
        Err(problem) => {
            abandon(&state, &caller, operation).await?;
            return Err(problem);
        }
    };
    complete(&state, &caller, tenant, operation, title.as_str(), lines).await?;
    let row = state.store.read(caller.reach).await?.operation(operation).await?;
    let document = OperationDocument::from(row.ok_or_else(Problem::internal)?);
    let place = [(LOCATION, format!("/v1/operations/{operation}"))];
    Ok((StatusCode::ACCEPTED, place, Json(document)).into_response())
}

/// Begins an operation whose lines are still to come.
pub(crate) async fn begin(state: &WebState, tenant: TenantId, title: &str) -> Result<OperationId, Problem> {
    let mut tx = state.store.tenant(tenant).await?;
    let id = tx.create_operation(title, &state.chance, state.now()).await?;
    tx.commit().await?;
    Ok(id)
}

/// Has the engine begin, and notes who asked for it.
pub(crate) async fn complete(
    state: &WebState,
    caller: &Caller,
    tenant: TenantId,
    operation: OperationId,
    title: &str,
    lines: i32,
) -> Result<(), Problem> {
    let (mut tx, now) = (state.store.tenant(tenant).await?, state.now());
    if !tx.complete_operation(operation, now).await? {
        return Err(ended_meanwhile());
    }
    let did = caller.did("operation.created", "operation", operation, title, json!({ "lines": lines }));
    Ok(tx.commit_audited(&AuditEntry { tenant: Some(tenant), ..did }, &state.chance, now).await?)
}

/// Ends an operation of which not all lines came.
pub(crate) async fn abandon(
    state: &WebState,
    caller: &Caller,
    operation: OperationId,
) -> Result<(), Problem> {
    let (mut tx, now) = (state.store.scoped(caller.reach).await?, state.now());
    tx.cancel_operation(operation, now).await?;
    let did =
        caller.did("operation.cancelled", "operation", operation, "", json!({ "why": "not all lines came" }));
    Ok(tx.commit(&did, &state.chance, now).await?)
}

/// Lines on their way into the database.
struct Intake<'a> {
    state: &'a WebState,
    tenant: TenantId,
    operation: OperationId,
    held: Vec<NewLine>,
    held_bytes: usize,
    /// The number of the last line, and how many of them were not empty.
    number: i32,
    used: i32,
    /// The template that was last looked for, and whether it is there.
    known: Option<(TemplateRef, bool)>,
}

/// What a line is called, and what it asks for.
type Read = (Option<String>, Result<BulkLine, RefusedLine>);

impl<'a> Intake<'a> {
    fn new(state: &'a WebState, tenant: TenantId, operation: OperationId) -> Self {
        Self { state, tenant, operation, held: Vec::new(), held_bytes: 0, number: 0, used: 0, known: None }
    }

    /// Takes all lines of `bytes`; how many there were.
    async fn take_all<E>(
        mut self,
        mut bytes: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<i32, Problem> {
        let (mut lines, end) = (Lines::default(), Instant::now() + WHOLE);
        loop {
            let next = timeout_at(end, timeout(PAUSE, bytes.next())).await;
            let Ok(Ok(next)) = next else { return Err(too_slow()) };
            let Some(next) = next else { break };
            let next = next.map_err(|_| cut_off())?;
            for line in lines.take(&next) {
                self.take(line).await?;
                if self.held.len() >= HELD || self.held_bytes >= HELD_BYTES {
                    self.store().await?;
                }
            }
        }
        if let Some(line) = lines.rest() {
            self.take(line).await?;
        }
        self.store().await?;
        if self.used == 0 { Err(no_lines()) } else { Ok(self.used) }
    }

    async fn take(&mut self, line: Line) -> Result<(), Problem> {
        if self.number == MOST {
            return Err(too_many_lines());
        }
        self.number += 1;
        let (reference, asks) = match line {
            Line::Text(text) if text.trim().is_empty() => return Ok(()),
            Line::Text(text) => {
                self.held_bytes += text.len();
                self.read(&text).await?
            }
            Line::TooLong => {
                (None, Err(refused("line_too_long", format!("It has more than {LONGEST} bytes."))))
            }
            Line::NotUtf8 => (None, Err(refused("invalid_line", "It is no UTF-8.".into()))),
        };
        self.used += 1;
        self.held.push(NewLine { line: self.number, reference, asks });
        Ok(())
    }

    async fn read(&mut self, text: &str) -> Result<Read, Problem> {
        let raw = match RawLine::read(text) {
            Ok(raw) => raw,
            Err(refused) => return Ok((None, Err(refused))),
        };
        let reference = match raw.reference().map(Label::parse).transpose() {
            Ok(reference) => reference.map(|reference| reference.to_string()),
            Err(error) => return Ok((None, Err(refused("invalid_field", format!("ref: {error}."))))),
        };
        let mut named = None;
        let asks = raw.check(&self.state.settings.name_policy, |template| {
            named = Some(template.clone());
            true
        });
        let is_unknown = match named {
            Some(template) => !self.has_template(&template).await?,
            None => false,
        };
        let asks = asks.and_then(|line| {
            let detail = "There is no template of this name and form.".to_owned();
            if is_unknown { Err(refused("unknown_template", detail)) } else { Ok(line) }
        });
        Ok((reference, asks))
    }

    /// Whether there is such a template; most lines name the same.
    async fn has_template(&mut self, template: &TemplateRef) -> Result<bool, Problem> {
        match &self.known {
            Some((known, is_there)) if known == template => Ok(*is_there),
            _ => {
                let mut tx = self.state.store.read(Reach::Tenant(self.tenant)).await?;
                let is_there = self.state.has_template(&mut tx, template).await?;
                self.known = Some((template.clone(), is_there));
                Ok(is_there)
            }
        }
    }

    async fn store(&mut self) -> Result<(), Problem> {
        if self.held.is_empty() {
            return Ok(());
        }
        let mut tx = self.state.store.tenant(self.tenant).await?;
        match tx.add_lines(self.operation, &self.held, self.state.now()).await {
            Ok(true) => {}
            Ok(false) => return Err(ended_meanwhile()),
            // Not because somebody asked for too much.
            Err(error) if error.took_too_long() => return Err(Problem::database_away()),
            Err(error) => return Err(error.into()),
        }
        tx.commit().await?;
        self.held.clear();
        self.held_bytes = 0;
        Ok(())
    }
}

fn refused(code: &'static str, detail: String) -> RefusedLine {
    RefusedLine { code, detail }
}

fn no_lines() -> Problem {
    let detail = "The body has no line that says something.";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no_lines", "No lines", detail)
}

fn too_many_lines() -> Problem {
    let detail = "A request may have 1,000,000 lines. Nothing of it is done; send it in parts.";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_lines", "Too many lines", detail)
}

fn too_slow() -> Problem {
    let detail = "Nothing came for 30 seconds, or not everything within an hour. Nothing of it is done.";
    Problem::new(StatusCode::REQUEST_TIMEOUT, "upload_too_slow", "Too slow", detail)
}

fn cut_off() -> Problem {
    let detail = "The body ended early. Nothing of it is done.";
    Problem::new(StatusCode::BAD_REQUEST, "body_cut_off", "The body ended early", detail)
}

pub(crate) fn ended_meanwhile() -> Problem {
    let detail = "Somebody cancelled the operation while its lines came in. Nothing of it is done.";
    Problem::new(StatusCode::CONFLICT, "operation_ended", "Operation has ended", detail)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::server::tests::state;

    /// What is said when a byte comes every `pause`, so many times.
    async fn code(times: usize, pause: Duration) -> &'static str {
        let state = state().await;
        let (tenant, operation) =
            (TenantId::new(&state.chance, state.now()), OperationId::new(&state.chance, state.now()));
        let bytes = stream::repeat(()).take(times).then(|()| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, std::io::Error>(Bytes::from_static(b"\n"))
        });
        let taken = Intake::new(&state, tenant, operation).take_all(Box::pin(bytes)).await;
        taken.expect_err("there is nothing in it").code
    }

    #[tokio::test(start_paused = true)]
    async fn lines_may_come_slowly_but_not_for_ever() {
        assert_eq!(code(10, PAUSE / 2).await, "no_lines");
        assert_eq!(code(10, PAUSE * 2).await, "upload_too_slow");
        assert_eq!(code(1_000_000, PAUSE / 2).await, "upload_too_slow");
    }
}
