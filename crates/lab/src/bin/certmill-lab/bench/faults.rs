//! Issuing at a CA that refuses nonces and fails at random: every domain gets its certificate, and how long that takes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use certmill_lab::FaultCa;
use certmill_lab::fault_ca::{Answer, Seen, When};
use certmill_lab::service::{Api, Role, Service};
use clap::Args;
use tokio::time::sleep;

use super::error::BenchError;
use super::requests::register;
use super::{POLL_INITIAL_DELAY_MS, lab};
use crate::screen::Screen;

/// When it is given up: domains that failed wait for a minute and longer.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// Between two looks: rare, because a look costs as well.
const POLL: Duration = Duration::from_secs(1);

/// What is measured.
#[derive(Args)]
pub(crate) struct Settings {
    /// How many domains
    #[arg(long, default_value_t = 1000)]
    domains: usize,
    /// How many orders in flight
    #[arg(long, default_value_t = 32)]
    concurrency: u16,
    /// Of 100 signed requests, how many have their nonce refused
    #[arg(long, default_value_t = 5.0)]
    bad_nonces: f64,
    /// Of 100 requests, how many are answered 503
    #[arg(long, default_value_t = 2.0)]
    failures: f64,
    /// What the CA's chance begins with
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Measures, and ends with one line that says it all.
pub(crate) async fn run(settings: &Settings) -> Result<(), BenchError> {
    super::run(measure(settings, &Screen::new())).await
}

async fn measure(settings: &Settings, screen: &Screen) -> Result<(), BenchError> {
    screen.step(format_args!(
        "{} domains, {} orders in flight, {} % bad nonces, {} % 503",
        settings.domains, settings.concurrency, settings.bad_nonces, settings.failures
    ));
    let lab = lab().await?;
    let ca = lab.fault_ca(settings.seed).await?;
    let (directory, concurrency) = (ca.directory_url(), settings.concurrency.to_string());
    let environment = [
        ("CERTMILL_ACME__DIRECTORY_URL", directory.as_str()),
        ("CERTMILL_ACME__ORDERS_IN_FLIGHT", &concurrency),
        ("CERTMILL_ACME__POLL_INITIAL_DELAY_MS", POLL_INITIAL_DELAY_MS),
    ];
    let service = Service::set_up(&lab, &environment).await?;
    let certmill = service.start(Role::All, &[]).await?;
    service.platform_api().await?.wait_for_targets(super::LIMIT).await?;
    let api = service.add_tenant("Nordwind").await?;
    break_it(&ca, settings);

    let names: Vec<String> =
        (0..settings.domains).map(|number| format!("fault{number}.shops.test")).collect();
    let begin = Instant::now();
    register(&names, &api).await?;
    let active = wait_until_active(&api, settings.domains, begin, screen).await?;
    let seconds = begin.elapsed().as_secs_f64();
    certmill.stop().await?;
    tell(&ca.journal(), settings, screen);
    screen.say(format_args!("issued = {active} of {}, seconds = {seconds:.1}", settings.domains));
    lab.down().await?;
    Ok(())
}

fn break_it(ca: &FaultCa, settings: &Settings) {
    if settings.bad_nonces > 0.0 {
        let refused = Answer::problem(400, "badNonce", "JWS has an invalid anti-replay nonce");
        ca.add(When::any_post().with_chance(settings.bad_nonces / 100.0), refused);
    }
    if settings.failures > 0.0 {
        let busy =
            Answer::html(503, "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>");
        ca.add(When::any().with_chance(settings.failures / 100.0), busy);
    }
}

/// How many are active in the end.
async fn wait_until_active(
    api: &Api,
    domains: usize,
    begin: Instant,
    screen: &Screen,
) -> Result<usize, BenchError> {
    let mut half = false;
    loop {
        sleep(POLL).await;
        let list = api.list().await?;
        let active = list.iter().filter(|domain| domain["status"] == "active").count();
        if active == domains || begin.elapsed() > LIMIT {
            return Ok(active);
        }
        if active * 2 >= domains && !half {
            half = true;
            screen.say(format_args!("  half of them after {:.1} s", begin.elapsed().as_secs_f64()));
        }
    }
}

/// How the CA answered, by status.
fn tell(journal: &[Seen], settings: &Settings, screen: &Screen) {
    let mut statuses = BTreeMap::new();
    for seen in journal {
        *statuses.entry(seen.status.unwrap_or_default()).or_insert(0_usize) += 1;
    }
    let statuses: Vec<_> =
        statuses.into_iter().map(|(status, count)| format!("{count} x {status}")).collect();
    let each = journal.len() as f64 / settings.domains.max(1) as f64;
    screen.say(format_args!("  {} requests, {each:.1} a domain: {}", journal.len(), statuses.join(", ")));
}
