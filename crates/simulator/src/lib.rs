//! A year of renewals in seconds: the decisions of `certmill-model` against a virtual clock and a strict model of a CA.
//!
//! Nothing here decides. When to renew, what a limit leaves room for, what comes first and when a CA is left alone is
//! decided by the code that the engine runs; this crate keeps its state, moves the clock and counts. The CA is written independently, from what Let's Encrypt publishes, so that a slip on our side
//! shows as a 429 instead of being made twice.

mod authority;
mod backlog;
mod calendar;
mod chart;
mod day;
mod domain;
mod instant;
mod ledger;
mod options;
mod orders;
mod outcome;
mod published;
mod report;
mod scenario;
mod tenants;
mod world;

#[cfg(test)]
mod tests;

pub use day::Day;
pub use options::{InvalidOption, parse_lifetime};
pub use outcome::{Outcome, Settled};
pub use report::{charts, csv, table};
pub use scenario::{Import, InvalidScenario, Limits, Outage, Revocation, Scenario, Start};

/// Runs `scenario`. `progress` is called after each simulated day with the days done and the days in all.
pub fn simulate(scenario: &Scenario, mut progress: impl FnMut(u32, u32)) -> Outcome {
    let placed = scenario.outages.iter().all(|outage| matches!(outage.start, Start::Hour(_)));
    if placed {
        return world::World::new(scenario).run(&mut progress);
    }
    // The worst hour is known only when the year has passed without an outage.
    let calm = Scenario { outages: Vec::new(), ..scenario.clone() };
    let year = world::World::new(&calm).run(&mut progress);
    let outages = scenario.outages.iter().map(|outage| outage.placed(|hours| year.busiest_hour(hours)));
    let scenario = Scenario { outages: outages.collect(), ..scenario.clone() };
    world::World::new(&scenario).run(&mut progress)
}
