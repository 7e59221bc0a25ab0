//! Many workers on one database: killed, stopped past their leases, and without their database.

use std::time::{Duration, Instant};

use certmill_lab::{
    Part, PebbleOptions,
    service::{Role, Running},
};
use certmill_tests::{CaLog, MINUTE, Stage, fault_lab, has_problem, recovered, until};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

/// Few orders at a time for each, so that there is work for all.
const FEW: &[(&str, &str)] = &[("CERTMILL_ACME__ORDERS_IN_FLIGHT", "3")];

/// certmill with its load balancer ready, and only the API at work. Each worker takes up to 19 connections, which makes
/// more than PostgreSQL's usual 100.
async fn stage() -> (Stage, Running) {
    let lab = fault_lab(PebbleOptions::default()).await;
    let stage = Stage::on(lab, &[]).await;
    stage.database.execute("ALTER SYSTEM SET max_connections = 250").await;
    stage.lab.restart(Part::Postgres).await.unwrap();
    let serving = stage.service.start(Role::Serve, &[]).await.unwrap();
    let working = work(&stage).await;
    stage.targets_in_sync().await;
    working.stop().await.unwrap();
    (stage, serving)
}

async fn work(stage: &Stage) -> Running {
    stage.service.start(Role::Work, FEW).await.unwrap()
}

fn signal(process: &Running, signal: Signal) {
    let id = process.process_id().expect("it runs");
    let id = Pid::from_raw(id.try_into().unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}

/// The same row of choices at each run.
struct Choices(u64);

impl Choices {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

async fn active(stage: &Stage) -> i64 {
    stage.database.count("SELECT count(*) FROM domains WHERE status = 'active'").await
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_workers_that_are_killed_and_that_sleep_past_their_leases_get_each_domain_one_certificate() {
    const WORKERS: usize = 8;
    const SLEEPERS: usize = 2;
    const DOMAINS: i64 = 60;
    /// Longer than a lease.
    const SLEEP: Duration = Duration::from_secs(17);
    let (stage, _serving) = stage().await;
    let names: Vec<_> = (0..DOMAINS).map(|number| format!("many{number}.shops.test")).collect();
    let begin = Instant::now();
    // Two workers fall asleep in the middle of what only they can hold.
    let mut workers = vec![work(&stage).await, work(&stage).await];
    for name in &names[..12] {
        stage.put(name).await;
    }
    let held = "SELECT count(*) FROM domains JOIN orders USING (domain_id)
                WHERE lease_until > now() AND orders.status IN ('queued', 'pending', 'ready', 'processing')";
    let held = until("both have orders under way", MINUTE, async || match stage.database.count(held).await {
        held @ 3.. => Ok(held),
        fewer => Err(format!("{fewer} are held")),
    })
    .await;
    for sleeper in &workers {
        signal(sleeper, Signal::STOP);
    }
    let asleep = Instant::now();
    for _ in SLEEPERS..WORKERS {
        workers.push(work(&stage).await);
    }
    // A steady stream of names, so that every kill meets work.
    let (mut choices, mut kills) = (Choices(7), 0);
    let mut others = names[12..].chunks(4);
    while let (chunk, false) | (chunk @ Some(_), _) = (others.next(), asleep.elapsed() > SLEEP) {
        for name in chunk.into_iter().flatten() {
            stage.put(name).await;
        }
        let dying = SLEEPERS + choices.below(WORKERS - SLEEPERS);
        let next = work(&stage).await;
        std::mem::replace(&mut workers[dying], next).kill().await.unwrap();
        kills += 1;
        sleep(SECOND / 2 + SECOND * choices.below(100) as u32 / 100).await;
    }
    for sleeper in &workers[..SLEEPERS] {
        signal(sleeper, Signal::CONT);
    }
    eprintln!(
        "{kills} kills; {held} orders were under way when {SLEEPERS} of {WORKERS} fell asleep for {SLEEP:?}"
    );
    until("every domain is active", 2 * MINUTE, async || match active(&stage).await {
        DOMAINS => Ok(()),
        fewer => Err(format!("{fewer} of {DOMAINS}")),
    })
    .await;
    recovered("eight workers, killed and asleep", begin);
    // Whoever woke late has had the time to do harm.
    sleep(2 * SECOND).await;
    let done = CaLog::read(&stage.lab);
    eprintln!("{} orders, {} certificates", done.orders, done.certificates);
    assert_eq!(done.certificates as i64, DOMAINS);
    for name in &names {
        stage.active(name).await;
        assert_eq!(stage.database.certificates(name).await, ["active"], "{name}");
    }
    nothing_is_left_over(&stage).await;
}

/// Waits until nobody holds anything and nothing is under way.
async fn nothing_is_left_over(stage: &Stage) {
    let left = [
        (
            "open orders",
            "SELECT count(*) FROM orders WHERE status IN ('queued', 'deferred', 'pending', 'ready', 'processing')",
        ),
        ("answers of challenges", "SELECT count(*) FROM challenges"),
        ("TXT records", "SELECT count(*) FROM txt_records"),
        ("placements", "SELECT count(*) FROM placements WHERE pending"),
        ("leases", "SELECT count(*) FROM domains WHERE lease_until IS NOT NULL"),
        ("keys of orders that are over", "SELECT count(*) FROM orders WHERE sealed_key IS NOT NULL"),
        ("problems", "SELECT count(*) FROM domains WHERE health <> 'ok'"),
    ];
    for (what, query) in left {
        until(&format!("no {what} are left"), MINUTE, async || match stage.database.count(query).await {
            0 => Ok(()),
            left => Err(format!("{left} are")),
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_without_the_database_is_over_within_half_a_minute_of_its_return() {
    const AWAY: Duration = Duration::from_secs(60);
    const RECOVERY: Duration = Duration::from_secs(30);
    let (stage, _serving) = stage().await;
    let mut workers = [work(&stage).await, work(&stage).await];
    stage.put("before.shops.test").await;
    stage.active("before.shops.test").await;
    let waiting: Vec<_> = (0..12).map(|number| format!("waiting{number}.shops.test")).collect();
    for name in &waiting {
        stage.put(name).await;
    }
    stage.lab.stop(Part::Postgres).await.unwrap();
    sleep(AWAY).await;
    for worker in &mut workers {
        assert_eq!(worker.try_wait().unwrap(), None, "a worker ended");
    }

    stage.lab.start(Part::Postgres).await.unwrap();
    let back = Instant::now();
    let left = || RECOVERY.saturating_sub(back.elapsed());
    until("the API takes names again", RECOVERY, async || {
        match stage.shops.put("after.shops.test", &serde_json::Value::Null).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
    stage.active_within("after.shops.test", left()).await;
    recovered("a minute without the database, a new name", back);
    for name in &waiting {
        // The CA asked while nobody could answer, and its refusal is final: a new order, by back-off.
        let settled = |domain: &serde_json::Value| {
            domain["status"] == "active" || has_problem(domain, "http_wrong_response")
        };
        stage.shops.wait_for(name, left(), settled).await.unwrap();
    }
    recovered("a minute without the database, what was under way", back);
    let issued = "SELECT count(*) FROM certificates GROUP BY names ORDER BY 1 DESC LIMIT 1";
    assert_eq!(stage.database.count(issued).await, 1);
}
