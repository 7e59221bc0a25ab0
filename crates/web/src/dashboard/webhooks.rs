//! `/webhooks`: where events are sent, what has become of each, and what people do about it.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::Response,
};
use certmill_model::{EventKind, Permission, WebhookDeliveryStatus};
use certmill_store::{WebhookDelivery, WebhookEndpoint};
use certmill_vault::WebhookSecret;
use http::StatusCode;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};

use super::{
    frame::Frame,
    moment::Moment,
    pages,
    visit::done,
    words::{self, Look},
};
use crate::{
    WebState,
    access::{Access, Caller, Routes},
    problem::Problem,
    webhooks::{self, WebhookPatch, WebhookText},
};

/// Endpoints on the list, and deliveries on the page of one.
const ENDPOINTS: i64 = 200;
const DELIVERIES: i64 = 50;

/// The routes of these pages.
pub(super) fn routes() -> Routes {
    let (read, write) = (Access::Needs(Permission::WebhooksRead), Access::Needs(Permission::WebhooksWrite));
    Routes::default()
        .page("/webhooks", read, list)
        .form("/webhooks", write, add)
        .page("/webhooks/{endpoint}", read, show)
        .form("/webhooks/{endpoint}", write, change)
        .form("/webhooks/{endpoint}/test", write, test)
        .form("/webhooks/{endpoint}/rotate", write, rotate)
        .form("/webhooks/{endpoint}/replay", write, replay)
        .form("/webhooks/{endpoint}/remove", write, remove)
        .form("/webhooks/{endpoint}/deliveries/{delivery}/retry", write, retry)
}

/// An endpoint in the table.
struct Row {
    id: String,
    description: String,
    url: String,
    what: String,
    look: Look,
    reason: Option<String>,
    since: Moment,
}

/// An event that was to be sent.
struct Sent {
    id: String,
    kind: &'static str,
    look: Look,
    attempts: u32,
    answer: Option<u16>,
    error: Option<String>,
    said: Option<String>,
    last: Option<Moment>,
    next: Option<Moment>,
}

/// All endpoints.
#[derive(Template)]
#[template(path = "webhooks.html")]
struct WebhooksPage {
    frame: Frame,
    rows: Vec<Row>,
    form: WebhookForm,
    may_change: bool,
    fault: Option<String>,
}

/// One endpoint.
#[derive(Template)]
#[template(path = "webhook.html")]
struct WebhookPage {
    frame: Frame,
    row: Row,
    is_disabled: bool,
    is_off_wanted: bool,
    both_until: Option<Moment>,
    sent: Vec<Sent>,
    form: WebhookForm,
    may_change: bool,
    fault: Option<String>,
}

/// A secret, this once.
#[derive(Template)]
#[template(path = "webhook_secret.html")]
struct SecretPage {
    frame: Frame,
    id: String,
    description: String,
    secret: String,
    is_new: bool,
}

/// What somebody typed of an endpoint.
#[derive(Default, Deserialize)]
struct WebhookForm {
    #[serde(default)]
    url: String,
    #[serde(default)]
    types: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    disabled: String,
    /// Of what was shown.
    #[serde(default)]
    revision: i64,
}

/// How far back events are sent again.
#[derive(Deserialize)]
struct ReplayForm {
    #[serde(default)]
    hours: String,
}

async fn list(State(state): State<WebState>, caller: Caller) -> Result<Response, Problem> {
    list_page(&state, &caller, StatusCode::OK, WebhookForm::default(), None).await
}

async fn add(
    State(state): State<WebState>,
    caller: Caller,
    Form(form): Form<WebhookForm>,
) -> Result<Response, Problem> {
    let text = WebhookText {
        tenant: None,
        url: form.url.trim().to_owned(),
        types: form.types(),
        description: form.description.trim().to_owned(),
    };
    match webhooks::create(&state, &caller, &text).await {
        Ok((endpoint, secret)) => Ok(secret_page(&caller, &endpoint, &secret, true)),
        Err(problem) if problem.status.is_client_error() => {
            let fault = Some(problem.detail.clone().into_owned());
            list_page(&state, &caller, problem.status, form, fault).await
        }
        Err(problem) => Err(problem),
    }
}

