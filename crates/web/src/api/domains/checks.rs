//! What was seen of a domain: of its DNS, on the load balancers, in a handshake; and `/check`, a look right now.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use certmill_model::{BulkAction, Check, CheckKind, CheckResult, Finding};
use certmill_store::{Domain, PlacementOfDomain, Setup};
use http::{StatusCode, header::RETRY_AFTER};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    super::{documents::DomainDetails, refusals::OfAction},
    actions::is_wanted,
    name::DomainRef,
    representation::answer,
};
use crate::{
    PublicUrl, WebState,
    access::Caller,
    docs,
    look::{Looked, look_now},
    problem::{Problem, ProblemDocument},
};

/// What was last seen of a domain, by what was looked at.
#[derive(Serialize, ToSchema)]
#[schema(title = "Checks")]
pub(in crate::api) struct ChecksDocument {
    /// Its A and AAAA records.
    dns: CheckDocument,
    /// The CNAME record at `_acme-challenge` below it.
    delegation: CheckDocument,
    /// The CAA records that rule it.
    caa: CheckDocument,
    /// The TXT record at `_certmill-verify` below it, which says whose it is; it matters where somebody else has or had the name.
    ownership: CheckDocument,
    /// Whether the path of http-01 challenges leads to the load balancers.
    http_reachability: CheckDocument,
    /// Whether there is a certificate that is valid now. Seen is its serial number.
    certificate: CheckDocument,
    /// Whether every load balancer has what is wanted.
    deployment: CheckDocument,
    /// Whether handshakes with every load balancer showed the certificate. Seen and wanted are serial numbers.
    served: CheckDocument,
}

/// One look at one thing.
#[derive(Serialize, ToSchema)]
#[schema(title = "Check")]
struct CheckDocument {
    /// `pass`, `fail`, or `unknown`: it could not be found out, or does not matter now.
    result: &'static str,
    /// What was seen; empty if nothing was there.
    #[schema(example = json!(["shop.example A 192.0.2.7"]))]
    seen: Vec<String>,
    /// What should be there; of several addresses any one will do.
    #[schema(example = json!(["192.0.2.7"]))]
    wanted: Vec<String>,
    /// When; null: not looked at yet.
    #[serde(with = "time::serde::rfc3339::option")]
    checked_at: Option<OffsetDateTime>,
    /// The address of the name server that said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    /// On how many load balancers it is as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    targets: Option<TargetCount>,
    /// What is wrong, if something is.
    problem: Option<FindingDocument>,
}

/// On how many load balancers something is as it should be.
#[derive(Clone, Copy, Serialize, ToSchema)]
struct TargetCount {
    ok: usize,
    total: usize,
}

/// Something that is wrong.
#[derive(Serialize, ToSchema)]
#[schema(title = "Finding")]
pub(super) struct FindingDocument {
    /// A stable word for programs.
    code: &'static str,
    /// What was seen, and the exact record that mends it.
    detail: String,
    /// What mends this kind of problem.
    fix: &'static str,
    /// A page about this kind of problem.
    #[schema(example = "https://certmill.example.com/docs/problems/caa_forbids")]
    docs_url: String,
}

/// Look at a domain's DNS now
///
/// The engine looks, and the answer waits up to 5 seconds for it. What is right now is gone on with; an attempt at the
/// certificate authority that waits for its time is not brought forward.
#[utoipa::path(
    post, path = "/v1/domains/{name}/check", operation_id = "check_domain", tag = "domains", security(("token" = [])),
    params(("name" = String, Path, description = "The name, in A-label or U-label form, or the id", example = "shop.brand.test")),
    responses(
        (status = 200, description = "Looked at: the domain, with what was seen", body = DomainDetails),
        (status = 202, description = "The look is still to come: the domain, with what was seen before", body = DomainDetails, headers(("Retry-After" = u32, description = "Seconds until it is worth reading"))),
        (status = 410, description = "It was removed", body = ProblemDocument, content_type = "application/problem+json"),
        OfAction,
    )
)]
pub(super) async fn post(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
) -> Result<Response, Problem> {
    let domain = name.find(&state, &mut state.store.read(caller.reach).await?).await?;
    is_wanted(BulkAction::Check, &domain)?;
    let looked = look_now(&state, &domain, &caller.actor).await?;
    if let Looked::TooSoon(seconds) = looked {
        return Ok(([(RETRY_AFTER, seconds.to_string())], too_soon()).into_response());
    }
    let mut reader = state.store.read(caller.reach).await?;
    let domain = name.find(&state, &mut reader).await?;
    if looked == Looked::Done {
        return answer(&state, &mut reader, StatusCode::OK, domain, None).await;
    }
    let shown = answer(&state, &mut reader, StatusCode::ACCEPTED, domain, None).await?;
    Ok(([(RETRY_AFTER, "2")], shown).into_response())
}

