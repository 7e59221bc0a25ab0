//! What is done with a domain that is there: `/renew`, `/pause`, `/resume`.

use axum::{extract::State, response::Response};
use certmill_model::{BulkAction, Possible};
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
    if !is_wanted(action.into(), &domain)? {
        return Ok(domain);
    }
    let noted = match action {
        Action::Renew => {
            tx.renew_domain(&domain, now).await?;
            "domain.renewal_requested"
        }
        Action::Pause => {
            tx.pause_domain(&domain, &state.chance, now).await?;
            "domain.paused"
        }
        Action::Resume => {
            tx.resume_domain(&domain, &state.chance, now).await?;
            "domain.resumed"
        }
    };
    let domain = tx.find_domain(&domain.name).await?.ok_or_else(Problem::no_such_domain)?;
    let did = caller.did(noted, "domain", domain.domain_id, &domain.name, json!({}));
    let entry = AuditEntry { tenant: Some(domain.tenant_id), ..did };
    tx.commit_audited(&entry, &state.chance, now).await?;
    Ok(domain)
}

/// Whether something is to be done for it; `false`: it is so already. What cannot be done is refused.
pub(super) fn is_wanted(action: BulkAction, domain: &Domain) -> Result<bool, Problem> {
    match action.possible(domain.status, domain.renew_after.is_some()) {
        Possible::Now => Ok(true),
        Possible::Already(_) => Ok(false),
        Possible::Not(code, why) => {
            let title = if code == "not_renewable" { "Nothing to renew" } else { "Not possible now" };
            Err(Problem::new(StatusCode::CONFLICT, code, title, why))
        }
    }
}

impl From<Action> for BulkAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Renew => Self::Renew,
            Action::Pause => Self::Pause,
            Action::Resume => Self::Resume,
        }
    }
}
