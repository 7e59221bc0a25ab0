//! What was seen in DNS, in the form that is stored and shown.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use certmill_dns::{
    Addresses, CaaPermission, CaaQuestion, CaaRecords, Delegation, DelegationFault, LookupError,
    NotDelegated, compare,
};
use certmill_model::{ChallengeKind, Check, CheckKind, Finding, Hostname, ProblemCode};

use crate::{authorities::CaIdentity, context::LoadBalancers};

/// The addresses of a name.
pub(super) struct FoundAddresses {
    pub(super) check: Check,
    /// None of them is ours, and that is certain.
    pub(super) is_elsewhere: bool,
    pub(super) met: BTreeSet<IpAddr>,
}

/// A name's own addresses beside the load balancers'.
pub(super) fn addresses(
    name: &Hostname,
    seen: Result<Addresses, LookupError>,
    load_balancers: &LoadBalancers,
) -> FoundAddresses {
    let kind = CheckKind::Addresses;
    let wanted = &load_balancers.addresses();
    if wanted.is_empty() {
        let detail = "There is no load balancer that the name could point at.".to_owned();
        let finding = Finding { code: ProblemCode::NoTargets, detail };
        let check = Check::unknown(kind, None, Some(finding));
        return FoundAddresses { check, is_elsewhere: false, met: BTreeSet::new() };
    }
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => {
            let is_elsewhere = error.problem_code() == ProblemCode::DnsNotFound;
            let mut check = failed_lookup(kind, &error, "");
            if let (true, Some(problem)) = (is_elsewhere, &mut check.problem) {
                problem.detail = format!("{} {}", problem.detail, set_addresses(name, wanted));
            }
            return FoundAddresses { check, is_elsewhere, met: BTreeSet::new() };
        }
    };
    let met = seen.v4.iter().copied().map(IpAddr::from).chain(seen.v6.iter().copied().map(IpAddr::from));
    let met: BTreeSet<IpAddr> = met.collect();
    let (lines, server) = (address_lines(name, &seen, &met), Some(seen.seen_from.to_string()));
    let (check, is_elsewhere) = match compare(name, &seen, wanted) {
        Ok(()) => (Check { problem: apex_cname(name, &seen), ..Check::pass(kind, lines, server) }, false),
        Err(elsewhere) => {
            let detail = format!("{elsewhere}. {}", elsewhere.fix());
            let finding = Finding { code: elsewhere.problem_code(), detail };
            (Check::fail(kind, lines, server, finding), !load_balancers.know_any(&met))
        }
    };
    FoundAddresses { check, is_elsewhere, met }
}

/// A CNAME record at the top of a zone hides what else must stand there (RFC 1034 section 3.6.2): the certificate suffers
/// nothing by it, mail and name servers do.
fn apex_cname(name: &Hostname, seen: &Addresses) -> Option<Finding> {
    let target = seen.cname_chain.first().filter(|_| name.base() == name.registered_domain())?;
    let base = name.base();
    let detail = format!(
        "{base} is the top of its zone and a CNAME record, which hides its mail and name servers. Replace {base} CNAME \
         {target} by A records, or by what the DNS provider calls ALIAS or flattening."
    );
    Some(Finding { code: ProblemCode::DnsApexCname, detail })
}

/// What stands at `_acme-challenge`.
pub(super) fn delegation(seen: Result<Delegation, LookupError>) -> Check {
    let kind = CheckKind::Delegation;
    match seen {
        Ok(Delegation::Right { chain, seen_from }) => {
            Check::pass(kind, links(&chain), Some(seen_from.to_string()))
        }
        Ok(Delegation::Wrong(wrong)) => {
            let server = wrong.seen_from.map(|server| server.to_string());
            let finding = Finding { code: wrong.problem_code(), detail: format!("{wrong}. {}", wrong.fix()) };
            Check::fail(kind, instead(&wrong), server, finding)
        }
        Err(error) => failed_lookup(kind, &error, ""),
    }
}

/// CAA records as the CA reads them (RFC 8659); where it is not known what the CA calls itself, nothing is objected.
pub(super) fn caa(
    seen: &Result<CaaRecords, LookupError>,
    name: &Hostname,
    method: ChallengeKind,
    ca: &CaIdentity,
) -> Check {
    let kind = CheckKind::Caa;
    let records = match seen {
        Ok(records) => records,
        Err(error) => {
            return failed_lookup(kind, error, "Without its CAA records no CA issues a certificate: ");
        }
    };
    let owner = records.found_at.as_ref().map(|place| place.owner.clone()).unwrap_or_default();
    let lines = records.records.iter().map(|record| format!("{owner} {record}")).collect();
    let server = Some(records.seen_from.to_string());
    let question = CaaQuestion {
        identities: &ca.identities,
        is_wildcard: name.is_wildcard(),
        method,
        account_url: &ca.account_url,
    };
    match records.permits(&question) {
        Ok(CaaPermission::UnknownCa) => Check { seen: lines, ..Check::unknown(kind, server, None) },
        Ok(_) => Check::pass(kind, lines, server),
        Err(forbids) => {
            let finding =
                Finding { code: forbids.problem_code(), detail: format!("{forbids}. {}", forbids.fix()) };
            Check::fail(kind, lines, server, finding)
        }
    }
}

fn failed_lookup(kind: CheckKind, error: &LookupError, before: &str) -> Check {
    let finding = Finding { code: error.problem_code(), detail: format!("{before}{error}.") };
    Check::fail(kind, Vec::new(), asked(error).map(|server| server.to_string()), finding)
}

fn asked(error: &LookupError) -> Option<SocketAddr> {
    match error {
        LookupError::ServerFailure { server, .. }
        | LookupError::Timeout { server, .. }
        | LookupError::NotAZone { server, .. } => Some(*server),
        _ => None,
    }
}

fn set_addresses(name: &Hostname, wanted: &BTreeSet<IpAddr>) -> String {
    let record = |address: &IpAddr| {
        format!("{} {} {address}", name.base(), if address.is_ipv4() { "A" } else { "AAAA" })
    };
    let records: Vec<_> = wanted.iter().map(record).collect();
    if records.is_empty() { String::new() } else { format!("Set {}.", records.join(" or ")) }
}

fn address_lines(name: &Hostname, seen: &Addresses, met: &BTreeSet<IpAddr>) -> Vec<String> {
    let start = name.base().to_owned();
    let whole: Vec<_> = std::iter::once(start).chain(seen.cname_chain.iter().cloned()).collect();
    let end = whole.last().cloned().unwrap_or_default();
    let records =
        met.iter().map(|address| format!("{end} {} {address}", if address.is_ipv4() { "A" } else { "AAAA" }));
    links(&whole).into_iter().chain(records).collect()
}

/// A chain of CNAME records, one line each.
fn links(chain: &[String]) -> Vec<String> {
    chain.windows(2).map(|pair| format!("{} CNAME {}", pair[0], pair[1])).collect()
}

fn instead(wrong: &NotDelegated) -> Vec<String> {
    match &wrong.fault {
        DelegationFault::Missing | DelegationFault::NameTooLong => Vec::new(),
        DelegationFault::Elsewhere { chain } => links(chain),
        DelegationFault::Wildcard { records } | DelegationFault::NotCname { records } => {
            records.iter().map(|record| format!("{} {record}", wrong.record_name)).collect()
        }
    }
}
