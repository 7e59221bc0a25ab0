//! Claims, fencing and what concurrent workers can do to one another: on a real Postgres.

use std::collections::BTreeSet;

use crate::base::{Base, now, tenant, token};
use certmill_model::{Chance, Checks, DomainStatus, Hostname, Label};
use certmill_store::{DomainWish, Looked, PlacedChallenge, Put, StoreError};
use certmill_vault::Secret;
use time::Duration;

#[tokio::test]
async fn of_many_workers_that_claim_one_domain_one_gets_it() {
    let base = Base::new().await;
    let domain = base.put("shop.example.com").await;
    let mut claims = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let engine = base.engine.clone();
        claims.spawn(async move {
            engine.claim_domain(domain, now() + Duration::SECOND).await.unwrap().is_some()
        });
    }
    assert_eq!(claims.join_all().await.into_iter().filter(|got| *got).count(), 1);
}

#[tokio::test]
async fn a_worker_that_wakes_late_writes_nothing() {
    let base = Base::new().await;
    let domain = base.put("shop.example.com").await;
    let late = base.claim(domain).await.unwrap();
    base.sql("UPDATE domains SET lease_until = now() - interval '1 second' RETURNING 1::bigint").await;
    let other = base.claim(domain).await.unwrap();

    assert!(matches!(base.start_order(&late).await, Err(StoreError::LeaseLost)));
    assert!(matches!(base.engine.rest(&late.lease, None).await, Err(StoreError::LeaseLost)));
    assert!(matches!(base.engine.renew_lease(&late.lease).await, Err(StoreError::LeaseLost)));
    let order = base.start_order(&other).await.unwrap();
    assert!(matches!(base.issued(&late, order).await, Err(StoreError::LeaseLost)));
    assert_eq!(base.sql("SELECT count(*) FROM certificates").await, 0);
    assert_eq!(base.sql("SELECT count(*) FROM orders").await, 1);

    base.issued(&other, order).await.unwrap();
    assert_eq!(base.sql("SELECT count(*) FROM certificates").await, 1);
}

#[tokio::test]
async fn an_order_goes_on_with_its_key_and_its_url_after_the_worker_is_gone() {
    let base = Base::new().await;
    let domain = base.put("shop.example.com").await;
    let gone = base.claim(domain).await.unwrap();
    let order = base.start_order(&gone).await.unwrap();
    let challenge = PlacedChallenge { token: token("tok"), key_authorization: "tok.thumb".into() };
    base.engine
        .order_placed(&gone.lease, order, "https://ca.test/order/1", &[challenge], &[], now())
        .await
        .unwrap();
    base.sql("UPDATE domains SET lease_until = now() - interval '1 second' RETURNING 1::bigint").await;

    let heir = base.claim(domain).await.unwrap();
    let found = heir.order.as_ref().expect("the order is open");
    assert_eq!(found.order_id, order);
    assert_eq!(found.url.as_deref(), Some("https://ca.test/order/1"));
    assert!(found.private_key(&base.vault).unwrap() == Secret::new(b"a private key".to_vec()));
    let answer = base.api.key_authorization(&token("tok")).await.unwrap();
    assert_eq!(answer.as_deref(), Some("tok.thumb"));

    base.issued(&heir, order).await.unwrap();
    assert_eq!(base.api.key_authorization(&token("tok")).await.unwrap(), None);
    assert_eq!(base.sql("SELECT count(*) FROM orders WHERE sealed_key IS NOT NULL").await, 0);
}

#[tokio::test]
async fn a_wish_made_while_a_worker_holds_the_domain_is_not_lost() {
    let base = Base::new().await;
    let domain = base.put("shop.example.com").await;
    let claimed = base.claim(domain).await.unwrap();
    let mut tx = base.api.tenant(base.tenant).await.unwrap();
    let wish = DomainWish {
        external_id: Some(Label::parse("48213").unwrap()),
        ..DomainWish::of(Hostname::parse("shop.example.com").unwrap())
    };
    tx.put_domain(&wish, &base.chance, now()).await.unwrap();
    tx.commit().await.unwrap();

    base.engine.rest(&claimed.lease, Some(now() + Duration::days(60))).await.unwrap();
    assert!(base.claim(domain).await.is_some(), "it is due again at once");
}

