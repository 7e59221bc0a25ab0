//! The REST API, below `/v1`, and the probes beside it.

mod access;
mod body;
mod checks;
mod cursor;
mod documents;
mod domains;
mod name;
mod page;
mod probes;
mod setup;
mod targets;
mod timeline;

use axum::{Json, Router, routing::get};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::WebState;

/// All routes for programs.
pub(crate) fn routes() -> Router<WebState> {
    let (routes, document) = documented().split_for_parts();
    routes.route("/openapi.json", get(async move || Json(document)))
}

/// The description of the API, as `/openapi.json` answers it, indented.
pub fn openapi_json() -> String {
    let mut text = documented().into_openapi().to_pretty_json().expect("the description is plain data");
    text.push('\n');
    text
}

fn documented() -> OpenApiRouter<WebState> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(domains::list))
        .routes(routes!(domains::put, domains::show, domains::delete))
        .routes(routes!(setup::show))
        .routes(routes!(checks::post))
        .routes(routes!(timeline::show))
        .routes(routes!(targets::list))
        .routes(routes!(probes::livez))
        .routes(routes!(probes::readyz))
        .routes(routes!(probes::version))
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "certmill",
        description = "Registers domains, and tells how their certificates fare. A client treats a status, code or \
                       event kind that it does not know as one that is still going on."
    ),
    modifiers(&BearerTokens)
)]
struct Description;

struct BearerTokens;

impl Modify for BearerTokens {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("certmill_…").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}
