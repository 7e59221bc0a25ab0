//! Fills an empty database with domains in every state, as they are after a year: for benchmarks, tests and pictures.
//!
//! `seed URL DOMAINS TENANTS`: the schema is brought up to date first. A million domains take some minutes.

use std::{error::Error, io::Write, process::ExitCode, time::Duration};

use certmill_model::{Clock, SystemClock};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [url, domains, tenants] = arguments.as_slice() else {
        return told("usage: seed URL DOMAINS TENANTS");
    };
    let (Ok(domains), Ok(tenants)) = (domains.parse::<u32>(), tenants.parse::<u32>()) else {
        return told("usage: seed URL DOMAINS TENANTS");
    };
    match fill(url, domains, tenants.max(1)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => told(&format!("seed: {error}")),
    }
}

async fn fill(url: &str, domains: u32, tenants: u32) -> Result<(), Box<dyn Error>> {
    certmill_store::migrate(url).await?;
    let statements = include_str!("seed.sql")
        .replace(":domains", &domains.to_string())
        .replace(":tenants", &tenants.to_string());
    let mut owner = PgConnection::connect(url).await?;
    owner.execute(AssertSqlSafe(statements)).await?;
    owner.execute("VACUUM ANALYZE").await?;
    let engine = certmill_store::connect_engine(url, 1).await?;
    engine.sum_up(Duration::ZERO, SystemClock.now()).await?;
    Ok(())
}

fn told(words: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{words}");
    ExitCode::FAILURE
}
