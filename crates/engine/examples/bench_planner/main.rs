//! How long a look of the planner takes, and what dead names cost the others, on a database with a million domains.
//!
//! `bench_planner URL DOMAINS`: an empty database, and how many domains to fill it with. Takes minutes; the last line is the
//! result. Fails if the domains were ever read other than by an index.

mod fill;
mod latency;
mod old_rows;

use std::{error::Error, io::Write, process::ExitCode};

use certmill_engine::Planner;
use certmill_store as store;
use sqlx::{PgPool, postgres::PgConnectOptions};
use time::OffsetDateTime;
use tokio::time::Instant;

/// Looks that a median is of: with nothing due, with something, and after a day in which nobody worked.
const IDLE_LOOKS: usize = 200;
const LOOKS: usize = 21;
const STORM_LOOKS: usize = 5;

/// Workers whose window takes all that are due, and the usual number of them.
const MANY: usize = 512;
const FEW: usize = 64;

pub(crate) type Done<T = ()> = Result<T, Box<dyn Error>>;

/// The database, as the engine and as its owner.
pub(crate) struct Base {
    pub(crate) engine: store::Engine,
    pub(crate) owner: PgPool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(Ok(domains))) = (arguments.next(), arguments.next().map(|text| text.parse())) else {
        say("usage: bench_planner URL DOMAINS");
        return ExitCode::from(2);
    };
    match measure(&url, domains).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("bench_planner: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn measure(url: &str, domains: i64) -> Done {
    store::migrate(url).await?;
    certmill_engine::set_up_queue(url).await?;
    // What fills the tables need not be checked, and must not count as reading the domains from end to end.
    let owner =
        [("session_replication_role", "replica"), ("enable_seqscan", "off"), ("enable_bitmapscan", "off")];
    let owner = PgPool::connect_with(url.parse::<PgConnectOptions>()?.options(owner)).await?;
    let base = Base { engine: store::connect_engine(url, 64).await?, owner };
    fill::domains(&base, domains).await?;
    explain(&base).await?;

    let before = scans(&base).await?;
    let idle = looks(&base, IDLE_LOOKS, MANY, 0).await?;
    let due = looks(&base, LOOKS, MANY, 1_000).await?;
    let choosing = looks(&base, LOOKS, FEW, 1_000).await?;
    let storm = looks(&base, STORM_LOOKS, FEW, domains / 30).await?;
    say(&format!(
        "1000 due, room for 128 = {choosing:.1} ms, {} due, room for 128 = {storm:.1} ms",
        domains / 30
    ));
    let result = format!("idle = {idle:.1} ms, 1000 due = {due:.0} ms");
    say(&format!("a look: {result}"));
    by_index(&base, before).await?;
    old_rows::measure(&base).await?;
    let before = scans(&base).await?;
    latency::measure(&base).await?;
    by_index(&base, before).await?;
    say(&result);
    Ok(())
}

/// The median of so many looks, in milliseconds, each with `due` domains due.
async fn looks(base: &Base, looks: usize, orders_in_flight: usize, due: i64) -> Done<f64> {
    let mut times = Vec::new();
    for _ in 0..looks {
        if due > 0 {
            fill::nothing_due(base).await?;
            fill::make_due(base, due, "consecutive_failures = 0").await?;
        }
        // The first look of a connection plans its statements.
        let mut planner = Planner::new(orders_in_flight);
        let now = now();
        let began = Instant::now();
        planner.look(&base.engine, now).await?;
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
        let nudges: i64 =
            sqlx::query_scalar("SELECT count(*) FROM apalis.jobs").fetch_one(&base.owner).await?;
        let expected = due.min(2 * orders_in_flight as i64);
        if nudges != expected {
            return Err(format!("{nudges} nudges instead of {expected}").into());
        }
    }
    Ok(median(&mut times))
}

/// How often the domains were read from end to end.
async fn scans(base: &Base) -> Done<i64> {
    // What a connection has counted is told a second later.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let scans = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'domains'";
    Ok(sqlx::query_scalar(scans).fetch_one(&base.owner).await?)
}

/// Fails if the domains were read from end to end since then.
async fn by_index(base: &Base, before: i64) -> Done {
    if scans(base).await? == before { Ok(()) } else { Err("the domains were read without an index".into()) }
}

async fn explain(base: &Base) -> Done {
    let plan: Vec<String> = sqlx::query_scalar(
        "EXPLAIN SELECT domain_id FROM domains
         WHERE next_action_at <= now() AND consecutive_failures = 0 AND status NOT IN ('failed', 'moved', 'expired')
           AND (lease_until IS NULL OR lease_until < now()) AND (nudged_until IS NULL OR nudged_until < now())
         ORDER BY next_action_at LIMIT 129 FOR UPDATE SKIP LOCKED",
    )
    .fetch_all(&base.owner)
    .await?;
    let text = plan.join("\n");
    say(&text);
    if text.contains("Seq Scan") || text.contains("Sort") || !text.contains("Index Scan") {
        return Err("what is due is not found by an index".into());
    }
    Ok(())
}

pub(crate) fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

pub(crate) fn now() -> OffsetDateTime {
    certmill_model::Clock::now(&certmill_model::SystemClock)
}

pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
