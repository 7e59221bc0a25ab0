//! `/v1/users/{user}/notification-rule`: what a user is mailed.

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use certmill_model::AlertLevel;
use certmill_store::RuleRow;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    etag::{IfMatch, tagged},
    json::StrictJson,
    refusals::{OfChange, OfRead},
    users::parse,
};
use crate::{
    WebState,
    access::Caller,
    people::{self, RuleText},
    problem::Problem,
};

/// What a user is mailed: of the tenant's names, or of everybody's to the platform's own people.
#[derive(Serialize, ToSchema)]
#[schema(title = "NotificationRule")]
pub(super) struct RuleDocument {
    /// From which level on alerts are mailed: `notice`, `late`, `urgent`, `page` or `expired`; null: none.
    #[schema(example = "late")]
    least_level: Option<&'static str>,
    /// How often a digest is mailed: `off`, `daily` or `weekly`.
    digest: &'static str,
    /// Since when nothing is mailed, because of the link in a mail; null: it is. A change takes that back.
    #[serde(with = "time::serde::rfc3339::option")]
    unsubscribed_at: Option<OffsetDateTime>,
}

/// Read what a user is mailed
///
/// Somebody who was never asked is mailed what is usual.
#[utoipa::path(
    get, path = "/v1/users/{user}/notification-rule", operation_id = "show_notification_rule", tag = "users", security(("token" = [])),
    params(("user" = String, Path, description = "The id")),
    responses(
        (status = 200, description = "What is mailed", body = RuleDocument, headers(("ETag" = String, description = "The version"))),
        OfRead
    )
)]
pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(user): Path<String>,
) -> Result<Response, Problem> {
    let mut tx = state.store.read(caller.reach).await?;
    let user = tx.find_user(parse(&user)?).await?.ok_or_else(|| Problem::no_such("user"))?;
    Ok(answer(&people::rule_of(&state, &mut tx, &user).await?))
}

/// Change what a user is mailed
#[utoipa::path(
    put, path = "/v1/users/{user}/notification-rule", operation_id = "put_notification_rule", tag = "users", security(("token" = [])),
    params(
        ("user" = String, Path, description = "The id"),
        ("If-Match" = Option<String>, Header, description = "The version that was read"),
    ),
    request_body(content = RuleText, content_type = "application/json"),
    responses(
        (status = 200, description = "Changed", body = RuleDocument, headers(("ETag" = String, description = "The version"))),
        OfChange
    )
)]
pub(super) async fn put(
    State(state): State<WebState>,
    caller: Caller,
    Path(user): Path<String>,
    if_match: IfMatch,
    StrictJson(text): StrictJson<RuleText>,
) -> Result<Response, Problem> {
    let expected = |revision| if_match.check(revision);
    Ok(answer(&people::put_rule(&state, &caller, parse(&user)?, &text, expected).await?))
}

fn answer(rule: &RuleRow) -> Response {
    let document = RuleDocument {
        least_level: rule.least_level.map(AlertLevel::as_str),
        digest: rule.digest.as_str(),
        unsubscribed_at: rule.unsubscribed_at,
    };
    tagged(rule.revision, Json(document))
}
