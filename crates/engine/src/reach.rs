//! Whether the path of http-01 challenges leads to us.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::Mutex,
    time::Duration,
};

use certmill_dns::challenge_path;
use certmill_model::{Check, CheckKind, Finding, Hostname};
use tokio::time::Instant;

use crate::Engine;

/// How long a load balancer that answered for one name is believed to answer for others, which are right so far.
const BELIEVED: Duration = Duration::from_secs(10);

/// The load balancers that answered lately.
#[derive(Default)]
pub(crate) struct Answered(Mutex<HashMap<IpAddr, Instant>>);

impl Engine {
    /// Asks each load balancer, at `addresses`, as a CA would. One that answered lately is asked again only for a name that
    /// is looked at `closely`: hundreds of orders a second go to the same few load balancers.
    pub(crate) async fn reach(&self, name: &Hostname, addresses: &BTreeSet<IpAddr>, closely: bool) -> Check {
        let kind = CheckKind::Http;
        let asked: Vec<IpAddr> =
            addresses.iter().copied().filter(|address| closely || !self.answered.lately(*address)).collect();
        let lines = || addresses.iter().map(ToString::to_string).collect();
        if addresses.is_empty() {
            return Check::unknown(kind, None, None);
        }
        if asked.is_empty() {
            return Check::pass(kind, lines(), None);
        }
        let probe = format!("certmill-probe-{}", self.parts.chance.label());
        match challenge_path(name, &asked, self.parts.http_01_port, &probe).await {
            Ok(()) => {
                for address in asked {
                    self.answered.note(address);
                }
                Check::pass(kind, lines(), None)
            }
            Err(unreachable) => {
                let finding = Finding { code: unreachable.problem_code(), detail: format!("{unreachable}.") };
                Check::fail(kind, Vec::new(), None, finding)
            }
        }
    }
}

impl Answered {
    fn lately(&self, address: IpAddr) -> bool {
        let answered = self.0.lock().expect("no holder of this lock panics");
        answered.get(&address).is_some_and(|at| at.elapsed() < BELIEVED)
    }

    fn note(&self, address: IpAddr) {
        let mut answered = self.0.lock().expect("no holder of this lock panics");
        answered.retain(|_, at| at.elapsed() < BELIEVED);
        answered.insert(address, Instant::now());
    }
}
