//! `/v1/webhook-endpoints`: where events are sent, and what has become of each.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use certmill_model::{WebhookDeliveryId, WebhookDeliveryStatus, WebhookEndpointId};
use certmill_store::{WebhookDelivery, WebhookEndpoint};
use http::{HeaderValue, StatusCode, header::LOCATION};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    etag::{IfMatch, tagged},
    json::{MergePatch, StrictJson},
    page::{ListQuery, Page, PageQuery, cut, instant},
    refusals::{OfAction, OfChange, OfCreate, OfList, OfRead},
};
use crate::{
    WebState,
    access::Caller,
    problem::Problem,
    webhooks::{self, WebhookPatch, WebhookText},
};

const LIST: &str = "webhook endpoints";
const PATH: &str = "/v1/webhook-endpoints";

/// Where events are sent, without what they are signed with.
#[derive(Serialize, ToSchema)]
#[schema(title = "WebhookEndpoint")]
pub(super) struct EndpointDocument {
    /// The id.
    #[schema(example = "whe_01jd4z6k3m8q2v5w7x9y0a1b2c")]
    id: String,
    /// The id of the tenant whose events it is sent; null: every tenant's.
    tenant: Option<String>,
    /// Where to.
    url: String,
    /// The types that it is sent; null: every one that is not quiet.
    types: Option<Vec<&'static str>>,
    /// What it is for.
    description: String,
    /// Since when nothing is sent to it; null: something is.
    #[serde(with = "time::serde::rfc3339::option")]
    disabled_at: Option<OffsetDateTime>,
    /// Why nothing is.
    disabled_reason: Option<String>,
    /// The first failure since the last success.
    #[serde(with = "time::serde::rfc3339::option")]
    failing_since: Option<OffsetDateTime>,
    /// Until when the secret before signs too.
    #[serde(with = "time::serde::rfc3339::option")]
    previous_secret_until: Option<OffsetDateTime>,
    /// Whether events are being sent again.
    replaying: bool,
    /// When it was added.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

/// An endpoint, with a secret that was just made. Without `Debug`.
#[derive(Serialize, ToSchema)]
#[schema(title = "WebhookEndpointWithSecret")]
pub(super) struct SecretDocument {
    #[serde(flatten)]
    endpoint: EndpointDocument,
    /// What webhooks are signed with: shown this once.
    #[schema(example = "whsec_…")]
    secret: String,
}

/// What has become of an event that was to be sent.
#[derive(Serialize, ToSchema)]
#[schema(title = "WebhookDelivery")]
pub(super) struct DeliveryDocument {
    /// The id.
    id: String,
    /// The event, whose id is the message's as well (`webhook-id`).
    event: String,
    /// What happened.
    #[serde(rename = "type")]
    kind: &'static str,
    /// `pending`, `delivered` or `failed`.
    status: &'static str,
    /// Attempts so far.
    attempts: u32,
    /// The next attempt.
    #[serde(with = "time::serde::rfc3339::option")]
    next_attempt_at: Option<OffsetDateTime>,
    /// The last attempt.
    #[serde(with = "time::serde::rfc3339::option")]
    last_attempt_at: Option<OffsetDateTime>,
    /// The HTTP status of its answer.
    response_status: Option<u16>,
    /// Why there was none, or why that one is no success.
    error: Option<String>,
    /// The first kilobyte of its answer.
    answer: Option<String>,
    /// How long it took.
    duration_ms: Option<u32>,
    /// When it was planned.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// A test that is about to be sent.
#[derive(Serialize, ToSchema)]
pub(super) struct TestDocument {
    /// The id of the delivery.
    delivery: String,
}

/// From when on events are sent again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayFrom {
    /// The first instant.
    #[serde(deserialize_with = "instant")]
    from: OffsetDateTime,
}

/// Which deliveries are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveryFilter {
    status: Option<WebhookDeliveryStatus>,
}

/// List webhook endpoints, the newest first
#[utoipa::path(
    get, path = "/v1/webhook-endpoints", operation_id = "list_webhook_endpoints", tag = "webhooks", security(("token" = [])),
    params(
        ("limit" = Option<u16>, Query, description = "Entries on a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Page<EndpointDocument>, headers(("Link" = String, description = "The next page, rel=next"))), OfList)
)]
pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    query: PageQuery,
) -> Result<Response, Problem> {
    let before = query.after::<WebhookEndpointId>(caller.reach, LIST)?;
    let mut rows = state.store.read(caller.reach).await?.list_webhooks(before, query.rows()).await?;
    let end = cut(&mut rows, query.limit, |row| row.endpoint_id.to_string());
    let data: Vec<_> = rows.into_iter().map(EndpointDocument::from).collect();
    Ok(query.answer(caller.reach, LIST, PATH, data, end.as_deref()))
}

