//! Looks at names, recorded as the engine records them, and the zone that owners point into.

use std::time::Duration;

use certmill_model::{
    Check, CheckKind, CheckResult, Checks, DomainStatus, Finding, Hostname, ProblemCode, ZoneId,
};
use certmill_store::{ClaimedDomain, Looked, NewZone};

use super::Bench;

/// The name server that every look asks.
pub(crate) const SERVER: &str = "192.0.2.53";

/// A look that found `seen` right.
pub(crate) fn right(kind: CheckKind, seen: &[&str]) -> Check {
    Check::pass(kind, words(seen), Some(SERVER.into()))
}

/// A look that found `seen`, which is wrong.
pub(crate) fn wrong(kind: CheckKind, seen: &[&str], code: ProblemCode, detail: &str) -> Check {
    Check::fail(kind, words(seen), Some(SERVER.into()), Finding { code, detail: detail.into() })
}

fn words(seen: &[&str]) -> Vec<String> {
    seen.iter().map(ToString::to_string).collect()
}

impl Bench {
    /// Adds the zone `acme.platform.test`, which every name belongs to from then on.
    pub(crate) async fn add_zone(&self) {
        let zone = NewZone {
            zone_id: ZoneId::new(&self.chance, self.now()),
            name: Hostname::parse("acme.platform.test").unwrap(),
            settings: serde_json::json!({}),
            credentials: None,
            record_prefix: "",
            name_servers: &[],
            keep_empty: false,
        };
        let mut tx = self.api.platform().await.unwrap();
        tx.put_zone(&zone, &self.vault, self.now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Looks at a name that is due. What is wrong becomes its problem.
    pub(crate) async fn look(&self, name: &str, looks: Vec<Check>) {
        let domain = self.claim(name).await;
        self.record_look(&domain, looks, None).await;
    }

    /// Looks at a name that is due, which has another status from then on.
    pub(crate) async fn look_and_become(&self, name: &str, status: DomainStatus, looks: Vec<Check>) {
        let domain = self.claim(name).await;
        self.record_look(&domain, looks, Some(status)).await;
    }

    /// Looks at a name as soon as it is due.
    pub(crate) async fn look_when_asked(&self, name: &str, looks: Vec<Check>) {
        let name = Hostname::parse(name).unwrap();
        let domain = self.api.platform().await.unwrap().find_domain(&name).await.unwrap().unwrap();
        loop {
            if let Some(claimed) = self.engine.claim_domain(domain.domain_id, self.now()).await.unwrap() {
                return self.record_look(&claimed, looks, None).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn record_look(&self, domain: &ClaimedDomain, looks: Vec<Check>, status: Option<DomainStatus>) {
        let failed = looks.iter().find(|look| look.result == CheckResult::Fail);
        let problem = failed.and_then(|look| look.problem.clone());
        let checks = Checks { looks, checked_at: self.now() };
        let looked = Looked {
            checks: &checks,
            problem: problem.as_ref(),
            status,
            consecutive_failures: problem.is_some().into(),
            next_look_at: self.now() + time::Duration::minutes(2),
            solved: ProblemCode::ALL,
            clock_restarts: false,
        };
        self.engine.looked(domain, &looked, &self.chance, self.now()).await.unwrap();
    }
}
