//! certmill with a CA that does as the test says.

use std::time::{Duration, Instant};

use certmill_lab::{FaultCa, Lab, Options, PebbleOptions, fault_ca::Endpoint, service::Running};
use serde_json::Value;

use crate::{CaLog, Stage};

/// certmill, at work, with a CA that does as the test says in front of pebble; one load balancer.
pub struct FaultStage {
    /// certmill, which is killed first when this goes.
    pub certmill: Running,
    /// The CA that it knows.
    pub ca: FaultCa,
    /// The lab, with certmill's API and database.
    pub stage: Stage,
}

impl FaultStage {
    /// With a pebble that refuses no nonce.
    pub async fn set() -> Self {
        Self::with(PebbleOptions::default(), &[]).await
    }

    /// With another pebble, and `environment` for certmill. The pebble refuses no nonce.
    pub async fn with(pebble: PebbleOptions, environment: &[(&str, &str)]) -> Self {
        let lab = fault_lab(pebble).await;
        let ca = lab.fault_ca(1).await.unwrap();
        Self::on(lab, ca, environment).await
    }

    /// On a lab that is up, with a CA of its own.
    pub async fn on(lab: Lab, ca: FaultCa, environment: &[(&str, &str)]) -> Self {
        let directory = ca.directory_url();
        let own = [("CERTMILL_ACME__DIRECTORY_URL", directory.as_str())];
        let stage = Stage::on(lab, &[&own, environment].concat()).await;
        let certmill = stage.start().await;
        Self { certmill, ca, stage }
    }

    /// Registers a name, waits until its certificate is served, and says how long that took.
    pub async fn recovers(&self, fault: &str, name: &str, within: Duration) -> Value {
        let begin = Instant::now();
        self.stage.put(name).await;
        self.active_since(fault, name, begin, within).await
    }

    /// Waits until the certificate of a registered name is served, and says how long after `begin` that was.
    pub async fn active_since(&self, fault: &str, name: &str, begin: Instant, within: Duration) -> Value {
        let domain = self.stage.active_within(name, within).await;
        recovered(fault, begin);
        domain
    }

    /// Makes the renewal of a name due.
    pub async fn renew(&self, name: &str) {
        let due = "UPDATE domains SET renew_after = now(), next_action_at = now() WHERE name = $1";
        self.stage.database.execute_for(name, due).await;
    }

    /// Waits until the domain has another certificate than in `before`, and says how long after `begin` that was.
    pub async fn renewed_since(
        &self,
        fault: &str,
        before: &Value,
        begin: Instant,
        within: Duration,
    ) -> Value {
        let name = before["name"].as_str().unwrap();
        let other = |domain: &Value| {
            domain["status"] == "active" && domain["certificate"]["id"] != before["certificate"]["id"]
        };
        let domain = self.stage.shops.wait_for(name, within, other).await.unwrap();
        recovered(fault, begin);
        domain
    }

    /// How many orders certmill asked for, and how many certificates pebble issued.
    pub fn orders_and_certificates(&self) -> (usize, usize) {
        (self.ca.requests(Endpoint::NewOrder), CaLog::read(&self.stage.lab).certificates)
    }
}

/// A lab with one load balancer, and a pebble that refuses no nonce.
pub async fn fault_lab(pebble: PebbleOptions) -> Lab {
    let pebble = PebbleOptions { nonce_reject: 0, ..pebble };
    Lab::up(Options { load_balancers: 1, pebble }).await.unwrap()
}

/// Prints the time to recovery.
pub fn recovered(fault: &str, begin: Instant) {
    eprintln!("{fault}: recovered after {:.1} s", begin.elapsed().as_secs_f64());
}
