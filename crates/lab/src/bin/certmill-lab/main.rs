//! The laboratory on its own, the demo and the benchmarks on it.

mod bench;
mod demo;
mod interruption;
mod screen;

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use certmill_lab::{Lab, LabError, Options, guard};
use clap::{Parser, Subcommand};
use tokio::sync::oneshot;

use crate::interruption::Interruption;

/// Real parts on loopback: PostgreSQL, an ACME server, DNS, load balancers, a mail sink.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring a lab up, print what is where as JSON, and hold it until Ctrl-C or the end of standard input
    Up {
        /// How many load balancers
        #[arg(long, default_value_t = Options::default().load_balancers, value_parser = clap::value_parser!(u8).range(1..=200))]
        load_balancers: u8,
    },
    /// Show certmill at work on a lab: a dozen shops of two tenants, from registration to a handshake
    Demo {
        /// Exit when every shop is proved to be served, with 1 and the reason if one is not
        #[arg(long)]
        once: bool,
    },
    /// Measure how fast certmill issues, against a bare loop over the same protocol library
    BenchIssuing(bench::issuing::Settings),
    /// Measure how fast certmill issues by dns-01, against http-01 on the same lab
    #[command(name = "bench-dns01")]
    BenchDns01(bench::dns01::Settings),
    /// Measure how long the planner takes to find what is due among a million domains
    BenchPlanner(bench::planner::Settings),
    /// Issue at a CA that refuses nonces and fails at random, until every domain has its certificate
    BenchFaults(bench::faults::Settings),
    /// Measure the pages and reads of the API with a million domains
    BenchSurface(bench::surface::Settings),
    /// Measure an import of 100,000 lines beside a million domains
    BenchImport(bench::surface::Settings),
    /// Wait for the end of standard input, then end every process of the lab in this directory and remove it
    Guard {
        /// The lab's directory
        directory: PathBuf,
    },
}

type Done = Result<(), Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let done: Done = match Arguments::parse().command {
        Command::Up { load_balancers } => up(load_balancers).await.map_err(Into::into),
        Command::Demo { once } => demo::run(once).await.map_err(Into::into),
        Command::BenchIssuing(settings) => bench::issuing::run(&settings).await.map_err(Into::into),
        Command::BenchDns01(settings) => bench::dns01::run(&settings).await.map_err(Into::into),
        Command::BenchPlanner(settings) => bench::planner::run(&settings).await.map_err(Into::into),
        Command::BenchFaults(settings) => bench::faults::run(&settings).await.map_err(Into::into),
        Command::BenchSurface(settings) => bench::surface::run(&settings).await.map_err(Into::into),
        Command::BenchImport(settings) => bench::surface::run_import(&settings).await.map_err(Into::into),
        Command::Guard { directory } => guard::run(&directory).map_err(Into::into),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn up(load_balancers: u8) -> Result<(), LabError> {
    let mut interruption = Interruption::listen();
    let lab = Lab::up(Options { load_balancers, ..Options::default() }).await?;
    let json = lab.description().to_json();
    // A closed standard output is no reason to go down: the end of standard input is.
    let _ = writeln!(io::stdout(), "{json}");
    tokio::select! {
        () = end_of_input() => {}
        () = interruption.comes() => {}
    }
    lab.down().await
}

async fn end_of_input() {
    let (ended, end) = oneshot::channel();
    // A thread of its own: the runtime would wait for a pending read of standard input when it ends.
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = ended.send(());
    });
    let _ = end.await;
}

/// The error and everything behind it, one line each.
fn report(error: &dyn Error) {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let _ = writeln!(io::stderr(), "certmill-lab: {error}");
        cause = error.source();
    }
}
