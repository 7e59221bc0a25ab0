//! Nudges: "look at this row now". The only place that knows the queue.
//!
//! A nudge carries an id and nothing else, is tried once, and its handler always succeeds as far as the queue can see:
//! when to try again is a column of the row. The queue's tables can be emptied at any time without losing anything.
//! SQL on those tables stands here and nowhere else, because nobody else may know of them.

use std::{sync::Arc, time::Duration};

use apalis::prelude::{
    BackendExt as _, BoxDynError, Data, TaskBuilder, WorkerBuilder, WorkerBuilderExt as _,
};
use apalis_postgres::{Config, PostgresStorage};
use certmill_model::Chance;
use certmill_store as store;
use futures_util::future::BoxFuture;
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::sync::watch;

use crate::{Engine, EngineError, domain, target};

/// What workers work on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lane {
    /// A domain's next step.
    Domains,
    /// The next step of a domain that failed lately, or does not point at us. Its lookups may hang: they do so in a lane of
    /// their own.
    Troubled,
    /// A delivery to a target.
    Targets,
}

/// How many nudges wait for a worker. Those in the hands of a worker do not count: it may be gone.
pub(crate) struct Waiting {
    pub(crate) domains: i64,
    pub(crate) troubled: i64,
    pub(crate) targets: i64,
}

/// Deliveries at a time in one process.
const DELIVERIES: usize = 8;

/// Of the workers for orders, this part is added for troubled domains, and at least so many.
const TROUBLED_PART: usize = 4;
const TROUBLED_LEAST: usize = 4;

/// Nudges fetched at a time. One that waits behind its batch for a free worker may be given to another process, which a
/// lease makes harmless.
const BATCH: usize = 8;

/// How often an idle worker looks for itself, beside hearing of new nudges.
const POLL: Duration = Duration::from_secs(2);

/// How often a worker says that it lives, and how often it may fail to until its nudges are given to others. A nudge
/// that a living worker still works on may then be doubled, which a lease makes harmless.
/// Together well below the half minute within which work goes on after a kill.
const HEARTBEAT: Duration = Duration::from_secs(5);
const MISSED_HEARTBEATS: usize = 3;

/// A worker that has not been heard of for this long is forgotten: far above its heartbeat.
const GONE_AFTER_MINUTES: i32 = 10;

impl Lane {
    /// The queue's name: kept for ever, since rows refer to it.
    fn queue(self) -> &'static str {
        match self {
            Self::Domains => "domain-step-1",
            Self::Troubled => "troubled-step-1",
            Self::Targets => "target-delivery-1",
        }
    }

    /// Steps at a time in one process that has `orders_in_flight`.
    pub fn concurrency(self, orders_in_flight: usize) -> usize {
        match self {
            Self::Domains => orders_in_flight,
            Self::Troubled => (orders_in_flight / TROUBLED_PART).max(TROUBLED_LEAST),
            Self::Targets => DELIVERIES,
        }
    }

    /// Nudges that may wait at most: enough that no worker waits for the planner, and few, because the queue's fetch
    /// slows with its table.
    pub(crate) fn window(self, orders_in_flight: usize) -> i64 {
        2 * self.concurrency(orders_in_flight) as i64
    }
}

/// Makes the queue's tables, as the owner of the database, and lets the workers' role use them.
pub async fn set_up(url: &str) -> Result<(), EngineError> {
    let pool = PgPool::connect(url).await?;
    // Two processes that start together would make the same extension at the same time, which Postgres refuses.
    let mut lock = pool.acquire().await?;
    sqlx::query("SELECT pg_advisory_lock(20261121)").execute(&mut *lock).await?;
    PostgresStorage::setup(&pool).await?;
    pool.execute("GRANT USAGE ON SCHEMA apalis TO certmill_engine").await?;
    pool.execute("GRANT ALL ON ALL TABLES IN SCHEMA apalis TO certmill_engine").await?;
    pool.execute("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA apalis TO certmill_engine").await?;
    drop(lock.detach());
    pool.close().await;
    Ok(())
}