#[tokio::test]
async fn a_domain_deleted_while_its_certificate_is_being_issued_stays_deleted() {
    let base = Base::new().await;
    let domain = base.put("shop.example.com").await;
    let claimed = base.claim(domain).await.unwrap();
    let order = base.start_order(&claimed).await.unwrap();
    let mut tx = base.api.tenant(base.tenant).await.unwrap();
    let name = Hostname::parse("shop.example.com").unwrap();
    assert!(tx.delete_domain(&name, &base.chance, now()).await.unwrap());
    tx.commit().await.unwrap();

    base.issued(&claimed, order).await.unwrap();
    let again = base.claim(domain).await.expect("it is due");
    assert_eq!(again.status, DomainStatus::PendingDeletion);
    base.engine.finish_deletion(&again.lease, &base.chance, now()).await.unwrap();
    assert!(base.put("shop.example.com").await != domain, "the name is free for a new domain");
}

#[tokio::test]
async fn a_domain_deleted_while_somebody_looks_at_it_stays_deleted() {
    let base = Base::new().await;
    let domain = base.put("shop.example.com").await;
    let looking = base.claim(domain).await.unwrap();
    let mut tx = base.api.tenant(base.tenant).await.unwrap();
    let name = Hostname::parse("shop.example.com").unwrap();
    assert!(tx.delete_domain(&name, &base.chance, now()).await.unwrap());
    tx.commit().await.unwrap();

    let checks = Checks { looks: Vec::new(), checked_at: now() };
    let looked = Looked {
        checks: &checks,
        problem: None,
        status: Some(DomainStatus::PendingDns),
        consecutive_failures: 1,
        next_look_at: now() + Duration::MINUTE,
        solved: &[],
        clock_restarts: true,
    };
    base.engine.looked(&looking, &looked, &base.chance, now()).await.unwrap();
    let again = base.claim(domain).await.expect("it is due");
    assert_eq!(again.status, DomainStatus::PendingDeletion);
}

#[tokio::test]
async fn a_look_that_is_asked_for_during_another_is_made_after_it() {
    let base = Base::new().await;
    let domain = base.put("shop.example.com").await;
    let looking = base.claim(domain).await.unwrap();
    let mut tx = base.api.tenant(base.tenant).await.unwrap();
    assert!(tx.request_check(domain, now()).await.unwrap(), "nobody has asked for it");
    assert!(!tx.request_check(domain, now()).await.unwrap(), "the same was asked for before");
    tx.commit().await.unwrap();
    let checks = Checks { looks: Vec::new(), checked_at: now() };
    let looked = Looked {
        checks: &checks,
        problem: None,
        status: None,
        consecutive_failures: 1,
        next_look_at: now() + Duration::MINUTE,
        solved: &[],
        clock_restarts: false,
    };
    base.engine.looked(&looking, &looked, &base.chance, now()).await.unwrap();
    assert!(base.claim(domain).await.is_some(), "it is due again at once");
}

#[tokio::test]
async fn a_name_that_is_removed_and_registered_again_has_no_more_attempts_at_the_ca_than_before() {
    let base = Base::new().await;
    let domain = base.put("shop.example.com").await;
    base.sql(
        "WITH failed AS (UPDATE domains SET order_after = now() + interval '1 day', validation_failed_at = now()
                         RETURNING 1) SELECT count(*) FROM failed",
    )
    .await;
    let mut tx = base.api.tenant(base.tenant).await.unwrap();
    tx.delete_domain(&Hostname::parse("shop.example.com").unwrap(), &base.chance, now()).await.unwrap();
    tx.commit().await.unwrap();
    let gone = base.claim(domain).await.unwrap();
    base.engine.finish_deletion(&gone.lease, &base.chance, now()).await.unwrap();
    let again = base.put("shop.example.com").await;
    let claimed = base.claim(again).await.unwrap();
    assert!(claimed.order_after > Some(now()) && claimed.validation_failed_at.is_some());
}

