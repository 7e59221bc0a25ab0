//! The benchmarks: what they have in common.

pub(crate) mod dns01;
mod error;
pub(crate) mod faults;
pub(crate) mod issuing;
pub(crate) mod planner;
mod requests;
pub(crate) mod surface;
mod timelines;
mod usage;

use std::time::Duration;

use certmill_lab::service::{Role, Service};
use certmill_lab::{Lab, Options, PebbleOptions, PebbleRelease};

use self::error::BenchError;
use crate::interruption::Interruption;
use crate::screen::Screen;

/// The wait before the first look at an order; each further wait is longer.
const POLL_INITIAL_DELAY_MS: &str = "10";
/// How long nothing may happen: under load this CA stops answering for good now and then.
const LIMIT: Duration = Duration::from_secs(30);
/// How often a pair is begun.
const ATTEMPTS: usize = 4;
/// An ACME server that refuses nothing.
const PEBBLE: PebbleOptions = PebbleOptions {
    nonce_reject: 0,
    authorization_reuse: 0,
    release: PebbleRelease::Installed,
    lifetime: None,
    profiles: &[],
};

/// Measures until it is done or told to stop.
async fn run(measuring: impl Future<Output = Result<(), BenchError>>) -> Result<(), BenchError> {
    let mut interruption = Interruption::listen();
    tokio::select! {
        done = measuring => done,
        () = interruption.comes() => Err(BenchError::Interrupted),
    }
}

/// Measures a pair of halves; again from the beginning when the CA stops answering in one of them.
async fn again_when_stuck<T>(
    screen: &Screen,
    pair: impl AsyncFn() -> Result<T, BenchError>,
) -> Result<T, BenchError> {
    for _ in 1..ATTEMPTS {
        match pair().await {
            Err(error @ BenchError::Stuck { .. }) => {
                screen.say(format_args!("  {error}; this pair is measured again"));
            }
            done => return done,
        }
    }
    pair().await
}

async fn lab() -> Result<Lab, BenchError> {
    Ok(Lab::up(Options { pebble: PEBBLE, ..Options::default() }).await?)
}

/// certmill, with a first release on the load balancers: challenges are answered through them.
async fn set_up(lab: &Lab, concurrency: u16) -> Result<Service, BenchError> {
    let concurrency = concurrency.to_string();
    let environment = [
        ("CERTMILL_ACME__ORDERS_IN_FLIGHT", concurrency.as_str()),
        ("CERTMILL_ACME__POLL_INITIAL_DELAY_MS", POLL_INITIAL_DELAY_MS),
    ];
    let service = Service::set_up(lab, &environment).await?;
    let certmill = service.start(Role::All, &[]).await?;
    service.platform_api().await?.wait_for_targets(LIMIT).await?;
    certmill.stop().await?;
    Ok(service)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        let check = |values: &[f64], middle: f64| {
            assert!((median(values.iter().copied()) - middle).abs() < 1e-9, "{values:?}");
        };
        check(&[3.0, 1.0, 2.0], 2.0);
        check(&[4.0, 1.0, 2.0, 3.0], 2.5);
    }
}