/// Pushes a nudge for each row. Beside each id stands its fencing token, which grows with every claim: the same row is
/// nudged once for each claim, however often it is asked for.
pub(crate) async fn push(
    connection: &mut PgConnection,
    lane: Lane,
    rows: impl Iterator<Item = (String, i64)>,
) -> Result<(), EngineError> {
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    match push_all(connection, lane, &rows).await {
        Err(error) if is_repeated(&error) => {}
        done => return done,
    }
    // A repeated key is an error of the whole statement: one by one, then. What waits already stays; a nudge that is
    // done, or in the hands of a worker that is gone, makes room.
    for row in rows {
        forget_spent(connection, lane, &row).await?;
        match push_all(connection, lane, &[row]).await {
            Err(error) if !is_repeated(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn is_repeated(error: &EngineError) -> bool {
    let mut source = Some(error as &dyn std::error::Error);
    while let Some(error) = source {
        if let Some(sqlx::Error::Database(error)) = error.downcast_ref() {
            return error.is_unique_violation();
        }
        source = error.source();
    }
    false
}

async fn forget_spent(
    connection: &mut PgConnection,
    lane: Lane,
    row: &(String, i64),
) -> Result<(), EngineError> {
    sqlx::query(
        "DELETE FROM apalis.jobs WHERE job_type = $1 AND idempotency_key = $2 AND (
             status IN ('Done', 'Killed', 'Failed')
             OR lock_by IN (SELECT id FROM apalis.workers WHERE last_seen < now() - make_interval(secs => $3)))",
    )
    .bind(lane.queue())
    .bind(key(row))
    .bind(HEARTBEAT.as_secs_f64() * MISSED_HEARTBEATS as f64)
    .execute(connection)
    .await?;
    Ok(())
}

fn key((id, token): &(String, i64)) -> String {
    format!("{id}:{token}")
}

/// In a savepoint, so that a repeated key does not end the caller's transaction.
async fn push_all(
    connection: &mut PgConnection,
    lane: Lane,
    rows: &[(String, i64)],
) -> Result<(), EngineError> {
    let mut savepoint = connection.begin().await?;
    let tasks = rows.iter().map(|row| {
        let payload = serde_json::Value::String(row.0.clone()).to_string().into_bytes();
        TaskBuilder::new(payload).max_attempts(1).idempotency_key(key(row)).build()
    });
    apalis_postgres::queries::push_tasks(&mut *savepoint, lane.queue(), tasks.collect()).await?;
    savepoint.commit().await?;
    Ok(())
}

/// How many nudges wait in each lane.
pub(crate) async fn waiting(connection: &mut PgConnection) -> Result<Waiting, EngineError> {
    let (domains, troubled, targets) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE job_type = $1), count(*) FILTER (WHERE job_type = $2),
                count(*) FILTER (WHERE job_type = $3) FROM apalis.jobs
         WHERE status = 'Pending'",
    )
    .bind(Lane::Domains.queue())
    .bind(Lane::Troubled.queue())
    .bind(Lane::Targets.queue())
    .fetch_one(connection)
    .await?;
    Ok(Waiting { domains, troubled, targets })
}

/// Deletes nudges that are done, nudges in the hands of workers that are gone, and those workers: the queue does not.
pub(crate) async fn clear_finished(pool: &PgPool) -> Result<(), EngineError> {
    sqlx::query("DELETE FROM apalis.jobs WHERE status IN ('Done', 'Killed', 'Failed')").execute(pool).await?;
    sqlx::query(
        "WITH gone AS (SELECT id FROM apalis.workers WHERE last_seen < now() - make_interval(mins => $1))
         DELETE FROM apalis.jobs WHERE lock_by IN (SELECT id FROM gone)",
    )
    .bind(GONE_AFTER_MINUTES)
    .execute(pool)
    .await?;
    sqlx::query(
        "DELETE FROM apalis.workers w WHERE last_seen < now() - make_interval(mins => $1)
         AND NOT EXISTS (SELECT 1 FROM apalis.jobs j WHERE j.lock_by = w.id)",
    )
    .bind(GONE_AFTER_MINUTES)
    .execute(pool)
    .await?;
    Ok(())
}

/// What is done with an id that a nudge carries.
#[derive(Clone)]
pub struct Step(Arc<dyn Fn(String) -> BoxFuture<'static, ()> + Send + Sync>);

impl Step {
    /// Does `step` with each id.
    pub fn new<F>(step: impl Fn(String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(move |id| Box::pin(step(id))))
    }
}

/// Does the steps of `lane` until `stop` turns true.
pub(crate) async fn run_lane(engine: Arc<Engine>, lane: Lane, stop: watch::Receiver<bool>) {
    let concurrency = lane.concurrency(engine.parts.orders_in_flight);
    let (store, chance) = (engine.parts.store.clone(), engine.parts.chance.clone());
    let taken = Step::new(move |id| {
        let engine = engine.clone();
        async move {
            take_step(&engine, lane, id).await;
            engine.finished.notify_one();
        }
    });
    work_on(&store, (lane, concurrency), &chance, taken, stop).await;
}

/// Takes nudges of a lane and does `each` with the id of each, so many at a time, until `stop` turns true. The queue's run loop returns
/// when it loses the database, and a worker that comes back under its old name keeps that one's orphans: so it is rebuilt,
/// each time under a new name, and what the ended one held is let go at once.
pub async fn work_on(
    store: &store::Engine,
    (lane, concurrency): (Lane, usize),
    chance: &Chance,
    each: Step,
    mut stop: watch::Receiver<bool>,
) {
    let mut ended_names = Vec::new();
    while !*stop.borrow() {
        let ended = async {
            let_go(store.nudges(), &mut ended_names).await?;
            let name = format!("{}-{}", lane.queue(), chance.label());
            ended_names.push(name.clone());
            run_worker(store, (lane, concurrency), name, each.clone(), stop.clone()).await
        }
        .await;
        if *stop.borrow() {
            return;
        }
        tracing::warn!(queue = lane.queue(), reason = ?ended.err(), "the queue's worker ended; starting another");
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

/// Deletes the nudges in the hands of workers of this process that ended: their rows would stay unnudged until the workers are taken
/// for gone.
async fn let_go(pool: &PgPool, ended: &mut Vec<String>) -> Result<(), sqlx::Error> {
    if !ended.is_empty() {
        sqlx::query("DELETE FROM apalis.jobs WHERE lock_by = ANY($1)").bind(&*ended).execute(pool).await?;
        ended.clear();
    }
    Ok(())
}

async fn run_worker(
    store: &store::Engine,
    (lane, concurrency): (Lane, usize),
    name: String,
    each: Step,
    mut stop: watch::Receiver<bool>,
) -> Result<(), BoxDynError> {
    let config = Config::default()
        .queue(lane.queue())
        .batch_size(BATCH)
        .lock_tasks(false)
        .heartbeat_interval(HEARTBEAT)
        .missed_heartbeats(MISSED_HEARTBEATS);
    let backend = PostgresStorage::<serde_json::Value>::new(store.nudges())
        .with_config(config)
        .with_pubsub()
        .poll_with_interval(POLL);
    let worker = WorkerBuilder::new(name).backend(backend).data(each).concurrency(concurrency).build(handle);
    let stopped = async move {
        // An error means that the sender is gone: the process is ending.
        let _ = stop.wait_for(|stop| *stop).await;
        Ok::<_, std::io::Error>(())
    };
    Ok(worker.run_until(stopped).await?)
}

/// Always succeeds as far as the queue can see.
async fn handle(payload: serde_json::Value, step: Data<Step>) -> Result<(), BoxDynError> {
    (step.0.0)(payload.as_str().unwrap_or_default().to_owned()).await;
    Ok(())
}

/// The step runs in a task of its own: on any core, and a panic in it harms nothing else.
async fn take_step(engine: &Arc<Engine>, lane: Lane, id: String) {
    let step = tokio::spawn({
        let engine = engine.clone();
        let id = id.clone();
        async move {
            match (lane, id.parse(), id.parse()) {
                (Lane::Domains | Lane::Troubled, Ok(id), _) => domain::step(&engine, id).await,
                (Lane::Targets, _, Ok(id)) => target::deliver(&engine, id).await,
                _ => {
                    tracing::error!(payload = id, "a nudge that names no row; dropped");
                    Ok(())
                }
            }
        }
    });
    match step.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(id, error = &error as &dyn std::error::Error, "a step was not recorded");
        }
        Err(error) => tracing::error!(id, %error, "a step ended by a panic"),
    }
}
