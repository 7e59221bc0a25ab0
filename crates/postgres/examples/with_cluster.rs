//! Runs a command with a throw-away PostgreSQL, whose URL it finds in `SCRATCH_DATABASE_URL`.
//!
//! `cargo run -p certmill-postgres --example with_cluster -- COMMAND [ARGUMENT …]`

use std::process::ExitCode;

use certmill_postgres::Cluster;
use tokio::process::Command;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: with_cluster COMMAND [ARGUMENT …]");
        return ExitCode::from(2);
    };
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let cluster = match Cluster::start(&directory.path().join("postgres")).await {
        Ok(cluster) => cluster,
        Err(error) => {
            eprintln!("the scratch database cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done =
        Command::new(program).args(arguments).env("SCRATCH_DATABASE_URL", cluster.url()).status().await;
    cluster.stop().await;
    match done {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
