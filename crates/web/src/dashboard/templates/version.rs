//! One version of a template: what it changes, what load balancers say to it, and the way to publish it.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::Response,
};
use certmill_model::{Permission, TrialPlace};
use certmill_store::Trial;
use http::StatusCode;
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    Seen,
    editor::version_words,
    text::{DiffLine, compared, lines},
};
use crate::{
    WebState,
    access::Caller,
    dashboard::{
        frame::Frame,
        moment::{Moment, number},
        pages::{self, Refresh},
        people::ConfirmPage,
        visit::done,
        words::{self, Look},
    },
    problem::Problem,
    templates,
};

#[derive(Deserialize)]
pub(super) struct VersionQuery {
    #[serde(default)]
    refresh: String,
}

/// A test of the version.
struct TestCard {
    look: Look,
    author: String,
    asked: Moment,
    tested_on: Option<String>,
    words: Option<String>,
    place: Option<TrialPlace>,
    samples: String,
    diff: Vec<DiffLine>,
}

/// One version.
#[derive(Template)]
#[template(path = "template_version.html")]
struct VersionPage {
    frame: Frame,
    refresh: Refresh,
    id: String,
    name: String,
    version: i32,
    note: String,
    author: String,
    made: Moment,
    look: Look,
    is_served: bool,
    may_publish: bool,
    may_change: bool,
    revision: i64,
    diff: Vec<DiffLine>,
    /// What it is compared with.
    against: Option<String>,
    tests: Vec<TestCard>,
    source: String,
    domains: String,
    fault: Option<String>,
}

pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path((template, version)): Path<(String, String)>,
    Query(query): Query<VersionQuery>,
) -> Result<Response, Problem> {
    page(&state, &caller, (&template, &version), query.refresh == "off", None).await
}

pub(super) async fn test(
    State(state): State<WebState>,
    caller: Caller,
    Path((template, version)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (template, _) = templates::find(&mut state.store.read(caller.reach).await?, &template).await?;
    let version = templates::number(&version)?;
    templates::test(&state, &caller, &template, version).await?;
    let words = "A load balancer is being asked. Nothing that is live is touched.";
    Ok(done(&state, &caller, &format!("/templates/{template}/versions/{version}"), words))
}

pub(super) async fn publish(
    State(state): State<WebState>,
    caller: Caller,
    Path((template, version)): Path<(String, String)>,
    Form(seen): Form<Seen>,
) -> Result<Response, Problem> {
    let (found, _) = templates::find(&mut state.store.read(caller.reach).await?, &template).await?;
    let number = templates::number(&version)?;
    match templates::publish(&state, &caller, &found, Some(number), seen.revision).await {
        Ok(first) => {
            let words = match first.map(words::canary) {
                Some(first) => {
                    format!(
                        "Version {number} goes to {first} now, and to the others once that one serves it."
                    )
                }
                None => format!("Version {number} goes to all load balancers now."),
            };
            Ok(done(&state, &caller, &format!("/templates/{found}"), &words))
        }
        Err(problem) if matches!(problem.status, StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED) => {
            page(&state, &caller, (&template, &version), true, Some(problem)).await
        }
        Err(problem) => Err(problem),
    }
}

pub(super) async fn ask_roll_back(
    State(state): State<WebState>,
    caller: Caller,
    Path(template): Path<String>,
) -> Result<Response, Problem> {
    let mut tx = state.store.read(caller.reach).await?;
    let (template, row) = templates::find(&mut tx, &template).await?;
    let Some(before) = tx.template_way_back(&template).await? else {
        return Err(templates::nothing_before());
    };
    let domains = number(tx.template_use(&template).await?.count);
    let now = version_words(row.published_version);
    let words = format!(
        "{domains} domains are served with {now}. They go back to {}, byte for byte, on every load balancer.",
        version_words(before)
    );
    let page = ConfirmPage {
        frame: Frame::new(&caller, "/templates"),
        title: &format!("Roll {template} back"),
        trail: ("Templates", &format!("/templates/{template}")),
        words: &words,
        action: format!("/templates/{template}/rollback?revision={}", row.revision),
        button: "Roll back",
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

pub(super) async fn roll_back(
    State(state): State<WebState>,
    caller: Caller,
    Path(template): Path<String>,
    Query(seen): Query<Seen>,
) -> Result<Response, Problem> {
    let (template, _) = templates::find(&mut state.store.read(caller.reach).await?, &template).await?;
    let version = templates::roll_back(&state, &caller, &template, seen.revision).await?;
    let words = format!("The load balancers go back to {} now.", version_words(version));
    Ok(done(&state, &caller, &format!("/templates/{template}"), &words))
}

async fn page(
    state: &WebState,
    caller: &Caller,
    (template, version): (&str, &str),
    is_paused: bool,
    refused: Option<Problem>,
) -> Result<Response, Problem> {
    let now = state.now();
    let missing = || Problem::no_such("version");
    let mut tx = state.store.read(caller.reach).await?;
    let (template, row) = templates::find(&mut tx, template).await?;
    let version = templates::number(version)?;
    let found = tx.template_version(&template, version).await?.ok_or_else(missing)?;
    let source = tx.template_source(&template, Some(version)).await?.ok_or_else(missing)?;
    let served = tx.template_source(&template, row.published_version).await?;
    let tests = tx.list_trials((&template, version), templates::TESTS).await?;
    let is_running = tests.iter().any(|trial| trial.outcome.is_none());
    let is_served = row.published_version == Some(version);
    let may_change = caller.may(Permission::TemplatesWrite);
    let address = |word: &str| match word {
        "" => format!("/templates/{template}/versions/{version}"),
        word => format!("/templates/{template}/versions/{version}?refresh={word}"),
    };
    let page = VersionPage {
        frame: Frame::new(caller, "/templates"),
        refresh: Refresh::new(is_running, is_paused, address),
        id: template.to_string(),
        name: row.name,
        version,
        note: found.note,
        author: found.author,
        made: Moment::new(found.created_at, now),
        look: words::template_version(is_served, found.passed_at.is_some()),
        is_served,
        // Once more while one load balancer has it and settles nothing: another one is the first then.
        may_publish: may_change && found.passed_at.is_some() && (!is_served || row.canary.is_some()),
        may_change,
        revision: row.revision,
        against: served.is_some().then(|| version_words(row.published_version)),
        diff: compared(served.as_deref().unwrap_or_default(), &source),
        tests: tests.into_iter().map(|trial| TestCard::new(trial, now)).collect(),
        source,
        domains: number(tx.template_use(&template).await?.count),
        fault: refused.as_ref().map(|problem| problem.detail.clone().into_owned()),
    };
    Ok(pages::answer(refused.map_or(StatusCode::OK, |problem| problem.status), &page))
}

impl TestCard {
    fn new(trial: Trial, now: OffsetDateTime) -> Self {
        let look = words::template_test(trial.outcome.as_ref().map(|outcome| outcome.passed));
        let outcome = trial.outcome.unwrap_or_default();
        Self {
            look,
            author: trial.author,
            asked: Moment::new(trial.created_at, now),
            tested_on: outcome.tested_on,
            words: outcome.words,
            place: outcome.place,
            samples: outcome.samples.join(", "),
            diff: lines(&outcome.diff),
        }
    }
}
