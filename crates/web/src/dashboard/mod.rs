//! The dashboard: pages for operators, rendered here and complete without scripts.

mod assets;
mod dns;
mod domain;
mod list;
mod login;
mod moment;
mod pages;
mod session;
mod words;

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};

use crate::{WebState, problem::Problem};

/// The content type of every page.
pub(crate) const HTML: &str = "text/html; charset=utf-8";

/// All routes for people.
pub(crate) fn routes() -> Router<WebState> {
    Router::new()
        .route("/", get(list::show))
        .route("/domains/{name}", get(domain::show))
        .route("/domains/{name}/check", post(dns::check))
        .route("/login/{link}", get(login::ask).post(login::open))
        .route("/logout", post(login::close))
        .route("/assets/{file}", get(assets::serve))
}

/// The page that tells of `problem`.
pub(crate) fn error_page(problem: &Problem, request_id: &str) -> Response {
    pages::answer(problem.status, &pages::ErrorPage::new(problem, request_id))
}
