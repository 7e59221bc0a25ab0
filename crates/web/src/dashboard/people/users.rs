//! `/users`: who may come in.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::Response,
};
use certmill_model::{EmailAddress, Role, UserId};
use certmill_store::{Reach, User};
use http::StatusCode;
use serde::Deserialize;
use time::OffsetDateTime;

use super::{Choice, ShownOncePage, answer, mendable, role, role_name, tenant_choices};
use crate::{
    WebState,
    access::Caller,
    dashboard::{
        frame::Frame,
        moment::Moment,
        pages::unchanged_since,
        visit::done,
        words::{Look, user_status},
    },
    people::{self, InvitationText, Invited, UserText},
    problem::Problem,
};

/// Rows on a page.
const ROWS: usize = 50;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    after: String,
}

/// What somebody typed; also of the change of a user.
#[derive(Default, Deserialize)]
pub(super) struct UserForm {
    #[serde(default)]
    tenant: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    language: String,
    #[serde(default)]
    revision: i64,
    #[serde(default)]
    disabled: String,
    #[serde(default)]
    revoke_tokens: String,
}

/// What is removed with a user.
#[derive(Deserialize)]
pub(super) struct RemovalForm {
    #[serde(default)]
    revoke_tokens: String,
}

struct Row {
    id: String,
    name: String,
    email: String,
    role: &'static str,
    tenant: Option<String>,
    look: Look,
    last_login: Option<Moment>,
}

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    frame: Frame,
    rows: Vec<Row>,
    is_platforms: bool,
    may_write: bool,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "user_new.html")]
struct InvitePage<'a> {
    frame: Frame,
    form: &'a UserForm,
    fault: Option<String>,
    tenants: Vec<Choice>,
    roles: Vec<Choice>,
}

#[derive(Template)]
#[template(path = "user.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that the page shows or not")]
struct UserPage {
    frame: Frame,
    row: Row,
    language: String,
    revision: i64,
    fault: Option<String>,
    roles: Vec<Choice>,
    may_write: bool,
    is_own: bool,
    is_disabled: bool,
    has_password: bool,
    created: Moment,
    /// Tokens that the user made and that still open something, in words; `None`: there are none.
    tokens: Option<String>,
}

/// The question before a user is removed.
#[derive(Template)]
#[template(path = "user_remove.html")]
struct RemovePage<'a> {
    frame: Frame,
    title: &'a str,
    trail: (&'a str, &'a str),
    words: &'a str,
    action: String,
    button: &'a str,
    tokens: Option<String>,
}

pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let after = EmailAddress::parse(&query.after).ok();
    let mut tx = state.store.read(caller.reach).await?;
    let mut users = tx.list_users(None, after.as_ref().map(EmailAddress::as_str), ROWS as i64 + 1).await?;
    let more = users.len() > ROWS;
    users.truncate(ROWS);
    let tenants: Vec<_> = users.iter().filter_map(|user| user.tenant_id).collect();
    let names = tx.tenant_names(&tenants).await?;
    let row = |user: &User| {
        let tenant = user.tenant_id.and_then(|tenant| names.get(&tenant).cloned());
        Row::new(user, tenant, state.now())
    };
    let page = UsersPage {
        frame: Frame::new(&caller, "/users"),
        rows: users.iter().map(row).collect(),
        is_platforms: caller.reach == Reach::Platform,
        may_write: caller.may(certmill_model::Permission::UsersWrite),
        next: users.last().filter(|_| more).map(|user| user.email.to_string()),
    };
    Ok(answer(StatusCode::OK, &page))
}

/// The form for an invitation.
pub(super) async fn ask_invite(State(state): State<WebState>, caller: Caller) -> Result<Response, Problem> {
    invite_page(&state, &caller, &UserForm::default(), StatusCode::OK, None).await
}

/// Invites somebody.
pub(super) async fn invite(
    State(state): State<WebState>,
    caller: Caller,
    Form(form): Form<UserForm>,
) -> Result<Response, Problem> {
    let text = InvitationText {
        tenant: Some(form.tenant.clone()),
        email: form.email.trim().to_owned(),
        name: form.name.clone(),
        role: form.role.clone(),
        language: Some(form.language.clone()),
    };
    match people::invite(&state, &caller, &text).await {
        Ok(invited) => Ok(invited_page(&state, &caller, &invited)),
        Err(problem) => {
            let (status, fault) = mendable(problem)?;
            invite_page(&state, &caller, &form, status, Some(fault)).await
        }
    }
}

/// Gives a user a new link.
pub(super) async fn invite_again(
    State(state): State<WebState>,
    caller: Caller,
    Path(user): Path<String>,
) -> Result<Response, Problem> {
    let invited = people::invite_again(&state, &caller, parse(&user)?).await?;
    Ok(invited_page(&state, &caller, &invited))
}

pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(user): Path<String>,
) -> Result<Response, Problem> {
    user_page(&state, &caller, parse(&user)?, StatusCode::OK, None).await
}

