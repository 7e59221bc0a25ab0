//! What 10,000 dead names, whose lookups hang, cost a domain that is well: the time from when it is due until a worker has it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use certmill_engine::{Lane, Step, plan, work_on};
use certmill_model::{Chance, DomainId, SystemClock};
use certmill_store as store;
use sqlx::AssertSqlSafe;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::Instant,
};

use crate::{Base, Done, FEW, fill, median, now, say};

/// Domains that become due, one after the other, and how long each is worked on.
const SAMPLES: usize = 500;
const EVERY: Duration = Duration::from_millis(25);
const WORK: Duration = Duration::from_millis(50);

/// Dead names, and how long a lookup of one hangs.
const DEAD: i64 = 10_000;
const HANGS: Duration = Duration::from_secs(5);

/// Measurements without and with dead names, in turns.
const PAIRS: usize = 3;

pub(crate) async fn measure(base: &Base) -> Done {
    let mut ratios = Vec::new();
    for _ in 0..PAIRS {
        let without = latency(base, 0).await?;
        let with = latency(base, DEAD).await?;
        say(&format!("due to claimed: {without:.1} ms, with {DEAD} dead names due {with:.1} ms"));
        ratios.push(with / without);
    }
    say(&format!("latency with dead names / without = {:.2}", median(&mut ratios)));
    Ok(())
}

/// The median, in milliseconds.
async fn latency(base: &Base, dead: i64) -> Done<f64> {
    fill::nothing_due(base).await?;
    if dead > 0 {
        fill::make_due(base, dead, "consecutive_failures > 0").await?;
    }
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar(
        "SELECT domain_id FROM domains WHERE status = 'active' AND next_action_at > now() ORDER BY domain_id LIMIT $1",
    )
    .bind(SAMPLES as i64)
    .fetch_all(&base.owner)
    .await?;
    let due = Arc::new(Mutex::new(HashMap::new()));
    let times = Arc::new(Mutex::new(Vec::new()));
    let (stop, stopped) = watch::channel(false);
    let engine = engine(&base.engine, &due, &times, &stopped);
    // Workers take a moment to begin.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for id in ids {
        let update = format!("UPDATE domains SET next_action_at = now() WHERE domain_id = '{id}'");
        sqlx::query(AssertSqlSafe(update)).execute(&base.owner).await?;
        due.lock().expect("nobody panics").insert(DomainId::from_uuid(id).to_string(), Instant::now());
        base.engine.wake().await?;
        tokio::time::sleep(EVERY).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    stop.send(true)?;
    engine.join_all().await;
    let mut times = times.lock().expect("nobody panics").clone();
    if times.len() < SAMPLES {
        return Err(format!("only {} of {SAMPLES} were worked on", times.len()).into());
    }
    Ok(median(&mut times))
}

/// The planner and both lanes, with steps that only take their time.
fn engine(
    engine: &store::Engine,
    due: &Arc<Mutex<HashMap<String, Instant>>>,
    times: &Arc<Mutex<Vec<f64>>>,
    stopped: &watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut parts = JoinSet::new();
    let finished = Arc::new(Notify::new());
    for lane in [Lane::Domains, Lane::Troubled] {
        let (store, stopped) = (engine.clone(), stopped.clone());
        let (due, times, finished) = (due.clone(), times.clone(), finished.clone());
        let step = Step::new({
            let store = store.clone();
            move |id| {
                let (store, finished) = (store.clone(), finished.clone());
                let (due, times) = (due.clone(), times.clone());
                async move {
                    work(&store, &id, &due, &times).await.expect("the database is there");
                    finished.notify_one();
                }
            }
        });
        parts.spawn(async move {
            work_on(&store, (lane, lane.concurrency(FEW)), &Chance::from_system(), step, stopped).await;
        });
    }
    let (store, stopped) = (engine.clone(), stopped.clone());
    parts.spawn(async move { plan(&store, &SystemClock, FEW, &finished, stopped).await });
    parts
}

async fn work(
    store: &store::Engine,
    id: &str,
    due: &Mutex<HashMap<String, Instant>>,
    times: &Mutex<Vec<f64>>,
) -> Result<(), store::StoreError> {
    let domain = id.parse().expect("a nudge carries an id");
    let Some(claimed) = store.claim_domain(domain, now()).await? else { return Ok(()) };
    if claimed.consecutive_failures > 0 {
        tokio::time::sleep(HANGS).await;
    } else {
        if let Some(since) = due.lock().expect("nobody panics").remove(id) {
            times.lock().expect("nobody panics").push(since.elapsed().as_secs_f64() * 1_000.0);
        }
        tokio::time::sleep(WORK).await;
    }
    match store.rest(&claimed.lease, Some(now() + time::Duration::DAY)).await {
        Err(store::StoreError::LeaseLost) => Ok(()),
        done => done,
    }
}
