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
async fn a_ca_that_does_not_know_the_account_gets_no_second_one() {
    let stage = FaultStage::set().await;
    stage.stage.put("first.shops.test").await;
    stage.stage.active("first.shops.test").await;
    let unknown = Answer::problem(400, "accountDoesNotExist", "no account with this URL");
    let rule = stage.ca.add(on(Endpoint::NewOrder), unknown);
    stage.stage.put("second.shops.test").await;
    let told = stage.stage.told("second.shops.test", "ca_account").await;
    assert!(told.contains("no account with this URL"), "{told}");
    stage.ca.remove(rule);
    let begin = Instant::now();
    stage.stage.database.hasten("second.shops.test").await;
    stage.active_since("accountDoesNotExist, from the next try on", "second.shops.test", begin, SOON).await;
    assert_eq!(stage.ca.requests(Endpoint::NewAccount), 1);
    stage.ca.assert_all_rules_met();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_the_ca_rejects_is_taken_out_and_the_others_are_ordered() {
    let stage = FaultStage::set().await;
    let (bare, www) = ("pair.test", "www.pair.test");
    let load_balancer = stage.stage.load_balancers()[0].address;
    for name in [bare, www] {
        stage.stage.lab.set_addresses(name, &[load_balancer]).await.unwrap();
    }
    let refused = Answer::problem(400, "malformed", "some of the identifiers were rejected").subproblem(
        "rejectedIdentifier",
        "this name is on a list",
        www,
    );
    stage.ca.add(on(Endpoint::NewOrder).about(www), refused);
    let begin = Instant::now();
    stage.stage.put(www).await;
    stage.stage.put(bare).await;
    stage.active_since("a rejected name in an order of two", bare, begin, SOON).await;
    let told = stage.stage.told(www, "ca_rejected_name").await;
    assert!(told.contains("this name is on a list"), "{told}");
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
