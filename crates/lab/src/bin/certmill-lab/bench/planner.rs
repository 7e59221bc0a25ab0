//! The benchmark of the planner, on a scratch database with a million domains. What is measured is the engine's own: its
//! example does that; here is the database.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use certmill_postgres::Cluster;
use clap::Args;
use tokio::process::Command;

use super::error::BenchError;

/// What is measured.
#[derive(Args)]
pub(crate) struct Settings {
    /// How many domains
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(40_000..))]
    domains: u32,
}

/// Measures, and ends with one line that says it all.
pub(crate) async fn run(settings: &Settings) -> Result<(), BenchError> {
    super::run(measure(settings)).await
}

async fn measure(settings: &Settings) -> Result<(), BenchError> {
    let program = find()?;
    let directory = tempfile::tempdir().map_err(BenchError::Directory)?;
    // The server's user must be able to go through it.
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).map_err(BenchError::Directory)?;
    let cluster = Cluster::start(&directory.path().join("postgres")).await?;
    let mut command = Command::new(program);
    command.arg(cluster.url()).arg(settings.domains.to_string()).stdin(Stdio::null()).kill_on_drop(true);
    let status = command.status().await.map_err(|error| BenchError::Planner(error.to_string()))?;
    cluster.stop().await;
    if status.success() { Ok(()) } else { Err(BenchError::Planner(status.to_string())) }
}

/// Among the examples of the build that the running program is of.
fn find() -> Result<PathBuf, BenchError> {
    let own = std::env::current_exe().unwrap_or_default();
    let program = own.with_file_name("examples").join("bench_planner");
    if program.is_file() { Ok(program) } else { Err(BenchError::PlannerMissing(program)) }
}
