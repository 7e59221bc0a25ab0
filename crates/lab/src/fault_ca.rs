//! A CA that does as it is told: in front of pebble, it adds what no pebble has and what breaks clients.
//!
//! A [`FaultCa`] passes every request on to pebble, unless a rule speaks against it. A rule is a [`When`] and an
//! [`Action`]; the first that fits a request acts. Beside the rules stand [`Limits`], Let's Encrypt's own by name.
//! Pebble makes its URLs of the host that it is asked for, which is passed on: nothing leads around the CA.
//!
//! It is strict: a rule that never acted fails [`FaultCa::assert_all_rules_met`], and one that never can is refused.

mod action;
mod answer;
mod body;
mod endpoint;
mod exchange;
mod issuer;
mod journal;
mod known;
mod ledger;
mod limits;
mod request;
mod script;
mod server;
mod upstream;
mod when;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use time::OffsetDateTime;
use tokio::task::AbortHandle;

pub use self::action::{Action, Edit, WrongCertificate};
pub use self::answer::Answer;
pub use self::endpoint::Endpoint;
pub use self::journal::{Outcome, Seen};
pub use self::limits::{Limit, Limits, Rate};
pub use self::script::RuleId;
pub use self::when::When;
use self::{exchange::Shared, issuer::Issuer, journal::Journal, script::Script, upstream::Upstream};
use crate::certificates::ServerAuthority;
use crate::error::LabError;

/// A CA that does as it is told. It goes when it is dropped.
pub struct FaultCa {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: AbortHandle,
}

impl FaultCa {
    /// Listens at `address`, with a certificate of the lab's servers, and passes on to pebble.
    pub(crate) async fn start(
        address: IpAddr,
        pebble: SocketAddr,
        authority: &ServerAuthority,
        seed: u64,
    ) -> Result<Self, LabError> {
        let shared = Arc::new(Shared {
            upstream: Upstream::new(pebble, authority.pem()),
            issuer: Issuer::new()?,
            script: Mutex::new(Script::new(seed)),
            journal: Mutex::new(Journal::new()),
            known: Mutex::default(),
            ledger: Mutex::default(),
        });
        let certificate = authority.issue_for(address)?;
        let (address, listening) = server::listen(address, &certificate, shared.clone()).await?;
        Ok(Self { address, shared, listening })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its directory. Its own certificate is signed by the same root as pebble's.
    pub fn directory_url(&self) -> String {
        format!("https://{}/dir", self.address)
    }

    /// Adds a rule behind those that are there.
    ///
    /// # Panics
    /// If the rule can never act.
    pub fn add(&self, when: When, action: impl Into<Action>) -> RuleId {
        lock(&self.shared.script).add(when, action.into())
    }

    /// Takes a rule away. That it acted is remembered.
    pub fn remove(&self, rule: RuleId) {
        lock(&self.shared.script).remove(rule);
    }

    /// How often a rule acted.
    pub fn acted(&self, rule: RuleId) -> usize {
        lock(&self.shared.script).acted(rule)
    }

    /// Counts from now on, with full buckets.
    pub fn set_limits(&self, limits: Limits) {
        lock(&self.shared.ledger).set(limits);
    }

    /// How many requests came to an endpoint, whatever became of them.
    pub fn requests(&self, endpoint: Endpoint) -> usize {
        self.journal().iter().filter(|seen| seen.endpoint == endpoint).count()
    }

    /// How many requests of an endpoint were refused by a limit, or answered 429.
    pub fn rate_limited(&self) -> usize {
        let refused = |seen: &&Seen| matches!(seen.outcome, Outcome::Limited(_)) || seen.status == Some(429);
        self.journal().iter().filter(refused).count()
    }

    /// What was asked of an endpoint: the payloads of the requests, oldest first.
    pub fn payloads(&self, endpoint: Endpoint) -> Vec<Value> {
        let asked = self.journal().into_iter().filter(|seen| seen.endpoint == endpoint);
        asked.filter_map(|seen| seen.payload).collect()
    }

    /// All that was asked and what became of it, oldest first.
    pub fn journal(&self) -> Vec<Seen> {
        lock(&self.shared.journal).seen().to_vec()
    }

    /// What its clock shows: the machine's, as pebble's does.
    pub fn now(&self) -> OffsetDateTime {
        wall_clock()
    }

    /// Fails when a rule never acted, also one that was taken away.
    ///
    /// # Panics
    /// Then, with the rules and all that was asked.
    pub fn assert_all_rules_met(&self) {
        let idle = lock(&self.shared.script).idle();
        assert!(
            idle.is_empty(),
            "these rules never acted: {idle:#?}\nthis was asked:\n{}",
            lock(&self.shared.journal)
        );
    }
}

impl Drop for FaultCa {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// A test that failed elsewhere may still look.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(
    clippy::disallowed_methods,
    reason = "dates in certificates and headers are measured by the machine's clock"
)]
fn wall_clock() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
