//! `/v1/tokens`: which programs may come in.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use certmill_model::TokenId;
use certmill_store::TokenRow;
use http::{HeaderValue, StatusCode, header::LOCATION};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    json::StrictJson,
    page::{ListQuery, Page, cut},
    refusals::{OfAction, OfCreate, OfList, OfRead},
    users::OfTenant,
};
use crate::{
    WebState,
    access::Caller,
    people::{self, MadeToken, TokenText},
    problem::Problem,
};

const LIST: &str = "tokens";
const PATH: &str = "/v1/tokens";

/// A token, without what opens anything.
#[derive(Serialize, ToSchema)]
#[schema(title = "Token")]
pub(super) struct TokenDocument {
    /// The id.
    #[schema(example = "tok_01jd4z6k3m8q2v5w7x9y0a1b2c")]
    id: String,
    /// The id of the tenant that it speaks for; null: the platform.
    tenant: Option<String>,
    /// What it is for.
    name: String,
    /// What it may be used for.
    scopes: Vec<&'static str>,
    /// The name of who made it, where that is known.
    created_by: Option<String>,
    /// The id of the user who made it, or who made the token that it was made with; null where that is not known, or nobody
    /// with an account.
    created_by_user: Option<String>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// Until when it may be used.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// When it was last used, to the minute.
    #[serde(with = "time::serde::rfc3339::option")]
    last_used_at: Option<OffsetDateTime>,
    /// When it was revoked.
    #[serde(with = "time::serde::rfc3339::option")]
    revoked_at: Option<OffsetDateTime>,
}

/// A token that was just made. Without `Debug`.
#[derive(Serialize, ToSchema)]
#[schema(title = "MadeToken")]
pub(super) struct MadeTokenDocument {
    #[serde(flatten)]
    made: TokenDocument,
    /// Its text: shown this once, and kept nowhere.
    #[schema(example = "certmill_…")]
    token: String,
}

/// List tokens, the newest first
///
/// A tenant sees its own, the platform everybody's.
#[utoipa::path(
    get, path = "/v1/tokens", operation_id = "list_tokens", tag = "tokens", security(("token" = [])),
    params(
        ("tenant" = Option<String>, Query, description = "Those of the tenant with this id alone"),
        ("limit" = Option<u16>, Query, description = "Entries on a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<TokenDocument>, headers(("Link" = String, description = "The next page, rel=next"))),
        OfList
    )
)]
pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    query: ListQuery<OfTenant>,
) -> Result<Response, Problem> {
    let before = query.after::<TokenId>(caller.reach, LIST)?;
    let mut reader = state.store.read(caller.reach).await?;
    let mut tokens = reader.list_tokens(query.filter.tenant, before, query.rows()).await?;
    let end = cut(&mut tokens, query.limit, |token| token.token_id.to_string());
    let documents: Vec<_> = tokens.into_iter().map(TokenDocument::from).collect();
    Ok(query.answer(caller.reach, LIST, PATH, documents, end.as_deref()))
}

/// Make a token
///
/// Its text is in this answer alone. Nobody gives a token more than they may do themselves.
#[utoipa::path(
    post, path = "/v1/tokens", operation_id = "make_token", tag = "tokens", security(("token" = [])),
    request_body(content = TokenText, content_type = "application/json"),
    responses(
        (status = 201, description = "Made", body = MadeTokenDocument, headers(("Location" = String, description = "The token"))),
        OfCreate
    )
)]
pub(super) async fn make(
    State(state): State<WebState>,
    caller: Caller,
    StrictJson(text): StrictJson<TokenText>,
) -> Result<Response, Problem> {
    let MadeToken { row, token } = people::make_token(&state, &caller, &text).await?;
    let location = HeaderValue::from_str(&format!("{PATH}/{}", row.token_id));
    let location = location.expect("ids are plain characters");
    let document = MadeTokenDocument { made: row.into(), token: token.expose().to_owned() };
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(document)).into_response())
}

/// Read a token
#[utoipa::path(
    get, path = "/v1/tokens/{token}", operation_id = "show_token", tag = "tokens", security(("token" = [])),
    params(("token" = String, Path, description = "The id")),
    responses((status = 200, description = "The token, without its text", body = TokenDocument), OfRead)
)]
pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(token): Path<String>,
) -> Result<Json<TokenDocument>, Problem> {
    let found = state.store.read(caller.reach).await?.find_token(parse(&token)?).await?;
    Ok(Json(found.ok_or_else(|| Problem::no_such("token"))?.into()))
}

/// Revoke a token
///
/// The next request with it is refused. Repeating it is harmless.
#[utoipa::path(
    delete, path = "/v1/tokens/{token}", operation_id = "revoke_token", tag = "tokens", security(("token" = [])),
    params(("token" = String, Path, description = "The id")),
    responses((status = 204, description = "Revoked"), OfAction)
)]
pub(super) async fn revoke(
    State(state): State<WebState>,
    caller: Caller,
    Path(token): Path<String>,
) -> Result<StatusCode, Problem> {
    people::revoke_token(&state, &caller, parse(&token)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn parse(id: &str) -> Result<TokenId, Problem> {
    id.parse().map_err(|_| Problem::no_such("token"))
}

impl From<TokenRow> for TokenDocument {
    fn from(row: TokenRow) -> Self {
        Self {
            id: row.token_id.to_string(),
            tenant: row.tenant_id.map(|tenant| tenant.to_string()),
            name: row.name,
            scopes: row.scopes.into_iter().map(certmill_model::Scope::as_str).collect(),
            created_by: row.created_by,
            created_by_user: row.created_by_user.map(|user| user.to_string()),
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        }
    }
}
