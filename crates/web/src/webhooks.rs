//! Webhook endpoints: what the API and the dashboard do alike.

use certmill_model::{EventKind, Label, TenantId, WebhookDeliveryId, WebhookEndpointId, WebhookUrl};
use certmill_store::{AuditEntry, NewWebhook, Replay, ScopedTx, WebhookChange, WebhookEndpoint};
use certmill_vault::WebhookSecret;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use crate::{WebState, access::Caller, problem::Problem};

/// An endpoint to be added, as a program sends it or a person types it.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "WebhookEndpointWish")]
pub(crate) struct WebhookText {
    /// The tenant whose events it is sent, by id or name; left out, the caller's own, or every tenant's.
    #[serde(default)]
    pub(crate) tenant: Option<String>,
    /// Where to: an https URL at a public address.
    #[schema(example = "https://backend.example/hooks/certmill")]
    pub(crate) url: String,
    /// The types that it is sent; left out or null, every one that is not quiet.
    #[serde(default)]
    #[schema(example = json!(["domain.active", "domain.problem_opened"]))]
    pub(crate) types: Option<Vec<String>>,
    /// What it is for: 1 to 200 printable characters.
    #[schema(example = "shop backend")]
    pub(crate) description: String,
}

/// What is to become of an endpoint; what is left out stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "WebhookEndpointChange")]
pub(crate) struct WebhookPatch {
    /// Where to.
    #[serde(default)]
    pub(crate) url: Option<String>,
    /// The types that it is sent; null, every one that is not quiet.
    #[serde(default, deserialize_with = "crate::api::patched")]
    #[schema(value_type = Option<Vec<String>>)]
    #[expect(clippy::option_option, reason = "left out and null are two things in a merge patch (RFC 7396)")]
    pub(crate) types: Option<Option<Vec<String>>>,
    /// What it is for.
    #[serde(default)]
    pub(crate) description: Option<String>,
    /// Whether nothing is sent to it.
    #[serde(default)]
    pub(crate) disabled: Option<bool>,
}

/// Adds an endpoint. Its secret is shown this once.
pub(crate) async fn create(
    state: &WebState,
    caller: &Caller,
    text: &WebhookText,
) -> Result<(WebhookEndpoint, WebhookSecret), Problem> {
    let (now, secret) = (state.now(), WebhookSecret::generate());
    let mut tx = state.store.scoped(caller.reach).await?;
    let tenant_id = match text.tenant.as_deref().filter(|asked| !asked.is_empty()) {
        Some(asked) => Some(tx.resolve_tenant(asked).await?.ok_or_else(|| Problem::no_such("tenant"))?),
        None => caller.reach.tenant(),
    };
    let new = NewWebhook {
        endpoint_id: WebhookEndpointId::new(&state.chance, now),
        tenant_id,
        url: url(state, &text.url)?,
        kinds: kinds(text.types.as_deref())?,
        description: description(&text.description)?,
    };
    if !tx.create_webhook(&new, &secret, &state.chance, now).await? {
        let detail = "There are as many webhook endpoints as there may be. Remove one first.";
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_webhooks", "Too many", detail));
    }
    let webhook = tx.find_webhook(new.endpoint_id).await?.ok_or_else(Problem::internal)?;
    let detail = json!({ "url": webhook.url.to_string(), "types": types(&webhook) });
    tx.commit(&entry(caller, "webhook.created", &webhook, detail), &state.chance, now).await?;
    Ok((webhook, secret))
}

/// Changes an endpoint, which must be at `revision` if one is given.
pub(crate) async fn change(
    state: &WebState,
    caller: &Caller,
    id: &str,
    patch: &WebhookPatch,
    check: impl FnOnce(i64) -> Result<(), Problem>,
) -> Result<WebhookEndpoint, Problem> {
    let mut tx = state.store.scoped(caller.reach).await?;
    let before = find(&mut tx, id).await?;
    check(before.revision)?;
    let wanted = WebhookChange {
        url: patch.url.as_deref().map_or(Ok(before.url.clone()), |text| url(state, text))?,
        kinds: match &patch.types {
            Some(types) => kinds(types.as_deref())?,
            None => before.kinds.clone(),
        },
        description: description(patch.description.as_deref().unwrap_or(&before.description))?,
        disabled: patch.disabled.unwrap_or(before.disabled_at.is_some()),
    };
    tx.change_webhook(before.endpoint_id, &wanted, Some(before.revision), state.now()).await?;
    let after =
        tx.find_webhook(before.endpoint_id).await?.ok_or_else(|| Problem::no_such("webhook endpoint"))?;
    let detail = json!({ "url": after.url.to_string(), "types": types(&after), "disabled": wanted.disabled });
    tx.commit(&entry(caller, "webhook.changed", &after, detail), &state.chance, state.now()).await?;
    Ok(after)
}

/// Forgets an endpoint, with all that was to be sent to it.
pub(crate) async fn delete(
    state: &WebState,
    caller: &Caller,
    id: &str,
    check: impl FnOnce(i64) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut tx = state.store.scoped(caller.reach).await?;
    let webhook = find(&mut tx, id).await?;
    check(webhook.revision)?;
    tx.delete_webhook(webhook.endpoint_id, webhook.revision).await?;
    Ok(tx.commit(&entry(caller, "webhook.deleted", &webhook, json!({})), &state.chance, state.now()).await?)
}

