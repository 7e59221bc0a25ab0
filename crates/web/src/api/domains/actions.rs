//! What is done with a domain that is there: `/renew`, `/pause`, `/resume`.

use axum::{extract::State, response::Response};
use certmill_model::DomainStatus;
use certmill_store::{AuditEntry, Domain, TenantTx};
use http::StatusCode;
use serde_json::json;

use super::{
    super::{documents::DomainDetails, refusals::OfAction},
    name::DomainRef,
    representation::answer,
};
use crate::{
    WebState,
    access::Caller,
    problem::{Problem, ProblemDocument},
};

/// Have a certificate renewed now
///
/// Whatever is planned. It counts for the limits of the certificate authority like any other order.
#[utoipa::path(
    post, path = "/v1/domains/{name}/renew", operation_id = "renew_domain", tag = "domains", security(("token" = [])),
    params(("name" = String, Path, description = "The name, in A-label or U-label form, or the id", example = "shop.brand.test")),
    responses(
        (status = 202, description = "It will be", body = DomainDetails),
        (status = 410, description = "It was removed", body = ProblemDocument, content_type = "application/problem+json"),
        OfAction,
    )
)]
pub(super) async fn renew(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
) -> Result<Response, Problem> {
    let (mut tx, domain) = name.lock(&state, &caller).await?;
    if !tx.renew_domain(&domain, state.now()).await? {
        let detail =
            "It has no certificate yet that could be renewed, or is paused, blocked or being removed.";
        return Err(Problem::new(StatusCode::CONFLICT, "not_renewable", "Nothing to renew", detail));
    }
    finish(&state, &caller, tx, &domain, "domain.renewal_requested", StatusCode::ACCEPTED).await
}

/// Stop all work on a domain
///
/// Nothing is looked at, ordered or renewed until it is resumed. What is served stays served, until its certificate ends.
#[utoipa::path(
    post, path = "/v1/domains/{name}/pause", operation_id = "pause_domain", tag = "domains", security(("token" = [])),
    params(("name" = String, Path, description = "The name, in A-label or U-label form, or the id", example = "shop.brand.test")),
    responses(
        (status = 200, description = "It is paused", body = DomainDetails),
        (status = 410, description = "It was removed", body = ProblemDocument, content_type = "application/problem+json"),
        OfAction,
    )
)]
pub(super) async fn pause(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
) -> Result<Response, Problem> {
    let (mut tx, domain) = name.lock(&state, &caller).await?;
    match domain.status {
        DomainStatus::Paused => return unchanged(&state, &caller, domain).await,
        DomainStatus::Blocked => return Err(blocked()),
        DomainStatus::PendingDeletion => return Err(Problem::being_removed()),
        _ => tx.pause_domain(&domain, &state.chance, state.now()).await?,
    }
    finish(&state, &caller, tx, &domain, "domain.paused", StatusCode::OK).await
}

/// Let a paused domain go on
#[utoipa::path(
    post, path = "/v1/domains/{name}/resume", operation_id = "resume_domain", tag = "domains", security(("token" = [])),
    params(("name" = String, Path, description = "The name, in A-label or U-label form, or the id", example = "shop.brand.test")),
    responses(
        (status = 200, description = "It goes on, or was not paused", body = DomainDetails),
        (status = 410, description = "It was removed", body = ProblemDocument, content_type = "application/problem+json"),
        OfAction,
    )
)]
pub(super) async fn resume(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
) -> Result<Response, Problem> {
    let (mut tx, domain) = name.lock(&state, &caller).await?;
    match domain.status {
        DomainStatus::Paused => tx.resume_domain(&domain, &state.chance, state.now()).await?,
        DomainStatus::Blocked => return Err(blocked()),
        DomainStatus::PendingDeletion => return Err(Problem::being_removed()),
        _ => return unchanged(&state, &caller, domain).await,
    }
    finish(&state, &caller, tx, &domain, "domain.resumed", StatusCode::OK).await
}

fn blocked() -> Problem {
    let detail = "The platform has blocked this name. Ask its support.";
    Problem::new(StatusCode::CONFLICT, "domain_blocked", "Domain is blocked", detail)
}

async fn unchanged(state: &WebState, caller: &Caller, domain: Domain) -> Result<Response, Problem> {
    answer(state, &mut state.store.read(caller.reach).await?, StatusCode::OK, domain, None).await
}

async fn finish(
    state: &WebState,
    caller: &Caller,
    mut tx: TenantTx,
    domain: &Domain,
    action: &'static str,
    status: StatusCode,
) -> Result<Response, Problem> {
    let domain = tx.find_domain(&domain.name).await?.ok_or_else(Problem::no_such_domain)?;
    let did = caller.did(action, "domain", domain.domain_id, &domain.name, json!({}));
    let entry = AuditEntry { tenant: Some(domain.tenant_id), ..did };
    tx.commit_audited(&entry, &state.chance, state.now()).await?;
    answer(state, &mut state.store.read(caller.reach).await?, status, domain, None).await
}
