//! The CA refuses, in its own ways.

use std::time::{Duration, Instant};

use certmill_lab::PebbleOptions;
use certmill_lab::fault_ca::{Action, Answer, Endpoint};
use certmill_tests::{FaultStage, SOON, has_problem, problem};
use serde_json::{Value, json};

use crate::on;

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_replaced_already_is_renewed_without_replaces() {
    let stage = FaultStage::with(PebbleOptions::with_renewal_info(45), &[]).await;
    let name = "replaced.shops.test";
    stage.stage.put(name).await;
    let before = stage.stage.active(name).await;
    let refused = Answer::problem(409, "alreadyReplaced", "already replaced by another order");
    stage.ca.add(on(Endpoint::NewOrder).first(1), refused);
    let begin = Instant::now();
    stage.renew(name).await;
    stage.renewed_since("alreadyReplaced", &before, begin, SOON).await;
    let asked = stage.ca.payloads(Endpoint::NewOrder);
    let replaces: Vec<_> = asked.iter().map(|order| order["replaces"].is_string()).collect();
    assert_eq!(replaces, [false, true, false]);
    stage.ca.assert_all_rules_met();
}

const PROFILES: [(&str, Duration); 1] = [("short", Duration::from_secs(6 * 86_400))];

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_the_ca_withdrew_is_done_without() {
    let pebble = PebbleOptions { profiles: &PROFILES, ..PebbleOptions::with_renewal_info(45) };
    let stage = FaultStage::with(pebble, &[("CERTMILL_ACME__PROFILE", "short")]).await;
    let refused = Answer::problem(400, "invalidProfile", "profile \"short\" is not offered any more");
    stage.ca.add(on(Endpoint::NewOrder).first(1), refused);
    stage.recovers("invalidProfile", "profile.shops.test", SOON).await;
    let asked = stage.ca.payloads(Endpoint::NewOrder);
    assert_eq!((&asked[0]["profile"], &asked[1]["profile"]), (&json!("short"), &Value::Null));
    stage.ca.assert_all_rules_met();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_validation_is_explained_though_the_order_says_nothing() {
    let stage = FaultStage::set().await;
    stage.ca.add(on(Endpoint::Order), Action::HideOrderError);
    let name = "silent.test";
    let load_balancer = stage.stage.load_balancers()[0].address;
    stage.stage.lab.set_addresses(name, &[load_balancer]).await.unwrap();
    // Only the CA finds another key authorization there.
    let wrong = Action::edit(|authorization| {
        for challenge in authorization["challenges"].as_array_mut().into_iter().flatten() {
            if challenge["type"] == "http-01" && challenge["status"] == "pending" {
                challenge["token"] = json!("bm9ib2R5LWhhcy10aGlzLXRva2VuLWluLXRoZS1sYWI");
            }
        }
    });
    let token = stage.ca.add(on(Endpoint::Authorization).about(name), wrong);
    stage.stage.put(name).await;
    let wrong = |domain: &Value| has_problem(domain, "http_wrong_response");
    let domain = stage.stage.shops.wait_for(name, SOON, wrong).await.unwrap();
    let detail = problem(&domain, "http_wrong_response").unwrap()["detail"].as_str().unwrap();
    assert!(detail.contains("404"), "{detail}");
    stage.ca.remove(token);
    let begin = Instant::now();
    stage.stage.database.hasten(name).await;
    stage
        .active_since("a failed validation without order.error, from the next try on", name, begin, SOON)
        .await;
    stage.ca.assert_all_rules_met();
}
