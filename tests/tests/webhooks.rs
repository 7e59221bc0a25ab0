//! Webhooks: what happens to a domain reaches an endpoint, signed as the reference library wants it, and nothing reaches
//! where nothing may be sent.

use std::collections::BTreeSet;

use certmill_lab::{Lab, Options};
use certmill_model::{
    Chance, Clock, EventDocument, EventKind, Label, SystemClock, TenantId, WebhookDeliveryStatus,
    WebhookEndpointId,
};
use certmill_store::{
    Api, NewWebhook, Reach, Replay, ScopedTx, WebhookChange, WebhookDelivery, WebhookEndpoint,
};
use certmill_tests::{MINUTE, Received, Receiver, SOON, Stage, until};
use certmill_vault::WebhookSecret;
use serde_json::Value;
use standardwebhooks::Webhook;
use time::OffsetDateTime;

/// The tenant's webhooks, as its people see them.
struct Hooks {
    api: Api,
    tenant: TenantId,
    chance: Chance,
}

impl Hooks {
    async fn of(stage: &Stage) -> Self {
        let api = certmill_store::connect_api(&stage.lab.description().postgres_url, 2).await.unwrap();
        let mut platform = api.platform().await.unwrap();
        let tenant = platform.find_tenant("Nordwind").await.unwrap().unwrap().tenant_id;
        Self { api, tenant, chance: Chance::from_system() }
    }

    async fn tx(&self) -> ScopedTx {
        self.api.scoped(Reach::Tenant(self.tenant)).await.unwrap()
    }

    async fn commit(&self, tx: ScopedTx) {
        let actor = certmill_store::Actor::command_line();
        let entry = certmill_store::AuditEntry {
            actor: &actor,
            action: "webhook.tested",
            object_kind: "webhook_endpoint",
            object_id: None,
            object_name: String::new(),
            tenant: Some(self.tenant),
            detail: Value::Null,
        };
        tx.commit(&entry, &self.chance, now()).await.unwrap();
    }

    async fn add(&self, url: &str) -> (WebhookEndpointId, String) {
        let (id, secret) = (WebhookEndpointId::new(&self.chance, now()), WebhookSecret::generate());
        let webhook = NewWebhook {
            endpoint_id: id,
            tenant_id: Some(self.tenant),
            url: url.parse().unwrap(),
            kinds: None,
            description: Label::parse("shop system").unwrap(),
        };
        let mut tx = self.tx().await;
        assert!(tx.create_webhook(&webhook, &secret, &self.chance, now()).await.unwrap());
        self.commit(tx).await;
        (id, secret.to_text().to_string())
    }

    async fn endpoint(&self, id: WebhookEndpointId) -> WebhookEndpoint {
        self.tx().await.find_webhook(id).await.unwrap().unwrap()
    }

    async fn deliveries(&self, id: WebhookEndpointId) -> Vec<WebhookDelivery> {
        self.tx().await.list_webhook_deliveries(id, None, None, 100).await.unwrap()
    }

    async fn test(&self, id: WebhookEndpointId) {
        let mut tx = self.tx().await;
        assert!(tx.test_webhook(id, &self.chance, now()).await.unwrap().is_some());
        self.commit(tx).await;
    }

    async fn feed(&self) -> Vec<EventDocument> {
        let mut tx = self.api.read(Reach::Tenant(self.tenant)).await.unwrap();
        let page = tx.events_after(0, None, 1_000).await.unwrap();
        page.events.into_iter().map(|(_, event)| event).collect()
    }
}

fn now() -> OffsetDateTime {
    SystemClock.now()
}