fn too_soon() -> Problem {
    let detail =
        "The domain was looked at a moment ago. Read it, or ask again after the seconds in Retry-After.";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "checked_just_now", "Looked at a moment ago", detail)
}

impl ChecksDocument {
    pub(super) fn new(
        domain: &Domain,
        setup: &Setup,
        placements: &[PlacementOfDomain],
        now: OffsetDateTime,
        url: &PublicUrl,
    ) -> Self {
        let addresses = setup.addresses.iter().map(ToString::to_string).collect();
        let look = |kind, wanted| CheckDocument::of_look(setup, kind, wanted, url);
        Self {
            dns: look(CheckKind::Addresses, addresses),
            delegation: look(CheckKind::Delegation, setup.delegation.iter().cloned().collect()),
            caa: look(CheckKind::Caa, Vec::new()),
            ownership: look(
                CheckKind::Ownership,
                setup.ownership.iter().map(|record| record.value.clone()).collect(),
            ),
            http_reachability: look(CheckKind::Http, Vec::new()),
            certificate: CheckDocument::of_certificate(domain, now),
            deployment: CheckDocument::of_deployment(placements),
            served: CheckDocument::of_handshakes(domain, placements),
        }
    }
}

impl CheckDocument {
    fn new(result: CheckResult) -> Self {
        Self {
            result: result.as_str(),
            seen: Vec::new(),
            wanted: Vec::new(),
            checked_at: None,
            server: None,
            targets: None,
            problem: None,
        }
    }

    fn of_look(setup: &Setup, kind: CheckKind, wanted: Vec<String>, url: &PublicUrl) -> Self {
        let checks = setup.checks.as_ref();
        let Some((look, checked_at)) = checks.and_then(|checks| Some((checks.of(kind)?, checks.checked_at)))
        else {
            return Self { wanted, ..Self::new(CheckResult::Unknown) };
        };
        let Check { result, seen, server, problem, .. } = look.clone();
        let problem = problem.map(|finding| FindingDocument::new(finding, url));
        Self { seen, wanted, server, problem, checked_at: Some(checked_at), ..Self::new(result) }
    }

    fn of_certificate(domain: &Domain, now: OffsetDateTime) -> Self {
        let wanted = vec![domain.name.to_string()];
        match &domain.certificate {
            Some(certificate) => {
                let is_valid = certificate.not_before <= now && now < certificate.not_after;
                let result = if is_valid { CheckResult::Pass } else { CheckResult::Fail };
                let seen = vec![certificate.serial_number.clone()];
                Self { seen, wanted, checked_at: Some(now), ..Self::new(result) }
            }
            None => Self { wanted, ..Self::new(CheckResult::Unknown) },
        }
    }

    fn of_deployment(placements: &[PlacementOfDomain]) -> Self {
        let ok = placements.iter().filter(|placement| !placement.is_pending).count();
        let failed = placements.iter().any(|placement| placement.is_pending && placement.failures > 0);
        Self::of_placements(placements, ok, failed)
    }

    fn of_handshakes(domain: &Domain, placements: &[PlacementOfDomain]) -> Self {
        let ok = placements.iter().filter(|placement| placement.is_proved).count();
        // What is still to be delivered is not expected to be served.
        let failed = placements.iter().any(|placement| !placement.is_proved && !placement.is_pending);
        let serial = domain.certificate.iter().map(|certificate| certificate.serial_number.clone());
        let wanted: Vec<_> = serial.collect();
        let seen = if ok > 0 { wanted.clone() } else { Vec::new() };
        Self { seen, wanted, ..Self::of_placements(placements, ok, failed) }
    }

    fn of_placements(placements: &[PlacementOfDomain], ok: usize, failed: bool) -> Self {
        let total = placements.len();
        let result = match () {
            () if failed => CheckResult::Fail,
            () if total > 0 && ok == total => CheckResult::Pass,
            () => CheckResult::Unknown,
        };
        let checked_at = placements.iter().filter_map(|placement| placement.served_at).max();
        let targets = Some(TargetCount { ok, total });
        Self { checked_at, targets, ..Self::new(result) }
    }
}

impl FindingDocument {
    pub(super) fn new(finding: Finding, url: &PublicUrl) -> Self {
        let docs_url = docs::problem_url(url, finding.code);
        Self { code: finding.code.as_str(), detail: finding.detail, fix: finding.code.fix(), docs_url }
    }
}
