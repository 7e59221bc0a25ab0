//! Faults of a CA, each by itself: what certmill makes of it, and how long it takes to recover.

mod answers;
mod away;
mod limits;
mod refusals;
mod renewal;

use std::time::Duration;

use certmill_lab::fault_ca::{Endpoint, Seen, When};
use certmill_tests::FaultStage;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn on(endpoint: Endpoint) -> When {
    When::of(endpoint)
}

/// When orders with this name were asked for.
fn orders_of(stage: &FaultStage, name: &str) -> Vec<Duration> {
    let of = |seen: &&Seen| seen.endpoint == Endpoint::NewOrder && seen.names.iter().any(|of| of == name);
    stage.ca.journal().iter().filter(of).map(|seen| seen.at).collect()
}
