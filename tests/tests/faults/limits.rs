//! The CA asks to wait.

use std::time::Instant;

use certmill_lab::fault_ca::{Answer, Endpoint, Limits, Rate};
use certmill_tests::{FaultStage, MINUTE, SOON, until};

use crate::{SECOND, on, orders_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_429_is_waited_out_whether_it_names_seconds_or_a_date() {
    let stage = FaultStage::set().await;
    let busy = || Answer::problem(429, "rateLimited", "too many requests");
    let about = |name| on(Endpoint::NewOrder).about(name).first(1);
    stage.ca.add(about("seconds.shops.test"), busy().retry_after_seconds(5));
    let date = stage.ca.now() + 12 * SECOND;
    stage.ca.add(about("date.shops.test"), busy().retry_after_date(date));

    stage.recovers("429 with Retry-After: 5", "seconds.shops.test", SOON).await;
    let at: Vec<_> = orders_of(&stage, "seconds.shops.test");
    assert!(at.len() == 2 && (5..8).contains(&at[1].saturating_sub(at[0]).as_secs()), "{at:?}");
    stage.recovers("429 with Retry-After as a date", "date.shops.test", SOON).await;
    assert_eq!(orders_of(&stage, "date.shops.test").len(), 2);
    assert!(stage.ca.now() >= date);
    stage.ca.assert_all_rules_met();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_the_ca_defers_an_order_until_its_date_and_others_go_on() {
    let stage = FaultStage::set().await;
    let rate = Rate { capacity: 2, period: 60 * SECOND };
    stage.ca.set_limits(Limits { certificates_per_registered_domain: Some(rate), ..Limits::default() });
    let first_two = ["one.example-shops.test", "two.example-shops.test"];
    for name in first_two {
        stage.stage.put(name).await;
    }
    // The first slot is free again half a minute after the first issue: whether the two are served is looked at later.
    until("both are issued", SOON, async || {
        match stage.stage.database.count("SELECT count(*) FROM certificates").await {
            2 => Ok(()),
            issued => Err(format!("{issued} are")),
        }
    })
    .await;
    let begin = Instant::now();
    stage.stage.put("three.example-shops.test").await;
    let told = stage.stage.told("three.example-shops.test", "ca_rate_limited").await;
    assert!(told.contains("example-shops.test"), "{told}");
    for name in first_two {
        stage.stage.active(name).await;
    }
    stage.recovers("another domain beside a full one", "free.shops.test", SOON).await;
    stage.active_since("a full registered domain", "three.example-shops.test", begin, MINUTE).await;
    assert_eq!(stage.ca.rate_limited(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_name_is_not_asked_for_again_until_an_operator_has_opened_the_page() {
    let stage = FaultStage::set().await;
    let (name, url) = ("paused.shops.test", "https://unpause.ca.test/sfe/v1/unpause?jwt=abc");
    let pause = stage.ca.add(on(Endpoint::NewOrder).about(name), Answer::paused(&[name], url));
    stage.stage.put(name).await;
    let told = stage.stage.told(name, "ca_paused").await;
    // Whoever has the page can end the pause: it is for operators.
    assert!(!told.contains(url), "{told}");
    let shown = stage.stage.service.run(&["domain", "show", name]).await.unwrap();
    assert!(shown.contains(url), "{shown}");
    stage.recovers("another name beside a paused one", "other.shops.test", SOON).await;
    assert_eq!(stage.ca.acted(pause), 1);

    stage.ca.remove(pause);
    let begin = Instant::now();
    stage.stage.service.run(&["domain", "retry", name]).await.unwrap();
    stage.active_since("a paused name, from the operator's word on", name, begin, SOON).await;
    stage.ca.assert_all_rules_met();
}
