//! The benchmark of issuing: certmill against a bare loop, at the same CA with the same settings.
//!
//! What is measured is issuing: both know their names when the clock starts, and it stops with the last certificate, which
//! certmill has stored by then, as well as its key, the order and what happened. Deliveries to load balancers wait for their
//! batch, and are told beside it.
//!
//! Each pair of halves has a lab of its own, and each half an ACME server that was just started: it becomes slower
//! with every order.

mod bare;
mod certmill;

use std::time::Duration;

use certmill_lab::Lab;
use clap::Args;

use self::{bare::Bare, certmill::Certmill};
use super::error::BenchError;
use super::{PEBBLE, again_when_stuck, lab, median, set_up};
use crate::screen::Screen;

/// The slowest bare loop that is not taken to be stuck.
const LONGEST_CERTIFICATE: Duration = Duration::from_millis(100);

/// What is measured.
#[derive(Args)]
pub(crate) struct Settings {
    /// How many domains
    #[arg(long, default_value_t = 1_000)]
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
    super::run(measure(settings, &Screen::new())).await
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
        let pair = async || measure_pair(settings, number % 2 == 0, screen).await;
        let (bare, certmill) = again_when_stuck(screen, pair).await?;
        pairs.push((bare, certmill));
    }
    let of_pairs = |figure: fn(&(Bare, Certmill)) -> f64| median(pairs.iter().map(figure));
    screen.say(format_args!(
        "issuing/bare = {:.2}, certificates/s = {:.0}, last certificate to last handshake = {:.1} s, \
         (issuing and delivering)/bare = {:.2}",
        of_pairs(|(bare, certmill)| certmill.issued.per_second / bare.per_second),
        of_pairs(|(_, certmill)| certmill.issued.per_second),
        of_pairs(|(_, certmill)| certmill.issued.tail),
        of_pairs(|(bare, certmill)| certmill.served_per_second / bare.per_second),
    ));
    Ok(())
}

async fn measure_pair(
    settings: &Settings,
    bare_first: bool,
    screen: &Screen,
) -> Result<(Bare, Certmill), BenchError> {
    let lab = lab().await?;
    let service = set_up(&lab, settings.concurrency).await?;
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

/// Makes the names lead to the first load balancer, and starts the ACME server anew.
async fn prepare_half(lab: &Lab, names: &[String]) -> Result<(), BenchError> {
    let address = [lab.description().load_balancers[0].address];
    let records: Vec<(&String, &[_])> = names.iter().map(|name| (name, address.as_slice())).collect();
    lab.set_addresses_of(&records).await?;
    lab.restart_pebble(PEBBLE).await?;
    Ok(())
}