/// Add a webhook endpoint
///
/// Its secret is in this answer alone.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints", operation_id = "create_webhook_endpoint", tag = "webhooks", security(("token" = [])),
    request_body(content = WebhookText, content_type = "application/json"),
    responses((status = 201, description = "Added", body = SecretDocument, headers(("Location" = String, description = "The endpoint"))), OfCreate)
)]
pub(super) async fn create(
    State(state): State<WebState>,
    caller: Caller,
    StrictJson(text): StrictJson<WebhookText>,
) -> Result<Response, Problem> {
    let (endpoint, secret) = webhooks::create(&state, &caller, &text).await?;
    let location = HeaderValue::from_str(&format!("{PATH}/{}", endpoint.endpoint_id));
    let location = location.expect("ids are plain characters");
    let document = SecretDocument { endpoint: endpoint.into(), secret: secret.to_text().to_string() };
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(document)).into_response())
}

/// Read a webhook endpoint
#[utoipa::path(
    get, path = "/v1/webhook-endpoints/{endpoint}", operation_id = "show_webhook_endpoint", tag = "webhooks", security(("token" = [])),
    params(("endpoint" = String, Path, description = "The id")),
    responses((status = 200, description = "The endpoint", body = EndpointDocument, headers(("ETag" = String, description = "Its version"))), OfRead)
)]
pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<Response, Problem> {
    let found = webhooks::find(&mut state.store.read(caller.reach).await?, &endpoint).await?;
    Ok(tagged(found.revision, Json(EndpointDocument::from(found))))
}

/// Change a webhook endpoint
#[utoipa::path(
    patch, path = "/v1/webhook-endpoints/{endpoint}", operation_id = "change_webhook_endpoint", tag = "webhooks", security(("token" = [])),
    params(
        ("endpoint" = String, Path, description = "The id"),
        ("If-Match" = Option<String>, Header, description = "The ETag that was read"),
    ),
    request_body(content = WebhookPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "Changed", body = EndpointDocument, headers(("ETag" = String, description = "Its version"))), OfChange)
)]
pub(super) async fn change(
    State(state): State<WebState>,
    caller: Caller,
    Path(endpoint): Path<String>,
    if_match: IfMatch,
    MergePatch(patch): MergePatch<WebhookPatch>,
) -> Result<Response, Problem> {
    let check = |revision| if_match.check(revision);
    let changed = webhooks::change(&state, &caller, &endpoint, &patch, check).await?;
    Ok(tagged(changed.revision, Json(EndpointDocument::from(changed))))
}

/// Remove a webhook endpoint
///
/// What was to be sent to it is forgotten as well. With `If-Match` only what was read is removed.
#[utoipa::path(
    delete, path = "/v1/webhook-endpoints/{endpoint}", operation_id = "delete_webhook_endpoint", tag = "webhooks", security(("token" = [])),
    params(
        ("endpoint" = String, Path, description = "The id"),
        ("If-Match" = Option<String>, Header, description = "The ETag that was read"),
    ),
    responses((status = 204, description = "Removed"), OfAction)
)]
pub(super) async fn delete(
    State(state): State<WebState>,
    caller: Caller,
    Path(endpoint): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    webhooks::delete(&state, &caller, &endpoint, |revision| if_match.check(revision)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send a test
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{endpoint}/test", operation_id = "test_webhook_endpoint", tag = "webhooks", security(("token" = [])),
    params(("endpoint" = String, Path, description = "The id")),
    responses((status = 202, description = "It is sent behind the answer", body = TestDocument), OfAction)
)]
pub(super) async fn test(
    State(state): State<WebState>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<(StatusCode, Json<TestDocument>), Problem> {
    let delivery = webhooks::test(&state, &caller, &endpoint).await?;
    Ok((StatusCode::ACCEPTED, Json(TestDocument { delivery: delivery.to_string() })))
}

/// Make a new secret
///
/// It is in this answer alone. The one before signs beside it for a day.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{endpoint}/rotate-secret", operation_id = "rotate_webhook_secret", tag = "webhooks", security(("token" = [])),
    params(("endpoint" = String, Path, description = "The id")),
    responses((status = 200, description = "Made", body = SecretDocument), OfAction)
)]
pub(super) async fn rotate(
    State(state): State<WebState>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<Json<SecretDocument>, Problem> {
    let (endpoint, secret) = webhooks::rotate(&state, &caller, &endpoint).await?;
    Ok(Json(SecretDocument { endpoint: endpoint.into(), secret: secret.to_text().to_string() }))
}

/// Send events again
///
/// Everything that the endpoint should have been sent since an instant, in order.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{endpoint}/replay", operation_id = "replay_webhook_endpoint", tag = "webhooks", security(("token" = [])),
    params(("endpoint" = String, Path, description = "The id")),
    request_body(content = ReplayFrom, content_type = "application/json"),
    responses((status = 202, description = "They are sent behind the answer", body = EndpointDocument), OfCreate)
)]
pub(super) async fn replay(
    State(state): State<WebState>,
    caller: Caller,
    Path(endpoint): Path<String>,
    StrictJson(body): StrictJson<ReplayFrom>,
) -> Result<(StatusCode, Json<EndpointDocument>), Problem> {
    let endpoint = webhooks::replay(&state, &caller, &endpoint, body.from).await?;
    Ok((StatusCode::ACCEPTED, Json(endpoint.into())))
}

