//! `/templates`: what load balancers say for domains, with versions that are tried before they are published.

mod editor;
mod text;
mod version;

use askama::Template;
use axum::{Form, extract::State, response::Response};
use certmill_model::Permission;
use certmill_store::TemplateRow;
use http::StatusCode;
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    frame::Frame,
    moment::Moment,
    pages,
    people::mendable,
    visit::done,
    words::{self, Look},
};
use crate::{
    WebState,
    access::{Access, Caller, Routes},
    problem::Problem,
    templates,
};

/// The routes of these pages.
pub(super) fn routes() -> Routes {
    let (read, write) = (Access::Needs(Permission::TemplatesRead), Access::Needs(Permission::TemplatesWrite));
    Routes::default()
        .page("/templates", read, list)
        .form("/templates", write, create)
        .page("/templates/{template}", read, editor::show)
        .form("/templates/{template}", write, editor::save)
        .form("/templates/{template}/preview", read, editor::preview)
        .page("/templates/{template}/remove", write, editor::ask_remove)
        .form("/templates/{template}/remove", write, editor::remove)
        .page("/templates/{template}/versions/{version}", read, version::show)
        .form("/templates/{template}/versions/{version}/test", write, version::test)
        .form("/templates/{template}/versions/{version}/publish", write, version::publish)
        .page("/templates/{template}/rollback", write, version::ask_roll_back)
        .form("/templates/{template}/rollback", write, version::roll_back)
}

/// A template in the table.
struct Row {
    id: String,
    name: String,
    form: &'static str,
    look: Look,
    /// A version that is newer than what is served.
    newer: Option<i32>,
    changed: Moment,
}

/// All templates.
#[derive(Template)]
#[template(path = "templates.html")]
struct TemplatesPage {
    frame: Frame,
    rows: Vec<Row>,
    form: NewForm,
    may_change: bool,
    fault: Option<String>,
}

/// What somebody typed to make a template.
#[derive(Default, Deserialize)]
struct NewForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    form: String,
}

/// Which version of a template somebody looks at when they change it.
#[derive(Deserialize)]
struct Seen {
    revision: i64,
}

async fn list(State(state): State<WebState>, caller: Caller) -> Result<Response, Problem> {
    list_page(&state, &caller, StatusCode::OK, NewForm::default(), None).await
}

async fn create(
    State(state): State<WebState>,
    caller: Caller,
    Form(form): Form<NewForm>,
) -> Result<Response, Problem> {
    match add(&state, &caller, &form).await {
        Ok(path) => {
            let words = "The template is there, with a text to begin with. Nobody is served with it yet.";
            Ok(done(&state, &caller, &path, words))
        }
        Err(problem) => {
            let (status, fault) = mendable(problem)?;
            list_page(&state, &caller, status, form, Some(fault)).await
        }
    }
}

async fn add(state: &WebState, caller: &Caller, form: &NewForm) -> Result<String, Problem> {
    let template = templates::named(form.name.trim(), &form.form)?;
    let text = templates::first_text(&template);
    templates::create(state, caller, &template, (text, "")).await?;
    Ok(format!("/templates/{template}"))
}

async fn list_page(
    state: &WebState,
    caller: &Caller,
    status: StatusCode,
    form: NewForm,
    fault: Option<String>,
) -> Result<Response, Problem> {
    let rows = state.store.read(caller.reach).await?.list_templates().await?;
    let page = TemplatesPage {
        frame: Frame::new(caller, "/templates"),
        rows: rows.into_iter().map(|row| Row::new(row, state.now())).collect(),
        form,
        may_change: caller.may(Permission::TemplatesWrite),
        fault,
    };
    Ok(pages::answer(status, &page))
}

impl Row {
    fn new(row: TemplateRow, now: OffsetDateTime) -> Self {
        Self {
            id: format!("{}:{}", row.name, row.form.as_str()),
            form: row.form.as_str(),
            look: words::template(row.published_version.is_some(), row.has_file),
            newer: row.latest_version.filter(|version| Some(*version) > row.published_version),
            changed: Moment::new(row.updated_at, now),
            name: row.name,
        }
    }
}
