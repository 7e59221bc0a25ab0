//! Webhook endpoints: what is sent again, what is claimed, how many there may be.

use std::collections::BTreeMap;

use certmill_model::{EventId, Label, TenantId, WebhookDeliveryId, WebhookEndpointId, WebhookRoom};
use certmill_store::{ClaimedWebhook, NewWebhook, Reach, Replay, ScopedTx, WebhookTurn};
use certmill_vault::WebhookSecret;
use time::Duration;

use crate::base::{Base, now};

impl Base {
    /// Adds an endpoint; the transaction is still open.
    async fn add_webhook(&self, tx: &mut ScopedTx, owner: Option<TenantId>) -> Option<WebhookEndpointId> {
        let webhook = NewWebhook {
            endpoint_id: WebhookEndpointId::new(&self.chance, now()),
            tenant_id: owner,
            url: "https://hooks.example.com/".parse().unwrap(),
            kinds: None,
            description: Label::parse("backend").unwrap(),
        };
        let secret = WebhookSecret::generate();
        let is_added = tx.create_webhook(&webhook, &secret, &self.chance, now()).await.unwrap();
        is_added.then_some(webhook.endpoint_id)
    }

    async fn webhook(&self, owner: Option<TenantId>) -> WebhookEndpointId {
        self.engine.publish_sealing_key(&self.vault, now()).await.unwrap();
        let mut tx = self.api.scoped(Reach::Platform).await.unwrap();
        let id = self.add_webhook(&mut tx, owner).await.unwrap();
        self.commit(tx).await;
        id
    }

    /// An event that has its place in the feed, so long ago.
    async fn told(&self, owner: TenantId, kind: &str, ago: Duration, position: i64) -> EventId {
        let id = EventId::new(&self.chance, now() - ago);
        self.sql(&format!(
            "WITH told AS (
                 INSERT INTO events (event_id, tenant_id, kind, detail, happened_at, position)
                 VALUES ('{}', '{}', '{kind}', '', now(), {position}) RETURNING position)
             , reached AS (UPDATE event_feed SET last_position = position FROM told RETURNING 1)
             SELECT count(*) FROM reached",
            id.uuid(),
            owner.uuid(),
        ))
        .await;
        id
    }

    /// Asks for a replay in the tenant's name, and plans all of it.
    async fn replay(&self, endpoint: WebhookEndpointId, since: Duration) {
        let mut tx = self.api.scoped(Reach::Platform).await.unwrap();
        assert_eq!(tx.replay_webhook(endpoint, now() - since, now()).await.unwrap(), Replay::Begins);
        assert!(tx.find_webhook(endpoint).await.unwrap().unwrap().is_replaying);
        self.commit(tx).await;
        while let Some(replaying) = self.engine.replaying_webhooks().await.unwrap().pop() {
            assert_eq!(replaying, endpoint);
            self.engine.replay_webhook_part(endpoint, &self.chance, now()).await.unwrap();
        }
        let mut tx = self.api.read(Reach::Platform).await.unwrap();
        assert!(!tx.find_webhook(endpoint).await.unwrap().unwrap().is_replaying);
    }

    /// What is to be sent to an endpoint.
    async fn planned(&self, endpoint: WebhookEndpointId) -> Vec<EventId> {
        let mut tx = self.api.read(Reach::Platform).await.unwrap();
        let rows = tx.list_webhook_deliveries(endpoint, None, None, 1_000).await.unwrap();
        let mut events: Vec<_> = rows.into_iter().map(|row| row.event_id).collect();
        events.sort();
        events
    }

    /// So many deliveries that are due.
    async fn due_webhooks(&self, endpoint: WebhookEndpointId, count: usize) {
        for _ in 0..count {
            let id = WebhookDeliveryId::new(&self.chance, now());
            self.sql(&format!(
                "WITH due AS (
                     INSERT INTO webhook_deliveries (delivery_id, tenant_id, endpoint_id, event_id, kind, status,
                                                     next_attempt_at, created_at)
                     SELECT '{}', tenant_id, endpoint_id, gen_random_uuid(), 'domain_active', 'pending', now(), now()
                     FROM webhook_endpoints WHERE endpoint_id = '{}' RETURNING 1)
                 SELECT count(*) FROM due",
                id.uuid(),
                endpoint.uuid(),
            ))
            .await;
        }
    }

    async fn claim_webhooks(
        &self,
        room: WebhookRoom,
        owners: &[(Option<TenantId>, i64)],
    ) -> Vec<ClaimedWebhook> {
        let from = WebhookEndpointId::nil();
        let turn = WebhookTurn { endpoints: &[], owners, of_each: 16, room, from };
        self.engine.claim_webhooks(&turn, now() + Duration::SECOND).await.unwrap().0
    }
}

