//! Orders for a name and its `www.`, and what each of the two domains comes to.

use crate::base::{Base, now};
use certmill_model::{
    DomainId, DomainStatus, Hostname, NextStep, OpenOrderRole, OrderStatus, ProblemCode, next_step,
};
use certmill_store::{Blamed, ClaimedDomain, Failure, OrderFailure, StoreError, Without};
use time::Duration;

const APEX: &str = "example.com";
const WWW: &str = "www.example.com";

async fn pair() -> (Base, DomainId, DomainId) {
    let base = Base::new().await;
    let (apex, www) = (base.put(APEX).await, base.put(WWW).await);
    (base, apex, www)
}

async fn due(base: &Base) {
    base.sql("WITH due AS (UPDATE domains SET next_action_at = now(), lease_until = NULL RETURNING 1) SELECT count(*) FROM due")
        .await;
}

pub(crate) fn failure(order: OrderFailure, blamed: &[Blamed]) -> Failure<'_> {
    Failure {
        code: ProblemCode::HttpUnreachable,
        detail: "no answer",
        order: Some(order),
        status: DomainStatus::PendingIssuance,
        consecutive_failures: 1,
        next_attempt_at: Some(now() + Duration::days(1)),
        order_after: Some(now() + Duration::days(1)),
        validation_failed: true,
        deferral: None,
        without: Without::default(),
        checks: &[],
        blamed,
    }
}

fn knows_counterpart(domain: &ClaimedDomain) -> bool {
    domain.counterpart.as_ref().is_some_and(|other| other.suits && other.ordering_since.is_none())
}

#[tokio::test]
async fn a_name_that_joins_an_order_waits_for_it_and_gets_its_certificate() {
    let (base, apex, www) = pair().await;
    let leader = base.claim(apex).await.unwrap();
    assert!(knows_counterpart(&leader));
    let order = base.start_order_with(&leader, Some((www, WWW))).await.unwrap();
    due(&base).await;
    let joined = base.claim(www).await.unwrap();
    assert_eq!(joined.situation.order, OpenOrderRole::Joined);
    assert_eq!(next_step(&joined.situation, now()), NextStep::AwaitOrder);
    assert!(joined.counterpart.as_ref().is_some_and(|other| other.ordering_since.is_some()));

    let leader = base.claim(apex).await.unwrap();
    assert_eq!(leader.situation.order, OpenOrderRole::Leads);
    let names = [APEX, WWW].map(|name| Hostname::parse(name).unwrap());
    base.issued_for(&leader, order, &names).await.unwrap();
    let shared = "SELECT count(*) FROM domains WHERE certificate_id IS NOT NULL AND order_id IS NULL
                  AND status = 'pending_deployment'";
    assert_eq!(base.sql(shared).await, 2);
    assert_eq!(base.sql("SELECT count(DISTINCT certificate_id) FROM domains").await, 1);
    let told = "SELECT count(DISTINCT domain_id) FROM events WHERE kind = 'certificate_issued'";
    assert_eq!(base.sql(told).await, 2);
}

#[tokio::test]
async fn a_worker_that_looked_at_a_name_while_it_joined_an_order_writes_nothing() {
    let (base, apex, www) = pair().await;
    let looking = base.claim(www).await.unwrap();
    let leader = base.claim(apex).await.unwrap();
    base.start_order_with(&leader, Some((www, WWW))).await.unwrap();
    assert!(matches!(base.start_order(&looking).await, Err(StoreError::LeaseLost)));
    assert!(matches!(base.engine.rest(&looking.lease, None).await, Err(StoreError::LeaseLost)));
    assert_eq!(base.sql("SELECT count(*) FROM orders").await, 1);
}

#[tokio::test]
async fn of_two_names_that_want_one_another_at_once_one_leads() {
    let (base, apex, www) = pair().await;
    for _ in 0..20 {
        due(&base).await;
        let (first, second) = (base.claim(apex).await.unwrap(), base.claim(www).await.unwrap());
        let (one, other) = tokio::join!(
            base.start_order_with(&first, Some((www, WWW))),
            base.start_order_with(&second, Some((apex, APEX)))
        );
        assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1);
        assert_eq!(base.sql("SELECT count(*) FROM orders WHERE status = 'queued'").await, 1);
        assert_eq!(base.sql("SELECT count(*) FROM domains WHERE order_id IS NOT NULL").await, 2);
        base.sql(
            "WITH over AS (UPDATE orders SET status = 'cancelled' RETURNING 1) SELECT count(*) FROM over",
        )
        .await;
    }
}

#[tokio::test]
async fn a_name_with_an_order_of_its_own_joins_no_other() {
    let (base, apex, www) = pair().await;
    let alone = base.claim(www).await.unwrap();
    base.start_order(&alone).await.unwrap();
    let leader = base.claim(apex).await.unwrap();
    assert!(!knows_counterpart(&leader));
    assert!(matches!(base.start_order_with(&leader, Some((www, WWW))).await, Err(StoreError::LeaseLost)));
    assert_eq!(base.sql("SELECT count(*) FROM orders").await, 1, "nothing of it is left");
}

