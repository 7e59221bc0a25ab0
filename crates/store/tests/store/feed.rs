//! The feed of events: without gaps, in order, each event once, for everybody who may see it.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use certmill_model::{Chance, EventDocument, EventId, EventKind, TenantId};
use certmill_store::{FeedPlace, Placed, Reach};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::base::{Base, now, tenant};

impl Base {
    pub(crate) async fn place_all(&self) -> usize {
        let mut events = 0;
        loop {
            let placed = self.engine.place_events(&self.chance, now()).await.unwrap();
            events += placed.events;
            if !placed.is_more {
                return events;
            }
        }
    }

    pub(crate) async fn feed(&self, after: i64, kinds: Option<&[EventKind]>) -> Vec<(i64, EventDocument)> {
        let mut tx = self.api.read(Reach::Tenant(self.tenant)).await.unwrap();
        tx.events_after(after, kinds, 100).await.unwrap().events
    }
}

/// Writes events in transactions that take their time and often come to nothing; returns what was committed.
async fn write(url: &str, tenant: TenantId, domain: Uuid, seed: u64) -> Vec<EventId> {
    const TRANSACTIONS: usize = 40;
    let chance = Chance::seeded(seed);
    let mut connection = PgConnection::connect(url).await.unwrap();
    let mut committed = Vec::new();
    for _ in 0..TRANSACTIONS {
        let mut tx = connection.begin().await.unwrap();
        let ids: Vec<_> = (0..3).map(|_| EventId::new(&chance, now())).collect();
        for id in &ids {
            sqlx::query(
                "INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at)
                 VALUES ($1, $2, $3, 'domain_changed', '', now())",
            )
            .bind(id.uuid())
            .bind(tenant.uuid())
            .bind(domain)
            .execute(&mut *tx)
            .await
            .unwrap();
        }
        tokio::time::sleep(Duration::from_millis((chance.fraction() * 30.0) as u64)).await;
        if chance.fraction() < 0.3 {
            tx.rollback().await.unwrap();
        } else {
            tx.commit().await.unwrap();
            committed.extend(ids);
        }
    }
    committed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_every_committed_event_exactly_once_in_whatever_order_transactions_commit() {
    const WRITERS: u64 = 16;
    let base = Base::new().await;
    let domain = base.put("shop.example.com").await.uuid();
    base.place_all().await;
    let mut tx = base.api.read(Reach::Tenant(base.tenant)).await.unwrap();
    let start = tx.events_after(0, None, 100).await.unwrap().reached.unwrap().0;
    drop(tx);
    let (url, tenant, done) = (&base.url, base.tenant, &AtomicBool::new(false));
    let writers = async {
        let writers = (0..WRITERS).map(|seed| {
            let url = url.clone();
            tokio::spawn(async move { write(&url, tenant, domain, 100 + seed).await })
        });
        let mut committed = BTreeSet::new();
        for writer in writers.collect::<Vec<_>>() {
            committed.extend(writer.await.unwrap());
        }
        done.store(true, Ordering::SeqCst);
        committed
    };
    // Two that compete, as two processes do.
    let sequencer = async |seed| {
        let chance = Chance::seeded(seed);
        loop {
            let is_last = done.load(Ordering::SeqCst);
            let placed = base.engine.place_events(&chance, now()).await.unwrap();
            if is_last && placed.events == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let reader = async {
        let (mut after, mut seen) = (start, Vec::new());
        loop {
            let is_last = done.load(Ordering::SeqCst)
                && base.sql("SELECT count(*) FROM events WHERE position IS NULL").await == 0;
            let mut tx = base.api.read(Reach::Tenant(tenant)).await.unwrap();
            let page = tx.events_after(after, None, 7).await.unwrap();
            seen.extend(page.events.iter().map(|(position, event)| (*position, event.id)));
            match page.reached {
                Some((position, _)) => after = position,
                None if is_last => return seen,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let (committed, (), (), seen) = tokio::join!(writers, sequencer(1), sequencer(2), reader);
    let positions: Vec<_> = seen.iter().map(|(position, _)| *position).collect();
    let expected: Vec<_> = (start + 1..).take(committed.len()).collect();
    assert_eq!(positions, expected, "without gaps, in order");
    let ids: BTreeSet<_> = seen.iter().map(|(_, id)| *id).collect();
    assert!(ids == committed, "{} seen, {} committed", ids.len(), committed.len());
    assert!(committed.len() < (WRITERS * 40 * 3) as usize, "some came to nothing");
}

#[tokio::test]
async fn a_tenant_reads_its_own_events_and_the_platform_all() {
    let base = Base::new().await;
    let mut platform = base.api.platform().await.unwrap();
    let other = platform.put_tenant(&tenant("Other", &base.chance), now()).await.unwrap();
    platform.commit().await.unwrap();
    base.put("a.example.com").await;
    base.put_for(other, "b.example.com").await;
    base.put("c.example.com").await;
    base.sql(
        "WITH told AS (INSERT INTO events (event_id, kind, detail, happened_at, status, previous_status, subject,
                                           subject_name)
                       VALUES (gen_random_uuid(), 'target_unreachable', 'no route', now(), 'unreachable', 'in_sync',
                               'tgt_x', 'lb-1') RETURNING 1)
         SELECT count(*) FROM told",
    )
    .await;
    assert_eq!(base.place_all().await, 4);

    let own = base.feed(0, None).await;
    let names: Vec<_> = own.iter().map(|(_, event)| event.data.name.as_str()).collect();
    assert_eq!(names, ["a.example.com", "c.example.com"]);
    assert_eq!(own[0].1.data.tenant, Some(base.tenant));
    assert_eq!(own[0].1.data.status.as_deref(), Some("pending_dns"));

    let mut platform = base.api.read(Reach::Platform).await.unwrap();
    let all = platform.events_after(0, None, 100).await.unwrap().events;
    assert_eq!(all.len(), 4);
    let (_, of_target) = all.iter().find(|(_, event)| event.data.tenant.is_none()).unwrap();
    let data = &of_target.data;
    assert_eq!((data.id.as_str(), data.name.as_str()), ("tgt_x", "lb-1"));
    assert_eq!(
        (data.status.as_deref(), data.previous_status.as_deref()),
        (Some("unreachable"), Some("in_sync"))
    );

    // Where an event stands is said to those who may see it.
    let foreign = all.iter().find(|(_, event)| event.data.tenant == Some(other)).unwrap();
    assert_eq!(platform.position_of(foreign.1.id).await.unwrap(), FeedPlace::At(foreign.0));
    let mut tx = base.api.read(Reach::Tenant(base.tenant)).await.unwrap();
    assert_eq!(tx.position_of(foreign.1.id).await.unwrap(), FeedPlace::Unknown);
    assert_eq!(tx.position_of(own[1].1.id).await.unwrap(), FeedPlace::At(own[1].0));
}

#[tokio::test]
async fn an_event_without_a_place_is_not_there_yet() {
    let base = Base::new().await;
    let domain = base.put("shop.example.com").await;
    assert!(base.feed(0, None).await.is_empty());
    let mut tx = base.api.read(Reach::Tenant(base.tenant)).await.unwrap();
    let first = tx.timeline(domain, None, 1).await.unwrap().remove(0).event_id;
    assert_eq!(tx.position_of(first).await.unwrap(), FeedPlace::Soon);
    drop(tx);
    let placed = base.engine.place_events(&base.chance, now()).await.unwrap();
    assert_eq!(placed, Placed { events: 1, deliveries: 0, is_more: false });
    assert_eq!(base.feed(0, None).await[0].1.id, first);
    assert_eq!(base.engine.place_events(&base.chance, now()).await.unwrap(), Placed::default());
}

#[tokio::test]
async fn a_search_for_a_rare_kind_goes_on_where_it_ended() {
    let base = Base::new().await;
    base.put("shop.example.com").await;
    base.sql(
        "WITH filled AS (
             INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at)
             SELECT ('ffffffff-ffff-7fff-8fff-' || lpad(to_hex(n), 12, '0'))::uuid, tenant_id, domain_id,
                    CASE n WHEN 7000 THEN 'domain_moved' ELSE 'domain_changed' END, '', now()
             FROM generate_series(1, 7000) n, domains RETURNING 1)
         SELECT count(*) FROM filled",
    )
    .await;
    assert_eq!(base.place_all().await, 7_001);
    let mut tx = base.api.read(Reach::Tenant(base.tenant)).await.unwrap();
    let wanted = Some(&[EventKind::DomainMoved][..]);
    let page = tx.events_after(0, wanted, 10).await.unwrap();
    assert!(page.events.is_empty());
    let (reached, _) = page.reached.unwrap();
    assert_eq!(reached, 5_000);
    let page = tx.events_after(reached, wanted, 10).await.unwrap();
    assert_eq!((page.events.len(), page.events[0].0), (1, 7_001));
    assert!(tx.events_after(7_001, wanted, 10).await.unwrap().reached.is_none());
}

#[tokio::test]
async fn what_is_wrong_stands_with_the_event_as_it_stood_then() {
    let base = Base::new().await;
    base.put("shop.example.com").await;
    base.sql(
        "WITH opened AS (INSERT INTO problems (domain_id, tenant_id, code, detail, since, last_attempt_at)
                         SELECT domain_id, tenant_id, 'caa_forbids', 'a CAA record', now(), now() FROM domains),
              told AS (UPDATE domains SET health = 'critical' RETURNING 1)
         SELECT count(*) FROM told",
    )
    .await;
    base.place_all().await;
    base.sql(
        "WITH gone AS (DELETE FROM problems), ok AS (UPDATE domains SET health = 'ok', status = 'active' RETURNING 1)
         SELECT count(*) FROM ok",
    )
    .await;
    let (_, event) = base.feed(0, None).await.remove(0);
    assert_eq!(event.data.status.as_deref(), Some("pending_dns"));
    assert_eq!(event.data.health, Some(certmill_model::Health::Critical));
    let problem = &event.data.problems[0];
    assert_eq!(
        (problem.code, problem.detail.as_str()),
        (certmill_model::ProblemCode::CaaForbids, "a CAA record")
    );
}

#[tokio::test]
async fn positions_go_on_after_every_event_is_deleted() {
    let base = Base::new().await;
    base.put("shop.example.com").await;
    base.place_all().await;
    base.sql("WITH gone AS (DELETE FROM events RETURNING 1) SELECT count(*) FROM gone").await;
    base.put("other.example.com").await;
    base.place_all().await;
    assert_eq!(base.feed(1, None).await.first().map(|(position, _)| *position), Some(2));
}

#[tokio::test]
async fn a_certificate_that_was_not_renewed_in_time_is_told_of_once() {
    let base = Base::new().await;
    for name in ["late.example.com", "on-time.example.com"] {
        let domain = base.put(name).await;
        let claimed = base.claim(domain).await.unwrap();
        let order = base.start_order(&claimed).await.unwrap();
        base.issued(&claimed, order).await.unwrap();
    }
    base.sql(
        "WITH late AS (UPDATE domains SET renew_after = now() - interval '20 days', status = 'active'
                       WHERE name = 'late.example.com' RETURNING certificate_id),
              ends AS (UPDATE certificates c SET not_after = now() + interval '10 days', not_before = now() - interval '80 days'
                       FROM late WHERE c.certificate_id = late.certificate_id RETURNING 1)
         SELECT count(*) FROM ends",
    )
    .await;
    assert_eq!(base.engine.tell_expiring(&base.chance, now()).await.unwrap(), 1);
    assert_eq!(base.engine.tell_expiring(&base.chance, now()).await.unwrap(), 0);
    base.place_all().await;
    let told = base.feed(0, Some(&[EventKind::CertificateExpiring])).await;
    assert_eq!((told.len(), told[0].1.data.name.as_str()), (1, "late.example.com"));
}

#[tokio::test]
async fn a_routine_renewal_is_told_apart_from_a_first_certificate() {
    let base = Base::new().await;
    let domain = base.put("shop.example.com").await;
    for _ in 0..2 {
        base.sql("WITH due AS (UPDATE domains SET next_action_at = now(), lease_until = NULL RETURNING 1) SELECT count(*) FROM due")
            .await;
        let claimed = base.claim(domain).await.unwrap();
        let order = base.start_order(&claimed).await.unwrap();
        base.issued(&claimed, order).await.unwrap();
        base.sql(
            "WITH served AS (UPDATE domains SET status = 'active' RETURNING 1) SELECT count(*) FROM served",
        )
        .await;
    }
    base.place_all().await;
    let both = [EventKind::CertificateIssued, EventKind::CertificateRenewed];
    let told: Vec<_> = base.feed(0, Some(&both)).await.into_iter().map(|(_, event)| event.kind).collect();
    assert_eq!(told, both);
}
