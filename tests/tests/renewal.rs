//! Renewals: when, with what words to the CA, and what becomes of those that fail.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use certmill_lab::{
    PebbleOptions,
    fault_ca::{Action, Answer, Endpoint, RuleId, Seen, When},
    service::ServiceError,
};
use certmill_tests::{CaLog, FaultStage, MINUTE, SOON, has_problem, instant, until};
use serde_json::{Value, json};
use time::OffsetDateTime;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// certmill with a CA that tells when to renew, and certificates of 45 days.
async fn stage() -> FaultStage {
    FaultStage::with(PebbleOptions::with_renewal_info(45), &[]).await
}

/// Waits until the CA was asked and its window is shown, and answers the domain.
async fn with_window(stage: &FaultStage, name: &str) -> Value {
    let shown = |domain: &Value| domain["certificate"]["suggested_window"].is_object();
    stage.stage.shops.wait_for(name, SOON, shown).await.unwrap()
}

/// Has the CA asked again about the certificate of `name`, as time would, and waits until it answered by `rule`.
async fn ask_again(stage: &FaultStage, name: &str, rule: RuleId) {
    let before = stage.ca.acted(rule);
    let due = "UPDATE renewal_info SET poll_after = now() FROM domains d
               WHERE d.certificate_id = renewal_info.certificate_id AND d.name = $1";
    stage.stage.database.execute_for(name, due).await;
    until("the CA is asked when to renew", SOON, async || match stage.ca.acted(rule) {
        acted if acted > before => Ok(()),
        _ => Err("not yet".to_owned()),
    })
    .await;
}

/// Lets days pass for a domain and its certificate.
async fn thirty_days_pass(stage: &FaultStage, name: &str) {
    let certificate = "UPDATE certificates c SET not_before = c.not_before - interval '30 days',
                           not_after = c.not_after - interval '30 days'
                       FROM domains d WHERE d.certificate_id = c.certificate_id AND d.name = $1";
    let domain = "UPDATE domains SET renew_after = renew_after - interval '30 days',
                      next_action_at = next_action_at - interval '30 days' WHERE name = $1";
    stage.stage.database.execute_for(name, certificate).await;
    stage.stage.database.execute_for(name, domain).await;
}

/// Waits until a handshake shows the domain's certificate.
async fn comes_to_be_served(stage: &FaultStage, domain: &Value) {
    let name = domain["name"].as_str().unwrap();
    let serial_number = domain["certificate"]["serial_number"].as_str().unwrap();
    until("the new certificate is served", SOON, async || {
        let shown = stage.stage.shown(&stage.stage.load_balancers()[0], name).await;
        if shown.as_deref() == Ok(serial_number) { Ok(()) } else { Err(format!("{shown:?}")) }
    })
    .await;
}

fn window(from: OffsetDateTime, to: OffsetDateTime) -> Answer {
    Answer::suggested_window(from, to).retry_after_seconds(21_600)
}

fn orders(stage: &FaultStage) -> Vec<Seen> {
    stage.ca.journal().into_iter().filter(|seen| seen.endpoint == Endpoint::NewOrder).collect()
}