#[tokio::test]
async fn only_the_name_at_fault_waits_and_the_other_goes_on_without_it() {
    let (base, apex, www) = pair().await;
    let leader = base.claim(apex).await.unwrap();
    let order_id = base.start_order_with(&leader, Some((www, WWW))).await.unwrap();
    let blamed =
        [Blamed { name: WWW.to_owned(), code: ProblemCode::HttpUnreachable, detail: "refused".to_owned() }];
    let over = OrderFailure { order_id, status: OrderStatus::Invalid, problem: serde_json::Value::Null };
    base.engine.fail(&leader.lease, &failure(over, &blamed), &base.chance, now()).await.unwrap();

    let at_once = base.claim(apex).await.expect("it is due at once");
    assert_eq!((at_once.consecutive_failures, at_once.validation_failed_at), (0, None));
    assert_eq!(at_once.situation.order, OpenOrderRole::None);
    assert!(!knows_counterpart(&at_once), "what the CA disliked lately joins nothing");
    assert!(base.claim(www).await.is_none(), "it waits");
    assert_eq!(base.sql("SELECT count(*) FROM problems").await, 1);
    let waits = "SELECT count(*) FROM domains WHERE name = 'www.example.com' AND validation_failed_at IS NOT NULL
                 AND order_after > now() + interval '23 hours' AND order_id IS NULL AND consecutive_failures = 1";
    assert_eq!(base.sql(waits).await, 1);
}

#[tokio::test]
async fn a_failure_that_ends_no_order_keeps_both_in_it() {
    let (base, apex, www) = pair().await;
    let leader = base.claim(apex).await.unwrap();
    let order_id = base.start_order_with(&leader, Some((www, WWW))).await.unwrap();
    let open = OrderFailure { order_id, status: OrderStatus::Pending, problem: serde_json::Value::Null };
    base.engine.fail(&leader.lease, &failure(open, &[]), &base.chance, now()).await.unwrap();
    assert_eq!(base.sql("SELECT count(*) FROM domains WHERE order_id IS NOT NULL").await, 2);
    assert_eq!(base.sql("SELECT count(*) FROM problems").await, 2, "both are told why they wait");
}

#[tokio::test]
async fn a_name_whose_order_is_cancelled_with_the_other_goes_on_alone() {
    let (base, apex, www) = pair().await;
    let leader = base.claim(apex).await.unwrap();
    base.start_order_with(&leader, Some((www, WWW))).await.unwrap();
    let mut tx = base.api.tenant(base.tenant).await.unwrap();
    tx.delete_domain(&Hostname::parse(APEX).unwrap(), &base.chance, now()).await.unwrap();
    tx.commit().await.unwrap();
    let alone = base.claim(www).await.expect("it is due at once");
    assert_eq!(alone.situation.order, OpenOrderRole::None);
    base.start_order(&alone).await.unwrap();
}

/// Of a million domains, none is read but those that are meant.
#[tokio::test]
async fn a_name_is_paused_and_removed_without_a_look_at_all_others() {
    let base = Base::new().await;
    base.sql(
        "WITH filled AS (
             INSERT INTO domains (domain_id, tenant_id, name, status, status_since, created_at, updated_at)
             SELECT gen_random_uuid(), (SELECT tenant_id FROM tenants), 's' || n || '.example.com', 'active', now(), now(), now()
             FROM generate_series(1, 50000) n RETURNING 1)
         SELECT count(*) FROM filled",
    )
    .await;
    let mut owner = <sqlx::PgConnection as sqlx::Connection>::connect(&base.url).await.unwrap();
    sqlx::query("ANALYZE domains").execute(&mut owner).await.unwrap();
    base.put(APEX).await;
    let read = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'domains'";
    let updates = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'domains'";
    let (before, changed) = (base.sql(read).await, base.sql(updates).await);
    let name = Hostname::parse(APEX).unwrap();
    let mut tx = base.api.tenant(base.tenant).await.unwrap();
    let domain = tx.lock_domain(&name).await.unwrap().unwrap();
    tx.pause_domain(&domain, &base.chance, now()).await.unwrap();
    tx.delete_domain(&name, &base.chance, now()).await.unwrap();
    tx.commit().await.unwrap();
    // What a connection has read is known together with what it changed, some seconds after.
    while base.sql(updates).await < changed + 2 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(base.sql(read).await - before < 50_000);
}

