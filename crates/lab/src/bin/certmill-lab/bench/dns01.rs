//! The benchmark of dns-01: certificates by DNS against as many by HTTP, at the same CA and in one run of certmill.
//!
//! Both halves go the same way. All names are registered while nothing is set for them; then all their owners set what
//! their setup asks for, addresses or the one CNAME; then certmill is asked to look.

use std::time::{Duration, Instant};

use certmill_lab::service::{Api, Role, Running, Service, domain_path};
use certmill_lab::{Lab, Record};
use clap::Args;
use serde_json::Value;
use tokio::time::sleep;

use super::error::BenchError;
use super::requests::{REQUESTS, for_each, register, timelines, wait_until_active};
use super::timelines::{Issued, evaluate};
use super::usage::Usage;
use super::{LIMIT, again_when_stuck, lab, median, set_up};
use crate::screen::Screen;

/// Opens the account at the CA before the clock starts.
const WARM_UP: &str = "warm-up.shops.test";
/// certmill looks at one name so often at most.
const BETWEEN_LOOKS: Duration = Duration::from_secs(6);
const POLL: Duration = Duration::from_millis(200);

/// What is measured.
#[derive(Args)]
pub(crate) struct Settings {
    /// How many domains, for each
    #[arg(long, default_value_t = 200)]
    domains: usize,
    /// How many orders in flight, for both
    #[arg(long, default_value_t = 32)]
    concurrency: u16,
    /// How many pairs of halves; the result is their median
    #[arg(long, default_value_t = 3)]
    pairs: usize,
}

/// How the names of a half are proved.
#[derive(Clone, Copy)]
enum Way {
    Http,
    Dns,
}

/// certmill at work on a lab.
struct Bench {
    lab: Lab,
    api: Api,
    certmill: Running,
}

/// Measures, and ends with one line that says it all.
pub(crate) async fn run(settings: &Settings) -> Result<(), BenchError> {
    super::run(measure(settings, &Screen::new())).await
}

async fn measure(settings: &Settings, screen: &Screen) -> Result<(), BenchError> {
    let (mut ratios, mut left) = (Vec::new(), 0);
    for number in 0..settings.pairs.max(1) {
        screen.step(format_args!(
            "pair {} of {}: {} domains each, {} orders in flight",
            number + 1,
            settings.pairs.max(1),
            settings.domains,
            settings.concurrency
        ));
        let ways = if number % 2 == 0 { [Way::Http, Way::Dns] } else { [Way::Dns, Way::Http] };
        let pair = async || Box::pin(measure_pair(settings, ways, screen)).await;
        let (ratio, left_now) = again_when_stuck(screen, pair).await?;
        ratios.push(ratio);
        left += left_now;
    }
    let ratio = median(ratios.into_iter());
    screen.say(format_args!("dns-01/http-01 = {ratio:.2}, TXT records left = {left}"));
    Ok(())
}

/// The ratio of the halves, and how many TXT records are left.
async fn measure_pair(
    settings: &Settings,
    ways: [Way; 2],
    screen: &Screen,
) -> Result<(f64, usize), BenchError> {
    let bench = Bench::set_up(settings).await?;
    let (mut http, mut dns) = (None, None);
    for (index, way) in ways.into_iter().enumerate() {
        let issued = bench.measure_half(way, settings.domains, index, screen).await?;
        match way {
            Way::Http => http = Some(issued.per_second),
            Way::Dns => dns = Some(issued.per_second),
        }
    }
    let left = bench.wait_until_clean(screen).await?;
    bench.certmill.stop().await?;
    bench.lab.down().await?;
    let (http, dns) = http.zip(dns).expect("both ways were gone");
    Ok((dns / http, left))
}

impl Bench {
    async fn set_up(settings: &Settings) -> Result<Self, BenchError> {
        let lab = lab().await?;
        let service: Service = set_up(&lab, settings.concurrency).await?;
        let certmill = service.start(Role::All, &[]).await?;
        let api = service.add_tenant("Nordwind").await?;
        api.put(WARM_UP, &Value::Null).await?;
        api.wait_for_status(WARM_UP, "active", LIMIT).await?;
        Ok(Self { lab, api, certmill })
    }