async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<Response, Problem> {
    page(&state, &caller, &endpoint, (None, StatusCode::OK, None)).await
}

async fn change(
    State(state): State<WebState>,
    caller: Caller,
    Path(endpoint): Path<String>,
    Form(form): Form<WebhookForm>,
) -> Result<Response, Problem> {
    let patch = WebhookPatch {
        url: Some(form.url.trim().to_owned()),
        types: Some(form.types()),
        description: Some(form.description.trim().to_owned()),
        disabled: Some(form.disabled == "on"),
    };
    match webhooks::change(&state, &caller, &endpoint, &patch, pages::unchanged_since(form.revision)).await {
        Ok(_) => Ok(done(&state, &caller, &format!("/webhooks/{endpoint}"), "The settings are kept.")),
        Err(problem) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
            let fault = problem.detail.clone().into_owned();
            page(&state, &caller, &endpoint, (Some(form), problem.status, Some(fault))).await
        }
        Err(problem) if problem.status == StatusCode::CONFLICT => {
            let fault = problem.detail.into_owned();
            page(&state, &caller, &endpoint, (None, problem.status, Some(fault))).await
        }
        Err(problem) => Err(problem),
    }
}

async fn test(
    State(state): State<WebState>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<Response, Problem> {
    webhooks::test(&state, &caller, &endpoint).await?;
    let words = "A test is on its way. It is on top of the list below.";
    Ok(done(&state, &caller, &format!("/webhooks/{endpoint}"), words))
}

async fn rotate(
    State(state): State<WebState>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<Response, Problem> {
    let (endpoint, secret) = webhooks::rotate(&state, &caller, &endpoint).await?;
    Ok(secret_page(&caller, &endpoint, &secret, false))
}

async fn replay(
    State(state): State<WebState>,
    caller: Caller,
    Path(endpoint): Path<String>,
    Form(form): Form<ReplayForm>,
) -> Result<Response, Problem> {
    let hours = form.hours.parse().ok().filter(|hours| (1..=24 * 90).contains(hours));
    let hours: i64 = hours
        .ok_or_else(|| Problem::field("/hours".into(), "invalid_field", "choose 1 to 2160 hours".into()))?;
    webhooks::replay(&state, &caller, &endpoint, state.now() - Duration::hours(hours)).await?;
    let words = "The events of that time are being sent again, in order.";
    Ok(done(&state, &caller, &format!("/webhooks/{endpoint}"), words))
}

async fn remove(
    State(state): State<WebState>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<Response, Problem> {
    webhooks::delete(&state, &caller, &endpoint, |_| Ok(())).await?;
    Ok(done(&state, &caller, "/webhooks", "The endpoint is removed. Nothing is sent to it any more."))
}

async fn retry(
    State(state): State<WebState>,
    caller: Caller,
    Path((endpoint, delivery)): Path<(String, String)>,
) -> Result<Response, Problem> {
    // The page that it leads back to must be there.
    webhooks::find(&mut state.store.read(caller.reach).await?, &endpoint).await?;
    webhooks::retry(&state, &caller, &delivery).await?;
    Ok(done(&state, &caller, &format!("/webhooks/{endpoint}"), "The event is being sent once more."))
}

async fn list_page(
    state: &WebState,
    caller: &Caller,
    status: StatusCode,
    form: WebhookForm,
    fault: Option<String>,
) -> Result<Response, Problem> {
    let rows = state.store.read(caller.reach).await?.list_webhooks(None, ENDPOINTS).await?;
    let page = WebhooksPage {
        frame: Frame::new(caller, "/webhooks"),
        rows: rows.iter().map(|row| Row::new(row, state.now())).collect(),
        form,
        may_change: caller.may(Permission::WebhooksWrite),
        fault,
    };
    Ok(pages::answer(status, &page))
}

async fn page(
    state: &WebState,
    caller: &Caller,
    endpoint: &str,
    (form, status, fault): (Option<WebhookForm>, StatusCode, Option<String>),
) -> Result<Response, Problem> {
    let now = state.now();
    let mut tx = state.store.read(caller.reach).await?;
    let found = webhooks::find(&mut tx, endpoint).await?;
    let sent = tx.list_webhook_deliveries(found.endpoint_id, None, None, DELIVERIES).await?;
    let form = form.unwrap_or_else(|| WebhookForm::of(&found));
    let page = WebhookPage {
        frame: Frame::new(caller, "/webhooks"),
        row: Row::new(&found, now),
        is_disabled: found.disabled_at.is_some(),
        is_off_wanted: form.disabled == "on",
        both_until: found.previous_secret_until.filter(|at| *at > now).map(|at| Moment::new(at, now)),
        sent: sent.into_iter().map(|delivery| Sent::new(delivery, now)).collect(),
        form,
        may_change: caller.may(Permission::WebhooksWrite),
        fault,
    };
    Ok(pages::answer(status, &page))
}

fn secret_page(
    caller: &Caller,
    endpoint: &WebhookEndpoint,
    secret: &WebhookSecret,
    is_new: bool,
) -> Response {
    let page = SecretPage {
        frame: Frame::new(caller, "/webhooks"),
        id: endpoint.endpoint_id.to_string(),
        description: endpoint.description.clone(),
        secret: secret.to_text().to_string(),
        is_new,
    };
    pages::answer(StatusCode::OK, &page)
}

impl WebhookForm {
    fn of(endpoint: &WebhookEndpoint) -> Self {
        Self {
            url: endpoint.url.to_string(),
            types: webhooks::types(endpoint).unwrap_or_default().join(", "),
            description: endpoint.description.clone(),
            disabled: if endpoint.disabled_at.is_some() { "on".into() } else { String::new() },
            revision: endpoint.revision,
        }
    }

    /// The types that were typed; none: every one that is not quiet.
    fn types(&self) -> Option<Vec<String>> {
        let words = self.types.split([',', ' ', '\n', '\r']).filter(|word| !word.is_empty());
        let words: Vec<_> = words.map(str::to_owned).collect();
        (!words.is_empty()).then_some(words)
    }

    /// Every type that there is, with what it means.
    fn known_types() -> Vec<(&'static str, &'static str)> {
        EventKind::ALL.iter().map(|kind| (kind.public_type(), kind.meaning())).collect()
    }
}

impl Row {
    fn new(endpoint: &WebhookEndpoint, now: OffsetDateTime) -> Self {
        let (look, reason, since) = match (endpoint.disabled_at, endpoint.failing_since) {
            (Some(at), _) => (words::OFF, endpoint.disabled_reason.clone(), at),
            (None, Some(at)) => (words::FAILING, Some("What is sent to it fails.".to_owned()), at),
            (None, None) => (words::WORKING, None, endpoint.updated_at),
        };
        Self {
            id: endpoint.endpoint_id.to_string(),
            description: endpoint.description.clone(),
            url: endpoint.url.to_string(),
            what: match webhooks::types(endpoint) {
                Some(types) => types.join(", "),
                None => "everything but routine".to_owned(),
            },
            look,
            reason,
            since: Moment::new(since, now),
        }
    }
}

impl Sent {
    fn new(delivery: WebhookDelivery, now: OffsetDateTime) -> Self {
        Self {
            id: delivery.delivery_id.to_string(),
            kind: delivery.kind.public_type(),
            look: match delivery.status {
                WebhookDeliveryStatus::Delivered => words::TAKEN,
                WebhookDeliveryStatus::Failed => words::GIVEN_UP,
                WebhookDeliveryStatus::Pending => words::WAITING,
            },
            attempts: delivery.attempts,
            answer: delivery.response_status,
            error: delivery.error,
            said: delivery.answer.filter(|text| !text.is_empty()),
            last: delivery.last_attempt_at.map(|at| Moment::new(at, now)),
            next: delivery.next_attempt_at.map(|at| Moment::new(at, now)),
        }
    }
}
