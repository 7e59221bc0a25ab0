//! TXT records: on record before they are written and until they are removed, whoever dies meanwhile.

use crate::base::{Base, now};
use certmill_model::{Chance, Hostname, OrderId, ZoneId};
use certmill_store::{ClaimedDomain, NewZone, PlacedRecord};
use certmill_vault::Secret;
use time::Duration;

async fn with_zone() -> (Base, ZoneId) {
    let base = Base::new().await;
    let zone = NewZone {
        zone_id: ZoneId::new(&Chance::seeded(9), now()),
        name: Hostname::parse("acme.example.com").unwrap(),
        settings: serde_json::json!({ "provider": "exec" }),
        credentials: Some(&Secret::new(b"canary".to_vec())),
        record_prefix: "",
        name_servers: &[],
        keep_empty: false,
    };
    let mut tx = base.api.platform().await.unwrap();
    let id = tx.put_zone(&zone, &base.vault, now()).await.unwrap();
    tx.commit().await.unwrap();
    (base, id)
}

fn record(zone_id: ZoneId, value: &str) -> PlacedRecord {
    PlacedRecord { zone_id, name: "x.acme.example.com".to_owned(), value: value.to_owned() }
}

async fn placed(base: &Base, domain: &ClaimedDomain, order: OrderId, record: PlacedRecord) -> bool {
    let url = "https://ca.test/order/1";
    base.engine.order_placed(&domain.lease, order, url, &[], &[record], now()).await.unwrap()
}

async fn end(base: &Base) {
    base.sql("WITH over AS (UPDATE orders SET status = 'invalid' RETURNING 1) SELECT count(*) FROM over")
        .await;
}

#[tokio::test]
async fn a_record_is_left_over_only_when_its_order_is_over_and_is_taken_by_one() {
    let (base, zone) = with_zone().await;
    let domain = base.put("*.example.com").await;
    let claimed = base.claim(domain).await.unwrap();
    assert_eq!(claimed.delegation.as_ref().unwrap().zone_id, zone);
    let order = base.start_order(&claimed).await.unwrap();
    assert!(placed(&base, &claimed, order, record(zone, "a")).await);
    assert!(base.engine.take_left_records(10, now()).await.unwrap().is_empty());

    end(&base).await;
    let left = base.engine.take_left_records(10, now()).await.unwrap();
    assert_eq!(left.iter().map(|record| record.value.as_str()).collect::<Vec<_>>(), ["a"]);
    assert!(base.engine.take_left_records(10, now()).await.unwrap().is_empty(), "one removes it");
    base.engine.record_not_removed(&left[0], now() + Duration::MINUTE).await.unwrap();
    assert!(base.engine.take_left_records(10, now()).await.unwrap().is_empty(), "it waits");
    let again = base.engine.take_left_records(10, now() + Duration::hours(1)).await.unwrap();
    assert_eq!(again[0].consecutive_failures, 1);
    base.engine.record_removed(&again[0]).await.unwrap();
    assert_eq!(base.sql("SELECT count(*) FROM txt_records").await, 0);
}

#[tokio::test]
async fn a_value_that_a_new_order_needs_as_well_is_not_removed_for_the_old_one() {
    let (base, zone) = with_zone().await;
    let domain = base.put("*.example.com").await;
    let claimed = base.claim(domain).await.unwrap();
    let order = base.start_order(&claimed).await.unwrap();
    assert!(placed(&base, &claimed, order, record(zone, "same")).await);
    end(&base).await;
    let removing = base.engine.take_left_records(10, now()).await.unwrap();

    // A CA may reuse an authorization, and with it the token.
    let next = base.start_order(&claimed).await.unwrap();
    assert!(!placed(&base, &claimed, next, record(zone, "same")).await, "it is being removed: wait");
    base.engine.record_not_removed(&removing[0], now()).await.unwrap();
    assert!(placed(&base, &claimed, next, record(zone, "same")).await);
    assert!(base.engine.take_left_records(10, now()).await.unwrap().is_empty());
    base.engine.record_removed(&removing[0]).await.unwrap();
    assert_eq!(
        base.sql("SELECT count(*) FROM txt_records").await,
        1,
        "the late remover forgets nothing of the new order"
    );
}

