//! certmill: TLS certificates for white-label platforms.
//!
//! The binary reads the configuration, wires the crates together and runs them, or one command of an operator.

mod cli;
mod commands;
mod config;
mod database;
mod metrics;
mod start;
mod trouble;

use std::{io::IsTerminal, path::Path, process::ExitCode};

use clap::Parser;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    cli::{Arguments, Command},
    config::Config,
    trouble::Trouble,
};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Before anything makes a TLS connection: two providers may be linked, and this is the one that is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return Trouble::new(
                "the runtime cannot be started",
                &error,
                "Look at the limits of this machine.",
            )
            .report();
        }
    };
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.report(),
    }
}

async fn run(arguments: Arguments) -> Result<(), Trouble> {
    if let Command::Init { directory, admin } = &arguments.command {
        return init(arguments.config.as_deref(), directory.as_deref(), admin.as_deref()).await;
    }
    if let Command::Simulate(arguments) = &arguments.command {
        return commands::simulate(arguments);
    }
    let config = Config::load(arguments.config.as_deref())?;
    if matches!(arguments.command, Command::Config(_)) {
        commands::show_config(&config);
        return Ok(());
    }
    let serving = matches!(arguments.command, Command::All | Command::Serve | Command::Work);
    log_to_stderr(if serving { &config.log.filter } else { "warn" });
    commands::run(arguments.command, config).await
}

/// Makes the files, the first administrator, or both.
async fn init(config: Option<&Path>, directory: Option<&Path>, admin: Option<&str>) -> Result<(), Trouble> {
    let made = match directory.or(admin.is_none().then_some(Path::new("."))) {
        Some(directory) => Some(commands::init(directory)?),
        None => None,
    };
    let Some(admin) = admin else { return Ok(()) };
    log_to_stderr("warn");
    commands::init_admin(&Config::load(made.as_deref().or(config))?, admin).await
}

/// Lines for people on a terminal, JSON for everything else.
fn log_to_stderr(filter: &str) {
    let filter = EnvFilter::builder().parse_lossy(filter);
    let registry = tracing_subscriber::registry().with(filter);
    if std::io::stderr().is_terminal() {
        registry.with(fmt::layer().with_writer(std::io::stderr)).init();
    } else {
        registry.with(fmt::layer().json().with_writer(std::io::stderr)).init();
    }
}
