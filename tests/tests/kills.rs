//! `kill -9` at every step. The API and the responder are another process, as on a fleet, and live on.

use certmill_lab::service::{Role, Running};
use certmill_tests::{CaLog, MINUTE, Stage, until};

/// The steps of an order.
const ORDER: [&str; 8] = [
    "key_stored",
    "order_created",
    "order_stored",
    "challenge_answered",
    "authorization_valid",
    "finalize_sent",
    "certificate_downloaded",
    "certificate_stored",
];

/// The steps of a delivery.
const DELIVERY: [&str; 4] = ["certificates_sent", "release_sent", "release_tested", "release_activated"];

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_any_step_of_an_order_costs_no_second_certificate_and_no_key() {
    let (stage, _serving) = with_load_balancers_ready().await;
    for checkpoint in ORDER {
        killed_at(&stage, checkpoint).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_any_step_of_a_delivery_leaves_it_to_the_next_one() {
    let (stage, _serving) = with_load_balancers_ready().await;
    for checkpoint in DELIVERY {
        killed_at(&stage, checkpoint).await;
    }
}

async fn with_load_balancers_ready() -> (Stage, Running) {
    let stage = Stage::set().await;
    let serving = stage.service.start(Role::Serve, &[]).await.unwrap();
    let working = work(&stage, &[]).await;
    stage.targets_in_sync().await;
    working.stop().await.unwrap();
    (stage, serving)
}

async fn work(stage: &Stage, environment: &[(&str, &str)]) -> Running {
    stage.service.start(Role::Work, environment).await.unwrap()
}

async fn killed_at(stage: &Stage, checkpoint: &str) {
    eprintln!("killed at {checkpoint}");
    let name = format!("{}.shops.test", checkpoint.replace('_', "-"));
    let before = CaLog::read(&stage.lab);
    let mut dying = work(stage, &[("CERTMILL_DIE_AT", checkpoint)]).await;
    stage.put(&name).await;
    let died = dying.wait(MINUTE).await.unwrap_or_else(|error| {
        panic!("{error}\n(is certmill built with --features certmill/checkpoints?)");
    });
    assert!(!died.success(), "{checkpoint}: {died}");
    assert_ne!(stage.shops.get(&name).await.unwrap()["status"], "active", "{checkpoint}");

    stage.database.let_time_pass().await;
    let working = work(stage, &[]).await;
    stage.active(&name).await;
    working.stop().await.unwrap();
    let at_the_ca = CaLog::read(&stage.lab).since(before);
    assert_eq!(at_the_ca.certificates, 1, "{checkpoint}");
    // An order that the CA has made and we have not heard of is left to expire there.
    let orders = if checkpoint == "order_created" { 2 } else { 1 };
    assert_eq!(at_the_ca.orders, orders, "{checkpoint}");
    assert_eq!(stage.database.certificates(&name).await.len(), 1, "{checkpoint}");
    assert_eq!(stage.database.open_challenges().await, 0, "{checkpoint}");
    let keyless = "SELECT count(*) FROM certificates WHERE length(sealed_key) < 100";
    assert_eq!(stage.database.count(keyless).await, 0, "{checkpoint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_of_which_one_after_the_other_is_killed_get_every_domain_one_certificate() {
    const NAMES: i64 = 40;
    const KILLS: i64 = 6;
    let (stage, _serving) = with_load_balancers_ready().await;
    let names: Vec<_> = (0..NAMES).map(|number| format!("pair{number}.shops.test")).collect();
    for name in &names {
        stage.put(name).await;
    }
    // Few at a time, so that a kill leaves work for the other.
    let few = &[("CERTMILL_ACME__ORDERS_IN_FLIGHT", "4")];
    let mut workers = [work(&stage, few).await, work(&stage, few).await];
    for kill in 0..KILLS {
        until("some are issued, others are not", MINUTE, async || {
            match stage.database.count("SELECT count(*) FROM certificates").await {
                issued if issued > kill * 2 => Ok(()),
                issued => Err(format!("{issued} issued")),
            }
        })
        .await;
        let next = work(&stage, few).await;
        let dying = std::mem::replace(&mut workers[(kill % 2) as usize], next);
        dying.kill().await.unwrap();
    }
    eprintln!("{} of {NAMES} active after {KILLS} kills", active(&stage).await);
    // By itself: what the dead held is free when their leases have run out.
    until("every domain is active", MINUTE, async || match active(&stage).await {
        NAMES => Ok(()),
        fewer => Err(format!("{fewer} of {NAMES}")),
    })
    .await;
    for name in &names {
        stage.active(name).await;
        assert_eq!(stage.database.certificates(name).await.len(), 1, "{name}");
    }
    assert_eq!(CaLog::read(&stage.lab).certificates as i64, NAMES);
    assert_eq!(stage.database.open_challenges().await, 0);
}

async fn active(stage: &Stage) -> i64 {
    stage.database.count("SELECT count(*) FROM domains WHERE status = 'active'").await
}
