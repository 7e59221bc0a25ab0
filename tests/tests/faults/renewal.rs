//! The CA says strange things of when to renew.

use std::time::{Duration, Instant};

use certmill_lab::PebbleOptions;
use certmill_lab::fault_ca::{Answer, Endpoint};
use certmill_tests::{FaultStage, MINUTE, SOON, until};
use serde_json::Value;

use crate::{HOUR, SECOND, on, orders_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_window_in_the_past_renews_at_once_and_nonsense_changes_nothing() {
    let stage = FaultStage::with(PebbleOptions::with_renewal_info(45), &[]).await;
    let now = stage.ca.now();
    let window = |from: Duration, to: Duration| Answer::suggested_window(now + from, now + to);
    let useless = [
        ("backwards", window(2 * HOUR, HOUR).retry_after_seconds(3600)),
        ("garbage", Answer::html(200, "<h1>it works</h1>").retry_after_seconds(3600)),
        ("missing", Answer::problem(404, "malformed", "not found")),
        ("future", window(1000 * 24 * HOUR, 1001 * 24 * HOUR).retry_after_seconds(3600)),
    ];
    let mut before = Vec::new();
    for (kind, answer) in useless {
        let rule = stage.ca.add(on(Endpoint::RenewalInfo), answer);
        let name = format!("{kind}.shops.test");
        stage.stage.put(&name).await;
        let domain = stage.stage.active(&name).await;
        until("the CA was asked when to renew", SOON, async || match stage.ca.acted(rule) {
            0 => Err("not yet".to_owned()),
            _ => Ok(()),
        })
        .await;
        stage.ca.remove(rule);
        before.push((name, domain));
    }
    stage.stage.put("past.shops.test").await;
    let domain = stage.stage.active("past.shops.test").await;
    let told = |domain: &Value| domain["certificate"]["suggested_window"].is_object();
    stage.stage.shops.wait_for("past.shops.test", SOON, told).await.unwrap();
    let past = Answer::suggested_window(now - 2 * HOUR, now - HOUR).retry_after_seconds(3600);
    let past = stage.ca.add(on(Endpoint::RenewalInfo), past.explained_at("https://ca.test/incident"));
    let begin = Instant::now();
    let ask = "UPDATE renewal_info SET poll_after = now() FROM domains d
               WHERE d.certificate_id = renewal_info.certificate_id AND d.name = $1";
    stage.stage.database.execute_for("past.shops.test", ask).await;
    stage.renewed_since("a renewal window in the past", &domain, begin, MINUTE).await;
    // The CA says the same of the new certificate, and is not asked in a circle.
    until("the CA was asked about the new one", SOON, async || match stage.ca.acted(past) {
        0..=1 => Err("not yet".to_owned()),
        _ => Ok(()),
    })
    .await;
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(orders_of(&stage, "past.shops.test").len(), 2);

    // Not later than the fallback, and not sooner than tomorrow.
    for (name, domain) in before {
        let planned = "SELECT count(*) FROM domains JOIN certificates c USING (certificate_id) WHERE name = $1
                       AND renew_after BETWEEN now() + interval '1 day' AND c.not_before + (c.not_after - c.not_before) * 2 / 3";
        assert_eq!(stage.stage.database.count_for(&name, planned).await, 1, "{name}");
        let after = stage.stage.shops.get(&name).await.unwrap();
        assert_eq!(after["certificate"]["id"], domain["certificate"]["id"], "{name}");
    }
    stage.ca.assert_all_rules_met();
}
