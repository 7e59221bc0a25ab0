//! One template: its text, what it makes, its versions, and who has it.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::Response,
};
use certmill_model::{Permission, PreviewedDomain, TemplateRef};
use certmill_store::{ScopedTx, TemplatePublication, TemplateRow, TemplateUse, TemplateVersion};
use http::StatusCode;
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    Seen,
    text::{DiffLine, Mistake, compared},
};
use crate::{
    WebState,
    access::Caller,
    dashboard::{
        frame::Frame,
        moment::{Moment, number},
        pages,
        people::{ConfirmPage, mendable},
        visit::done,
        words::{self, Look},
    },
    problem::Problem,
    templates,
};

/// Versions and publications on the page.
const LISTED: i64 = 20;

/// The version to begin with.
#[derive(Deserialize)]
pub(super) struct FromQuery {
    from: Option<String>,
}

/// What somebody writes.
#[derive(Default, Deserialize)]
pub(super) struct TextForm {
    #[serde(default)]
    source: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    domains: String,
    #[serde(default)]
    revision: i64,
}

/// A version in the table.
struct VersionRow {
    version: i32,
    note: String,
    author: String,
    made: Moment,
    look: Look,
}

/// A change of what was served.
struct PublicationRow {
    what: String,
    refused: Option<String>,
    is_way_back: bool,
    author: String,
    at: Moment,
}

/// What a text makes.
enum Shown {
    Mistake(Mistake),
    Domains(Vec<PreviewedDomain>),
}

/// One template.
#[derive(Template)]
#[template(path = "template.html")]
struct TemplatePage {
    frame: Frame,
    id: String,
    name: String,
    form: &'static str,
    look: Look,
    has_file: bool,
    canary: Option<String>,
    has_way_back: bool,
    form_text: TextForm,
    shown: Shown,
    diff: Vec<DiffLine>,
    served: Option<&'static str>,
    versions: Vec<VersionRow>,
    publications: Vec<PublicationRow>,
    used: TemplateUse,
    count: String,
    may_change: bool,
    fault: Option<String>,
}

pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(template): Path<String>,
    Query(query): Query<FromQuery>,
) -> Result<Response, Problem> {
    let mut tx = state.store.read(caller.reach).await?;
    let (template, row) = templates::find(&mut tx, &template).await?;
    let version = match query.from.as_deref() {
        Some("file") => None,
        Some(text) => Some(templates::number(text)?),
        None => row.latest_version.or(row.published_version),
    };
    let source = tx.template_source(&template, version).await?;
    let source = source.ok_or_else(|| Problem::no_such("version"))?;
    drop(tx);
    let form = TextForm { source, revision: row.revision, ..TextForm::default() };
    page(&state, &caller, &template, (StatusCode::OK, form), None).await
}

pub(super) async fn preview(
    State(state): State<WebState>,
    caller: Caller,
    Path(template): Path<String>,
    Form(form): Form<TextForm>,
) -> Result<Response, Problem> {
    let (template, _) = templates::find(&mut state.store.read(caller.reach).await?, &template).await?;
    page(&state, &caller, &template, (StatusCode::OK, form), None).await
}

pub(super) async fn save(
    State(state): State<WebState>,
    caller: Caller,
    Path(template): Path<String>,
    Form(mut form): Form<TextForm>,
) -> Result<Response, Problem> {
    let (template, row) = templates::find(&mut state.store.read(caller.reach).await?, &template).await?;
    let text = (form.source.as_str(), form.note.as_str());
    let (status, fault) = match templates::save(&state, &caller, &template, text, form.revision).await {
        Ok(version) => {
            let words = format!("Version {version} is kept. Try it on a load balancer next.");
            return Ok(done(&state, &caller, &format!("/templates/{template}/versions/{version}"), &words));
        }
        Err(problem) if problem.status == StatusCode::PRECONDITION_FAILED => {
            form.revision = row.revision;
            let words = "Somebody changed the template since you began. Look at the versions below; keep yours then, if it is \
                         still right.";
            (problem.status, words.to_owned())
        }
        Err(problem) => mendable(problem)?,
    };
    page(&state, &caller, &template, (status, form), Some(fault)).await
}