    /// The `index`th half.
    async fn measure_half(
        &self,
        way: Way,
        domains: usize,
        index: usize,
        screen: &Screen,
    ) -> Result<Issued, BenchError> {
        let label = way.label();
        let names: Vec<String> = (0..domains).map(|number| format!("{label}{number}.owners.test")).collect();
        register(&names, &self.api).await?;
        let setups = self.wait_until_looked_at(&names, way).await?;
        let records: Vec<Record> = setups.iter().flat_map(|setup| way.records(setup)).collect();
        self.lab.set_records(&records).await?;
        sleep(BETWEEN_LOOKS).await;

        let before = Usage::read(&self.lab, self.certmill.process_id()).await;
        // All at once: each waits for its look, and should not keep the others from theirs.
        for_each(&names, &self.api, domains, look).await?;
        wait_until_active(&self.api, 1 + domains * (index + 1), way.challenge()).await?;
        let usage = Usage::read(&self.lab, self.certmill.process_id()).await.since(&before);
        let issued = evaluate(&timelines(&names, &self.api).await?, domains)?;
        screen.say(format_args!(
            "  {:8} {:6.1} certificates/s   {}",
            way.challenge(),
            issued.per_second,
            usage.per(domains)
        ));
        Ok(issued)
    }

    /// The setup of every name, as soon as all were looked at.
    async fn wait_until_looked_at(&self, names: &[String], way: Way) -> Result<Vec<Value>, BenchError> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let setups = for_each(names, &self.api, REQUESTS, setup).await?;
            let missing = setups.iter().filter(|setup| setup["checked_at"].is_null()).count();
            if missing == 0 {
                return Ok(setups);
            }
            if Instant::now() > deadline {
                let what = format!("{missing} were not looked at within {LIMIT:?}");
                return Err(BenchError::Stuck { half: way.challenge(), what });
            }
            sleep(POLL).await;
        }
    }

    /// Waits until no TXT record is left; how many are when that takes too long.
    async fn wait_until_clean(&self, screen: &Screen) -> Result<usize, BenchError> {
        let begin = Instant::now();
        loop {
            let left = self.lab.txt_records().await?.len();
            if left == 0 || begin.elapsed() > LIMIT {
                let waited = begin.elapsed().as_secs_f64();
                screen.say(format_args!(
                    "  {left} TXT records left {waited:.1} s after the last domain was active"
                ));
                return Ok(left);
            }
            sleep(POLL).await;
        }
    }
}

impl Way {
    fn challenge(self) -> &'static str {
        match self {
            Self::Http => "http-01",
            Self::Dns => "dns-01",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Dns => "dns",
        }
    }

    /// What the owner of a name sets, out of what the name's setup asks for.
    fn records(self, setup: &Value) -> Vec<Record> {
        let purpose = match self {
            Self::Http => "traffic",
            Self::Dns => "certificate",
        };
        let wanted = setup["records"].as_array().into_iter().flatten();
        wanted.filter(|record| record["purpose"] == purpose).filter_map(record).collect()
    }
}

fn record(wanted: &Value) -> Option<Record> {
    let (name, value) = (wanted["name"].as_str()?, wanted["value"].as_str()?);
    match wanted["type"].as_str()? {
        "CNAME" => Some(Record::cname(name, value)),
        _ => Some(Record::address(name, value.parse().ok()?)),
    }
}

async fn setup(api: Api, name: String) -> Result<Vec<Value>, certmill_lab::service::ServiceError> {
    Ok(vec![api.expect("GET", &format!("{}/setup", domain_path(&name)), None).await?])
}

async fn look(api: Api, name: String) -> Result<Vec<Value>, certmill_lab::service::ServiceError> {
    api.expect("POST", &format!("{}/check", domain_path(&name)), None).await.map(|_| Vec::new())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn owners_set_what_their_setup_asks_for_and_no_more() {
        let setup = json!({ "records": [
            { "purpose": "traffic", "type": "A", "name": "a.test", "value": "127.0.0.1" },
            { "purpose": "traffic", "type": "AAAA", "name": "a.test", "value": "::1" },
            { "purpose": "certificate", "type": "CNAME", "name": "_acme-challenge.a.test", "value": "x.acme.test" },
            { "purpose": "certificate", "type": "CNAME", "name": "_acme-challenge.a.test", "value": null },
        ]});
        assert_eq!(Way::Http.records(&setup).len(), 2);
        assert_eq!(Way::Dns.records(&setup).len(), 1);
    }
}
