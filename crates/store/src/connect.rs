//! Pools, one for each role, and migrations.

use std::{str::FromStr, time::Duration};

use sqlx::{
    Executor, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{Api, Engine, StoreError};

/// How long a caller waits for a connection before it is told that the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections of the planner and the queue.
const QUEUE_CONNECTIONS: u32 = 8;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// Brings the schema at `url` up to date; safe to run from several processes at once.
pub async fn migrate(url: &str) -> Result<(), StoreError> {
    let pool = pool(url, 1, None)?;
    MIGRATOR.run(&pool).await?;
    pool.close().await;
    Ok(())
}

/// The door for people and programs, with at most `connections` to `url`.
pub async fn connect_api(url: &str, connections: u32) -> Result<Api, StoreError> {
    Ok(Api::new(pool(url, connections, Some("certmill_api"))?))
}

/// The same for a server: it ends statements that run longer than `patience`. Whoever asked has been told by then that it took too
/// long, and the connection would stay taken until the statement's own end.
pub async fn connect_server(url: &str, connections: u32, patience: Duration) -> Result<Api, StoreError> {
    let patience = patience.as_millis().to_string();
    let url = PgConnectOptions::from_str(url)?.options([("statement_timeout", patience)]);
    Ok(Api::new(pool_of(url, connections, Some("certmill_api"))))
}

/// The door for workers, with at most `connections` to `url` for records and a few for nudges.
pub async fn connect_engine(url: &str, connections: u32) -> Result<Engine, StoreError> {
    let url = PgConnectOptions::from_str(url)?;
    // Workers repeat few statements, each by its key: one plan for each is right, and planning costs more than running.
    let records = url.clone().options([("plan_cache_mode", "force_generic_plan")]);
    // A nudge that a crash of the database forgets is made again: nobody waits for the disk because of one. The queue's
    // fetch joins its table with itself, which without these is a scan of all of it.
    let nudges = url.options([
        ("synchronous_commit", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("enable_seqscan", "off"),
        // What is due is read in its order, however much of it there is, never collected and sorted.
        ("enable_bitmapscan", "off"),
    ]);
    let role = Some("certmill_engine");
    Ok(Engine::new(pool_of(records, connections, role), pool_of(nudges, QUEUE_CONNECTIONS, role)))
}

/// A pool whose connections act as `role`. It opens lazily, so that a database which is away now may come later.
fn pool(url: &str, connections: u32, role: Option<&'static str>) -> Result<PgPool, StoreError> {
    Ok(pool_of(PgConnectOptions::from_str(url)?, connections, role))
}

fn pool_of(options: PgConnectOptions, connections: u32, role: Option<&'static str>) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A caller that goes away while its transaction begins leaves it open behind it: the pool knows of a transaction
        // only when it has begun. This finds out as well whether the connection still works, as its own test would.
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            Box::pin(async move {
                connection.execute("ROLLBACK").await?;
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move {
                if let Some(role) = role {
                    connection.execute(sqlx::AssertSqlSafe(format!("SET ROLE {role}"))).await?;
                }
                Ok(())
            })
        })
        .connect_lazy_with(options.application_name("certmill").options([
            // The database warns where there was nothing to roll back, which is as good as always.
            ("client_min_messages", "error"),
            // A plan that has to do what is switched off counts as endlessly dear, and would be compiled longer than it runs.
            ("jit", "off"),
        ]))
}
