//! The CA is away, wholly or now and then.

use std::time::Instant;

use certmill_lab::PebbleOptions;
use certmill_lab::fault_ca::{Action, Answer, Endpoint, When};
use certmill_tests::{FaultStage, MINUTE, fault_lab};

use crate::{SECOND, on};

#[tokio::test(flavor = "multi_thread")]
async fn bad_nonces_and_random_503s_cost_no_domain_its_certificate() {
    const DOMAINS: usize = 200;
    let stage = FaultStage::set().await;
    stage.ca.add(When::any_post().with_chance(0.05), Answer::problem(400, "badNonce", "an invalid nonce"));
    let busy = Answer::html(503, "<html><h1>503 Service Temporarily Unavailable</h1></html>");
    stage.ca.add(When::any().with_chance(0.02), busy);
    let names: Vec<_> = (0..DOMAINS).map(|number| format!("storm{number}.shops.test")).collect();
    let begin = Instant::now();
    for name in &names {
        stage.stage.put(name).await;
    }
    for name in &names {
        stage.stage.active_within(name, 2 * MINUTE).await;
    }
    eprintln!(
        "5 % bad nonces and 2 % 503: {DOMAINS} of {DOMAINS} after {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    assert_eq!(stage.orders_and_certificates().1, DOMAINS);
    stage.ca.assert_all_rules_met();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_whole_ca_ends_and_everything_goes_on() {
    let stage = FaultStage::set().await;
    stage.stage.put("before.shops.test").await;
    stage.stage.active("before.shops.test").await;
    let outage = stage.ca.add(When::any(), Answer::html(503, "<h1>maintenance</h1>"));
    let names = ["one.shops.test", "two.shops.test", "three.shops.test"];
    for name in names {
        stage.stage.put(name).await;
    }
    for name in names {
        stage.stage.told(name, "ca_unavailable").await;
    }
    tokio::time::sleep(5 * SECOND).await;
    let asked = stage.ca.acted(outage);
    stage.ca.remove(outage);
    let begin = Instant::now();
    for name in names {
        stage.active_since("an outage with HTML 503", name, begin, 2 * MINUTE).await;
    }
    assert!(asked < 20, "{asked} requests to a CA that is away");
    stage.ca.assert_all_rules_met();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_html_503_with_retry_after_is_waited_out() {
    let stage = FaultStage::set().await;
    let busy = Answer::html(503, "<html><body>busy</body></html>").retry_after_seconds(3);
    stage.ca.add(on(Endpoint::NewOrder).first(1), busy);
    stage.recovers("HTML 503 with Retry-After: 3", "busy.shops.test", 2 * MINUTE).await;
    assert_eq!(stage.orders_and_certificates(), (2, 1));
    stage.ca.assert_all_rules_met();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_ca_takes_over_from_one_that_is_away_when_there_is_no_life_left() {
    let lab = fault_lab(PebbleOptions::default()).await;
    let (first, second) = (lab.fault_ca(1).await.unwrap(), lab.fault_ca(2).await.unwrap());
    let trust = lab.description().acme_ca_file.display().to_string();
    let roots = lab.directory().join("certmill/issuing-roots.pem").display().to_string();
    let block = format!(
        "[{{ name = \"second\", directory_url = \"{}\", trust_file = \"{trust}\", issuing_roots_file = \"{roots}\" }}]",
        second.directory_url()
    );
    let stage = FaultStage::on(lab, first, &[("CERTMILL_ACME__AUTHORITIES", &block)]).await;
    let name = "failover.shops.test";
    stage.stage.put(name).await;
    let before = stage.stage.active(name).await;
    assert_eq!((stage.ca.requests(Endpoint::Finalize), second.requests(Endpoint::Finalize)), (1, 0));

    stage.ca.add(When::any(), Action::Cut);
    let begin = Instant::now();
    // Others notice as well, so that it is soon clear that the CA is away.
    for number in 0..6 {
        stage.stage.put(&format!("new{number}.shops.test")).await;
    }
    let expired = "UPDATE certificates SET not_after = now() - interval '1 minute'
                   FROM domains d WHERE d.certificate_id = certificates.certificate_id AND d.name = $1";
    stage.stage.database.execute_for(name, expired).await;
    stage.renew(name).await;
    stage.renewed_since("another CA takes over", &before, begin, 2 * MINUTE).await;
    assert_eq!(second.requests(Endpoint::Finalize), 1);
    stage.ca.assert_all_rules_met();
}
