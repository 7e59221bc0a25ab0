//! The documentation that certmill serves itself: the guides beside the code, a page for each kind of problem, and the
//! operations of the API. It is the same for everybody, and needs no log-in.

mod guides;
mod markdown;
mod operations;

use askama::Template;
use axum::{extract::Path, response::Response};
use certmill_model::ProblemCode;
use http::StatusCode;

use crate::{
    PublicUrl,
    access::{Access, Routes},
    dashboard,
    problem::Problem,
};

/// All pages of the documentation.
pub(crate) fn routes() -> Routes {
    Routes::default().page("/docs", Access::Open, index).page("/docs/{guide}", Access::Open, guide).page(
        "/docs/problems/{code}",
        Access::Open,
        problem,
    )
}

/// Where the section about problems of this kind is found.
pub(crate) fn problem_url(url: &PublicUrl, code: ProblemCode) -> String {
    format!("{url}/docs/problems/{code}")
}

/// Where something is written about refusals with this code.
pub(crate) fn error_url(url: &PublicUrl, code: &str) -> String {
    format!("{url}/docs/errors#{code}")
}

#[derive(Template)]
#[template(path = "docs.html")]
struct IndexPage {
    guides: &'static [guides::Guide],
    groups: Vec<operations::Group>,
}

#[derive(Template)]
#[template(path = "guide.html")]
struct GuidePage {
    title: &'static str,
    html: markdown::Html,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    code: &'static str,
    title: &'static str,
    severity: &'static str,
    fix: &'static str,
    html: markdown::Html,
}

async fn index() -> Response {
    dashboard::page(StatusCode::OK, &IndexPage { guides: guides::ALL, groups: operations::groups() })
}

async fn guide(Path(name): Path<String>) -> Result<Response, Problem> {
    let guide = guides::find(&name).ok_or_else(|| Problem::of_status(StatusCode::NOT_FOUND))?;
    let page = GuidePage { title: guide.title, html: markdown::render(guide.text) };
    Ok(dashboard::page(StatusCode::OK, &page))
}

async fn problem(Path(code): Path<String>) -> Result<Response, Problem> {
    let code: ProblemCode = code.parse().map_err(|_| Problem::of_status(StatusCode::NOT_FOUND))?;
    let section = guides::problem(code).ok_or_else(|| Problem::of_status(StatusCode::NOT_FOUND))?;
    let page = ProblemPage {
        code: code.as_str(),
        title: code.title(),
        severity: code.severity().as_str(),
        fix: code.fix(),
        html: markdown::render(section),
    };
    Ok(dashboard::page(StatusCode::OK, &page))
}
