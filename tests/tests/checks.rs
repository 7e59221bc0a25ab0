//! What is looked at before a CA is asked, and between renewals.

use certmill_lab::{Lab, Record, service::CAA_IDENTITY};
use certmill_tests::{CaLog, SOON, Stage, events, has_problem, until};
use serde_json::Value;

async fn caa(lab: &Lab, name: &str, data: &str) {
    lab.set_records(&[Record::caa(name, data)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn caa_records_that_forbid_our_ca_are_found_at_the_name_above_it_and_behind_its_cname() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let lab = &stage.lab;
    let addresses = lab.description().load_balancer_addresses();

    // At the name itself.
    lab.set_addresses("strict.test", &addresses).await.unwrap();
    caa(lab, "strict.test", "0 issue \"other-ca.example\"").await;
    // At its parent.
    lab.set_addresses("shop.parent.test", &addresses).await.unwrap();
    caa(lab, "parent.test", "0 issue \";\"").await;
    // Where its CNAME record leads.
    lab.set_addresses("lb.elsewhere.test", &addresses).await.unwrap();
    caa(lab, "lb.elsewhere.test", "0 issue \"other-ca.example\"").await;
    lab.set_records(&[Record::cname("alias.test", "lb.elsewhere.test")]).await.unwrap();
    // Ours, but by another way than http-01 (RFC 8657).
    let by_dns = format!("0 issue \"{CAA_IDENTITY}; validationmethods=dns-01\"");
    lab.set_addresses("by-dns.test", &addresses).await.unwrap();
    caa(lab, "by-dns.test", &by_dns).await;

    let names = ["strict.test", "shop.parent.test", "alias.test", "by-dns.test"];
    let found_at = ["strict.test", "parent.test", "lb.elsewhere.test", "by-dns.test"];
    for (name, found_at) in names.into_iter().zip(found_at) {
        stage.put(name).await;
        let told = stage.told(name, "caa_forbids").await;
        assert!(told.contains(found_at), "{name}: {told}");
        assert!(told.contains("CAA 0 issue"), "{name}: {told}");
    }
    assert_eq!(CaLog::read(lab).orders, 0, "no attempt at the CA was burned");

    // A record for our CA beside the other one mends it; so does a delegation where dns-01 is what is allowed.
    lab.set_records(&[
        Record::caa("strict.test", "0 issue \"other-ca.example\""),
        Record::caa("strict.test", &format!("0 issue \"{CAA_IDENTITY}\"")),
    ])
    .await
    .unwrap();
    stage.database.hasten("strict.test").await;
    let domain = stage.active("strict.test").await;
    assert_eq!(domain["problems"], Value::Array(Vec::new()));
    stage.delegate("by-dns.test").await;
    stage.active("by-dns.test").await;
    stage.no_records_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cname_record_at_the_top_of_a_zone_is_named_and_holds_up_nothing() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let lab = &stage.lab;
    lab.set_addresses("lb.platform.test", &lab.description().load_balancer_addresses()).await.unwrap();
    for name in ["top.test", "shop.below.test"] {
        lab.set_records(&[Record::cname(name, "lb.platform.test")]).await.unwrap();
        stage.put(name).await;
    }
    let below = stage.active("shop.below.test").await;
    assert_eq!(below["checks"]["dns"]["problem"], Value::Null);
    let top = stage.active("top.test").await;
    assert_eq!(top["checks"]["dns"]["problem"]["code"], "dns_apex_cname", "{top}");
    stage.database.look("top.test").await;
    let told = stage.told("top.test", "dns_apex_cname").await;
    assert!(told.contains("top.test CNAME lb.platform.test"), "{told}");
    let top = stage.shops.get("top.test").await.unwrap();
    assert_eq!((&top["status"], &top["health"]), (&"active".into(), &"warning".into()));

    lab.set_addresses("top.test", &lab.description().load_balancer_addresses()).await.unwrap();
    stage.database.look("top.test").await;
    until("the warning is gone", SOON, async || {
        let top = stage.shops.get("top.test").await.unwrap();
        if top["health"] == "ok" { Ok(()) } else { Err(top["problems"].to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_order_whatever_the_checks_find() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let addresses = stage.lab.description().load_balancer_addresses();
    stage.lab.set_addresses("special.test", &addresses).await.unwrap();
    caa(&stage.lab, "special.test", "0 issue \"other-ca.example\"").await;
    stage.put("special.test").await;
    stage.told("special.test", "caa_forbids").await;
    stage.service.run(&["domain", "override", "special.test", "--checks", "ignore"]).await.unwrap();
    // The lab's CA does not look at CAA records.
    stage.active("special.test").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_of_challenges_that_leads_elsewhere_is_found_before_the_ca_is_asked() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let lab = &stage.lab;
    let ours = lab.description().load_balancers[0].address;
    lab.set_addresses("plain.test", &[ours]).await.unwrap();
    let nginx = certmill_lab::Part::Nginx(1);
    lab.stop(nginx).await.unwrap();
    stage.put("plain.test").await;
    let told = stage.told("plain.test", "http_unreachable").await;
    assert!(told.contains(&ours.to_string()), "{told}");
    assert_eq!(CaLog::read(lab).orders, 0);
    lab.start(nginx).await.unwrap();
    stage.database.hasten("plain.test").await;
    stage.active("plain.test").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_moves_away_stays_served_burns_no_attempt_and_comes_back_by_itself() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let lab = &stage.lab;
    let ours = lab.description().load_balancer_addresses();
    lab.set_addresses("wanderer.test", &ours).await.unwrap();
    stage.put("wanderer.test").await;
    let before = stage.active("wanderer.test").await;
    let at_the_ca = CaLog::read(lab);

    lab.set_addresses("wanderer.test", &["192.0.2.99".parse().unwrap()]).await.unwrap();
    stage.database.look("wanderer.test").await;
    let moved = stage.becomes("wanderer.test", "moved").await;
    assert!(has_problem(&moved, "dns_wrong_target"), "{moved}");
    assert_eq!(moved["certificate"]["serial_number"], before["certificate"]["serial_number"]);
    let serial_number = before["certificate"]["serial_number"].as_str().unwrap();
    stage.served_everywhere("wanderer.test", serial_number).await;

    // Its renewal is due, and still no CA is asked.
    stage
        .database
        .execute_for(
            "wanderer.test",
            "UPDATE domains SET renew_after = now(), next_action_at = now() WHERE name = $1",
        )
        .await;
    until("the renewal was looked at", SOON, async || {
        let waiting =
            "SELECT count(*) FROM domains WHERE name = $1 AND next_action_at > now() + interval '30 minutes'
                       AND next_action_at < now() + interval '1 hour'";
        match stage.database.count_for("wanderer.test", waiting).await {
            1 => Ok(()),
            _ => Err("not yet".to_owned()),
        }
    })
    .await;
    assert_eq!(CaLog::read(lab), at_the_ca);

    // Back again: the next look, within the hour, finds it and renews.
    lab.set_addresses("wanderer.test", &ours).await.unwrap();
    stage.database.look("wanderer.test").await;
    let back = until("it is active with a new certificate", SOON, async || {
        let domain = stage.shops.get("wanderer.test").await.unwrap();
        let renewed = domain["certificate"]["serial_number"] != before["certificate"]["serial_number"];
        if domain["status"] == "active" && renewed { Ok(domain) } else { Err(domain["status"].to_string()) }
    })
    .await;
    assert_eq!(back["problems"], Value::Array(Vec::new()));
    let timeline = stage.shops.timeline("wanderer.test").await.unwrap();
    assert_eq!((events(&timeline, "domain_moved"), events(&timeline, "domain_returned")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ends_is_told_and_replaced_when_dns_is_right_again() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    stage.put("ending.shops.test").await;
    stage.active("ending.shops.test").await;
    let elsewhere = ["192.0.2.99".parse().unwrap()];
    stage.lab.set_addresses("ending.shops.test", &elsewhere).await.unwrap();
    stage
        .database
        .execute_for(
            "ending.shops.test",
            "UPDATE certificates c SET not_after = now() FROM domains d
                      WHERE d.name = $1 AND c.certificate_id = d.certificate_id",
        )
        .await;
    let due = "UPDATE domains SET renew_after = now(), next_action_at = now() WHERE name = $1";
    stage.database.execute_for("ending.shops.test", due).await;
    stage.becomes("ending.shops.test", "expired").await;
    stage.lab.remove_name("ending.shops.test").await.unwrap();
    stage.database.hasten("ending.shops.test").await;
    stage.active("ending.shops.test").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_whose_validation_failed_is_asked_for_once_a_day_however_often_somebody_looks() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let lab = &stage.lab;
    // The operator says to go on, the CA does not reach us: its own look fails.
    lab.set_addresses("unlucky.test", &[stage.nobody()]).await.unwrap();
    stage.put("unlucky.test").await;
    stage.told("unlucky.test", "dns_wrong_target").await;
    stage.service.run(&["domain", "override", "unlucky.test", "--checks", "ignore"]).await.unwrap();
    stage.told("unlucky.test", "http_unreachable").await;
    let burned = CaLog::read(lab);
    for _ in 0..3 {
        stage.database.look("unlucky.test").await;
        until("it was looked at", SOON, async || {
            let at_rest = "SELECT count(*) FROM domains WHERE name = $1
                           AND next_action_at > now() + interval '30 minutes'
                           AND order_after > now() + interval '23 hours'";
            match stage.database.count_for("unlucky.test", at_rest).await {
                1 => Ok(()),
                _ => Err("it is due".to_owned()),
            }
        })
        .await;
    }
    assert_eq!(CaLog::read(lab), burned);
    // A person may insist.
    let ours = lab.description().load_balancer_addresses();
    lab.set_addresses("unlucky.test", &ours).await.unwrap();
    stage.service.run(&["domain", "retry", "unlucky.test"]).await.unwrap();
    stage.active("unlucky.test").await;
}