#[tokio::test]
async fn a_due_domain_is_nudged_once_until_it_is_claimed() {
    let base = Base::new().await;
    let ids: BTreeSet<_> = [base.put("a.example.com").await, base.put("b.example.com").await].into();
    let mut tx = base.engine.begin_nudges().await.unwrap();
    let due = base.engine.take_due_domains(&mut tx, 10, None, now() + Duration::SECOND).await.unwrap();
    assert_eq!(due.taken.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>(), ids);
    let again = base.engine.take_due_domains(&mut tx, 10, None, now() + Duration::SECOND).await.unwrap();
    assert!(again.taken.is_empty());
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn of_many_tenants_that_claim_one_name_one_gets_it() {
    let base = Base::new().await;
    let mut platform = base.api.platform().await.unwrap();
    let mut tenants = vec![base.tenant];
    for number in 0..9 {
        let tenant = tenant(&format!("tenant {number}"), &base.chance);
        tenants.push(platform.put_tenant(&tenant, now()).await.unwrap());
    }
    platform.commit().await.unwrap();
    let mut puts = tokio::task::JoinSet::new();
    for (number, tenant) in tenants.into_iter().enumerate() {
        let api = base.api.clone();
        puts.spawn(async move {
            let wish = DomainWish::of(Hostname::parse("shop.example.com").unwrap());
            let mut tx = api.tenant(tenant).await.unwrap();
            match tx.put_domain(&wish, &Chance::seeded(100 + number as u64), now()).await {
                Ok(_) => tx.commit().await.map(|()| true).unwrap(),
                Err(StoreError::NameTaken) => false,
                Err(error) => panic!("{error}"),
            }
        });
    }
    assert_eq!(puts.join_all().await.into_iter().filter(|won| *won).count(), 1);
}

#[tokio::test]
async fn of_many_puts_of_one_tenant_one_creates_and_none_fails() {
    let base = Base::new().await;
    let mut puts = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (api, tenant) = (base.api.clone(), base.tenant);
        puts.spawn(async move {
            let name = Hostname::parse("shop.example.com").unwrap();
            let wish = DomainWish::of(name);
            let mut tx = api.tenant(tenant).await.unwrap();
            let put = tx.put_domain(&wish, &Chance::seeded(100 + number), now()).await.unwrap();
            tx.commit().await.unwrap();
            matches!(put, Put::Created(_))
        });
    }
    assert_eq!(puts.join_all().await.into_iter().filter(|created| *created).count(), 1);
}

/// A million due rows would be read in order by their index, not sorted.
#[tokio::test]
async fn what_is_due_is_found_by_an_index() {
    let base = Base::new().await;
    base.sql(
        "WITH filled AS (
             INSERT INTO domains (domain_id, tenant_id, name, status, status_since, next_action_at, created_at, updated_at)
             SELECT gen_random_uuid(), (SELECT tenant_id FROM tenants), 's' || n || '.example.com', 'active', now(),
                    now() + n * interval '1 minute', now(), now()
             FROM generate_series(1, 50000) n RETURNING 1)
         SELECT count(*) FROM filled",
    )
    .await;
    let mut owner = <sqlx::PgConnection as sqlx::Connection>::connect(&base.url).await.unwrap();
    sqlx::query("ANALYZE domains").execute(&mut owner).await.unwrap();
    let plan: Vec<String> = sqlx::query_scalar(
        "EXPLAIN SELECT domain_id FROM domains
         WHERE next_action_at <= now() AND (lease_until IS NULL OR lease_until < now())
           AND (nudged_until IS NULL OR nudged_until < now())
         ORDER BY next_action_at LIMIT 128 FOR UPDATE SKIP LOCKED",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert!(plan.iter().any(|line| line.contains("domains_due")), "{plan:#?}");
}
