//! `/v1/users`: who may come in.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use certmill_model::{EmailAddress, TenantId, UserId};
use certmill_store::{ScopedTx, User};
use http::{HeaderValue, StatusCode, header::LOCATION};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    etag::{IfMatch, tagged},
    json::{MergePatch, StrictJson},
    page::{Filters, ListQuery, Page, cut},
    refusals::{OfAction, OfChange, OfCreate, OfList, OfRead},
};
use crate::{
    WebState,
    access::Caller,
    people::{self, InvitationText, Invited, UserText},
    problem::Problem,
};

const LIST: &str = "users";
const PATH: &str = "/v1/users";

/// Whose users are listed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfTenant {
    pub(super) tenant: Option<TenantId>,
}

/// What is removed with a user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Removal {
    revoke_tokens: Option<YesNo>,
}

/// As it is written in a query.
#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum YesNo {
    True,
    False,
}

/// A user.
#[derive(Serialize, ToSchema)]
#[schema(title = "User")]
pub(super) struct UserDocument {
    /// The id.
    #[schema(example = "usr_01jd4z6k3m8q2v5w7x9y0a1b2c")]
    id: String,
    /// The id of the tenant; null: one of the platform's own people.
    tenant: Option<String>,
    /// The address.
    email: String,
    /// The name.
    name: String,
    /// `viewer`, `operator`, `tenant_admin` or `platform_admin`.
    role: &'static str,
    /// The language of mail: `en` or `de`.
    language: String,
    /// `invited`: no password was set yet; `active`; `disabled`: locked out.
    status: &'static str,
    /// How many tokens that the user made, or that were made with one of these, still open something: they do so too when the
    /// user is locked out, removed or given another role, unless they are revoked with it.
    open_tokens: i64,
    /// When the user was invited.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When the user last logged in.
    #[serde(with = "time::serde::rfc3339::option")]
    last_login_at: Option<OffsetDateTime>,
}

/// A user who has a link that sets a password.
#[derive(Serialize, ToSchema)]
#[schema(title = "InvitedUser")]
pub(super) struct InvitedDocument {
    #[serde(flatten)]
    user: UserDocument,
    /// The link.
    invitation: InvitationDocument,
}

/// A link that sets a password.
#[derive(Serialize, ToSchema)]
#[schema(title = "InvitationLink")]
pub(super) struct InvitationDocument {
    /// The link, shown this once, for you to hand over; null: it was mailed to the user instead.
    link: Option<String>,
    /// Until when it works.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// List users by address
///
/// A tenant sees its own, the platform everybody's.
#[utoipa::path(
    get, path = "/v1/users", operation_id = "list_users", tag = "users", security(("token" = [])),
    params(
        ("tenant" = Option<String>, Query, description = "Those of the tenant with this id alone"),
        ("limit" = Option<u16>, Query, description = "Entries on a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<UserDocument>, headers(("Link" = String, description = "The next page, rel=next"))),
        OfList
    )
)]
pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    query: ListQuery<OfTenant>,
) -> Result<Response, Problem> {
    let after = query.after::<EmailAddress>(caller.reach, LIST)?;
    let after = after.as_ref().map(EmailAddress::as_str);
    let mut reader = state.store.read(caller.reach).await?;
    let mut users = reader.list_users(query.filter.tenant, after, query.rows()).await?;
    let end = cut(&mut users, query.limit, |user| user.email.to_string());
    let documents = documents(&state, &mut reader, users).await?;
    Ok(query.answer(caller.reach, LIST, PATH, documents, end.as_deref()))
}

/// Invite a user
#[utoipa::path(
    post, path = "/v1/users", operation_id = "invite_user", tag = "users", security(("token" = [])),
    request_body(content = InvitationText, content_type = "application/json"),
    responses(
        (status = 201, description = "Invited", body = InvitedDocument, headers(("Location" = String, description = "The user"), ("ETag" = String, description = "The version"))),
        OfCreate
    )
)]
pub(super) async fn invite(
    State(state): State<WebState>,
    caller: Caller,
    StrictJson(text): StrictJson<InvitationText>,
) -> Result<Response, Problem> {
    let invited = people::invite(&state, &caller, &text).await?;
    let revision = invited.user.revision;
    let document = invited_document(&state, &caller, invited).await?;
    let location = HeaderValue::from_str(&format!("{PATH}/{}", document.user.id));
    let location = location.expect("ids are plain characters");
    Ok(tagged(revision, (StatusCode::CREATED, [(LOCATION, location)], Json(document))))
}

