//! Looks at a name before anybody asks a CA for it, and decides how it can be proved.

use std::{collections::BTreeSet, net::IpAddr};

use certmill_dns::{CaaRecords, LookupError};
use certmill_model::{
    ChallengeKind, Check, CheckKind, CheckResult, Checks, Finding, Hostname, ProblemCode, TenantId,
    possible_challenges,
};
use certmill_store::{Delegation, StoreError};

use super::{observed, ownership::Wanted};
use crate::{Engine, authorities::CaIdentity, context::LoadBalancers};

/// What is looked at.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) name: &'a Hostname,
    /// Whose it is: it decides which load balancers the name must point at.
    pub(super) tenant: TenantId,
    pub(super) delegation: Option<&'a Delegation>,
    /// An operator said to order whatever is found.
    pub(super) overridden: bool,
    /// Look at everything, also at what matters only when something else is wrong.
    pub(super) closely: bool,
    /// The record that must be seen before any CA is asked.
    pub(super) own_record: Option<&'a Wanted>,
}

/// What was seen of a name.
pub(super) struct Look {
    looks: Vec<Check>,
    /// The ways in which the name can be proved, the preferred one first.
    possible: Vec<ChallengeKind>,
    /// The name has no address of ours, and that is certain.
    pub(super) is_elsewhere: bool,
    /// Its owner lets us prove it by DNS.
    pub(super) is_delegated: bool,
    met: BTreeSet<IpAddr>,
    load_balancers: LoadBalancers,
    caa: Result<CaaRecords, LookupError>,
}

/// Whether a name can be proved, and how.
pub(super) enum Verdict {
    /// By this kind of challenge.
    By(ChallengeKind),
    /// Not as it stands: its owner, or an operator, must change something.
    Not(Finding),
    /// Not yet: a load balancer that it points at does not answer challenges.
    NotYet,
}

/// Looks at the name's records. No CA is asked for anything here.
pub(super) async fn look(engine: &Engine, subject: Subject<'_>) -> Result<Look, StoreError> {
    let load_balancers = engine.load_balancers(subject.tenant).await?;
    let resolver = &engine.parts.resolver;
    let own = async {
        if subject.name.is_wildcard() { None } else { Some(resolver.addresses(subject.name).await) }
    };
    let owner = async {
        match subject.own_record {
            Some(wanted) => Some(resolver.ownership(&wanted.record).await),
            None => None,
        }
    };
    let (addresses, caa, owner) = tokio::join!(own, resolver.caa(subject.name), owner);
    let addresses = addresses.map(|seen| observed::addresses(subject.name, seen, &load_balancers));
    let points_at_us = addresses.as_ref().is_some_and(|found| found.check.result == CheckResult::Pass);
    // Whoever is proved by http-01 needs no delegation, unless it is to say whose the name is.
    let is_enough = points_at_us && !subject.closely && owner.is_none();
    let delegation = if is_enough { None } else { Some(delegation(engine, subject).await) };
    let is_delegated = delegation.as_ref().is_some_and(|check| check.problem.is_none());
    let is_elsewhere = addresses.as_ref().is_some_and(|found| found.is_elsewhere);
    let mut possible = possible_challenges(subject.name.is_wildcard(), points_at_us, is_delegated);
    if possible.is_empty() && subject.overridden {
        possible = match (subject.name.is_wildcard(), subject.delegation) {
            (false, _) => vec![ChallengeKind::Http01],
            (true, Some(_)) => vec![ChallengeKind::Dns01],
            // Nowhere to write a record to: no CA can be convinced.
            (true, None) => Vec::new(),
        };
    }
    let owner = subject.own_record.zip(owner).map(|(wanted, seen)| wanted.check(seen, is_delegated));
    // No way counts before its owner has said whose the name is, whatever an operator wants.
    if owner.as_ref().is_some_and(|check| check.result != CheckResult::Pass) {
        possible.clear();
    }
    let met = addresses.as_ref().map(|found| found.met.clone()).unwrap_or_default();
    let looks = addresses.map(|found| found.check).into_iter().chain(delegation).chain(owner).collect();
    Ok(Look { looks, possible, is_elsewhere, is_delegated, met, load_balancers, caa })
}