async fn stage() -> Stage {
    let lab = Lab::up(Options { load_balancers: 1, ..Options::default() }).await.unwrap();
    Stage::on(lab, &[("CERTMILL_WEBHOOKS__ALLOW_NETWORKS", r#"["127.0.0.1/32"]"#)]).await
}

/// As the reference library reads a message.
fn verify(secret: &str, message: &Received) -> Result<(), standardwebhooks::WebhookError> {
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, message.header(name).parse().unwrap());
    }
    Webhook::new(secret).unwrap().verify(message.body.as_bytes(), &headers)
}

async fn received(receiver: &Receiver, kinds: &[EventKind]) -> Vec<Received> {
    until("the endpoint has received", SOON, async || {
        let messages = receiver.received();
        let seen: BTreeSet<_> = messages.iter().map(Received::kind).collect();
        let missing = kinds.iter().find(|kind| !seen.contains(kind.public_type()));
        missing.map_or(Ok(messages), |missing| Err(format!("no {missing} among {seen:?}")))
    })
    .await
}

const ON_THE_WAY: [EventKind; 4] =
    [EventKind::DomainCreated, EventKind::DnsVerified, EventKind::CertificateIssued, EventKind::DomainActive];

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one story of one endpoint, from its first event to its last")]
async fn what_happens_to_a_domain_arrives_signed_and_what_was_lost_arrives_later() {
    let (stage, receiver) = (stage().await, Receiver::at("127.0.0.1").await);
    let certmill = stage.start().await;
    let hooks = Hooks::of(&stage).await;
    let (endpoint, secret) = hooks.add(&receiver.url()).await;
    stage.put("hooked.shops.test").await;
    stage.active("hooked.shops.test").await;
    let messages = received(&receiver, &ON_THE_WAY).await;

    // Each is verified by the reference library, is what the feed shows, and came once.
    let feed = hooks.feed().await;
    for message in &messages {
        verify(&secret, message).unwrap();
        assert!(verify(&WebhookSecret::generate().to_text(), message).is_err());
        let event = feed.iter().find(|event| event.id.to_string() == message.header("webhook-id")).unwrap();
        assert_eq!(event.to_json(), message.body);
        assert_eq!(event.data.name, "hooked.shops.test");
        assert!(!event.kind.is_quiet(), "{}", event.kind);
    }
    let ids: BTreeSet<_> = messages.iter().map(|message| message.header("webhook-id")).collect();
    assert_eq!(ids.len(), messages.len());
    let active: Value = messages
        .iter()
        .find(|message| message.kind() == "domain.active")
        .map(|message| serde_json::from_str(&message.body).unwrap())
        .unwrap();
    assert_eq!(active["data"]["status"], "active");
    assert_eq!(active["data"]["previous_status"], "pending_deployment");

    // What an endpoint does not take comes again, with the same id and the same bytes.
    receiver.answer("500 Broken");
    hooks.test(endpoint).await;
    let first = received(&receiver, &[EventKind::WebhookTest]).await.pop().unwrap();
    until("the failure is shown", SOON, async || {
        let delivery = hooks.deliveries(endpoint).await.remove(0);
        let told = delivery.error.clone().unwrap_or_default();
        if told.contains("500") { Ok(()) } else { Err(format!("{delivery:?}")) }
    })
    .await;
    assert!(hooks.endpoint(endpoint).await.failing_since.is_some());
    receiver.answer("200 OK");
    let tests = || -> Vec<_> {
        receiver.received().into_iter().filter(|message| message.kind() == "webhook.test").collect()
    };
    let again = until("it comes again", MINUTE, async || match tests().as_slice() {
        [_, .., again] => Ok(again.clone()),
        fewer => Err(format!("{} came", fewer.len())),
    })
    .await;
    verify(&secret, &again).unwrap();
    assert_eq!((again.header("webhook-id"), &again.body), (first.header("webhook-id"), &first.body));
    // The second attempt comes after 5 s. Should that have been too soon for this machine, the third comes after 5 minutes.
    until("it is delivered", 7 * MINUTE, async || {
        let delivery = hooks.deliveries(endpoint).await.remove(0);
        let is_well = delivery.status == WebhookDeliveryStatus::Delivered
            && delivery.attempts as usize == tests().len();
        if is_well { Ok(()) } else { Err(format!("{delivery:?}")) }
    })
    .await;
    assert!(hooks.endpoint(endpoint).await.failing_since.is_none());

    // While a secret is replaced, either of the two is right.
    let newer = WebhookSecret::generate();
    let mut tx = hooks.tx().await;
    assert!(tx.rotate_webhook_secret(endpoint, &newer, &hooks.chance, now()).await.unwrap());
    hooks.commit(tx).await;
    let before = receiver.received().len();
    hooks.test(endpoint).await;
    let message = until("a message with the new secret", SOON, async || {
        receiver.received().get(before).cloned().ok_or("none yet".to_owned())
    })
    .await;
    assert_eq!(message.header("webhook-signature").split(' ').count(), 2);
    verify(&secret, &message).unwrap();
    verify(&newer.to_text(), &message).unwrap();

    // Nobody is there any more: nothing is sent, and it is shown why.
    receiver.answer("410 Gone");
    hooks.test(endpoint).await;
    until("the endpoint is disabled", SOON, async || {
        let endpoint = hooks.endpoint(endpoint).await;
        let reason = endpoint.disabled_reason.unwrap_or_default();
        if reason.contains("410") { Ok(()) } else { Err(format!("{:?} {reason}", endpoint.disabled_at)) }
    })
    .await;
    until("the feed says so", SOON, async || {
        let told = hooks.feed().await.iter().any(|event| event.kind == EventKind::WebhookDisabled);
        if told { Ok(()) } else { Err("it does not".to_owned()) }
    })
    .await;
    let before = receiver.received().len();
    stage.put("unheard.shops.test").await;
    stage.active("unheard.shops.test").await;
    assert_eq!(receiver.received().len(), before);

    // Mended, it is sent what it has missed.
    receiver.answer("200 OK");
    let found = hooks.endpoint(endpoint).await;
    let change = WebhookChange {
        url: found.url,
        kinds: None,
        description: Label::parse(&found.description).unwrap(),
        disabled: false,
    };
    let mut tx = hooks.tx().await;
    assert!(tx.change_webhook(endpoint, &change, Some(found.revision), now()).await.unwrap());
    let replay = tx.replay_webhook(endpoint, now() - time::Duration::HOUR, now()).await.unwrap();
    assert_eq!(replay, Replay::Begins);
    hooks.commit(tx).await;
    until("everything is sent again", MINUTE, async || {
        let replayed = receiver.received().split_off(before);
        let of = |name: &str| {
            let of_name = replayed.iter().filter(|message| message.body.contains(name));
            of_name.map(Received::kind).collect::<BTreeSet<_>>()
        };
        let wanted: BTreeSet<_> = ON_THE_WAY.iter().map(|kind| kind.public_type().to_owned()).collect();
        let missing =
            ["hooked.shops.test", "unheard.shops.test"].iter().find(|name| !of(name).is_superset(&wanted));
        missing.map_or(Ok(()), |name| Err(format!("{name}: {:?}", of(name))))
    })
    .await;
    assert!(certmill.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_reaches_an_address_that_is_not_allowed_and_a_dead_endpoint_harms_only_itself() {
    let stage = stage().await;
    let (inner, well, leading) =
        (Receiver::at("127.0.0.2").await, Receiver::at("127.0.0.1").await, Receiver::at("127.0.0.1").await);
    let _certmill = stage.start().await;
    let hooks = Hooks::of(&stage).await;
    let port = inner.port();
    let mut barred = Vec::new();
    for host in
        ["127.0.0.2", "[::ffff:127.0.0.2]", "[64:ff9b::127.0.0.2]", "169.254.169.254", "10.0.0.1", "[::1]"]
    {
        barred.push(hooks.add(&format!("http://{host}:{port}/")).await.0);
    }
    leading.answer(&format!("302 Found\r\nlocation: http://127.0.0.2:{port}/"));
    let (led, _) = hooks.add(&leading.url()).await;
    let (heard, secret) = hooks.add(&well.url()).await;
    stage.put("guarded.shops.test").await;
    stage.active("guarded.shops.test").await;
    for message in received(&well, &ON_THE_WAY).await {
        verify(&secret, &message).unwrap();
    }
    assert!(hooks.deliveries(heard).await.iter().all(|delivery| delivery.error.is_none()));
    for endpoint in barred {
        let told = shown(&hooks, endpoint).await;
        assert!(told.contains("not public"), "{told}");
    }
    assert!(shown(&hooks, led).await.contains("redirect"));
    assert_eq!(inner.connections(), 0);
}

/// What is said of a delivery that failed.
async fn shown(hooks: &Hooks, endpoint: WebhookEndpointId) -> String {
    until("the failure is shown", SOON, async || {
        let deliveries = hooks.deliveries(endpoint).await;
        let told = deliveries.iter().find_map(|delivery| delivery.error.clone());
        told.ok_or_else(|| format!("{deliveries:?}"))
    })
    .await
}
