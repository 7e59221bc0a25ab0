//! The REST API, below `/v1`, and the probes beside it.

mod audit;
pub(crate) mod bulk;
mod ca_accounts;
pub(crate) mod certificates;
mod cursor;
mod deployments;
mod documents;
mod domains;
mod etag;
mod events;
pub(crate) mod groups;
mod json;
mod lines;
pub(crate) mod metrics;
pub(crate) mod operations;
mod orders;
mod page;
mod probes;
mod refusals;
mod rules;
mod stats;
pub(crate) mod targets;
mod template_documents;
mod templates;
mod tenants;
mod tokens;
mod users;
mod webhooks;

use axum::{Json, Router, routing::get};
use certmill_model::Permission;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use self::{
    domains::{Action, DomainRef, act, domain_json, wanted_version},
    json::patched,
    page::encode,
};
use crate::{
    WebState,
    access::{Access, Routes},
};

/// All routes for programs, each with what it needs.
pub(crate) fn routes() -> Routes {
    let read = Access::Needs(Permission::DomainsRead);
    domains::routes()
        .api(read, routes!(events::list))
        .api(read, routes!(events::stream))
        .api(read, routes!(certificates::list))
        .api(read, routes!(certificates::show))
        .api(read, routes!(orders::list))
        .api(read, routes!(orders::show))
        .api(read, routes!(stats::show))
        .api(read, routes!(stats::expiry))
        .merge(operation_routes())
        .merge(fleet_routes())
        .merge(template_routes())
        .merge(webhook_routes())
        .merge(people_routes())
        .api(Access::Needs(Permission::TargetsRead), routes!(metrics::show))
        .api(Access::Needs(Permission::AuthoritiesRead), routes!(ca_accounts::list))
        .api(Access::Open, routes!(probes::livez))
        .api(Access::Open, routes!(probes::readyz))
        .api(Access::Open, routes!(probes::version))
}

/// What takes long.
fn operation_routes() -> Routes {
    let (read, write) = (Access::Needs(Permission::DomainsRead), Access::Needs(Permission::DomainsWrite));
    Routes::default()
        .upload(write, routes!(bulk::post))
        .api(read, routes!(operations::list))
        .api(read, routes!(operations::show))
        .api(read, routes!(operations::results))
        .api(read, routes!(operations::stream))
        .api(write, routes!(operations::cancel))
}

/// Of people and programs that may come in.
fn people_routes() -> Routes {
    let users = (Access::Needs(Permission::UsersRead), Access::Needs(Permission::UsersWrite));
    let tokens = (Access::Needs(Permission::TokensRead), Access::Needs(Permission::TokensWrite));
    Routes::default()
        .api(users.0, routes!(users::list))
        .api(users.1, routes!(users::invite))
        .api(users.0, routes!(users::show))
        .api(users.1, routes!(users::change))
        .api(users.1, routes!(users::delete))
        .api(users.1, routes!(users::invite_again))
        .api(users.0, routes!(rules::show))
        .api(users.1, routes!(rules::put))
        .api(tokens.0, routes!(tokens::list))
        .api(tokens.1, routes!(tokens::make))
        .api(tokens.0, routes!(tokens::show))
        .api(tokens.1, routes!(tokens::revoke))
        .api(Access::Needs(Permission::AuditRead), routes!(audit::list))
        .merge(tenant_routes())
}

/// Of tenants: what a tenant reads and changes of itself, and what is done to one.
fn tenant_routes() -> Routes {
    let manage = Access::Needs(Permission::TenantsManage);
    let (read, write) = (Access::Needs(Permission::TenantRead), Access::Needs(Permission::TenantWrite));
    Routes::default()
        .api(read, routes!(tenants::list))
        .api(manage, routes!(tenants::create))
        .api(read, routes!(tenants::show))
        .api(write, routes!(tenants::change))
        .api(manage, routes!(tenants::delete))
        .api(manage, routes!(tenants::suspend))
        .api(manage, routes!(tenants::resume))
}

/// Of where events are sent.
fn webhook_routes() -> Routes {
    let (read, write) = (Access::Needs(Permission::WebhooksRead), Access::Needs(Permission::WebhooksWrite));
    Routes::default()
        .api(read, routes!(webhooks::list))
        .api(write, routes!(webhooks::create))
        .api(read, routes!(webhooks::show))
        .api(write, routes!(webhooks::change))
        .api(write, routes!(webhooks::delete))
        .api(write, routes!(webhooks::test))
        .api(write, routes!(webhooks::rotate))
        .api(write, routes!(webhooks::replay))
        .api(read, routes!(webhooks::deliveries))
        .api(write, routes!(webhooks::retry))
}

/// Of what load balancers say.
fn template_routes() -> Routes {
    let (read, write) = (Access::Needs(Permission::TemplatesRead), Access::Needs(Permission::TemplatesWrite));
    Routes::default()
        .api(read, routes!(templates::list))
        .api(write, routes!(templates::create))
        .api(read, routes!(templates::show))
        .api(write, routes!(templates::delete))
        .api(read, routes!(templates::versions))
        .api(write, routes!(templates::save))
        .api(read, routes!(templates::show_version))
        .api(read, routes!(templates::render))
        .api(write, routes!(templates::test))
        .api(read, routes!(templates::show_test))
        .api(write, routes!(templates::publish))
        .api(write, routes!(templates::roll_back))
}

/// What is about load balancers.
fn fleet_routes() -> Routes {
    let (read, write) = (Access::Needs(Permission::TargetsRead), Access::Needs(Permission::TargetsWrite));
    Routes::default()
        .api(read, routes!(targets::list))
        .api(read, routes!(targets::show))
        .api(write, routes!(targets::change))
        .api(write, routes!(targets::delete))
        .api(write, routes!(targets::sync))
        .api(read, routes!(groups::list))
        .api(write, routes!(groups::create))
        .api(write, routes!(groups::delete))
        .api(read, routes!(deployments::list))
}

/// The route of the API's description.
pub(crate) fn description() -> Router<WebState> {
    let document = documented();
    Router::new().route("/openapi.json", get(async move || Json(document)))
}

/// The description of the API, as `/openapi.json` answers it, indented.
pub fn openapi_json() -> String {
    let mut text = documented().to_pretty_json().expect("the description is plain data");
    text.push('\n');
    text
}

/// The description of the API.
pub(crate) fn documented() -> Document {
    routes().describe(OpenApiRouter::with_openapi(Description::openapi())).into_openapi()
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
