//! The laboratory on its own.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use certmill_lab::{Lab, LabError, Options, guard};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

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
    /// Wait for the end of standard input, then end every process of the lab in this directory and remove it
    Guard {
        /// The lab's directory
        directory: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let done = match Arguments::parse().command {
        Command::Up { load_balancers } => up(load_balancers).await,
        Command::Guard { directory } => guard::run(&directory),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

async fn up(load_balancers: u8) -> Result<(), LabError> {
    let lab = Lab::up(Options { load_balancers, ..Options::default() }).await?;
    let json = lab.description().to_json();
    // A closed standard output is no reason to go down: the end of standard input is.
    let _ = writeln!(io::stdout(), "{json}");
    wait_for_the_end().await;
    lab.down().await
}

async fn wait_for_the_end() {
    let (ended, end) = oneshot::channel();
    // A thread of its own: the runtime would wait for a pending read of standard input when it ends.
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = ended.send(());
    });
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be handled");
    tokio::select! {
        _ = end => {}
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// The error and everything behind it, one line each.
fn report(error: &LabError) {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        let _ = writeln!(io::stderr(), "certmill-lab: {error}");
        cause = error.source();
    }
}
