//! `/v1/domains/{name}/check`: a look right now, and what any look shows.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use certmill_model::{Check, CheckKind, Checks, DomainStatus, Finding};
use http::{StatusCode, header::RETRY_AFTER};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    documents::DomainDetails,
    domains::{details, tenant_of},
    name::DomainName,
};
use crate::{
    WebState,
    access::Caller,
    look::{Looked, look_now},
    problem::{Problem, ProblemDocument},
};

/// What was last seen of a name, by what was looked at; null is what was not looked at.
#[derive(Default, Serialize, ToSchema)]
#[schema(title = "Checks")]
pub(super) struct ChecksDocument {
    /// Its A and AAAA records.
    addresses: Option<CheckDocument>,
    /// The CNAME record at `_acme-challenge` below it.
    delegation: Option<CheckDocument>,
    /// The CAA records that rule it.
    caa: Option<CheckDocument>,
    /// Whether the path of http-01 challenges leads to the load balancers.
    http: Option<CheckDocument>,
    /// The TXT record at `_certmill-verify` below it, which says whose it is.
    ownership: Option<CheckDocument>,
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
    /// The address of the name server that said so.
    server: Option<String>,
    /// What is wrong, if something is.
    problem: Option<FindingDocument>,
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
}

/// Look at a domain's DNS now
///
/// The engine looks, and the answer waits up to 5 seconds for it. What is right now is gone on with; an attempt at the
/// certificate authority that waits for its time is not brought forward.
#[utoipa::path(
    post, path = "/v1/domains/{name}/check", operation_id = "check_domain", tag = "domains", security(("token" = [])),
    params(("name" = String, Path, description = "The name, in A-label or U-label form", example = "shop.brand.test")),
    responses(
        (status = 200, description = "Looked at: the domain, with what was seen", body = DomainDetails),
        (status = 202, description = "The look is still to come: the domain, with what was seen before", body = DomainDetails, headers(("Retry-After" = u32, description = "Seconds until it is worth reading"))),
        (status = 401, description = "No valid token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "A token of the platform", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "Not registered by this caller", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "It is being removed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "Not a name", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "It was looked at less than 5 seconds ago", body = ProblemDocument, content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds until the next look may be asked for"))),
    )
)]
pub(super) async fn post(
    State(state): State<WebState>,
    caller: Caller,
    DomainName(name): DomainName,
) -> Result<Response, Problem> {
    let tenant = tenant_of(&caller)?;
    let domain = state.store.read(caller.reach).await?.find_domain(&name).await?;
    let domain = domain.ok_or_else(Problem::no_such_domain)?;
    if domain.status == DomainStatus::PendingDeletion {
        let detail = "The domain is being removed; nobody looks at it any more.";
        return Err(Problem::new(StatusCode::CONFLICT, "domain_being_removed", "Being removed", detail));
    }
    let looked = look_now(&state, tenant, domain.domain_id).await?;
    if let Looked::TooSoon(seconds) = looked {
        return Ok(([(RETRY_AFTER, seconds.to_string())], too_soon()).into_response());
    }
    let mut reader = state.store.read(caller.reach).await?;
    let domain = reader.find_domain(&name).await?.ok_or_else(Problem::no_such_domain)?;
    let document = Json(details(&mut reader, domain).await?);
    Ok(match looked {
        Looked::Done => document.into_response(),
        _ => (StatusCode::ACCEPTED, [(RETRY_AFTER, "2")], document).into_response(),
    })
}

fn too_soon() -> Problem {
    let detail =
        "The domain was looked at a moment ago. Read it, or ask again after the seconds in Retry-After.";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "checked_just_now", "Looked at a moment ago", detail)
}

impl From<&Checks> for ChecksDocument {
    fn from(checks: &Checks) -> Self {
        let document = |kind| checks.of(kind).map(CheckDocument::from);
        Self {
            addresses: document(CheckKind::Addresses),
            delegation: document(CheckKind::Delegation),
            caa: document(CheckKind::Caa),
            http: document(CheckKind::Http),
            ownership: document(CheckKind::Ownership),
        }
    }
}

impl From<&Check> for CheckDocument {
    fn from(check: &Check) -> Self {
        Self {
            result: check.result.as_str(),
            seen: check.seen.clone(),
            server: check.server.clone(),
            problem: check.problem.clone().map(FindingDocument::from),
        }
    }
}

impl From<Finding> for FindingDocument {
    fn from(finding: Finding) -> Self {
        Self { code: finding.code.as_str(), detail: finding.detail, fix: finding.code.fix() }
    }
}
