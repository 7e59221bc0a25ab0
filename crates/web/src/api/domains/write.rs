//! `PUT /v1/domains/{name}` and `POST /v1/domains`: what is wanted, whether or not it is there yet.

use axum::{extract::State, response::Response};
use certmill_model::{Hostname, Label, TenantId};
use certmill_store::{Actor, AuditEntry, DomainWish, Put, StoreError};
use http::StatusCode;
use serde_json::{Value, json};

use super::{
    super::{
        documents::DomainDetails,
        etag::{IfMatch, IfNoneMatch},
        json::StrictJson,
        refusals::OfChange,
    },
    body::{PostDomain, PutDomain},
    name::DomainRef,
    representation::{answer, check_version},
};
use crate::{WebState, access::Caller, problem::Problem};

/// Register a domain, or change what is wanted of it
///
/// Answers at once; the certificate is obtained and delivered behind it. Repeating it is harmless. A field that is left out is
/// unset: the body is all that is wanted. With `If-None-Match: *` a domain that is there is not changed.
#[utoipa::path(
    put, path = "/v1/domains/{name}", operation_id = "put_domain", tag = "domains", security(("token" = [])),
    params(
        ("name" = String, Path, description = "The name, in A-label or U-label form", example = "shop.brand.test"),
        ("If-Match" = Option<String>, Header, description = "The ETag that it was read with: a change that somebody else made since is not undone"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if it is not there yet"),
    ),
    request_body(content = Option<PutDomain>, content_type = "application/json"),
    responses(
        (status = 201, description = "Registered", body = DomainDetails, headers(("ETag" = String, description = "The version"))),
        (status = 200, description = "Changed, or wanted just so already", body = DomainDetails, headers(("ETag" = String, description = "The version"))),
        OfChange,
    )
)]
pub(super) async fn put(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
    if_match: IfMatch,
    if_none_match: IfNoneMatch,
    body: PutDomain,
) -> Result<Response, Problem> {
    let conditions = Conditions { if_match, if_none_match };
    register(&state, &caller, name.into_name()?, &body, &conditions).await
}

/// Register a domain
///
/// As `PUT /v1/domains/{name}`, for a name that is not there yet: repeated, it is refused with 409.
#[utoipa::path(
    post, path = "/v1/domains", operation_id = "post_domain", tag = "domains", security(("token" = [])),
    request_body(content = PostDomain, content_type = "application/json"),
    responses(
        (status = 201, description = "Registered", body = DomainDetails, headers(("ETag" = String, description = "The version"), ("Location" = String, description = "Where it is read"))),
        OfChange,
    )
)]
pub(super) async fn post(
    State(state): State<WebState>,
    caller: Caller,
    StrictJson(body): StrictJson<PostDomain>,
) -> Result<Response, Problem> {
    let (name, wish) = body.read()?;
    let path = format!("/v1/domains/{name}");
    let conditions = Conditions { if_match: IfMatch::absent(), if_none_match: IfNoneMatch::any() };
    let created = register(&state, &caller, name, &wish, &conditions).await;
    let mut answer = created.map_err(|problem| match problem.code {
        "exists_already" => {
            let detail = "It is registered already. Read it, or change it with PUT or PATCH.";
            Problem::new(StatusCode::CONFLICT, "domain_exists", "Domain exists already", detail)
        }
        _ => problem,
    })?;
    answer.headers_mut().insert(http::header::LOCATION, path.parse().map_err(|_| Problem::internal())?);
    Ok(answer)
}

/// What must hold for a change to be made.
struct Conditions {
    if_match: IfMatch,
    if_none_match: IfNoneMatch,
}

async fn register(
    state: &WebState,
    caller: &Caller,
    name: Hostname,
    body: &PutDomain,
    conditions: &Conditions,
) -> Result<Response, Problem> {
    let tenant = caller.tenant_or(body.tenant()?)?;
    let mut reader = state.store.read(caller.reach).await?;
    if !reader.has_tenant(tenant).await? {
        return Err(Problem::no_such("tenant"));
    }
    state.settings.name_policy.check(&name)?;
    let wish = body.wish(name, state, &mut reader).await?;
    drop(reader);
    let mut put = try_put(state, caller, tenant, &wish, conditions).await?;
    if put.is_none() {
        // Two requests of the same tenant can race for a new name: the second look finds it as ours.
        put = try_put(state, caller, tenant, &wish, conditions).await?;
    }
    let Some(put) = put else { return Err(claim(state, caller, tenant, &wish).await?) };
    let (status, domain) = match put {
        Put::Created(domain) => (StatusCode::CREATED, domain),
        Put::Changed(domain) | Put::Same(domain) => (StatusCode::OK, domain),
    };
    answer(state, &mut state.store.read(caller.reach).await?, status, domain, None).await
}

/// Claims a name that somebody else has: the answer holds the record that proves it to be the caller's.
async fn claim(
    state: &WebState,
    caller: &Caller,
    tenant: TenantId,
    wish: &DomainWish,
) -> Result<Problem, StoreError> {
    let (mut tx, now) = (state.store.tenant(tenant).await?, state.now());
    let record = tx.claim_name(wish, &state.chance, now).await?;
    let wanted = json!({
        "external_id": wish.external_id.as_ref().map(Label::as_str),
        "template": wish.template.as_ref().map(ToString::to_string),
    });
    // The request is refused, and may come once more under its key.
    let actor = Actor { keyed: None, ..caller.actor.clone() };
    let did = caller.did("domain.claimed", "claim", &wish.name, &wish.name, wanted);
    let did = AuditEntry { actor: &actor, tenant: Some(tenant), ..did };
    tx.commit_audited(&did, &state.chance, now).await?;
    Ok(Problem::domain_taken(record))
}

/// `None`: the name is taken.
async fn try_put(
    state: &WebState,
    caller: &Caller,
    tenant: TenantId,
    wish: &DomainWish,
    conditions: &Conditions,
) -> Result<Option<Put>, Problem> {
    let mut tx = state.store.tenant(tenant).await?;
    match tx.lock_domain(&wish.name).await? {
        Some(domain) => {
            conditions.if_none_match.check_present()?;
            check_version(&conditions.if_match, &domain)?;
        }
        None => conditions.if_match.check_missing()?,
    }
    let now = state.now();
    let put = match tx.put_domain(wish, &state.chance, now).await {
        Err(StoreError::NameTaken) => return Ok(None),
        put => put?,
    };
    let (action, domain) = match &put {
        Put::Created(domain) => ("domain.created", domain),
        Put::Changed(domain) => {
            // It came in between.
            conditions.if_none_match.check_present()?;
            ("domain.changed", domain)
        }
        Put::Same(_) => {
            conditions.if_none_match.check_present()?;
            return Ok(Some(put));
        }
    };
    let wanted = Value::Object(domain.wanted());
    let did = caller.did(action, "domain", domain.domain_id, &domain.name, wanted);
    tx.commit_audited(&AuditEntry { tenant: Some(tenant), ..did }, &state.chance, now).await?;
    Ok(Some(put))
}
