//! The dashboard: pages for operators, rendered here and complete without scripts.

mod actions;
mod alert;
mod alerts;
pub(crate) mod assets;
mod bulk;
mod certificate;
mod dns;
mod domain;
mod export;
mod fleet;
mod frame;
mod inventory;
mod list;
mod login;
mod moment;
mod operation_words;
mod operations;
mod overview;
mod owner;
mod owner_words;
pub(crate) mod pages;
mod password;
mod past;
mod people;
mod pictures;
mod session;
mod settings;
mod templates;
mod visit;
mod webhooks;
mod words;

use axum::response::Response;
use certmill_model::Permission;

use crate::{
    access::{Access, Routes},
    brand::Face,
    problem::Problem,
};

pub(crate) use pages::answer as page;
pub(crate) use session::session_id;
pub(crate) use visit::{Visit, said, theme};

/// The content type of every page.
pub(crate) const HTML: &str = "text/html; charset=utf-8";

/// All routes for people, each with what it needs.
pub(crate) fn routes() -> Routes {
    let (read, write) = (Access::Needs(Permission::DomainsRead), Access::Needs(Permission::DomainsWrite));
    Routes::default()
        .page("/", read, overview::show)
        .page("/certificates", read, inventory::certificates)
        .page("/certificates/{certificate}", read, certificate::show)
        .page("/certificates/{certificate}/chain.pem", read, certificate::chain)
        .page("/orders", read, inventory::orders)
        .page("/operations", read, operations::list)
        .page("/operations/{operation}", read, operations::show)
        .page("/operations/{operation}/results.ndjson", read, operations::download)
        .form("/operations/{operation}/cancel", write, operations::cancel)
        .page("/alerts", read, alerts::show)
        .page("/alerts/{alert}", read, alert::show)
        .page("/alerts/{alert}/domains.csv", read, alert::names)
        .form("/alerts/{alert}/mute", write, alert::mute)
        .form("/alerts/{alert}/unmute", write, alert::unmute)
        .page("/domains", read, list::show)
        .page("/exports/{file}", read, export::download)
        .page("/domains/new", write, actions::ask_new)
        .form("/domains", write, actions::add)
        .page("/domains/bulk", write, bulk::ask)
        .form("/domains/bulk", write, bulk::start)
        .page("/domains/{name}", read, domain::show)
        .page("/domains/{name}/change", write, actions::ask_change)
        .form("/domains/{name}/change", write, actions::change)
        .page("/domains/{name}/remove", write, actions::ask_remove)
        .form("/domains/{name}/remove", write, actions::remove)
        .page("/domains/{name}/link", write, actions::ask_link)
        .form("/domains/{name}/link", write, actions::make_link)
        .form("/domains/{name}/check", write, dns::check)
        .form("/domains/{name}/renew", write, actions::renew)
        .form("/domains/{name}/pause", write, actions::pause)
        .form("/domains/{name}/resume", write, actions::resume)
        .page("/setup/{link}", Access::Open, owner::show)
        .form("/setup/{link}/check", Access::Open, owner::check)
        .merge(fleet::routes())
        .merge(templates::routes())
        .merge(webhooks::routes())
        .page("/settings", Access::Needs(Permission::SettingsRead), settings::show)
        .page("/login", Access::Open, login::ask)
        .form("/login", Access::Open, login::open)
        .page("/login/{link}", Access::Open, login::ask_by_link)
        .form("/login/{link}", Access::Open, login::open_by_link)
        .page("/password/{link}", Access::Open, password::ask)
        .form("/password/{link}", Access::Open, password::set)
        .form("/preferences", Access::SignedIn, visit::prefer)
        .form("/logout", Access::SignedIn, login::close)
        .page("/assets/{file}", Access::Open, assets::serve)
        .merge(people::routes())
}

/// The page that tells of `problem`, in the colours that the reader chose and as the reader's tenant appears.
pub(crate) fn error_page(
    problem: &Problem,
    request_id: &str,
    theme: Option<&str>,
    face: Option<&Face>,
) -> Response {
    pages::answer(problem.status, &pages::ErrorPage::new(problem, request_id, theme, face))
}