#[tokio::test]
async fn a_deletion_and_the_certificate_that_comes_meanwhile_block_one_another_never() {
    let (base, apex, www) = pair().await;
    for _ in 0..10 {
        due(&base).await;
        // The one that was registered later leads.
        let leader = base.claim(www).await.unwrap();
        let order = base.start_order_with(&leader, Some((apex, APEX))).await.unwrap();
        let names = [WWW, APEX].map(|name| Hostname::parse(name).unwrap());
        let mut tx = base.api.tenant(base.tenant).await.unwrap();
        let deletion = async {
            tx.delete_domain(&names[0], &base.chance, now()).await.unwrap();
            tx.commit().await.unwrap();
        };
        let ((), issued) = tokio::join!(deletion, base.issued_for(&leader, order, &names));
        issued.unwrap();
        base.put(WWW).await;
    }
}

#[tokio::test]
async fn a_certificate_outlives_the_domain_that_led_its_order_and_is_wiped_when_replaced() {
    let (base, apex, www) = pair().await;
    let leader = base.claim(apex).await.unwrap();
    let order = base.start_order_with(&leader, Some((www, WWW))).await.unwrap();
    let names = [APEX, WWW].map(|name| Hostname::parse(name).unwrap());
    base.issued_for(&leader, order, &names).await.unwrap();
    let mut tx = base.api.tenant(base.tenant).await.unwrap();
    tx.delete_domain(&names[0], &base.chance, now()).await.unwrap();
    tx.commit().await.unwrap();
    let gone = base.claim(apex).await.unwrap();
    base.engine.finish_deletion(&gone.lease, &base.chance, now()).await.unwrap();

    due(&base).await;
    let alone = base.claim(www).await.unwrap();
    let order = base.start_order(&alone).await.unwrap();
    base.issued(&alone, order).await.unwrap();
    base.sql("WITH placed AS (INSERT INTO targets (target_id, name, address, public_addresses, settings, state, state_since, \
              next_attempt_at, created_at) VALUES (gen_random_uuid(), 'lb', '127.0.0.1:1', '{}', '{}', 'behind', now(), now(), \
              now()) RETURNING target_id), on_it AS (INSERT INTO placements (target_id, domain_id, tenant_id, shard, \
              wanted_revision, pending, next_attempt_at) SELECT target_id, domain_id, tenant_id, 1, 1, false, now() \
              FROM placed, domains WHERE status <> 'deleted' RETURNING 1) SELECT count(*) FROM on_it")
        .await;
    base.engine.activate(&[www], &base.chance, now()).await.unwrap();
    assert_eq!(base.sql("SELECT count(*) FROM certificates WHERE sealed_key IS NOT NULL").await, 1);
    assert_eq!(base.sql("SELECT count(*) FROM certificates WHERE status = 'superseded'").await, 1);
}

#[tokio::test]
async fn the_key_of_a_shared_certificate_is_wiped_when_both_names_end_at_once() {
    let (base, apex, www) = pair().await;
    let leader = base.claim(apex).await.unwrap();
    let order = base.start_order_with(&leader, Some((www, WWW))).await.unwrap();
    let names = [APEX, WWW].map(|name| Hostname::parse(name).unwrap());
    base.issued_for(&leader, order, &names).await.unwrap();
    for name in &names {
        let mut tx = base.api.tenant(base.tenant).await.unwrap();
        tx.delete_domain(name, &base.chance, now()).await.unwrap();
        tx.commit().await.unwrap();
    }
    let (one, other) = (base.claim(apex).await.unwrap(), base.claim(www).await.unwrap());
    let (one, other) = tokio::join!(
        base.engine.finish_deletion(&one.lease, &base.chance, now()),
        base.engine.finish_deletion(&other.lease, &base.chance, now())
    );
    one.unwrap();
    other.unwrap();
    assert_eq!(base.sql("SELECT count(*) FROM certificates WHERE sealed_key IS NOT NULL").await, 0);
}

#[tokio::test]
async fn the_key_of_a_shared_certificate_is_wiped_with_the_last_of_its_names() {
    let (base, apex, www) = pair().await;
    let leader = base.claim(apex).await.unwrap();
    let order = base.start_order_with(&leader, Some((www, WWW))).await.unwrap();
    let names = [APEX, WWW].map(|name| Hostname::parse(name).unwrap());
    base.issued_for(&leader, order, &names).await.unwrap();
    for (name, id, keys) in [(APEX, apex, 1), (WWW, www, 0)] {
        let mut tx = base.api.tenant(base.tenant).await.unwrap();
        tx.delete_domain(&Hostname::parse(name).unwrap(), &base.chance, now()).await.unwrap();
        tx.commit().await.unwrap();
        let claimed = base.claim(id).await.unwrap();
        base.engine.finish_deletion(&claimed.lease, &base.chance, now()).await.unwrap();
        let kept = "SELECT count(*) FROM certificates WHERE sealed_key IS NOT NULL";
        assert_eq!(base.sql(kept).await, keys, "{name}");
    }
}
