//! The DNS records that a name's owner is to set, beside what was seen of them.

use std::net::IpAddr;

use certmill_model::{
    ChallengeKind, Check, CheckKind, CheckResult, Finding, Hostname, OwnershipRecord, ProblemCode,
    possible_challenges,
};
use certmill_store::Setup;

/// What a record is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// It brings shoppers to the load balancers.
    Traffic,
    /// It lets us prove the name by DNS (RFC 8555 section 8.4), once and for ever.
    Certificate,
    /// It says that the name is this tenant's.
    Ownership,
}

/// A record that is wanted, and what is there.
#[derive(Debug)]
pub(crate) struct WantedRecord {
    /// What counts first is 1; of the records of one rank any one will do.
    pub(crate) rank: u8,
    pub(crate) purpose: Purpose,
    /// Whether the name does not work without it.
    pub(crate) required: bool,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) name_unicode: String,
    /// The name as a form wants it that appends the zone's name itself.
    pub(crate) host: String,
    pub(crate) zone: String,
    /// `None`: the platform has no zone to point into.
    pub(crate) value: Option<String>,
    pub(crate) result: CheckResult,
    pub(crate) seen: Vec<String>,
    pub(crate) seen_from: Option<String>,
    pub(crate) problem: Option<Finding>,
}

/// The records that the owner of `name` is to set, what counts first in front.
pub(crate) fn wanted_records(name: &Hostname, setup: &Setup) -> Vec<WantedRecord> {
    let mut records: Vec<_> =
        setup.addresses.iter().map(|address| traffic_record(name, *address, setup)).collect();
    records.push(certificate_record(name, setup));
    if let Some(record) = &setup.ownership {
        for other in &mut records {
            other.rank += 1;
        }
        records.push(ownership_record(name, record, setup));
    }
    records.sort_by_key(|record| record.rank);
    records
}

/// What is wrong that no record of [`wanted_records`] mends.
pub(crate) fn other_problems(setup: &Setup) -> Vec<Finding> {
    let no_targets = setup.addresses.is_empty().then(|| Finding {
        code: ProblemCode::NoTargets,
        detail: "No load balancer is registered yet, so there is no address to point at.".to_owned(),
    });
    let found = [CheckKind::Caa, CheckKind::Http].into_iter().filter_map(|kind| look(setup, kind));
    no_targets.into_iter().chain(found.filter_map(|look| look.problem.clone())).collect()
}

/// Whether the name was last seen to point at the load balancers.
pub(crate) fn points_at_us(setup: &Setup) -> bool {
    passed(setup, CheckKind::Addresses)
}

/// How the name would be proved as it was last seen, and why so.
pub(crate) fn challenge(name: &Hostname, setup: &Setup) -> (Option<ChallengeKind>, &'static str) {
    let delegated = passed(setup, CheckKind::Delegation);
    let possible = possible_challenges(name.is_wildcard(), points_at_us(setup), delegated);
    if setup.checks_overridden {
        let usual = if name.is_wildcard() { ChallengeKind::Dns01 } else { ChallengeKind::Http01 };
        let kind = possible.first().copied().unwrap_or(usual);
        return (Some(kind), "An operator said to go on whatever is seen.");
    }
    if failed(setup, CheckKind::Ownership) {
        return (None, "The name's owner has not said yet that it is yours.");
    }
    if failed(setup, CheckKind::Caa) {
        return (None, "The CAA records could not be read, or do not allow it.");
    }
    let kind =
        possible.iter().copied().find(|kind| *kind != ChallengeKind::Http01 || !http_is_refused(setup));
    let why = match kind {
        Some(ChallengeKind::Http01) => "The name points at the load balancers.",
        Some(ChallengeKind::Dns01) if name.is_wildcard() => "The CNAME record is right.",
        Some(ChallengeKind::Dns01) if points_at_us(setup) => {
            "The name cannot be proved over HTTP as it stands, but its CNAME record is right."
        }
        Some(ChallengeKind::Dns01) => {
            "The name does not point at the load balancers, but its CNAME record is right."
        }
        None if setup.checks.is_none() => "The name has not been looked at yet.",
        None if name.is_wildcard() => "A wildcard needs the CNAME record, which is not right yet.",
        None if points_at_us(setup) => {
            "The name points at the load balancers, but cannot be proved over HTTP."
        }
        None => "The name does not point at the load balancers, and it has no right CNAME record either.",
    };
    (kind, why)
}

/// Whether http-01 will not do though the name points at us: somebody else answers there, or CAA records want another
/// way; then nobody looked who answers.
fn http_is_refused(setup: &Setup) -> bool {
    let is_not_asked = look(setup, CheckKind::Caa).is_some() && look(setup, CheckKind::Http).is_none();
    failed(setup, CheckKind::Http) || is_not_asked
}