pub(super) async fn ask_remove(
    State(state): State<WebState>,
    caller: Caller,
    Path(template): Path<String>,
) -> Result<Response, Problem> {
    let (template, row) = templates::find(&mut state.store.read(caller.reach).await?, &template).await?;
    let page = ConfirmPage {
        frame: Frame::new(&caller, "/templates"),
        title: &format!("Remove {template}"),
        trail: ("Templates", &format!("/templates/{template}")),
        words: "Its versions, and what came of their tests, are forgotten with it. A template that a tenant or a domain names \
                stays.",
        action: format!("/templates/{template}/remove?revision={}", row.revision),
        button: "Remove the template",
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

pub(super) async fn remove(
    State(state): State<WebState>,
    caller: Caller,
    Path(template): Path<String>,
    Query(seen): Query<Seen>,
) -> Result<Response, Problem> {
    let (template, row) = templates::find(&mut state.store.read(caller.reach).await?, &template).await?;
    match templates::delete(&state, &caller, &template, seen.revision).await {
        Ok(()) => Ok(done(&state, &caller, "/templates", &format!("{template} is removed."))),
        Err(problem) if problem.status == StatusCode::CONFLICT => {
            let mut tx = state.store.read(caller.reach).await?;
            let source = tx.template_source(&template, row.latest_version).await?.unwrap_or_default();
            drop(tx);
            let form = TextForm { source, revision: row.revision, ..TextForm::default() };
            let fault = Some(problem.detail.clone().into_owned());
            page(&state, &caller, &template, (problem.status, form), fault).await
        }
        Err(problem) => Err(problem),
    }
}

async fn page(
    state: &WebState,
    caller: &Caller,
    template: &TemplateRef,
    (mut status, form_text): (StatusCode, TextForm),
    mut fault: Option<String>,
) -> Result<Response, Problem> {
    let now = state.now();
    let named = form_text.domains();
    let shown = match templates::show_on(state, caller.reach, template, &form_text.source, &named).await {
        Ok(Ok(domains)) => Shown::Domains(domains),
        Ok(Err(mistake)) => Shown::Mistake(Mistake::new(mistake, &form_text.source)),
        Err(problem) => {
            let (refused, words) = mendable(problem)?;
            (status, fault) = (refused, fault.or(Some(words)));
            Shown::Domains(Vec::new())
        }
    };
    let mut tx = state.store.read(caller.reach).await?;
    let row = tx.find_template(template).await?.ok_or_else(|| Problem::no_such("template"))?;
    let served = tx.template_source(template, row.published_version).await?;
    let used = tx.template_use(template).await?;
    let page = TemplatePage {
        frame: Frame::new(caller, "/templates"),
        id: template.to_string(),
        look: words::template(row.published_version.is_some(), row.has_file),
        has_way_back: tx.template_way_back(template).await?.is_some(),
        diff: compared(served.as_deref().unwrap_or_default(), &form_text.source.replace("\r\n", "\n")),
        served: served.map(|_| "what is served"),
        versions: versions(&mut tx, template, &row, now).await?,
        publications: publications(&mut tx, template, now).await?,
        count: if used.count > 10_000 { "more than 10 000".to_owned() } else { number(used.count) },
        may_change: caller.may(Permission::TemplatesWrite),
        has_file: row.has_file,
        canary: row.canary.map(words::canary),
        form: row.form.as_str(),
        name: row.name,
        form_text,
        shown,
        used,
        fault,
    };
    Ok(pages::answer(status, &page))
}

async fn versions(
    tx: &mut ScopedTx,
    template: &TemplateRef,
    row: &TemplateRow,
    now: OffsetDateTime,
) -> Result<Vec<VersionRow>, Problem> {
    let versions = tx.template_versions(template, None, LISTED).await?;
    let row = |version: TemplateVersion| VersionRow {
        look: words::template_version(
            row.published_version == Some(version.version),
            version.passed_at.is_some(),
        ),
        version: version.version,
        note: version.note,
        author: version.author,
        made: Moment::new(version.created_at, now),
    };
    Ok(versions.into_iter().map(row).collect())
}

async fn publications(
    tx: &mut ScopedTx,
    template: &TemplateRef,
    now: OffsetDateTime,
) -> Result<Vec<PublicationRow>, Problem> {
    let publications = tx.template_publications(template, LISTED).await?;
    let row = |publication: TemplatePublication| PublicationRow {
        what: version_words(publication.version),
        is_way_back: publication.is_roll_back,
        refused: publication.refused,
        author: publication.author,
        at: Moment::new(publication.published_at, now),
    };
    Ok(publications.into_iter().map(row).collect())
}

/// What is served, in words.
pub(super) fn version_words(version: Option<i32>) -> String {
    version.map_or_else(|| "the file".to_owned(), |version| format!("version {version}"))
}

impl TextForm {
    fn domains(&self) -> Vec<String> {
        let words = self.domains.split([',', ' ', '\n', '\r']);
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }
}
