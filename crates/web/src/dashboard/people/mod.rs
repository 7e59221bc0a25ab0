//! Pages about people and programs that may come in, and what they did.

mod account;
mod audit;
mod forgot;
mod tenant_forms;
mod tenants;
mod tokens;
mod unsubscribe;
mod users;

use askama::Template;
use axum::response::Response;
use certmill_model::{Permission, Role};
use certmill_store::Reach;
use http::StatusCode;

use super::{frame::Frame, moment::Moment, pages};
use crate::{
    WebState,
    access::{Access, Caller, Routes},
    problem::Problem,
};

/// The routes, each with what it needs.
pub(super) fn routes() -> Routes {
    let users = (Access::Needs(Permission::UsersRead), Access::Needs(Permission::UsersWrite));
    let tokens = (Access::Needs(Permission::TokensRead), Access::Needs(Permission::TokensWrite));
    Routes::default()
        .page("/users", users.0, users::list)
        .page("/users/new", users.1, users::ask_invite)
        .form("/users", users.1, users::invite)
        .page("/users/{user}", users.0, users::show)
        .form("/users/{user}", users.1, users::change)
        .form("/users/{user}/invite", users.1, users::invite_again)
        .page("/users/{user}/remove", users.1, users::ask_remove)
        .form("/users/{user}/remove", users.1, users::remove)
        .page("/tokens", tokens.0, tokens::list)
        .page("/tokens/new", tokens.1, tokens::ask_make)
        .form("/tokens", tokens.1, tokens::make)
        .page("/tokens/{token}/revoke", tokens.1, tokens::ask_revoke)
        .form("/tokens/{token}/revoke", tokens.1, tokens::revoke)
        .merge(tenant_routes())
        .page("/audit", Access::Needs(Permission::AuditRead), audit::list)
        .page("/account", Access::SignedIn, account::show)
        .form("/account", Access::SignedIn, account::change)
        .form("/account/password", Access::SignedIn, account::change_password)
        .form("/account/sessions", Access::SignedIn, account::end_sessions)
        .page("/account/notifications", Access::SignedIn, account::show_mail)
        .form("/account/notifications", Access::SignedIn, account::change_mail)
        .page("/forgot", Access::Open, forgot::ask)
        .form("/forgot", Access::Open, forgot::send)
        .page("/unsubscribe/{token}", Access::Open, unsubscribe::ask)
        // From mail programs, which have no page of ours to say where the form stood (RFC 8058 section 3.1).
        .one_click("/unsubscribe/{token}", unsubscribe::change)
}

/// Of tenants.
fn tenant_routes() -> Routes {
    let manage = Access::Needs(Permission::TenantsManage);
    let (read, write) = (Access::Needs(Permission::TenantRead), Access::Needs(Permission::TenantWrite));
    Routes::default()
        .page("/branding", read, tenants::show_own)
        .page("/tenants", manage, tenants::list)
        .page("/tenants/new", manage, tenants::ask_new)
        .form("/tenants", manage, tenants::add)
        .page("/tenants/{tenant}", read, tenants::show)
        .form("/tenants/{tenant}", write, tenants::change)
        .form("/tenants/{tenant}/branding", write, tenants::change_brand)
        .form("/tenants/{tenant}/logo", write, tenants::change_logo)
        .form("/tenants/{tenant}/suspend", manage, tenants::suspend)
        .form("/tenants/{tenant}/resume", manage, tenants::resume)
        .page("/tenants/{tenant}/delete", manage, tenants::ask_delete)
        .form("/tenants/{tenant}/delete", manage, tenants::delete)
}

/// Something that is shown once: a link or a token.
#[derive(Template)]
#[template(path = "shown_once.html")]
struct ShownOncePage<'a> {
    frame: Frame,
    title: &'a str,
    /// Where it belongs to: the words and the address.
    trail: (&'a str, &'a str),
    words: &'a str,
    secret: &'a str,
    /// A command that uses it.
    command: Option<String>,
    expires: Moment,
}

/// A question before something that cannot be undone.
#[derive(Template)]
#[template(path = "confirm.html")]
pub(super) struct ConfirmPage<'a> {
    pub(super) frame: Frame,
    pub(super) title: &'a str,
    pub(super) trail: (&'a str, &'a str),
    pub(super) words: &'a str,
    pub(super) action: String,
    pub(super) button: &'a str,
}

/// A choice in a form: the value, and what it is called.
struct Choice {
    value: String,
    words: String,
    chosen: bool,
}

/// What a form is refused with that can be mended in it; another problem is answered as it is.
pub(super) fn mendable(problem: Problem) -> Result<(StatusCode, String), Problem> {
    match problem.status {
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT => {
            let status = problem.status;
            Ok((status, problem.detail.into_owned()))
        }
        _ => Err(problem),
    }
}

/// The tenants to choose from for one of the platform's own people; for others none.
async fn tenant_choices(state: &WebState, caller: &Caller, chosen: &str) -> Result<Vec<Choice>, Problem> {
    if caller.reach != Reach::Platform {
        return Ok(Vec::new());
    }
    let tenants = state.store.read_platform().await?.list_tenants().await?;
    let choice = |id: String, words: String| Choice { chosen: id == chosen, value: id, words };
    let all = tenants.into_iter().map(|tenant| choice(tenant.tenant_id.to_string(), tenant.name.to_string()));
    Ok(all.collect())
}

/// A role in words.
fn role(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Viewer: sees",
        Role::Operator => "Operator: sees, and changes domains",
        Role::TenantAdmin => "Tenant administrator: does everything in the tenant",
        Role::PlatformAdmin => "Platform administrator: does everything",
    }
}

/// A role in a word or two.
fn role_name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Viewer",
        Role::Operator => "Operator",
        Role::TenantAdmin => "Tenant administrator",
        Role::PlatformAdmin => "Platform administrator",
    }
}

fn answer(status: StatusCode, page: &impl Template) -> Response {
    pages::answer(status, page)
}