/// Read a user
#[utoipa::path(
    get, path = "/v1/users/{user}", operation_id = "show_user", tag = "users", security(("token" = [])),
    params(("user" = String, Path, description = "The id")),
    responses(
        (status = 200, description = "The user", body = UserDocument, headers(("ETag" = String, description = "The version"))),
        OfRead
    )
)]
pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(user): Path<String>,
) -> Result<Response, Problem> {
    let found = state.store.read(caller.reach).await?.find_user(parse(&user)?).await?;
    let found = found.ok_or_else(|| Problem::no_such("user"))?;
    Ok(tagged(found.revision, Json(document(&state, &caller, found).await?)))
}

/// Change a user
///
/// Nobody changes their own role or locks themselves out, and one `platform_admin` stays.
#[utoipa::path(
    patch, path = "/v1/users/{user}", operation_id = "change_user", tag = "users", security(("token" = [])),
    params(
        ("user" = String, Path, description = "The id"),
        ("If-Match" = Option<String>, Header, description = "The version that was read"),
    ),
    request_body(content = UserText, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "Changed", body = UserDocument, headers(("ETag" = String, description = "The version"))),
        OfChange
    )
)]
pub(super) async fn change(
    State(state): State<WebState>,
    caller: Caller,
    Path(user): Path<String>,
    if_match: IfMatch,
    MergePatch(text): MergePatch<UserText>,
) -> Result<Response, Problem> {
    let expected = |revision| if_match.check(revision);
    let user = people::change_user(&state, &caller, parse(&user)?, &text, expected).await?;
    Ok(tagged(user.revision, Json(document(&state, &caller, user).await?)))
}

/// Remove a user
///
/// Every session of the user ends at once. What the user's tokens open, `open_tokens` of them, goes on unless `revoke_tokens` is true.
#[utoipa::path(
    delete, path = "/v1/users/{user}", operation_id = "delete_user", tag = "users", security(("token" = [])),
    params(
        ("user" = String, Path, description = "The id"),
        ("revoke_tokens" = Option<bool>, Query, description = "Whether every token that the user made, or that was made with one of these, is revoked as well; false by default"),
        ("If-Match" = Option<String>, Header, description = "The version that was read"),
    ),
    responses((status = 204, description = "Removed"), OfAction)
)]
pub(super) async fn delete(
    State(state): State<WebState>,
    caller: Caller,
    Path(user): Path<String>,
    Filters(removal): Filters<Removal>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let expected = |revision| if_match.check(revision);
    let revoke_tokens = removal.revoke_tokens == Some(YesNo::True);
    people::delete_user(&state, &caller, parse(&user)?, revoke_tokens, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Invite a user again
///
/// Makes a new link; earlier ones end. For a user who has a password it sets another one, and works for an hour.
#[utoipa::path(
    post, path = "/v1/users/{user}/invite", operation_id = "invite_user_again", tag = "users", security(("token" = [])),
    params(("user" = String, Path, description = "The id")),
    responses((status = 200, description = "Invited", body = InvitedDocument), OfAction)
)]
pub(super) async fn invite_again(
    State(state): State<WebState>,
    caller: Caller,
    Path(user): Path<String>,
) -> Result<Response, Problem> {
    let invited = people::invite_again(&state, &caller, parse(&user)?).await?;
    Ok(Json(invited_document(&state, &caller, invited).await?).into_response())
}

pub(super) fn parse(id: &str) -> Result<UserId, Problem> {
    id.parse().map_err(|_| Problem::no_such("user"))
}

async fn documents(
    state: &WebState,
    reader: &mut ScopedTx,
    users: Vec<User>,
) -> Result<Vec<UserDocument>, Problem> {
    let ids: Vec<_> = users.iter().map(|user| user.user_id).collect();
    let open = reader.open_tokens_of(&ids, state.now()).await?;
    let document = |user: User| {
        let open_tokens = open.get(&user.user_id).copied().unwrap_or_default();
        UserDocument::new(user, open_tokens)
    };
    Ok(users.into_iter().map(document).collect())
}

async fn document(state: &WebState, caller: &Caller, user: User) -> Result<UserDocument, Problem> {
    let open_tokens = people::open_tokens(state, caller, user.user_id).await?;
    Ok(UserDocument::new(user, open_tokens))
}

async fn invited_document(
    state: &WebState,
    caller: &Caller,
    invited: Invited,
) -> Result<InvitedDocument, Problem> {
    let Invited { user, link, expires_at } = invited;
    let user = document(state, caller, user).await?;
    Ok(InvitedDocument { user, invitation: InvitationDocument { link, expires_at } })
}

impl UserDocument {
    fn new(user: User, open_tokens: i64) -> Self {
        Self {
            id: user.user_id.to_string(),
            tenant: user.tenant_id.map(|tenant| tenant.to_string()),
            email: user.email.to_string(),
            name: user.name.to_string(),
            role: user.role.as_str(),
            status: people::status_of(&user).as_str(),
            open_tokens,
            language: user.language,
            created_at: user.created_at,
            last_login_at: user.last_login_at,
        }
    }
}
