//! The CA goes away, is difficult, or refuses.

use std::time::Duration;

use certmill_lab::{Lab, Options, Part, PebbleOptions};
use certmill_tests::{CaLog, Gate, MINUTE, SOON, Stage, has_problem, problem};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

#[tokio::test(flavor = "multi_thread")]
async fn while_the_ca_is_away_the_domain_says_so_and_when_it_is_back_it_goes_on() {
    let lab = Lab::up(Options::default()).await.unwrap();
    let directory = lab.description().acme_directory_url.clone();
    let authority = directory.trim_start_matches("https://").trim_end_matches("/dir");
    let gate = Gate::to(authority.parse().unwrap()).await;
    let directory = format!("https://{}/dir", gate.address());
    let stage = Stage::on(lab, &[("CERTMILL_ACME__DIRECTORY_URL", &directory)]).await;
    let certmill = stage.start().await;

    gate.shut();
    stage.put("first.shops.test").await;
    waits_for_the_ca(&stage, "first.shops.test").await;
    gate.open();
    stage.database.hasten("first.shops.test").await;
    healed(&stage, "first.shops.test").await;

    // An order that is placed already waits at its URL, and is continued there.
    gate.fall_silent();
    stage.put("second.shops.test").await;
    waits_for_the_ca(&stage, "second.shops.test").await;
    gate.open();
    stage.database.hasten("second.shops.test").await;
    healed(&stage, "second.shops.test").await;
    certmill.stop().await.unwrap();
    assert_eq!(CaLog::read(&stage.lab).certificates, 2);
}

async fn waits_for_the_ca(stage: &Stage, name: &str) {
    let away = |domain: &Value| has_problem(domain, "ca_unavailable");
    // A silent CA is given 30 seconds for each request.
    let domain = stage.shops.wait_for(name, 2 * MINUTE, away).await.unwrap();
    assert_eq!((&domain["status"], &domain["health"]), (&json!("pending_issuance"), &json!("critical")));
    is_tried_again_soon(problem(&domain, "ca_unavailable").unwrap());
    assert!(OffsetDateTime::parse(domain["next_action_at"].as_str().unwrap(), &Rfc3339).is_ok());
}

fn is_tried_again_soon(problem: &Value) {
    let wait = wait(problem);
    assert!((5..=60).contains(&wait.whole_seconds()), "{wait}: {problem}");
}

fn is_tried_again_the_next_day(problem: &Value) {
    let wait = wait(problem);
    assert!((24..27).contains(&wait.whole_hours()), "{wait}: {problem}");
}

fn wait(problem: &Value) -> time::Duration {
    let at = |key: &str| OffsetDateTime::parse(problem[key].as_str().unwrap(), &Rfc3339).unwrap();
    at("next_attempt_at") - at("last_attempt_at")
}

async fn healed(stage: &Stage, name: &str) {
    let domain = stage.active(name).await;
    assert_eq!((&domain["health"], &domain["problems"]), (&json!("ok"), &json!([])));
    assert_eq!(stage.database.certificates(name).await.len(), 1);
    let orders = "SELECT count(*) FROM orders JOIN domains USING (domain_id) WHERE name = $1 AND orders.status = 'valid'";
    assert_eq!(stage.database.count_for(name, orders).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_refuses_every_third_nonce_costs_no_domain_anything() {
    let pebble = PebbleOptions { nonce_reject: 30, ..PebbleOptions::default() };
    let lab = Lab::up(Options { pebble, ..Options::default() }).await.unwrap();
    let stage = Stage::on(lab, &[]).await;
    let _certmill = stage.start().await;
    let names: Vec<_> = (0..12).map(|number| format!("nonce{number}.shops.test")).collect();
    for name in &names {
        stage.put(name).await;
    }
    for name in &names {
        stage.active_within(name, MINUTE).await;
        let timeline = stage.shops.timeline(name).await.unwrap();
        assert!(timeline.iter().all(|event| event["kind"] != "problem_opened"), "{timeline:#?}");
    }
    assert_eq!(CaLog::read(&stage.lab), CaLog { orders: names.len(), certificates: names.len() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_validation_keeps_the_cas_reason_and_is_tried_again_the_next_day() {
    let stage = Stage::set().await;
    let _certmill = stage.start().await;
    let name = "refused.test";
    let first = stage.load_balancers()[0].address;
    stage.lab.set_addresses(name, &[first]).await.unwrap();
    // The name is right, and yet nobody answers the CA there.
    stage.lab.stop(Part::Nginx(1)).await.unwrap();
    stage.put(name).await;
    // Our own look finds that first, unless an operator says to go on.
    stage.told(name, "http_unreachable").await;
    assert_eq!(CaLog::read(&stage.lab).orders, 0);
    stage.service.run(&["domain", "override", name, "--checks", "ignore"]).await.unwrap();
    let by_the_ca = |problem: &Value| problem["detail"].as_str().unwrap().contains("connection refused");
    let refused = |domain: &Value| problem(domain, "http_unreachable").is_some_and(by_the_ca);
    let domain = stage.shops.wait_for(name, SOON, refused).await.unwrap();
    assert_eq!(domain["health"], "critical");
    let shown = problem(&domain, "http_unreachable").unwrap();
    is_tried_again_the_next_day(shown);
    assert!(shown["detail"].as_str().unwrap().contains("connection refused"), "{shown}");
    let kept = "SELECT count(*) FROM orders JOIN domains USING (domain_id) WHERE name = $1
                AND orders.status = 'invalid' AND orders.problem::text LIKE '%connection refused%' AND sealed_key IS NULL";
    assert_eq!(stage.database.count_for(name, kept).await, 1);
    assert_eq!(stage.database.open_challenges().await, 0);

    stage.lab.start(Part::Nginx(1)).await.unwrap();
    stage.database.hasten(name).await;
    stage.shops.wait_for_status(name, "active", Duration::from_secs(45)).await.unwrap();
    healed(&stage, name).await;
}
