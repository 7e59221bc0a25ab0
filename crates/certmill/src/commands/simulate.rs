//! A year of renewals in seconds.

use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use certmill_simulator::{
    Import, Limits, Outage, Outcome, Revocation, Scenario, charts, csv, parse_lifetime, simulate, table,
};
use clap::Args;
use time::Duration;

use super::say;
use crate::trouble::Trouble;

/// What is simulated.
#[derive(Args)]
pub(crate) struct SimulateArguments {
    /// Names that are there from the beginning.
    #[arg(long, default_value_t = 100_000)]
    domains: u32,
    /// Days that pass.
    #[arg(long, default_value_t = 365)]
    days: u32,
    /// The lifetime of certificates, as in 45d or 160h.
    #[arg(long, default_value = "45d", value_parser = parse_lifetime)]
    lifetime: Duration,
    /// The limits of the CA: letsencrypt, letsencrypt-staging, none, or orders-per-3h=5000 for Let's Encrypt's with that many
    /// new orders.
    #[arg(long, default_value = "letsencrypt")]
    limits: Limits,
    /// Days over which the names come in; 0: all at once.
    #[arg(long, default_value_t = 0)]
    ramp: u32,
    /// An outage of the CA: its day and its length, as in 100+24h, or worst+24h for the hour that meets most renewals.
    #[arg(long = "outage")]
    outages: Vec<Outage>,
    /// A revocation: its day, and how many in a hundred certificates, as in 150:10.
    #[arg(long = "revoke")]
    revocations: Vec<Revocation>,
    /// An import by one tenant: its day, and how many names, as in 120:300000.
    #[arg(long = "import")]
    imports: Vec<Import>,
    /// The same seed gives the same year.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A directory for orders.csv and four pictures.
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Days of domains from which on a run takes long enough to show how far it is.
const LONG: u64 = 20_000_000;

/// Characters of the progress bar.
const BAR: u32 = 40;

pub(crate) fn run(arguments: &SimulateArguments) -> Result<(), Trouble> {
    let scenario = arguments.scenario();
    let fix = "Change the option; `certmill simulate --help` tells what each takes.";
    scenario.check().map_err(|error| Trouble::new("this cannot be simulated", &error, fix))?;
    let long = u64::from(scenario.domains) * u64::from(scenario.days) >= LONG;
    let shown = long && io::stderr().is_terminal();
    let outcome = simulate(&scenario, |done, days| {
        if shown {
            show_progress(done, days);
        }
    });
    if let Some(directory) = &arguments.output {
        write(directory, &outcome).map_err(|error| {
            let what = format!("the results cannot be written to {}", directory.display());
            Trouble::new(what, &error, "Name a directory that can be written to.")
        })?;
    }
    say(table(&outcome).trim_end());
    Ok(())
}

impl SimulateArguments {
    fn scenario(&self) -> Scenario {
        Scenario {
            domains: self.domains,
            days: self.days,
            lifetime: self.lifetime,
            limits: self.limits.clone(),
            ramp: self.ramp,
            outages: self.outages.clone(),
            revocations: self.revocations.clone(),
            imports: self.imports.clone(),
            seed: self.seed,
        }
    }
}

fn write(directory: &Path, outcome: &Outcome) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("orders.csv"), csv(outcome))?;
    for (name, svg) in charts(outcome) {
        fs::write(directory.join(name), svg)?;
    }
    Ok(())
}

/// One line that is written over, and cleared in the end.
fn show_progress(done: u32, days: u32) {
    let full = (BAR * done / days) as usize;
    let bar = format!("{:#<full$}{:.<rest$}", "", "", rest = BAR as usize - full);
    let mut stderr = io::stderr().lock();
    // A terminal that is gone is no reason to stop.
    let _ = if done == days {
        write!(stderr, "\r\x1b[K")
    } else {
        write!(stderr, "\r[{bar}] day {done} of {days}")
    };
    let _ = stderr.flush();
}