/// Gives an endpoint a new secret, shown this once; the one before signs beside it for a day.
pub(crate) async fn rotate(
    state: &WebState,
    caller: &Caller,
    id: &str,
) -> Result<(WebhookEndpoint, WebhookSecret), Problem> {
    let (now, secret) = (state.now(), WebhookSecret::generate());
    let mut tx = state.store.scoped(caller.reach).await?;
    let webhook = find(&mut tx, id).await?;
    tx.rotate_webhook_secret(webhook.endpoint_id, &secret, &state.chance, now).await?;
    let webhook = find(&mut tx, id).await?;
    tx.commit(&entry(caller, "webhook.secret_rotated", &webhook, json!({})), &state.chance, now).await?;
    Ok((webhook, secret))
}

/// Sends a test.
pub(crate) async fn test(state: &WebState, caller: &Caller, id: &str) -> Result<WebhookDeliveryId, Problem> {
    let mut tx = state.store.scoped(caller.reach).await?;
    let webhook = find(&mut tx, id).await?;
    let delivery = tx.test_webhook(webhook.endpoint_id, &state.chance, state.now()).await?;
    let delivery = delivery.ok_or_else(disabled)?;
    tx.commit(&entry(caller, "webhook.tested", &webhook, json!({})), &state.chance, state.now()).await?;
    Ok(delivery)
}

/// Sends everything again that it should have been sent since `from`.
pub(crate) async fn replay(
    state: &WebState,
    caller: &Caller,
    id: &str,
    from: OffsetDateTime,
) -> Result<WebhookEndpoint, Problem> {
    let mut tx = state.store.scoped(caller.reach).await?;
    let webhook = find(&mut tx, id).await?;
    match tx.replay_webhook(webhook.endpoint_id, from, state.now()).await? {
        Replay::Begins => {}
        Replay::Disabled => return Err(disabled()),
        Replay::TooSoon(next) => return Err(too_soon(next - state.now())),
    }
    let webhook = find(&mut tx, id).await?;
    let detail = json!({ "from": from.unix_timestamp() });
    tx.commit(&entry(caller, "webhook.replayed", &webhook, detail), &state.chance, state.now()).await?;
    Ok(webhook)
}

/// Sends one event again, at once.
pub(crate) async fn retry(state: &WebState, caller: &Caller, delivery: &str) -> Result<(), Problem> {
    let id: WebhookDeliveryId = delivery.parse().map_err(|_| Problem::no_such("delivery"))?;
    let mut tx = state.store.scoped(caller.reach).await?;
    let endpoint = tx.endpoint_of_delivery(id).await?.ok_or_else(|| Problem::no_such("delivery"))?;
    let webhook = tx.find_webhook(endpoint).await?.ok_or_else(Problem::internal)?;
    if !tx.retry_webhook_delivery(id, state.now()).await? {
        return Err(disabled());
    }
    let did = caller.did("webhook.delivery_retried", "webhook_delivery", id, id, json!({}));
    let entry = AuditEntry { tenant: webhook.tenant_id, ..did };
    Ok(tx.commit(&entry, &state.chance, state.now()).await?)
}

/// The endpoint with this id.
pub(crate) async fn find(tx: &mut ScopedTx, id: &str) -> Result<WebhookEndpoint, Problem> {
    let missing = || Problem::no_such("webhook endpoint");
    let id: WebhookEndpointId = id.parse().map_err(|_| missing())?;
    tx.find_webhook(id).await?.ok_or_else(missing)
}

/// The types that it is sent; `None`: every one that is not quiet.
pub(crate) fn types(webhook: &WebhookEndpoint) -> Option<Vec<&'static str>> {
    Some(webhook.kinds.as_ref()?.iter().map(|kind| kind.public_type()).collect())
}

fn entry<'a>(
    caller: &'a Caller,
    action: &'static str,
    webhook: &WebhookEndpoint,
    detail: Value,
) -> AuditEntry<'a> {
    let tenant: Option<TenantId> = webhook.tenant_id;
    let name = &webhook.description;
    AuditEntry { tenant, ..caller.did(action, "webhook_endpoint", webhook.endpoint_id, name, detail) }
}

fn url(state: &WebState, text: &str) -> Result<WebhookUrl, Problem> {
    let url: WebhookUrl = text.parse().map_err(|error| invalid("url", error))?;
    state.settings.webhook_destinations.admit_url(&url).map_err(|error| invalid("url", error))?;
    Ok(url)
}

fn kinds(types: Option<&[String]>) -> Result<Option<Vec<EventKind>>, Problem> {
    let Some(types) = types else { return Ok(None) };
    if types.is_empty() {
        return Err(invalid("types", "name at least one type, or leave the field out"));
    }
    let known = |(place, text): (usize, &String)| {
        EventKind::from_public_type(text).ok_or_else(|| {
            let detail = "there is no event of this type; docs/webhooks.md lists them".to_owned();
            Problem::field(format!("/types/{place}"), "unknown_type", detail)
        })
    };
    types.iter().enumerate().map(known).collect::<Result<_, _>>().map(Some)
}

fn description(text: &str) -> Result<Label, Problem> {
    Label::parse(text).map_err(|error| invalid("description", error))
}

fn invalid(field: &str, detail: impl std::fmt::Display) -> Problem {
    Problem::field(format!("/{field}"), "invalid_field", detail.to_string())
}

fn too_soon(wait: Duration) -> Problem {
    let detail =
        "Events are sent to this endpoint again since less than a minute ago. Ask once more after a minute.";
    let problem =
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "replayed_just_now", "Replayed just now", detail);
    let seconds = wait.whole_seconds().saturating_add(1);
    Problem { wait: u16::try_from(seconds).ok(), ..problem }
}

fn disabled() -> Problem {
    let detail = "Nothing is sent to this endpoint: it is disabled. Enable it first.";
    Problem::new(StatusCode::CONFLICT, "webhook_disabled", "Disabled", detail)
}