/// List what was sent to a webhook endpoint, the newest first
#[utoipa::path(
    get, path = "/v1/webhook-endpoints/{endpoint}/deliveries", operation_id = "list_webhook_deliveries", tag = "webhooks", security(("token" = [])),
    params(
        ("endpoint" = String, Path, description = "The id"),
        ("status" = Option<String>, Query, description = "`pending`, `delivered` or `failed`"),
        ("limit" = Option<u16>, Query, description = "Entries on a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<DeliveryDocument>, headers(("Link" = String, description = "The next page, rel=next"))),
        OfAction
    )
)]
pub(super) async fn deliveries(
    State(state): State<WebState>,
    caller: Caller,
    Path(endpoint): Path<String>,
    query: ListQuery<DeliveryFilter>,
) -> Result<Response, Problem> {
    let mut tx = state.store.read(caller.reach).await?;
    let id = webhooks::find(&mut tx, &endpoint).await?.endpoint_id;
    let list = format!("deliveries to {id}");
    let before = query.after::<WebhookDeliveryId>(caller.reach, &list)?;
    let mut rows = tx.list_webhook_deliveries(id, query.filter.status, before, query.rows()).await?;
    let end = cut(&mut rows, query.limit, |row| row.delivery_id.to_string());
    let data: Vec<_> = rows.into_iter().map(DeliveryDocument::from).collect();
    Ok(query.answer(caller.reach, &list, &format!("{PATH}/{id}/deliveries"), data, end.as_deref()))
}

/// Send an event once more, at once
#[utoipa::path(
    post, path = "/v1/webhook-deliveries/{delivery}/retry", operation_id = "retry_webhook_delivery", tag = "webhooks", security(("token" = [])),
    params(("delivery" = String, Path, description = "The id")),
    responses((status = 202, description = "It is sent behind the answer"), OfAction)
)]
pub(super) async fn retry(
    State(state): State<WebState>,
    caller: Caller,
    Path(delivery): Path<String>,
) -> Result<StatusCode, Problem> {
    webhooks::retry(&state, &caller, &delivery).await?;
    Ok(StatusCode::ACCEPTED)
}

impl From<WebhookEndpoint> for EndpointDocument {
    fn from(row: WebhookEndpoint) -> Self {
        Self {
            id: row.endpoint_id.to_string(),
            tenant: row.tenant_id.map(|tenant| tenant.to_string()),
            url: row.url.to_string(),
            types: webhooks::types(&row),
            description: row.description,
            disabled_at: row.disabled_at,
            disabled_reason: row.disabled_reason,
            failing_since: row.failing_since,
            previous_secret_until: row.previous_secret_until,
            replaying: row.is_replaying,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl From<WebhookDelivery> for DeliveryDocument {
    fn from(row: WebhookDelivery) -> Self {
        Self {
            id: row.delivery_id.to_string(),
            event: row.event_id.to_string(),
            kind: row.kind.public_type(),
            status: row.status.as_str(),
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at,
            last_attempt_at: row.last_attempt_at,
            response_status: row.response_status,
            error: row.error,
            answer: row.answer,
            duration_ms: row.duration_ms,
            created_at: row.created_at,
        }
    }
}
