//! `/v1/domains`: what a tenant wants, and how it stands.

use axum::{Json, extract::State, response::Response};
use certmill_model::{DomainId, Hostname, TenantId};
use certmill_store::{Domain, DomainWish, Put, Reach, ScopedTx, StoreError};
use http::StatusCode;

use super::{
    body::PutDomain,
    cursor::cursor,
    documents::{DomainDetails, DomainDocument},
    name::DomainName,
    page::{Page, PageQuery, cut},
};
use crate::{
    WebState,
    access::Caller,
    problem::{Problem, ProblemDocument},
};

const LIST: &str = "domains";

/// Register a domain, or change what is wanted of it
///
/// Answers at once; the certificate is obtained and delivered behind it. Repeating it is harmless.
#[utoipa::path(
    put, path = "/v1/domains/{name}", operation_id = "put_domain", tag = "domains", security(("token" = [])),
    params(("name" = String, Path, description = "The name, in A-label or U-label form")),
    request_body(content = Option<PutDomain>, content_type = "application/json"),
    responses(
        (status = 201, description = "Registered", body = DomainDetails),
        (status = 200, description = "Changed, or wanted just so already", body = DomainDetails),
        (status = 400, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "A token of the platform", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "Somebody else has the name", body = ProblemDocument, content_type = "application/problem+json"),
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
    let wish = DomainWish { name, external_id: body.external_id()?, template, key_type: body.key_type()? };
    let put = match try_put(&state, tenant, &wish).await {
        // Two requests of the same tenant can race for a new name: the second look finds it as ours.
        Err(StoreError::NameTaken) => try_put(&state, tenant, &wish).await?,
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
    params(("name" = String, Path, description = "The name, in A-label or U-label form")),
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
    params(("name" = String, Path, description = "The name, in A-label or U-label form")),
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

/// List domains by name
///
/// A tenant sees its own, the platform everybody's.
#[utoipa::path(
    get, path = "/v1/domains", operation_id = "list_domains", tag = "domains", security(("token" = [])),
    params(
        ("limit" = Option<u16>, Query, description = "Entries on a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<DomainDocument>, headers(("Link" = String, description = "The next page, rel=next"))),
        (status = 400, description = "The limit or cursor cannot be used", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    query: PageQuery,
) -> Result<Response, Problem> {
    let after = query.after::<Hostname>(caller.reach, LIST)?;
    let mut reader = state.store.read(caller.reach).await?;
    let mut domains = reader.list_domains(after.as_ref().map(Hostname::as_str), query.rows()).await?;
    let end = cut(&mut domains, query.limit, |domain| domain.name.to_string());
    let next = end.map(|name| cursor(caller.reach, LIST, &name));
    let documents = documents(&mut reader, domains).await?;
    Ok(Page::answer(documents, next, query.limit, "/v1/domains"))
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

/// The document of `domain`, with its problems and what was last seen of it.
pub(super) async fn details(reader: &mut ScopedTx, domain: Domain) -> Result<DomainDetails, Problem> {
    let id = domain.domain_id;
    let problems = reader.problems_of(&[id]).await?.into_iter().map(|(_, problem)| problem).collect();
    let checks = reader.setup(id).await?.checks;
    Ok(DomainDetails::new(DomainDocument::new(domain, problems), checks.as_ref()))
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
