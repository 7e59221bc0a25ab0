//! Sends events to webhook endpoints. An endpoint that is slow, or fails, takes its own part of the work and no other's, and
//! a tenant with many of them its own part as well.

use std::{collections::HashMap, error::Error, hash::Hash, sync::Arc, time::Duration};

use certmill_model::{
    TenantId, WebhookDeliveryStatus, WebhookEndpointId, WebhookVerdict, gives_up_on_endpoint,
    retry_webhook_after, webhook_room, webhook_verdict,
};
use certmill_notify::webhook::{Answer, Message, SendError};
use certmill_store::{ClaimedWebhook, StoreError, WebhookAttempt, WebhookTurn};
use tokio::{
    sync::watch,
    task::{Id, JoinSet},
    time::Instant,
};

use crate::{Engine, checkpoint::reached};

/// Attempts under way at a time, of one endpoint and of all.
const OF_EACH: i64 = 16;
const OF_ALL: usize = 512;

/// How long to sleep when nobody says that something is to be sent: the grain of planned attempts.
const POLL: Duration = Duration::from_secs(1);

/// The least time between two looks for what is due.
const BREATH: Duration = Duration::from_millis(50);

/// What is under way, and to which endpoints.
#[derive(Default)]
struct UnderWay {
    attempts: JoinSet<()>,
    receivers: HashMap<Id, (WebhookEndpointId, Option<TenantId>)>,
    /// The endpoint behind which the next look begins.
    turn: Option<WebhookEndpointId>,
}

/// Runs until `stop` turns true, and then until what is under way has ended. What goes wrong is logged and tried again.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let mut under_way = UnderWay::default();
    while !*stop.borrow() {
        crate::measure::tick("webhooks", engine.now());
        let looked = Instant::now();
        if let Err(error) = under_way.take(&engine).await {
            let error = &error as &dyn Error;
            tracing::warn!(error, "cannot look for webhooks to be sent; trying again");
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = engine.to_send.notified() => {}
            () = under_way.ended() => {}
            () = tokio::time::sleep(POLL) => {}
        }
        tokio::time::sleep_until(looked + BREATH).await;
    }
    while under_way.attempts.join_next().await.is_some() {}
}

impl UnderWay {
    /// Takes what is due, as far as there is room for it.
    async fn take(&mut self, engine: &Arc<Engine>) -> Result<(), StoreError> {
        let parts = &engine.parts;
        let Some(room) = webhook_room(OF_ALL - self.attempts.len()) else { return Ok(()) };
        let asked = WebhookTurn {
            endpoints: &counted_by(self.receivers.values().map(|(endpoint, _)| *endpoint)),
            owners: &counted_by(self.receivers.values().map(|(_, owner)| *owner)),
            of_each: OF_EACH,
            room,
            from: self.turn.unwrap_or(WebhookEndpointId::nil()),
        };
        let (claimed, next) = parts.store.claim_webhooks(&asked, engine.now()).await?;
        self.turn = next;
        for webhook in claimed {
            let (engine, receiver) = (engine.clone(), (webhook.endpoint_id, webhook.tenant_id));
            let handle = self.attempts.spawn(async move { attempt(&engine, &webhook).await });
            self.receivers.insert(handle.id(), receiver);
        }
        Ok(())
    }

    /// Waits until an attempt has ended, and forgets all that have.
    async fn ended(&mut self) {
        let Some(mut ended) = self.attempts.join_next_with_id().await else {
            return std::future::pending().await;
        };
        loop {
            let id = match &ended {
                Ok((id, ())) => *id,
                Err(error) => {
                    tracing::error!(%error, "an attempt at a webhook ended by a panic");
                    error.id()
                }
            };
            self.receivers.remove(&id);
            match self.attempts.try_join_next_with_id() {
                Some(next) => ended = next,
                None => return,
            }
        }
    }
}

fn counted_by<T: Eq + Hash>(all: impl Iterator<Item = T>) -> Vec<(T, i64)> {
    let mut counts = HashMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts.into_iter().collect()
}

async fn attempt(engine: &Engine, webhook: &ClaimedWebhook) {
    match send(engine, webhook).await {
        Ok(()) | Err(StoreError::LeaseLost) => {}
        Err(error) => {
            let error = &error as &dyn Error;
            tracing::warn!(webhook.id = %webhook.delivery_id, error, "a webhook could not be sent or recorded");
        }
    }
}