#[tokio::test]
async fn a_replay_sends_what_the_endpoint_should_have_been_sent_since_then() {
    let base = Base::new().await;
    let other = base.other_tenant().await;
    let hour = Duration::HOUR;
    base.told(base.tenant, "domain_created", 9 * hour, 1).await;
    let own = base.told(base.tenant, "domain_active", 3 * hour, 2).await;
    let foreign = base.told(other, "domain_active", 2 * hour, 3).await;
    base.told(base.tenant, "domain_changed", 2 * hour, 4).await;
    base.told(base.tenant, "webhook_test", hour, 5).await;
    let last = base.told(base.tenant, "domain_paused", hour, 6).await;
    let (of_tenant, of_platform) = (base.webhook(Some(base.tenant)).await, base.webhook(None).await);
    base.replay(of_tenant, 4 * hour).await;
    assert_eq!(base.planned(of_tenant).await, [own, last]);
    base.replay(of_platform, 4 * hour).await;
    assert_eq!(base.planned(of_platform).await, [own, foreign, last]);

    let (late, early) = (base.webhook(Some(other)).await, base.webhook(Some(other)).await);
    base.replay(late, hour / 2).await;
    assert_eq!(base.planned(late).await, []);
    base.replay(early, 90 * Duration::DAY).await;
    assert_eq!(base.planned(early).await, [foreign]);
}

/// By the statements' own numbers, as the database counts them.
#[tokio::test]
async fn a_replay_reads_no_more_of_other_tenants_events_than_it_needs_to_find_its_beginning() {
    let base = Base::new().await;
    let other = base.other_tenant().await;
    base.told(base.tenant, "domain_active", 2 * Duration::HOUR, 1).await;
    base.sql(&format!(
        "WITH told AS (
             INSERT INTO events (event_id, tenant_id, kind, detail, happened_at, position)
             SELECT ('{}' || lpad(to_hex(n), 12, '0'))::uuid, '{}', 'domain_active', '', now(), n
             FROM generate_series(2, 40000) n RETURNING 1)
         SELECT count(*) FROM told",
        &EventId::new(&base.chance, now() - Duration::HOUR).uuid().to_string()[..24],
        other.uuid(),
    ))
    .await;
    base.told(base.tenant, "domain_active", Duration::MINUTE, 40_001).await;
    let (own, all) = (base.webhook(Some(base.tenant)).await, base.webhook(None).await);
    base.sql("SELECT 1::bigint FROM (SELECT pg_stat_reset()) AS done").await;
    base.replay(own, Duration::DAY).await;
    base.replay(all, Duration::minutes(30)).await;
    assert_eq!((base.planned(own).await.len(), base.planned(all).await.len()), (2, 1));

    // Connections say what they have done when they end.
    base.sql(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'certmill'",
    )
    .await;
    let inserted = "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'webhook_deliveries'";
    while base.sql(inserted).await < 3 {
        tokio::task::yield_now().await;
    }
    let read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'events'";
    let read = base.sql(read).await;
    assert!(read < 1_000, "{read} events");
}

#[tokio::test]
async fn a_tenant_gets_its_share_of_the_places_and_leaves_room_for_others() {
    let base = Base::new().await;
    let other = base.other_tenant().await;
    for _ in 0..5 {
        let greedy = base.webhook(Some(base.tenant)).await;
        base.due_webhooks(greedy, 10).await;
    }
    for owner in [Some(other), None] {
        let modest = base.webhook(owner).await;
        base.due_webhooks(modest, 1).await;
    }
    let room = WebhookRoom { all: 8, of_one: 4 };
    let claimed = base.claim_webhooks(room, &[]).await;
    let mut of = BTreeMap::<_, Vec<_>>::new();
    for webhook in &claimed {
        of.entry(webhook.tenant_id).or_default().push(webhook.endpoint_id);
    }
    let mut endpoints = of.remove(&Some(base.tenant)).unwrap();
    endpoints.dedup();
    assert_eq!((claimed.len(), endpoints.len()), (6, 4), "no two of one endpoint before one of another");
    assert_eq!(of.into_values().map(|claimed| claimed.len()).collect::<Vec<_>>(), [1, 1]);

    assert!(base.claim_webhooks(room, &[(Some(base.tenant), 4)]).await.is_empty(), "they have theirs");
    assert_eq!(base.claim_webhooks(room, &[(Some(base.tenant), 1)]).await.len(), 3);
    let last = base.webhook(None).await;
    base.due_webhooks(last, 1).await;
    let claimed = base.claim_webhooks(WebhookRoom { all: 1, of_one: 4 }, &[(Some(base.tenant), 2)]).await;
    let claimed: Vec<_> = claimed.iter().map(|webhook| webhook.endpoint_id).collect();
    assert_eq!(claimed, [last], "whoever has the fewest comes first, and no more than there is room for");
}

#[tokio::test]
async fn of_two_endpoints_that_are_added_at_once_the_last_place_is_for_one() {
    let base = Base::new().await;
    for _ in 0..49 {
        base.webhook(Some(base.tenant)).await;
    }
    let mut first = base.api.scoped(Reach::Platform).await.unwrap();
    assert!(base.add_webhook(&mut first, Some(base.tenant)).await.is_some());
    let (mut second, tenant) = (base.api.scoped(Reach::Platform).await.unwrap(), base.tenant);
    let committed = async {
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        while base.sql(waiting).await == 0 {}
        base.commit(first).await;
    };
    // Who does not wait is done before that.
    let mut committed = std::pin::pin!(committed);
    let mut added = std::pin::pin!(base.add_webhook(&mut second, Some(tenant)));
    let added = tokio::select! {
        added = &mut added => added,
        () = &mut committed => added.await,
    };
    assert_eq!(added, None);
}
