//! `/v1/domains`: what a tenant wants, and how it stands.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use certmill_model::{DomainId, TenantId};
use certmill_store::{Domain, DomainWish, Found, Put, Reach, ScopedTx, StoreError};
use http::StatusCode;

use super::{
    body::PutDomain,
    cursor::cursor,
    documents::{DomainDetails, DomainDocument, DomainList},
    filter::{DomainParameters, DomainQuery},
    name::DomainName,
    page::next_link,
};
use crate::{
    WebState,
    access::Caller,
    problem::{Problem, ProblemDocument},
};

/// Register a domain, or change what is wanted of it
///
/// Answers at once; the certificate is obtained and delivered behind it. Repeating it is harmless.
#[utoipa::path(
    put, path = "/v1/domains/{name}", operation_id = "put_domain", tag = "domains", security(("token" = [])),
    params(("name" = String, Path, description = "The name, in A-label or U-label form", example = "shop.brand.test")),
    request_body(content = Option<PutDomain>, content_type = "application/json"),
    responses(
        (status = 201, description = "Registered", body = DomainDetails),
        (status = 200, description = "Changed, or wanted just so already", body = DomainDetails),
        (status = 400, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "A token of the platform", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "Somebody else has the name; `ownership` is the record that brings it to the caller", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "More than 64 KiB", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON by its Content-Type", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "The name or a field cannot be used", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(state): State<WebState>,
    caller: Caller,
    DomainName(name): DomainName,
    body: PutDomain,
) -> Result<(StatusCode, Json<DomainDetails>), Problem> {
    let tenant = tenant_of(&caller)?;
    state.settings.name_policy.check(&name)?;
    let template = body.template(|wanted| state.settings.has_template(wanted))?;
    let wish = DomainWish {
        external_id: body.external_id()?,
        template,
        key_type: body.key_type()?,
        tags: body.tags()?,
        metadata: body.metadata()?,
        ..DomainWish::of(name)
    };
    let put = match try_put(&state, tenant, &wish).await {
        // Two requests of the same tenant can race for a new name: the second look finds it as ours.
        Err(StoreError::NameTaken) => match try_put(&state, tenant, &wish).await {
            Err(StoreError::NameTaken) => return Err(claim(&state, tenant, &wish).await?),
            put => put?,
        },
        put => put?,
    };
    let (status, domain) = match put {
        Put::Created(domain) => (StatusCode::CREATED, domain),
        Put::Changed(domain) | Put::Same(domain) => (StatusCode::OK, domain),
    };
    Ok((status, Json(details(&mut state.store.read(caller.reach).await?, domain).await?)))
}

/// Read a domain
#[utoipa::path(
    get, path = "/v1/domains/{name}", operation_id = "show_domain", tag = "domains", security(("token" = [])),
    params(("name" = String, Path, description = "The name, in A-label or U-label form", example = "shop.brand.test")),
    responses(
        (status = 200, description = "The domain", body = DomainDetails),
        (status = 401, description = "No valid token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "Not registered by this caller", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "Not a name", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    DomainName(name): DomainName,
) -> Result<Json<DomainDetails>, Problem> {
    let mut reader = state.store.read(caller.reach).await?;
    let domain = reader.find_domain(&name).await?.ok_or_else(Problem::no_such_domain)?;
    Ok(Json(details(&mut reader, domain).await?))
}

/// Remove a domain
///
/// It is taken off the load balancers behind the answer. Repeating it is harmless until the domain is gone.
#[utoipa::path(
    delete, path = "/v1/domains/{name}", operation_id = "delete_domain", tag = "domains", security(("token" = [])),
    params(("name" = String, Path, description = "The name, in A-label or U-label form", example = "shop.brand.test")),
    responses(
        (status = 202, description = "Being removed", body = DomainDetails),
        (status = 401, description = "No valid token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "A token of the platform", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "Not registered by this caller", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "Not a name", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(state): State<WebState>,
    caller: Caller,
    DomainName(name): DomainName,
) -> Result<(StatusCode, Json<DomainDetails>), Problem> {
    let mut tx = state.store.tenant(tenant_of(&caller)?).await?;
    if !tx.delete_domain(&name, &state.chance, state.now()).await? {
        return Err(Problem::no_such_domain());
    }
    let domain = tx.find_domain(&name).await?.ok_or_else(Problem::no_such_domain)?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(details(&mut state.store.read(caller.reach).await?, domain).await?)))
}

/// List and search domains
///
/// A tenant sees its own, the platform everybody's. Filters narrow together.
#[utoipa::path(
    get, path = "/v1/domains", operation_id = "list_domains", tag = "domains", security(("token" = [])),
    params(DomainParameters),
    responses(
        (status = 200, description = "A page", body = DomainList, headers(("Link" = String, description = "The next page, rel=next"))),
        (status = 400, description = "A filter, the limit or the cursor cannot be used", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "Too much would have to be looked at: narrow it", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    query: DomainQuery,
) -> Result<Response, Problem> {
    let after = query.after(caller.reach)?;
    let mut reader = state.store.read(caller.reach).await?;
    let page = reader.search_domains(&query.filter, query.sort, after.as_ref(), query.limit).await?;
    let count =
        if query.counts { Some(reader.count_domains_capped(&query.filter).await?.into()) } else { None };
    let next_cursor = page.next.map(|position| cursor(caller.reach, &query.path, &position.to_string()));
    let link = next_link(next_cursor.as_deref(), query.limit, &query.path);
    let data = documents(&mut reader, page.domains).await?;
    let mut response =
        Json(DomainList { data, next_cursor, found: found(page.found), count }).into_response();
    response.headers_mut().extend(link);
    Ok(response)
}

fn found(found: Found) -> &'static str {
    match found {
        Found::Suiting => "suiting",
        Found::Similar => "similar",
        Found::InPart => "in_part",
    }
}

/// The tenant that writes; the platform has no domains of its own.
pub(super) fn tenant_of(caller: &Caller) -> Result<TenantId, Problem> {
    match caller.reach {
        Reach::Tenant(tenant) => Ok(tenant),
        Reach::Platform => {
            let detail =
                "A domain belongs to a tenant: use a token of that tenant. This token is the platform's.";
            let title = "Not allowed with this token";
            Err(Problem::new(StatusCode::FORBIDDEN, "tenant_token_required", title, detail))
        }
    }
}

async fn try_put(state: &WebState, tenant: TenantId, wish: &DomainWish) -> Result<Put, StoreError> {
    let mut tx = state.store.tenant(tenant).await?;
    let put = tx.put_domain(wish, &state.chance, state.now()).await?;
    tx.commit().await?;
    Ok(put)
}

/// Claims a name that somebody else has: the answer holds the record that proves it to be the caller's.
async fn claim(state: &WebState, tenant: TenantId, wish: &DomainWish) -> Result<Problem, StoreError> {
    let mut tx = state.store.tenant(tenant).await?;
    let record = tx.claim_name(wish, &state.chance, state.now()).await?;
    tx.commit().await?;
    Ok(Problem::domain_taken(record))
}

/// The document of `domain`, with its problems and what was last seen of it.
pub(super) async fn details(reader: &mut ScopedTx, domain: Domain) -> Result<DomainDetails, Problem> {
    let observed = reader.observed(domain.domain_id).await?;
    Ok(DomainDetails::new(DomainDocument::new(domain, observed.problems), observed.checks.as_ref()))
}

/// The same as text, as it is answered.
pub(crate) async fn domain_json(reader: &mut ScopedTx, domain: Domain) -> Result<String, Problem> {
    let details = details(reader, domain).await?;
    serde_json::to_string_pretty(&details).map_err(|_| Problem::internal())
}

/// The documents of `domains`, with the problems of all of them read at once.
async fn documents(reader: &mut ScopedTx, domains: Vec<Domain>) -> Result<Vec<DomainDocument>, Problem> {
    let ids: Vec<DomainId> = domains.iter().map(|domain| domain.domain_id).collect();
    let problems = reader.problems_of(&ids).await?;
    let of =
        |id| problems.iter().filter(move |(domain, _)| *domain == id).map(|(_, problem)| problem.clone());
    let document = |domain: Domain| {
        let problems = of(domain.domain_id).collect();
        DomainDocument::new(domain, problems)
    };
    Ok(domains.into_iter().map(document).collect())
}