impl Look {
    /// Whether the record was looked for and seen that says whose the name is.
    pub(super) fn shows_owner(&self) -> bool {
        self.check(CheckKind::Ownership).is_some_and(|check| check.result == CheckResult::Pass)
    }

    /// Whether there is any way to prove the name.
    pub(super) fn is_possible(&self) -> bool {
        !self.possible.is_empty()
    }

    /// Whether CAA records let a CA issue for the name at all.
    pub(super) fn lets_issue(&self, subject: Subject<'_>, ca: &CaIdentity) -> bool {
        let may = |kind: &ChallengeKind| {
            observed::caa(&self.caa, subject.name, *kind, ca).problem.is_none() || subject.overridden
        };
        self.possible.iter().any(may) || may(&ChallengeKind::Dns01)
    }

    /// Which challenge is met, as far as CAA records and the way of http-01 allow; `ca` is the CA that would be asked.
    pub(super) async fn verdict(
        &mut self,
        engine: &Engine,
        subject: Subject<'_>,
        ca: &CaIdentity,
    ) -> Verdict {
        let mut first = self.not_possible(subject);
        for kind in self.possible.clone() {
            if kind == ChallengeKind::Http01
                && !self.load_balancers.answer_at(&self.met)
                && !subject.overridden
            {
                return Verdict::NotYet;
            }
            match self.objection(engine, subject, ca, kind).await {
                Some(finding) if !subject.overridden => {
                    first.get_or_insert(finding);
                }
                _ => return Verdict::By(kind),
            }
        }
        // Something speaks against http-01: perhaps the name is delegated as well.
        if first.is_some() && self.is_possible() && self.check(CheckKind::Delegation).is_none() {
            let found = delegation(engine, subject).await;
            self.is_delegated = found.problem.is_none();
            self.put(found);
            if self.is_delegated && self.objection(engine, subject, ca, ChallengeKind::Dns01).await.is_none()
            {
                return Verdict::By(ChallengeKind::Dns01);
            }
        }
        Verdict::Not(first.unwrap_or_else(no_zone))
    }

    /// What was seen, to be stored.
    pub(super) fn checks(self, engine: &Engine) -> Checks {
        Checks { looks: self.looks, checked_at: engine.now() }
    }

    /// What stands in the way when there is no way at all.
    fn not_possible(&self, subject: Subject<'_>) -> Option<Finding> {
        if !self.possible.is_empty() {
            return None;
        }
        if let Some(missing) = self.check(CheckKind::Ownership).and_then(|check| check.problem.clone()) {
            return Some(missing);
        }
        let wanted = if subject.name.is_wildcard() { CheckKind::Delegation } else { CheckKind::Addresses };
        self.check(wanted)?.problem.clone()
    }

    fn check(&self, kind: CheckKind) -> Option<&Check> {
        self.looks.iter().find(|look| look.kind == kind)
    }

    /// What speaks against `kind` though the records are right.
    async fn objection(
        &mut self,
        engine: &Engine,
        subject: Subject<'_>,
        ca: &CaIdentity,
        kind: ChallengeKind,
    ) -> Option<Finding> {
        let caa = observed::caa(&self.caa, subject.name, kind, ca);
        self.put(caa.clone());
        if caa.problem.is_some() || kind != ChallengeKind::Http01 {
            return caa.problem;
        }
        let reached_at = self.load_balancers.reached_at(&self.met);
        let http = engine.reach(subject.name, &reached_at, subject.closely).await;
        self.put(http.clone());
        http.problem
    }

    fn put(&mut self, check: Check) {
        self.looks.retain(|look| look.kind != check.kind);
        self.looks.push(check);
    }
}

async fn delegation(engine: &Engine, subject: Subject<'_>) -> Check {
    match subject.delegation {
        None => Check::unknown(CheckKind::Delegation, None, Some(no_zone())),
        Some(wanted) => {
            observed::delegation(engine.parts.resolver.delegation(subject.name, &wanted.record_name).await)
        }
    }
}

fn no_zone() -> Finding {
    let detail =
        "The platform has no DNS zone for challenges yet; `certmill zone add` sets one up.".to_owned();
    Finding { code: ProblemCode::DnsZoneUnavailable, detail }
}