fn replaces(order: &Seen) -> Option<&str> {
    order.payload.as_ref()?["replaces"].as_str()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_in_the_window_that_its_ca_suggests_and_replaced_there_once() {
    let stage = stage().await;
    let name = "window.shops.test";
    // What the CA itself says of each order.
    let said = Arc::new(Mutex::new(Vec::new()));
    let note = said.clone();
    let watch = Action::edit(move |order| note.lock().unwrap().push(order["replaces"].clone()));
    stage.ca.add(When::of(Endpoint::NewOrder), watch);
    stage.stage.put(name).await;
    stage.stage.active(name).await;
    let before = with_window(&stage, name).await;
    let certificate = &before["certificate"];
    assert_eq!(certificate["authority"], stage.ca.directory_url());
    let suggested = &certificate["suggested_window"];
    let [start, renew_after, end] =
        [&suggested["start"], &certificate["renew_after"], &suggested["end"]].map(instant);
    assert!(start <= renew_after && renew_after < end, "{certificate:#}");

    let begin = stage.ca.now();
    let (start, end) = (begin - SECOND, begin + 20 * SECOND);
    let now = stage.ca.add(When::of(Endpoint::RenewalInfo), window(start, end));
    ask_again(&stage, name, now).await;
    let after = stage.renewed_since("a window that is open now", &before, Instant::now(), MINUTE).await;
    assert!(stage.ca.now() < end + 5 * SECOND, "after the window");
    assert_eq!((&after["status"], &after["health"]), (&json!("active"), &json!("ok")));
    comes_to_be_served(&stage, &after).await;

    let asked = orders(&stage);
    let old = replaces(&asked[1]).expect("the renewal says what it replaces").to_owned();
    assert_eq!((asked.len(), replaces(&asked[0])), (2, None));
    assert_eq!(*said.lock().unwrap(), [Value::Null, json!(old)]);

    // A database from before the renewal would have it replaced once more, which the CA refuses.
    let from_before = "UPDATE renewal_info r SET identifier =
                           (SELECT o.replaces FROM orders o WHERE o.domain_id = d.domain_id AND o.replaces IS NOT NULL)
                       FROM domains d WHERE d.certificate_id = r.certificate_id AND d.name = $1";
    stage.stage.database.execute_for(name, from_before).await;
    stage.renew(name).await;
    stage.renewed_since("a second replacement, refused", &after, Instant::now(), SOON).await;
    let asked = orders(&stage);
    let again: Vec<_> = asked[2..].iter().map(|order| (replaces(order), order.status)).collect();
    assert_eq!(again, [(Some(old.as_str()), Some(409)), (None, Some(201))]);
    stage.ca.assert_all_rules_met();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_moves_into_the_past_has_the_certificate_replaced_at_once_and_once() {
    let stage = stage().await;
    let name = "revoked.shops.test";
    stage.stage.put(name).await;
    stage.stage.active(name).await;
    let before = with_window(&stage, name).await;

    let now = stage.ca.now();
    let past = window(now - 2 * HOUR, now - HOUR).explained_at("https://ca.test/incident");
    let past = stage.ca.add(When::of(Endpoint::RenewalInfo), past);
    let begin = Instant::now();
    ask_again(&stage, name, past).await;
    let after = stage.renewed_since("a window that moves into the past", &before, begin, SOON).await;
    assert!(replaces(&orders(&stage)[1]).is_some());

    // The CA says the same of the new one, and goes on saying so.
    let explained = |domain: &Value| {
        domain["certificate"]["suggested_window"]["explanation_url"] == "https://ca.test/incident"
    };
    stage.stage.shops.wait_for(name, SOON, explained).await.unwrap();
    for _ in 0..2 {
        ask_again(&stage, name, past).await;
    }
    comes_to_be_served(&stage, &after).await;
    let again = stage.stage.shops.get(name).await.unwrap();
    assert_eq!(again["certificate"]["id"], after["certificate"]["id"]);
    assert_eq!(stage.orders_and_certificates(), (2, 2));
    stage.ca.assert_all_rules_met();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_talks_nonsense_of_renewals_leaves_them_to_the_last_third_of_the_lifetime() {
    let stage = stage().await;
    let name = "nonsense.shops.test";
    let garbage = Answer::html(200, "<h1>it works</h1>").retry_after_seconds(3600);
    let garbage = stage.ca.add(When::of(Endpoint::RenewalInfo), garbage);
    stage.stage.put(name).await;
    stage.stage.active(name).await;
    ask_again(&stage, name, garbage).await;
    let before = stage.stage.shops.get(name).await.unwrap();
    let certificate = &before["certificate"];
    assert_eq!(certificate["suggested_window"], Value::Null);
    let [from, renew_after, until] =
        ["not_before", "renew_after", "not_after"].map(|key| instant(&certificate[key]));
    let part = (renew_after - from) / (until - from);
    assert!((0.55..=2.0 / 3.0).contains(&part), "{part}");

    assert_eq!(orders(&stage).len(), 1);
    thirty_days_pass(&stage, name).await;
    stage.renewed_since("the fallback", &before, Instant::now(), SOON).await;
    assert_eq!(stage.orders_and_certificates(), (2, 2));
    stage.ca.assert_all_rules_met();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_has_a_certificate_renewed_now() {
    let stage = stage().await;
    let name = "operator.shops.test";
    stage.stage.put(name).await;
    let before = stage.stage.active(name).await;
    let begin = Instant::now();
    let said = stage.stage.service.run(&["domain", "renew", name]).await.unwrap();
    assert_eq!(said, "operator.shops.test is renewed now");
    let after = stage.renewed_since("certmill domain renew", &before, begin, SOON).await;
    assert!(instant(&after["certificate"]["renew_after"]) > stage.ca.now() + 24 * HOUR);
    assert!(replaces(&orders(&stage)[1]).is_some());
    until("the old certificate is superseded", SOON, async || {
        let states = stage.stage.database.certificates(name).await;
        if states == ["superseded", "active"] { Ok(()) } else { Err(format!("{states:?}")) }
    })
    .await;

    stage.stage.put("nowhere.test").await;
    for (name, expected) in [("nowhere.test", 4), ("unknown.shops.test", 3)] {
        match stage.stage.service.run(&["domain", "renew", name]).await {
            Err(ServiceError::CommandFailed { code, .. }) => assert_eq!(code, Some(expected), "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(CaLog::read(&stage.stage.lab).certificates, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_fails_changes_the_health_and_the_old_certificate_stays_served() {
    let stage = stage().await;
    let failures = [
        ("away.shops.test", Answer::html(503, "<h1>busy</h1>"), "ca_unavailable"),
        ("refused.shops.test", Answer::problem(400, "rejectedIdentifier", "no"), "ca_rejected_name"),
        ("caa.shops.test", Answer::problem(403, "caa", "CAA forbids"), "caa_forbids"),
        // The last one: it has every order of the account wait.
        ("full.shops.test", Answer::problem(429, "rateLimited", "too many"), "ca_rate_limited"),
    ];
    let mut before = Vec::new();
    for (name, _, _) in &failures {
        stage.stage.put(name).await;
        before.push(stage.stage.active(name).await);
    }
    let mut rules = Vec::new();
    for ((name, answer, code), before) in failures.iter().zip(&before) {
        rules.push(stage.ca.add(When::of(Endpoint::NewOrder).about(name), answer.clone()));
        stage.renew(name).await;
        let told = |domain: &Value| has_problem(domain, code);
        let domain = stage.stage.shops.wait_for(name, SOON, told).await.unwrap();
        assert_eq!(
            (&domain["status"], &domain["health"]),
            (&json!("active"), &json!("warning")),
            "{domain:#}"
        );
        assert_eq!(
            (&domain["since"], &domain["certificate"]["id"]),
            (&before["since"], &before["certificate"]["id"])
        );
        stage.stage.active(name).await;
    }
    for rule in rules {
        stage.ca.remove(rule);
    }
    let begin = Instant::now();
    for ((name, _, code), before) in failures.iter().zip(&before) {
        stage.stage.service.run(&["domain", "retry", name]).await.unwrap();
        let after = stage.renewed_since(code, before, begin, SOON).await;
        let well = |domain: &Value| domain["health"] == "ok" && domain["problems"] == json!([]);
        stage.stage.shops.wait_for(name, SOON, well).await.unwrap();
        assert_eq!(after["since"], before["since"]);
    }
    stage.ca.assert_all_rules_met();
}
