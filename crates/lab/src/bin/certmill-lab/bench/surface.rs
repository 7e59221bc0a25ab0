//! The benchmarks of pages, API reads and imports, on a scratch database that the seeder fills. What is measured is web's and
//! store's own: their examples do that; here is the database.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use certmill_postgres::Cluster;
use clap::Args;
use tokio::process::Command;

use super::error::BenchError;

/// Half of what a million domains take up on disk: a database of their size has it.
const MEMORY: &str = "shared_buffers=2GB";

/// How much there is.
#[derive(Args)]
pub(crate) struct Settings {
    /// How many domains
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10_000..))]
    domains: u32,
    /// How many tenants; one has half of the domains
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    tenants: u32,
}

/// Every page and read, and ends with one line that says it all.
pub(crate) async fn run(settings: &Settings) -> Result<(), BenchError> {
    super::run(measure(settings, "bench_surface", &[])).await
}

/// An import of 100,000 lines beside them.
pub(crate) async fn run_import(settings: &Settings) -> Result<(), BenchError> {
    super::run(measure(settings, "bench_import", &["100000"])).await
}

async fn measure(settings: &Settings, program: &str, arguments: &[&str]) -> Result<(), BenchError> {
    let directory = tempfile::tempdir().map_err(BenchError::Directory)?;
    // The server's user must be able to go through it.
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).map_err(BenchError::Directory)?;
    let cluster = Cluster::start_with(&directory.path().join("postgres"), &[MEMORY]).await?;
    let (domains, tenants) = (settings.domains.to_string(), settings.tenants.to_string());
    let filled = example("seed", &cluster.url(), &[&domains, &tenants]).await;
    let done = match filled {
        Ok(()) => example(program, &cluster.url(), arguments).await,
        failed => failed,
    };
    cluster.stop().await;
    done
}

/// Runs an example of the build that the running program is of.
async fn example(name: &str, url: &str, arguments: &[&str]) -> Result<(), BenchError> {
    let own = std::env::current_exe().unwrap_or_default();
    let program: PathBuf = own.with_file_name("examples").join(name);
    if !program.is_file() {
        return Err(BenchError::ExampleMissing(program));
    }
    let mut command = Command::new(program);
    command.arg(url).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let failed = |what: String| BenchError::Example(name.to_owned(), what);
    let status = command.status().await.map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
}
