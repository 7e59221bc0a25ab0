//! A name and its `www.` in one certificate, and what happens when one of them is not right.

use certmill_lab::service::Role;
use certmill_tests::{CaLog, MINUTE, SOON, Stage, has_problem, until};
use serde_json::Value;

fn serial_number(domain: &Value) -> &str {
    domain["certificate"]["serial_number"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_and_its_www_share_a_certificate_and_part_when_one_is_deleted() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let ours = stage.lab.description().load_balancer_addresses();
    for name in ["pair.test", "www.pair.test"] {
        stage.lab.set_addresses(name, &ours).await.unwrap();
    }
    stage.put("pair.test").await;
    stage.put("www.pair.test").await;
    let shared = until("both share a certificate", SOON, async || {
        let (apex, www) =
            (stage.shops.get("pair.test").await.unwrap(), stage.shops.get("www.pair.test").await.unwrap());
        let active = apex["status"] == "active" && www["status"] == "active";
        if active && serial_number(&apex) == serial_number(&www) {
            Ok(serial_number(&apex).to_owned())
        } else {
            Err(format!("{} and {}", apex["status"], www["status"]))
        }
    })
    .await;
    stage.targets_in_sync().await;
    for name in ["pair.test", "www.pair.test"] {
        stage.served_everywhere(name, &shared).await;
    }
    // However the two were taken up, the CA was asked for each name at most once beside the shared one.
    assert!(CaLog::read(&stage.lab).certificates <= 2);

    stage.shops.delete("pair.test").await.unwrap();
    until("the name is gone", SOON, async || match stage.shops.get("pair.test").await {
        Err(_) => Ok(()),
        Ok(domain) => Err(domain["status"].to_string()),
    })
    .await;
    stage.served_everywhere("www.pair.test", &shared).await;
    assert!(stage.shown(&stage.load_balancers()[0], "pair.test").await.is_err());
    // Its key was not thrown away with the other: another load balancer configuration still gets it.
    stage.put_with("www.pair.test", "storefront-cached").await;
    stage.targets_in_sync().await;
    stage.served_everywhere("www.pair.test", &shared).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_of_a_pair_that_is_not_right_holds_up_neither_and_is_taken_in_when_it_heals() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let ours = stage.lab.description().load_balancer_addresses();
    stage.lab.set_addresses("half.test", &ours).await.unwrap();
    stage.lab.set_addresses("www.half.test", &["192.0.2.9".parse().unwrap()]).await.unwrap();
    stage.put("half.test").await;
    stage.put("www.half.test").await;
    let alone = stage.active("half.test").await;
    stage.told("www.half.test", "dns_wrong_target").await;

    stage.lab.set_addresses("www.half.test", &ours).await.unwrap();
    stage.database.hasten("www.half.test").await;
    let healed = stage.active("www.half.test").await;
    assert!(!has_problem(&healed, "dns_wrong_target"));
    until("the other one shares its certificate", SOON, async || {
        let other = stage.shops.get("half.test").await.unwrap();
        if other["status"] == "active" && serial_number(&other) == serial_number(&healed) {
            Ok(())
        } else {
            Err(other["certificate"].to_string())
        }
    })
    .await;
    stage.targets_in_sync().await;
    stage.served_everywhere("half.test", serial_number(&healed)).await;
    assert_ne!(serial_number(&alone), serial_number(&healed));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_two_tenants_are_never_in_one_certificate() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let other = stage.service.add_tenant("Sudwind").await.unwrap();
    let ours = stage.lab.description().load_balancer_addresses();
    for name in ["divided.test", "www.divided.test"] {
        stage.lab.set_addresses(name, &ours).await.unwrap();
    }
    stage.put("divided.test").await;
    other.put("www.divided.test", &Value::Null).await.unwrap();
    let apex = stage.active("divided.test").await;
    let www = other.wait_for_status("www.divided.test", "active", SOON).await.unwrap();
    assert_ne!(serial_number(&apex), serial_number(&www));
    let mixed = "SELECT count(*) FROM certificates WHERE cardinality(names) > 1";
    assert_eq!(stage.database.count(mixed).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_the_ca_refuses_is_left_out_and_the_other_one_is_issued_at_once() {
    let stage = Stage::set().await;
    let _serving = stage.service.start(Role::Serve, &[]).await.unwrap();
    let working = stage.service.start(Role::Work, &[]).await.unwrap();
    stage.targets_in_sync().await;
    working.stop().await.unwrap();
    let ours = stage.lab.description().load_balancer_addresses();
    for name in ["refused.test", "www.refused.test"] {
        stage.lab.set_addresses(name, &ours).await.unwrap();
        stage.put(name).await;
    }
    // Both were right when the order was placed; then one changes before the CA looks.
    let mut dying = stage.service.start(Role::Work, &[("CERTMILL_DIE_AT", "order_stored")]).await.unwrap();
    assert!(!dying.wait(MINUTE).await.unwrap().success());
    let pairs = "SELECT count(*) FROM orders WHERE cardinality(names) = 2";
    assert_eq!(stage.database.count(pairs).await, 1);
    let nobody = stage.nobody();
    stage.lab.set_addresses("www.refused.test", &[nobody]).await.unwrap();
    stage.database.let_time_pass().await;
    let _working = stage.service.start(Role::Work, &[]).await.unwrap();
    let apex = stage.active("refused.test").await;
    assert_eq!(apex["problems"], Value::Array(Vec::new()));
    let told = stage.told("www.refused.test", "http_unreachable").await;
    assert!(told.contains(&nobody.to_string()), "{told}");
    assert_eq!(CaLog::read(&stage.lab).certificates, 1);
    let tomorrow =
        "SELECT count(*) FROM domains WHERE name = $1 AND order_after > now() + interval '23 hours'";
    assert_eq!(stage.database.count_for("www.refused.test", tomorrow).await, 1);
}
