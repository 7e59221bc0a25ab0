//! `/operations`: what takes long, how far it is, and what came of each line.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use certmill_model::{OperationId, Permission};
use certmill_store::{LineRow, OperationRow, Reach, ScopedTx};
use http::{HeaderValue, StatusCode, header::CONTENT_DISPOSITION};
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    frame::Frame,
    inventory::Choice,
    list::address,
    moment::{Moment, number},
    operation_words,
    pages::{self, Refresh},
    visit::done,
    words::Look,
};
use crate::{
    WebState,
    access::Caller,
    api::operations::{end, find, is_under_way, lines_of},
    problem::Problem,
};

/// Operations on a page, and lines of one.
const ROWS: usize = 50;

/// What is looked at.
#[derive(Default, Deserialize)]
pub(super) struct OperationQuery {
    /// `failed`: only lines that failed.
    #[serde(default)]
    show: String,
    /// The operation or the line behind which the page begins.
    #[serde(default)]
    after: String,
    #[serde(default)]
    refresh: String,
}

/// An operation.
struct OperationCard {
    id: String,
    title: String,
    look: Look,
    sentence: &'static str,
    total: String,
    done: String,
    /// How many lines failed, if any did.
    failed: Option<String>,
    /// How much of it is done.
    percent: i64,
    /// Who asked for it, where that is known.
    by: Option<String>,
    /// Whose it is, for readers who see several tenants.
    tenant: Option<String>,
    problem: Option<String>,
    began: Moment,
    ended: Option<Moment>,
    is_under_way: bool,
    is_cancelled: bool,
}

/// A line of an operation.
struct LineCard {
    line: i32,
    name: Option<String>,
    reference: Option<String>,
    look: Look,
    detail: Option<String>,
}

#[derive(Template)]
#[template(path = "operations.html")]
struct OperationsPage {
    frame: Frame,
    refresh: Refresh,
    rows: Vec<OperationCard>,
    is_platform: bool,
    next: Option<String>,
    first: Option<String>,
}

#[derive(Template)]
#[template(path = "operation.html")]
struct OperationPage {
    frame: Frame,
    refresh: Refresh,
    operation: OperationCard,
    choices: Vec<Choice>,
    lines: Vec<LineCard>,
    may_change: bool,
    next: Option<String>,
    first: Option<String>,
}

pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    Query(query): Query<OperationQuery>,
) -> Result<Response, Problem> {
    let mut tx = state.store.read(caller.reach).await?;
    // A place that makes no sense is the beginning.
    let mut rows = tx.list_operations(query.after.parse().ok(), ROWS as i64 + 1).await?;
    let is_more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let last = rows.last().filter(|_| is_more).map(|row| row.operation_id.to_string());
    let under_way = rows.iter().any(|row| is_under_way(row.status));
    let page = OperationsPage {
        frame: Frame::new(&caller, "/operations"),
        refresh: Refresh::new(under_way, query.refresh == "off", |word| {
            query.with("/operations", "refresh", word)
        }),
        rows: cards(&mut tx, rows, state.now()).await?,
        is_platform: caller.reach == Reach::Platform,
        next: last.map(|last| query.with("/operations", "after", &last)),
        first: (!query.after.is_empty()).then(|| query.with("/operations", "after", "")),
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(operation): Path<String>,
    Query(query): Query<OperationQuery>,
) -> Result<Response, Problem> {
    let mut tx = state.store.read(caller.reach).await?;
    let row = find(&mut tx, &operation).await?;
    let (id, is_failed, goes_on) = (row.operation_id, query.show == "failed", is_under_way(row.status));
    let after = query.after.parse().unwrap_or_default();
    let mut lines = tx.operation_lines(id, is_failed, after, ROWS as i64 + 1).await?;
    let is_more = lines.len() > ROWS;
    lines.truncate(ROWS);
    let last = lines.last().filter(|_| is_more).map(|line| line.line.to_string());
    let path = format!("/operations/{id}");
    let mut cards = cards(&mut tx, vec![row], state.now()).await?;
    let operation = cards.pop().ok_or_else(Problem::internal)?;
    let page = OperationPage {
        frame: Frame::new(&caller, "/operations"),
        refresh: Refresh::new(goes_on, query.refresh == "off", |word| query.with(&path, "refresh", word)),
        choices: choices(&path, is_failed),
        lines: lines.into_iter().map(|line| LineCard::new(line, goes_on)).collect(),
        may_change: caller.may(Permission::DomainsWrite) && !caller.only_reads(),
        next: last.map(|last| query.with(&path, "after", &last)),
        first: (!query.after.is_empty()).then(|| query.with(&path, "after", "")),
        operation,
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

/// What came of every line, for programs.
pub(super) async fn download(
    State(state): State<WebState>,
    caller: Caller,
    Path(operation): Path<String>,
) -> Result<Response, Problem> {
    let id = find(&mut state.store.read(caller.reach).await?, &operation).await?.operation_id;
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{id}.ndjson\""));
    let mut answer = lines_of(state, caller, id, false, 0);
    answer.headers_mut().insert(CONTENT_DISPOSITION, name.expect("an id is plain characters"));
    Ok(answer)
}

pub(super) async fn cancel(
    State(state): State<WebState>,
    caller: Caller,
    Path(operation): Path<String>,
) -> Result<Response, Problem> {
    let row = end(&state, &caller, &operation).await?;
    let words = "It ends once what is under way is finished. The other lines are left.";
    Ok(done(&state, &caller, &format!("/operations/{}", row.operation_id), words))
}

impl OperationQuery {
    /// The address `path` with `value` for `key`.
    fn with(&self, path: &str, key: &str, value: &str) -> String {
        let pairs = [("show", &*self.show), ("after", &self.after), ("refresh", &self.refresh)];
        address(path, pairs.into_iter().filter(|(name, _)| *name != key).chain([(key, value)]))
    }
}

/// Operations with what is known of them elsewhere.
async fn cards(
    tx: &mut ScopedTx,
    rows: Vec<OperationRow>,
    now: OffsetDateTime,
) -> Result<Vec<OperationCard>, Problem> {
    let ids: Vec<OperationId> = rows.iter().map(|row| row.operation_id).collect();
    let mut starters = tx.starters_of(&ids).await?;
    let tenants: Vec<_> = rows.iter().map(|row| row.tenant_id).collect();
    let tenants = tx.tenant_names(&tenants).await?;
    let card = |row: OperationRow| {
        let by = starters.remove(&row.operation_id);
        let tenant = tenants.get(&row.tenant_id).cloned();
        OperationCard { by, tenant, ..OperationCard::new(row, now) }
    };
    Ok(rows.into_iter().map(card).collect())
}

fn choices(path: &str, is_failed: bool) -> Vec<Choice> {
    let all = Look { icon: "list", tone: "idle", words: "All lines" };
    let failed = Look { icon: "cross", tone: "bad", words: "Failed" };
    let choice =
        |look, word, chosen| Choice { look, to: address(path, [("show", word)].into_iter()), chosen };
    vec![choice(all, "", !is_failed), choice(failed, "failed", is_failed)]
}

impl OperationCard {
    fn new(row: OperationRow, now: OffsetDateTime) -> Self {
        let count = |lines: i32| number(i64::from(lines));
        Self {
            id: row.operation_id.to_string(),
            title: row.title,
            look: operation_words::operation(row.status),
            sentence: operation_words::operation_sentence(row.status, row.is_cancelled),
            total: count(row.total),
            done: count(row.done),
            failed: (row.failed > 0).then(|| count(row.failed)),
            percent: i64::from(row.done) * 100 / i64::from(row.total.max(1)),
            by: None,
            tenant: None,
            problem: row.problem,
            began: Moment::new(row.created_at, now),
            ended: row.finished_at.map(|at| Moment::new(at, now)),
            is_under_way: is_under_way(row.status),
            is_cancelled: row.is_cancelled,
        }
    }
}

impl LineCard {
    fn new(row: LineRow, goes_on: bool) -> Self {
        Self {
            line: row.line,
            look: operation_words::line(row.result, goes_on),
            name: row.name,
            reference: row.reference,
            detail: row.detail,
        }
    }
}
