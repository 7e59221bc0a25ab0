//! The CA answers something else than it should, or late, or not at all.

use std::time::Instant;

use certmill_lab::fault_ca::{Action, Endpoint, When, WrongCertificate};
use certmill_tests::{FaultStage, MINUTE, SOON, until};

use crate::{SECOND, on, orders_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_with_wrong_names_key_or_chain_is_never_served() {
    let stage = FaultStage::set().await;
    let wrongs = [
        ("names.shops.test", WrongCertificate::Names, "is for other.test, not for names.shops.test"),
        ("key.shops.test", WrongCertificate::Key, "is for another key"),
        ("chain.shops.test", WrongCertificate::Chain, "is not signed by the one behind it"),
        ("root.shops.test", WrongCertificate::Root, "leads to no trusted root"),
        ("expired.shops.test", WrongCertificate::Expired, "which is not now"),
    ];
    for (name, wrong, _) in wrongs {
        let when = on(Endpoint::Certificate).about(name).first(1);
        stage.ca.add(when, Action::WrongCertificate(wrong));
        stage.stage.put(name).await;
    }
    for (name, wrong, words) in wrongs {
        let told = stage.stage.told(name, "ca_wrong_certificate").await;
        assert!(told.contains(words), "{told}");
        let shown = stage.stage.shown(&stage.stage.load_balancers()[0], name).await;
        assert!(shown.is_err(), "{shown:?}");
        // It would be a minute.
        let begin = Instant::now();
        stage.stage.database.hasten(name).await;
        stage
            .active_since(&format!("wrong certificate ({wrong:?}), from the next try on"), name, begin, SOON)
            .await;
    }
    stage.ca.assert_all_rules_met();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_stuck_in_processing_is_waited_for_and_not_doubled() {
    let stage = FaultStage::set().await;
    let when = When::of_these(&[Endpoint::Finalize, Endpoint::Order]);
    stage.ca.add(when, Action::Processing(10 * SECOND, Some(3)));
    stage.recovers("10 s in processing", "slow.shops.test", SOON).await;
    assert_eq!(stage.orders_and_certificates(), (1, 1));
    assert_eq!(stage.ca.requests(Endpoint::Finalize), 1);
    stage.ca.assert_all_rules_met();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_comes_holds_up_one_name_for_its_time_and_no_other() {
    let stage = FaultStage::set().await;
    stage.ca.add(on(Endpoint::NewOrder).about("hung.shops.test").first(1), Action::Hang);
    let (begin, name) = (Instant::now(), "hung.shops.test");
    stage.stage.put(name).await;
    until("it is ordered", SOON, async || match orders_of(&stage, name).len() {
        0 => Err("it is not".to_owned()),
        _ => Ok(()),
    })
    .await;
    stage.recovers("another name beside a hung one", "other.shops.test", SOON).await;
    // Meanwhile the one order hangs, in the hands of the step that placed it.
    let held = "SELECT count(*) FROM domains WHERE name = $1 AND lease_until > now()";
    assert_eq!((orders_of(&stage, name).len(), stage.stage.database.count_for(name, held).await), (1, 1));
    stage.active_since("an answer that never comes", name, begin, 3 * MINUTE).await;
    assert_eq!(stage.orders_and_certificates().1, 2);
    stage.ca.assert_all_rules_met();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_drips_is_waited_for() {
    let stage = FaultStage::set().await;
    let slowly = Action::Trickle(SECOND / 200);
    stage.ca.add(When::of_these(&[Endpoint::NewOrder, Endpoint::Order]).first(2), slowly);
    stage.recovers("answers of 200 bytes a second", "drips.shops.test", SOON).await;
    assert_eq!(stage.orders_and_certificates(), (1, 1));
    stage.ca.assert_all_rules_met();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_answer_is_not_read_to_its_end() {
    let stage = FaultStage::set().await;
    stage.ca.add(on(Endpoint::Order).first(1), Action::Flood(64 << 20));
    stage.recovers("an answer of 64 MiB", "huge.shops.test", 2 * MINUTE).await;
    assert_eq!(stage.orders_and_certificates(), (1, 1));
    stage.ca.assert_all_rules_met();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_after_the_order_was_placed_costs_no_second_certificate() {
    let stage = FaultStage::set().await;
    stage.ca.add(on(Endpoint::NewOrder).first(1), Action::CutAfterwards);
    stage.ca.add(on(Endpoint::Finalize).first(1), Action::CutAfterwards);
    stage.ca.add(on(Endpoint::Certificate).first(1), Action::Cut);
    stage.recovers("three broken connections", "cut.shops.test", 4 * MINUTE).await;
    assert_eq!(stage.orders_and_certificates(), (2, 1));
    stage.ca.assert_all_rules_met();
}
