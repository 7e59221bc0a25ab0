//! `PATCH` and `DELETE` of `/v1/domains/{name}`.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use certmill_model::{DomainStatus, merge_patch};
use certmill_store::{AuditEntry, Put};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    super::{
        documents::DomainDetails,
        etag::IfMatch,
        json::{self, MergePatch},
        refusals::{OfAction, OfChange},
    },
    body::PutDomain,
    name::DomainRef,
    representation::{answer, check_version},
};
use crate::{
    WebState,
    access::Caller,
    problem::{Problem, ProblemDocument},
};

/// Change some of what is wanted of a domain
///
/// A JSON merge patch (RFC 7396): a field that is left out stays as it is, null unsets it. With `If-Match` it changes only what was
/// read; what certmill itself does meanwhile does not count.
#[utoipa::path(
    patch, path = "/v1/domains/{name}", operation_id = "patch_domain", tag = "domains", security(("token" = [])),
    params(
        ("name" = String, Path, description = "The name, in A-label or U-label form, or the id", example = "shop.brand.test"),
        ("If-Match" = Option<String>, Header, description = "The ETag that it was read with"),
    ),
    request_body(content = PutDomain, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "As it stands now", body = DomainDetails, headers(("ETag" = String, description = "The version"))),
        (status = 410, description = "It was removed", body = ProblemDocument, content_type = "application/problem+json"),
        OfChange,
    )
)]
pub(super) async fn patch(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
    if_match: IfMatch,
    MergePatch(patch): MergePatch<Map<String, Value>>,
) -> Result<Response, Problem> {
    let (mut tx, domain) = name.lock(&state, &caller).await?;
    check_version(&if_match, &domain)?;
    if domain.status == DomainStatus::PendingDeletion {
        return Err(Problem::being_removed());
    }
    let mut wanted = Value::Object(domain.wanted());
    merge_patch(&mut wanted, &patch);
    let body: PutDomain = json::read(wanted.to_string().as_bytes())?;
    if body.tenant()?.is_some_and(|tenant| tenant != domain.tenant_id) {
        let detail = "a domain stays with its tenant: remove it there, and register it here".to_owned();
        return Err(Problem::field("/tenant".into(), "invalid_field", detail));
    }
    let wish = body.wish(domain.name.clone(), &state, &mut tx).await?;
    let now = state.now();
    let put = tx.put_domain(&wish, &state.chance, now).await?;
    let (Put::Created(domain) | Put::Changed(domain) | Put::Same(domain)) = &put;
    if matches!(put, Put::Same(_)) {
        drop(tx);
    } else {
        let wanted = Value::Object(domain.wanted());
        let did = caller.did("domain.changed", "domain", domain.domain_id, &domain.name, wanted);
        tx.commit_audited(&AuditEntry { tenant: Some(domain.tenant_id), ..did }, &state.chance, now).await?;
    }
    answer(&state, &mut state.store.read(caller.reach).await?, StatusCode::OK, domain.clone(), None).await
}

/// Remove a domain
///
/// It is taken off the load balancers behind the answer. Repeating it is harmless. For 30 days after it is off, its name answers
/// `410`, unless it is registered again. With `If-Match` only what was read is removed.
#[utoipa::path(
    delete, path = "/v1/domains/{name}", operation_id = "delete_domain", tag = "domains", security(("token" = [])),
    params(
        ("name" = String, Path, description = "The name, in A-label or U-label form, or the id", example = "shop.brand.test"),
        ("If-Match" = Option<String>, Header, description = "The ETag that it was read with"),
    ),
    responses(
        (status = 202, description = "Being removed", body = DomainDetails),
        (status = 204, description = "Being removed, or gone already"),
        OfAction,
    )
)]
pub(super) async fn delete(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let (mut tx, domain) = match name.lock(&state, &caller).await {
        Err(gone) if gone.status == StatusCode::GONE => return Ok(StatusCode::NO_CONTENT.into_response()),
        locked => locked?,
    };
    if domain.status == DomainStatus::PendingDeletion {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    check_version(&if_match, &domain)?;
    let now = state.now();
    tx.delete_domain(&domain.name, &state.chance, now).await?;
    let domain = tx.find_domain(&domain.name).await?.ok_or_else(Problem::no_such_domain)?;
    let did = caller.did("domain.deleted", "domain", domain.domain_id, &domain.name, json!({}));
    tx.commit_audited(&AuditEntry { tenant: Some(domain.tenant_id), ..did }, &state.chance, now).await?;
    answer(&state, &mut state.store.read(caller.reach).await?, StatusCode::ACCEPTED, domain, None).await
}