#[tokio::test]
async fn a_value_that_was_written_by_a_worker_which_woke_late_is_removed_too() {
    let (base, zone) = with_zone().await;
    let domain = base.put("*.example.com").await;
    let claimed = base.claim(domain).await.unwrap();
    let order = base.start_order(&claimed).await.unwrap();
    end(&base).await;
    let late = [(zone, "x.acme.example.com".to_owned(), "late".to_owned())];
    base.engine.records_written(order, &late, now()).await.unwrap();
    assert_eq!(base.engine.take_left_records(10, now()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_value_that_arrives_while_it_is_being_removed_is_removed_again() {
    let (base, zone) = with_zone().await;
    let domain = base.put("*.example.com").await;
    let claimed = base.claim(domain).await.unwrap();
    let order = base.start_order(&claimed).await.unwrap();
    assert!(placed(&base, &claimed, order, record(zone, "a")).await);
    end(&base).await;
    let removing = base.engine.take_left_records(10, now()).await.unwrap();
    let arrived = [(zone, "x.acme.example.com".to_owned(), "a".to_owned())];
    base.engine.records_written(order, &arrived, now()).await.unwrap();
    base.engine.record_removed(&removing[0]).await.unwrap();
    let again = base.engine.take_left_records(10, now()).await.unwrap();
    base.engine.record_removed(&again[0]).await.unwrap();
    assert_eq!(base.sql("SELECT count(*) FROM txt_records").await, 0);
}

#[tokio::test]
async fn a_zone_is_forgotten_only_when_nobody_points_into_it_and_its_secret_is_never_read_by_the_api() {
    let (base, zone) = with_zone().await;
    base.put("shop.example.com").await;
    let mut tx = base.api.platform().await.unwrap();
    assert!(!tx.remove_zone(zone).await.unwrap());
    drop(tx);
    let sealed = "SELECT count(*) FROM zones WHERE position('canary'::bytea IN sealed_credentials) > 0";
    assert_eq!(base.sql(sealed).await, 0);
    let mut owner = <sqlx::PgConnection as sqlx::Connection>::connect(&base.url).await.unwrap();
    sqlx::query("SET ROLE certmill_api").execute(&mut owner).await.unwrap();
    let refused = sqlx::query("SELECT sealed_credentials FROM zones").execute(&mut owner).await;
    assert!(refused.unwrap_err().to_string().contains("permission denied"));
    let opened = base.engine.zones().await.unwrap()[0].credentials(&base.vault).unwrap().unwrap();
    assert_eq!(opened.expose(), b"canary");
}

#[tokio::test]
async fn names_that_came_before_the_first_zone_belong_to_it_and_keep_their_label() {
    let base = Base::new().await;
    let domain = base.put("*.example.com").await;
    assert!(base.claim(domain).await.unwrap().delegation.is_none());
    let before = base.sql("SELECT count(*) FROM delegations").await;
    let zone = NewZone {
        zone_id: ZoneId::new(&base.chance, now()),
        name: Hostname::parse("acme.example.com").unwrap(),
        settings: serde_json::json!({ "provider": "exec" }),
        credentials: None,
        record_prefix: "_acme-challenge.",
        name_servers: &[],
        keep_empty: false,
    };
    let mut tx = base.api.platform().await.unwrap();
    tx.put_zone(&zone, &base.vault, now()).await.unwrap();
    tx.commit().await.unwrap();
    base.sql("WITH due AS (UPDATE domains SET lease_until = NULL RETURNING 1) SELECT count(*) FROM due")
        .await;
    let delegation = base.claim(domain).await.unwrap().delegation.unwrap();
    let name = delegation.record_name;
    assert!(name.starts_with("_acme-challenge.") && name.ends_with(".acme.example.com"), "{name}");
    // The name and its wildcard are proved at one place.
    let apex = base.put("example.com").await;
    assert_eq!(base.claim(apex).await.unwrap().delegation.unwrap().record_name, name);
    assert_eq!(base.sql("SELECT count(*) FROM delegations").await, before);
}
