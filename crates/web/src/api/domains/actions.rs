//! What is done with a domain that is there: `/renew`, `/pause`, `/resume`.

use axum::{extract::State, response::Response};
use certmill_model::DomainStatus;
use certmill_store::{AuditEntry, Domain};
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
    let domain = act(&state, &caller, &name, Action::Renew).await?;
    answer(&state, &mut state.store.read(caller.reach).await?, StatusCode::ACCEPTED, domain, None).await
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
    let domain = act(&state, &caller, &name, Action::Pause).await?;
    answer(&state, &mut state.store.read(caller.reach).await?, StatusCode::OK, domain, None).await
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
    let domain = act(&state, &caller, &name, Action::Resume).await?;
    answer(&state, &mut state.store.read(caller.reach).await?, StatusCode::OK, domain, None).await
}

/// What is done with a domain that is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    Renew,
    Pause,
    Resume,
}

/// Does it, and notes who did; the domain as it stands then. What is so already is left as it is.
pub(crate) async fn act(
    state: &WebState,
    caller: &Caller,
    name: &DomainRef,
    action: Action,
) -> Result<Domain, Problem> {
    let (mut tx, domain) = name.lock(state, caller).await?;
    let now = state.now();
    let noted = match (action, domain.status) {
        (Action::Renew, _) if tx.renew_domain(&domain, now).await? => "domain.renewal_requested",
        (Action::Renew, _) => return Err(not_renewable()),
        (_, DomainStatus::Blocked) => return Err(blocked()),
        (_, DomainStatus::PendingDeletion) => return Err(Problem::being_removed()),
        (Action::Pause, DomainStatus::Paused) => return Ok(domain),
        (Action::Pause, _) => {
            tx.pause_domain(&domain, &state.chance, now).await?;
            "domain.paused"
        }
        (Action::Resume, DomainStatus::Paused) => {
            tx.resume_domain(&domain, &state.chance, now).await?;
            "domain.resumed"
        }
        (Action::Resume, _) => return Ok(domain),
    };
    let domain = tx.find_domain(&domain.name).await?.ok_or_else(Problem::no_such_domain)?;
    let did = caller.did(noted, "domain", domain.domain_id, &domain.name, json!({}));
    let entry = AuditEntry { tenant: Some(domain.tenant_id), ..did };
    tx.commit_audited(&entry, &state.chance, now).await?;
    Ok(domain)
}

fn not_renewable() -> Problem {
    let detail = "It has no certificate yet that could be renewed, or is paused, blocked or being removed.";
    Problem::new(StatusCode::CONFLICT, "not_renewable", "Nothing to renew", detail)
}

fn blocked() -> Problem {
    let detail = "The platform has blocked this name. Ask its support.";
    Problem::new(StatusCode::CONFLICT, "domain_blocked", "Domain is blocked", detail)
}