/// Changes a user.
pub(super) async fn change(
    State(state): State<WebState>,
    caller: Caller,
    Path(user): Path<String>,
    Form(form): Form<UserForm>,
) -> Result<Response, Problem> {
    let id = parse(&user)?;
    let set = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let text = UserText {
        name: Some(form.name.clone()),
        role: set(&form.role),
        language: set(&form.language),
        disabled: Some(form.disabled == "on"),
        revoke_tokens: Some(form.revoke_tokens == "on"),
    };
    match people::change_user(&state, &caller, id, &text, unchanged_since(form.revision)).await {
        Ok(user) => {
            let words = format!("{} is changed.", user.name);
            Ok(done(&state, &caller, &format!("/users/{id}"), &words))
        }
        Err(problem) => {
            let (status, fault) = mendable(problem)?;
            user_page(&state, &caller, id, status, Some(fault)).await
        }
    }
}

/// Asks whether a user is to be removed.
pub(super) async fn ask_remove(
    State(state): State<WebState>,
    caller: Caller,
    Path(user): Path<String>,
) -> Result<Response, Problem> {
    let user = find(&state, &caller, parse(&user)?).await?;
    let title = format!("Remove {}?", user.name);
    let page = RemovePage {
        frame: Frame::new(&caller, "/users"),
        title: &title,
        trail: ("Users", "/users"),
        words: "Every session of the user ends at once, and the address can be invited again. The audit log keeps what the \
                user did.",
        action: format!("/users/{}/remove", user.user_id),
        button: "Remove the user",
        tokens: tokens_in_words(people::open_tokens(&state, &caller, user.user_id).await?),
    };
    Ok(answer(StatusCode::OK, &page))
}

/// Removes a user.
pub(super) async fn remove(
    State(state): State<WebState>,
    caller: Caller,
    Path(user): Path<String>,
    Form(form): Form<RemovalForm>,
) -> Result<Response, Problem> {
    people::delete_user(&state, &caller, parse(&user)?, form.revoke_tokens == "on", |_| Ok(())).await?;
    Ok(done(&state, &caller, "/users", "The user is removed."))
}

fn parse(id: &str) -> Result<UserId, Problem> {
    id.parse().map_err(|_| Problem::no_such("user"))
}

async fn find(state: &WebState, caller: &Caller, id: UserId) -> Result<User, Problem> {
    let found = state.store.read(caller.reach).await?.find_user(id).await?;
    found.ok_or_else(|| Problem::no_such("user"))
}

async fn invite_page(
    state: &WebState,
    caller: &Caller,
    form: &UserForm,
    status: StatusCode,
    fault: Option<String>,
) -> Result<Response, Problem> {
    let roles = match caller.reach {
        Reach::Platform => Role::ALL,
        Reach::Tenant(_) => Role::possible(false),
    };
    let page = InvitePage {
        frame: Frame::new(caller, "/users"),
        form,
        fault,
        tenants: tenant_choices(state, caller, &form.tenant).await?,
        roles: role_choices(roles, &form.role),
    };
    Ok(answer(status, &page))
}

async fn user_page(
    state: &WebState,
    caller: &Caller,
    id: UserId,
    status: StatusCode,
    fault: Option<String>,
) -> Result<Response, Problem> {
    let user = find(state, caller, id).await?;
    let tenants: Vec<_> = user.tenant_id.into_iter().collect();
    let names = state.store.read(caller.reach).await?.tenant_names(&tenants).await?;
    let page = UserPage {
        frame: Frame::new(caller, "/users"),
        row: Row::new(&user, names.into_values().next(), state.now()),
        language: user.language.clone(),
        revision: user.revision,
        fault,
        roles: role_choices(Role::possible(user.tenant_id.is_none()), user.role.as_str()),
        may_write: caller.may(certmill_model::Permission::UsersWrite),
        is_own: caller.user_id == Some(id),
        is_disabled: user.disabled_at.is_some(),
        has_password: user.has_password,
        created: Moment::new(user.created_at, state.now()),
        tokens: tokens_in_words(people::open_tokens(state, caller, id).await?),
    };
    Ok(answer(status, &page))
}

fn tokens_in_words(open: i64) -> Option<String> {
    match open {
        0 => None,
        1 => Some("1 token".into()),
        more => Some(format!("{more} tokens")),
    }
}

fn role_choices(roles: &[Role], chosen: &str) -> Vec<Choice> {
    let choice = |one: &Role| Choice {
        value: one.as_str().to_owned(),
        words: role(*one).to_owned(),
        chosen: one.as_str() == chosen,
    };
    roles.iter().map(choice).collect()
}

/// Says where the link went, or shows it.
fn invited_page(state: &WebState, caller: &Caller, invited: &Invited) -> Response {
    let user = &invited.user;
    let path = format!("/users/{}", user.user_id);
    let Some(link) = &invited.link else {
        let words = format!("The link is on its way to {}.", user.email);
        return done(state, caller, &path, &words);
    };
    let title = format!("Link for {}", user.name);
    let words =
        "Hand this link over yourself: no mail server is set up. It lets its holder set the password, once.";
    let page = ShownOncePage {
        frame: Frame::new(caller, "/users"),
        title: &title,
        trail: ("Users", "/users"),
        words,
        secret: link,
        command: None,
        expires: Moment::new(invited.expires_at, state.now()),
    };
    answer(StatusCode::OK, &page)
}

impl Row {
    fn new(user: &User, tenant: Option<String>, now: OffsetDateTime) -> Self {
        Self {
            id: user.user_id.to_string(),
            name: user.name.to_string(),
            email: user.email.to_string(),
            role: role_name(user.role),
            tenant,
            look: user_status(people::status_of(user)),
            last_login: user.last_login_at.map(|at| Moment::new(at, now)),
        }
    }
}
