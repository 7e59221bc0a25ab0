//! The benchmark of issuing: certmill against a bare loop, at the same CA with the same settings.
//!
//! Each pair of halves has a lab of its own, and each half an ACME server that was just started: it becomes slower
//! with every order.

mod bare;
mod certmill;
mod error;
mod usage;

use std::time::Duration;

use certmill_lab::service::{Role, Service};
use certmill_lab::{Lab, Options, PebbleOptions};
use clap::Args;

use self::bare::Bare;
use self::certmill::Certmill;
use self::error::BenchError;
use crate::interruption::Interruption;
use crate::screen::Screen;

/// The wait before the first look at an order, for both; each further wait is longer.
const POLL_INITIAL_DELAY_MS: &str = "10";
/// How long nothing may happen: under load this CA stops answering for good now and then.
const LIMIT: Duration = Duration::from_secs(30);
/// The slowest bare loop that is not taken to be stuck.
const LONGEST_CERTIFICATE: Duration = Duration::from_millis(100);
/// How often a pair is begun.
const ATTEMPTS: usize = 4;

/// What is measured.
#[derive(Args)]
pub(crate) struct Settings {
    /// How many domains
    #[arg(long, default_value_t = 500)]
    domains: usize,
    /// How many orders in flight, for both
    #[arg(long, default_value_t = 32)]
    concurrency: u16,
    /// How many pairs of halves; the result is their median
    #[arg(long, default_value_t = 3)]
    pairs: usize,
}

/// Measures, and ends with one line that says it all.
pub(crate) async fn run(settings: &Settings) -> Result<(), BenchError> {
    let mut interruption = Interruption::listen();
    let screen = Screen::new();
    tokio::select! {
        done = measure(settings, &screen) => done,
        () = interruption.comes() => Err(BenchError::Interrupted),
    }
}

async fn measure(settings: &Settings, screen: &Screen) -> Result<(), BenchError> {
    let mut pairs = Vec::new();
    for number in 0..settings.pairs.max(1) {
        screen.step(format_args!(
            "pair {} of {}: {} domains, {} orders in flight",
            number + 1,
            settings.pairs.max(1),
            settings.domains,
            settings.concurrency
        ));
        let (bare, certmill) = measure_pair(settings, number % 2 == 0, screen).await?;
        pairs.push((certmill.per_second / bare.per_second, certmill.per_second, certmill.tail));
    }
    screen.say(format_args!(
        "issuing/bare = {:.2}, certificates/s = {:.0}, last certificate to last handshake = {:.1} s",
        median(pairs.iter().map(|pair| pair.0)),
        median(pairs.iter().map(|pair| pair.1)),
        median(pairs.iter().map(|pair| pair.2)),
    ));
    Ok(())
}

/// A pair of halves; again from the beginning when the CA stops answering in one of them.
async fn measure_pair(
    settings: &Settings,
    bare_first: bool,
    screen: &Screen,
) -> Result<(Bare, Certmill), BenchError> {
    for _ in 1..ATTEMPTS {
        match try_pair(settings, bare_first, screen).await {
            Err(error @ BenchError::Stuck { .. }) => {
                screen.say(format_args!("  {error}; this pair is measured again"));
            }
            done => return done,
        }
    }
    try_pair(settings, bare_first, screen).await
}

async fn try_pair(
    settings: &Settings,
    bare_first: bool,
    screen: &Screen,
) -> Result<(Bare, Certmill), BenchError> {
    let pebble = PebbleOptions { nonce_reject: 0, ..PebbleOptions::default() };
    let lab = Lab::up(Options { pebble, ..Options::default() }).await?;
    let service = set_up(&lab, settings).await?;
    let pair = if bare_first {
        let bare = bare::measure(&lab, settings, screen).await?;
        (bare, certmill::measure(&lab, &service, settings, screen).await?)
    } else {
        let certmill = certmill::measure(&lab, &service, settings, screen).await?;
        (bare::measure(&lab, settings, screen).await?, certmill)
    };
    lab.down().await?;
    Ok(pair)
}

/// certmill, with a first release on the load balancers: both halves answer challenges through them.
async fn set_up(lab: &Lab, settings: &Settings) -> Result<Service, BenchError> {
    let concurrency = settings.concurrency.to_string();
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

/// Makes the names lead to the first load balancer, and starts the ACME server anew.
async fn prepare_half(lab: &Lab, names: &[String]) -> Result<(), BenchError> {
    let address = [lab.description().load_balancers[0].address];
    let records: Vec<(&String, &[_])> = names.iter().map(|name| (name, address.as_slice())).collect();
    lab.set_addresses_of(&records).await?;
    lab.restart_pebble(PebbleOptions { nonce_reject: 0, ..PebbleOptions::default() }).await?;
    Ok(())
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