async fn send(engine: &Engine, webhook: &ClaimedWebhook) -> Result<(), StoreError> {
    let parts = &engine.parts;
    let body = match &webhook.body {
        Some(body) => Some(body.clone()),
        None => parts.store.event_document(webhook.event_id).await?.map(|event| event.to_json()),
    };
    let Some(body) = body else { return forgotten(engine, webhook).await };
    let secrets = parts.store.webhook_secrets(webhook.endpoint_id, &parts.vault, engine.now()).await?;
    let keys: Vec<_> = secrets.iter().map(certmill_vault::Secret::expose).collect();
    let id = webhook.event_id.to_string();
    let message = Message { url: &webhook.url, id: &id, body: &body, keys: &keys };
    let begun = Instant::now();
    let answer = parts.webhooks.send(&message, engine.now()).await;
    reached("webhook_sent");
    record(engine, webhook, &body, answer, begun.elapsed()).await
}

async fn record(
    engine: &Engine,
    webhook: &ClaimedWebhook,
    body: &str,
    answer: Result<Answer, SendError>,
    duration: Duration,
) -> Result<(), StoreError> {
    let (now, parts) = (engine.now(), &engine.parts);
    let verdict = answer.as_ref().map_or(WebhookVerdict::Failed, |answer| webhook_verdict(answer.status));
    let asked = answer.as_ref().ok().and_then(|answer| answer.retry_after);
    let wait = retry_webhook_after(webhook.attempts + 1, asked, engine.fraction());
    let status = match (verdict, wait) {
        (WebhookVerdict::Delivered, _) => WebhookDeliveryStatus::Delivered,
        (WebhookVerdict::Failed, Some(_)) => WebhookDeliveryStatus::Pending,
        (WebhookVerdict::Gone, _) | (WebhookVerdict::Failed, None) => WebhookDeliveryStatus::Failed,
    };
    let failing_for = webhook.failing_since.map(|since| now - since);
    let disable = match verdict {
        WebhookVerdict::Delivered => None,
        WebhookVerdict::Gone => Some("It answered with HTTP status 410: nobody is there any more."),
        WebhookVerdict::Failed => failing_for.is_some_and(gives_up_on_endpoint).then_some(
            "It has taken nothing for five days. Events are kept; have them sent again once it is mended.",
        ),
    };
    let error = told(verdict, &answer);
    let host = webhook.url.authority();
    tracing::info!(webhook.id = %webhook.delivery_id, webhook.host = host, %status, error, "sent a webhook");
    metrics::counter!("certmill_webhook_deliveries_total", "result" => counted(verdict)).increment(1);
    let attempt = WebhookAttempt {
        status,
        next_attempt_at: now + wait.unwrap_or_default(),
        body,
        response_status: answer.as_ref().ok().map(|answer| answer.status),
        error: error.as_deref(),
        answer: answer.as_ref().ok().map(|answer| answer.body.as_str()).filter(|body| !body.is_empty()),
        duration,
        disable,
    };
    parts.store.record_webhook(webhook, &attempt, &parts.chance, now).await
}

/// An event that was deleted since cannot be sent any more.
async fn forgotten(engine: &Engine, webhook: &ClaimedWebhook) -> Result<(), StoreError> {
    let attempt = WebhookAttempt {
        status: WebhookDeliveryStatus::Failed,
        next_attempt_at: engine.now(),
        body: "",
        response_status: None,
        error: Some("the event is not kept any more"),
        answer: None,
        duration: Duration::ZERO,
        disable: None,
    };
    let parts = &engine.parts;
    parts.store.record_webhook(webhook, &attempt, &parts.chance, engine.now()).await
}

/// Why an attempt was no success, for whoever set the URL.
fn told(verdict: WebhookVerdict, answer: &Result<Answer, SendError>) -> Option<String> {
    match answer {
        Err(error) => Some(error.to_string()),
        Ok(_) if verdict == WebhookVerdict::Delivered => None,
        Ok(Answer { status: 300..=399, .. }) => {
            Some("the answer is a redirect, which is not followed".to_owned())
        }
        Ok(answer) => Some(format!("the answer has HTTP status {}", answer.status)),
    }
}

fn counted(verdict: WebhookVerdict) -> &'static str {
    match verdict {
        WebhookVerdict::Delivered => "delivered",
        WebhookVerdict::Gone => "gone",
        WebhookVerdict::Failed => "failed",
    }
}