fn traffic_record(name: &Hostname, address: IpAddr, setup: &Setup) -> WantedRecord {
    let look = look(setup, CheckKind::Addresses);
    let result = match look {
        // Another of the addresses is there, and one is enough.
        Some(look) if look.result == CheckResult::Pass && !shows(look, address) => CheckResult::Unknown,
        look => result_of(look),
    };
    WantedRecord {
        rank: if name.is_wildcard() { 2 } else { 1 },
        purpose: Purpose::Traffic,
        // Names below a wildcard may each have records of their own.
        required: !name.is_wildcard(),
        kind: if address.is_ipv4() { "A" } else { "AAAA" },
        name: name.to_string(),
        name_unicode: name.to_unicode(),
        host: host(name.as_str(), name.registered_domain()),
        zone: name.registered_domain().to_owned(),
        value: Some(address.to_string()),
        result,
        seen: look.map(|look| look.seen.clone()).unwrap_or_default(),
        seen_from: look.and_then(|look| look.server.clone()),
        problem: look.and_then(|look| look.problem.clone()),
    }
}

fn certificate_record(name: &Hostname, setup: &Setup) -> WantedRecord {
    let look = look(setup, CheckKind::Delegation).filter(|_| setup.delegation.is_some());
    let full = format!("_acme-challenge.{}", name.base());
    let unicode = name.to_unicode();
    let no_zone = || Finding {
        code: ProblemCode::DnsZoneUnavailable,
        detail: "The platform has no DNS zone for this yet.".to_owned(),
    };
    WantedRecord {
        rank: if name.is_wildcard() { 1 } else { 2 },
        purpose: Purpose::Certificate,
        required: name.is_wildcard(),
        kind: "CNAME",
        name_unicode: format!("_acme-challenge.{}", unicode.strip_prefix("*.").unwrap_or(&unicode)),
        host: host(&full, name.registered_domain()),
        name: full,
        zone: name.registered_domain().to_owned(),
        value: setup.delegation.clone(),
        result: result_of(look),
        seen: look.map(|look| look.seen.clone()).unwrap_or_default(),
        seen_from: look.and_then(|look| look.server.clone()),
        problem: match setup.delegation {
            Some(_) => look.and_then(|look| look.problem.clone()),
            None => Some(no_zone()),
        },
    }
}

fn ownership_record(name: &Hostname, record: &OwnershipRecord, setup: &Setup) -> WantedRecord {
    let look = look(setup, CheckKind::Ownership);
    let unicode = name.to_unicode();
    let label = record.name.split('.').next().unwrap_or_default();
    WantedRecord {
        rank: 1,
        purpose: Purpose::Ownership,
        required: true,
        kind: "TXT",
        name_unicode: format!("{label}.{}", unicode.strip_prefix("*.").unwrap_or(&unicode)),
        host: host(&record.name, name.registered_domain()),
        name: record.name.clone(),
        zone: name.registered_domain().to_owned(),
        value: Some(record.value.clone()),
        result: result_of(look),
        seen: look.map(|look| look.seen.clone()).unwrap_or_default(),
        seen_from: look.and_then(|look| look.server.clone()),
        problem: look.and_then(|look| look.problem.clone()),
    }
}

fn passed(setup: &Setup, kind: CheckKind) -> bool {
    setup.checks.as_ref().is_some_and(|checks| checks.passed(kind))
}

fn failed(setup: &Setup, kind: CheckKind) -> bool {
    look(setup, kind).is_some_and(|look| look.result == CheckResult::Fail)
}

fn look(setup: &Setup, kind: CheckKind) -> Option<&Check> {
    setup.checks.as_ref().and_then(|checks| checks.of(kind))
}

fn result_of(look: Option<&Check>) -> CheckResult {
    look.map_or(CheckResult::Unknown, |look| look.result)
}

/// Whether `address` is among what was seen, as in `shop.example A 192.0.2.7`.
fn shows(look: &Check, address: IpAddr) -> bool {
    let value = |seen: &String| seen.rsplit(' ').next().and_then(|value| value.parse().ok());
    look.seen.iter().filter_map(value).any(|seen: IpAddr| seen == address)
}

/// `name` without the name of its zone; `@` is the zone itself (RFC 1035 section 5.1).
fn host(name: &str, zone: &str) -> String {
    match name.strip_suffix(zone) {
        Some("") => "@".to_owned(),
        Some(rest) => rest.trim_end_matches('.').to_owned(),
        None => name.to_owned(),
    }
}
