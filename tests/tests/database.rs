//! The database goes away, and comes back.

use std::time::{Duration, Instant};

use certmill_lab::Part;
use certmill_tests::{SOON, Stage, has_problem, until};
use serde_json::Value;

/// What is promised after the database's return.
const RECOVERY: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_certmill_lives_and_says_that_it_is_not_ready_and_goes_on_by_itself() {
    let stage = Stage::set().await;
    let mut certmill = stage.start().await;
    stage.put("before.shops.test").await;
    let before = stage.active("before.shops.test").await;
    stage.lab.stop(Part::Postgres).await.unwrap();
    until("/readyz says so", Duration::from_secs(2), async || probe(&stage, "/readyz", 503).await).await;
    assert_eq!(probe(&stage, "/livez", 200).await, Ok(()));
    let refused = stage.shops.send("GET", "/v1/domains/before.shops.test", None).await.unwrap();
    assert_eq!((refused.status, refused.body["code"].as_str()), (503, Some("database_unavailable")));
    let serial_number = before["certificate"]["serial_number"].as_str().unwrap();
    stage.served_everywhere("before.shops.test", serial_number).await;

    stage.lab.start(Part::Postgres).await.unwrap();
    let back = Instant::now();
    until("/readyz says so", RECOVERY, async || probe(&stage, "/readyz", 200).await).await;
    stage.put("after.shops.test").await;
    stage.active_within("after.shops.test", RECOVERY.saturating_sub(back.elapsed())).await;
    eprintln!("active {:?} after the database's return", back.elapsed());
    assert_eq!(certmill.try_wait().unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_in_flight_while_the_database_goes_away_all_end_with_one_certificate_each() {
    const NAMES: usize = 20;
    let stage = Stage::set().await;
    let _certmill = stage.start().await;
    let names: Vec<_> = (0..NAMES).map(|number| format!("flight{number}.shops.test")).collect();
    for name in &names {
        stage.put(name).await;
    }
    until("orders are in flight", SOON, async || {
        match stage.database.count("SELECT count(*) FROM orders WHERE url IS NOT NULL").await {
            0..3 => Err("too few".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    stage.lab.stop(Part::Postgres).await.unwrap();
    stage.lab.start(Part::Postgres).await.unwrap();
    let back = Instant::now();
    until("/readyz says so", RECOVERY, async || probe(&stage, "/readyz", 200).await).await;
    let mut refused = 0;
    for name in &names {
        let settled =
            |domain: &Value| domain["status"] == "active" || has_problem(domain, "http_wrong_response");
        let left = RECOVERY.saturating_sub(back.elapsed());
        let domain = stage.shops.wait_for(name, left, settled).await.unwrap();
        // The CA asked while nobody could answer, and its refusal is final: a new order, by back-off.
        if domain["status"] != "active" {
            stage.database.hasten(name).await;
            refused += 1;
        }
    }
    for name in &names {
        stage.active(name).await;
    }
    eprintln!("{refused} of {NAMES} were refused by the CA meanwhile");
    eprintln!("{NAMES} of {NAMES} active {:?} after the database's return", back.elapsed());
    for name in &names {
        assert_eq!(stage.database.certificates(name).await.len(), 1, "{name}");
    }
    assert_eq!(stage.database.open_challenges().await, 0);
}

async fn probe(stage: &Stage, path: &str, status: u16) -> Result<(), String> {
    let answer = stage.service.api("").send("GET", path, None).await.map_err(|error| error.to_string())?;
    if answer.status == status { Ok(()) } else { Err(format!("{path}: {}", answer.status)) }
}
