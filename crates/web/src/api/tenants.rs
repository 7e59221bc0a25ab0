//! `/v1/tenants`: the brands of the platform; to a tenant's own people and programs, theirs.

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use certmill_model::{GroupId, ProductName, SupportUrl, TenantId};
use certmill_store::{Reach, TenantRow};
use http::{HeaderValue, StatusCode, header::LOCATION};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    etag::{IfMatch, tagged},
    json::{MergePatch, StrictJson},
    page::{Page, PageQuery, cut},
    refusals::{OfAction, OfChange, OfCreate, OfList, OfRead},
};
use crate::{
    WebState,
    access::Caller,
    brand,
    people::{self, NewTenantText, TenantAction, TenantText},
    problem::Problem,
};

const LIST: &str = "tenants";
const PATH: &str = "/v1/tenants";

/// A tenant.
#[derive(Serialize, ToSchema)]
#[schema(title = "Tenant")]
pub(super) struct TenantDocument {
    /// The id.
    #[schema(example = "ten_01jd4z6k3m8q2v5w7x9y0a1b2c")]
    id: String,
    /// Its name.
    name: String,
    /// `active`; `suspended`: its own people and programs only read; `pending_deletion`.
    status: &'static str,
    /// When its domains are taken off the load balancers; null: never.
    #[serde(with = "time::serde::rfc3339::option")]
    delete_after: Option<OffsetDateTime>,
    /// The nginx template of its domains that name none.
    template: String,
    /// Where its shops' requests go behind the load balancers; null to a tenant itself: that is the platform's.
    upstream: Option<String>,
    /// The kind of key of its domains that name none.
    key_type: &'static str,
    /// The CAs that are asked for its domains, the preferred one first; null: the platform's list.
    authorities: Option<Vec<String>>,
    /// The id of the group of load balancers that serves it; null: all of them, or a tenant asks.
    target_group: Option<String>,
    /// Domains at most; null: no limit.
    quota_domains: Option<i32>,
    /// Requests a minute at most, of each token; null: as many as the platform allows.
    quota_requests: Option<i32>,
    /// Its domains, as last counted.
    domains: i64,
    /// How it appears.
    branding: BrandingDocument,
    /// When it was added.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// How a tenant appears to its own people and to the owners of its shops.
#[derive(Serialize, ToSchema)]
#[schema(title = "Branding")]
pub(super) struct BrandingDocument {
    /// What the product is called; null: the tenant's name.
    product_name: Option<String>,
    /// Where people find help.
    support_url: Option<String>,
    /// The colour of links and buttons; null: certmill's.
    accent: Option<String>,
    /// The path of the logo; null: there is none.
    logo: Option<String>,
}

/// List tenants by name
///
/// The platform sees all, a tenant itself.
#[utoipa::path(
    get, path = "/v1/tenants", operation_id = "list_tenants", tag = "tenants", security(("token" = [])),
    params(
        ("limit" = Option<u16>, Query, description = "Entries on a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<TenantDocument>, headers(("Link" = String, description = "The next page, rel=next"))),
        OfList
    )
)]
pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    query: PageQuery,
) -> Result<Response, Problem> {
    let after = query.after::<String>(caller.reach, LIST)?;
    let mut tx = state.store.read(caller.reach).await?;
    let mut rows = tx.list_tenant_rows(after.as_deref(), query.rows()).await?;
    let end = cut(&mut rows, query.limit, |row| row.tenant.name.to_string());
    let documents: Vec<_> = rows.into_iter().map(|row| TenantDocument::new(row, &caller)).collect();
    Ok(query.answer(caller.reach, LIST, PATH, documents, end.as_deref()))
}

/// Add a tenant
#[utoipa::path(
    post, path = "/v1/tenants", operation_id = "create_tenant", tag = "tenants", security(("token" = [])),
    request_body(content = NewTenantText, content_type = "application/json"),
    responses(
        (status = 201, description = "Added", body = TenantDocument, headers(("Location" = String, description = "The tenant"), ("ETag" = String, description = "The version"))),
        OfCreate
    )
)]
pub(super) async fn create(
    State(state): State<WebState>,
    caller: Caller,
    StrictJson(text): StrictJson<NewTenantText>,
) -> Result<Response, Problem> {
    let row = people::add_tenant(&state, &caller, text).await?;
    let location = HeaderValue::from_str(&format!("{PATH}/{}", row.tenant.tenant_id));
    let location = location.expect("ids are plain characters");
    let (revision, document) = (row.revision, TenantDocument::new(row, &caller));
    Ok(tagged(revision, (StatusCode::CREATED, [(LOCATION, location)], Json(document))))
}

/// Read a tenant
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}", operation_id = "show_tenant", tag = "tenants", security(("token" = [])),
    params(("tenant" = String, Path, description = "The id")),
    responses(
        (status = 200, description = "The tenant", body = TenantDocument, headers(("ETag" = String, description = "The version"))),
        OfRead
    )
)]
pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Response, Problem> {
    let found = state.store.read(caller.reach).await?.find_tenant_row(parse(&tenant)?).await?;
    Ok(document(found.ok_or_else(|| Problem::no_such("tenant"))?, &caller))
}

/// Change a tenant
///
/// A tenant changes its own branding and defaults; name, upstream, load balancers and quotas are the platform's to change.
#[utoipa::path(
    patch, path = "/v1/tenants/{tenant}", operation_id = "change_tenant", tag = "tenants", security(("token" = [])),
    params(
        ("tenant" = String, Path, description = "The id"),
        ("If-Match" = Option<String>, Header, description = "The version that was read"),
    ),
    request_body(content = TenantText, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "Changed", body = TenantDocument, headers(("ETag" = String, description = "The version"))),
        OfChange
    )
)]
pub(super) async fn change(
    State(state): State<WebState>,
    caller: Caller,
    Path(tenant): Path<String>,
    if_match: IfMatch,
    MergePatch(text): MergePatch<TenantText>,
) -> Result<Response, Problem> {
    let expected = |revision| if_match.check(revision);
    Ok(document(people::change_tenant(&state, &caller, parse(&tenant)?, text, expected).await?, &caller))
}

/// Delete a tenant
///
/// Its names are served for 14 days more, in which `resume` takes this back; then they are taken off the load balancers.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}", operation_id = "delete_tenant", tag = "tenants", security(("token" = [])),
    params(
        ("tenant" = String, Path, description = "The id"),
        ("If-Match" = Option<String>, Header, description = "The version that was read"),
    ),
    responses((status = 202, description = "Being deleted", body = TenantDocument), OfAction)
)]
pub(super) async fn delete(
    State(state): State<WebState>,
    caller: Caller,
    Path(tenant): Path<String>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let mut answer = act(&state, &caller, &tenant, &if_match, TenantAction::Delete).await?;
    *answer.status_mut() = StatusCode::ACCEPTED;
    Ok(answer)
}

/// Suspend a tenant
///
/// Its own people and programs only read from then on. Its names are served and renewed as before.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/suspend", operation_id = "suspend_tenant", tag = "tenants", security(("token" = [])),
    params(
        ("tenant" = String, Path, description = "The id"),
        ("If-Match" = Option<String>, Header, description = "The version that was read"),
    ),
    responses((status = 200, description = "Suspended", body = TenantDocument), OfAction)
)]
pub(super) async fn suspend(
    State(state): State<WebState>,
    caller: Caller,
    Path(tenant): Path<String>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    act(&state, &caller, &tenant, &if_match, TenantAction::Suspend).await
}

/// Resume a tenant
///
/// Ends that it is suspended, or takes back that it is deleted, until the grace is over.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/resume", operation_id = "resume_tenant", tag = "tenants", security(("token" = [])),
    params(
        ("tenant" = String, Path, description = "The id"),
        ("If-Match" = Option<String>, Header, description = "The version that was read"),
    ),
    responses((status = 200, description = "Active", body = TenantDocument), OfAction)
)]
pub(super) async fn resume(
    State(state): State<WebState>,
    caller: Caller,
    Path(tenant): Path<String>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    act(&state, &caller, &tenant, &if_match, TenantAction::Resume).await
}

async fn act(
    state: &WebState,
    caller: &Caller,
    tenant: &str,
    if_match: &IfMatch,
    action: TenantAction,
) -> Result<Response, Problem> {
    let expected = |revision| if_match.check(revision);
    Ok(document(people::act_on_tenant(state, caller, parse(tenant)?, action, expected).await?, caller))
}

fn parse(id: &str) -> Result<TenantId, Problem> {
    id.parse().map_err(|_| Problem::no_such("tenant"))
}

fn document(row: TenantRow, caller: &Caller) -> Response {
    tagged(row.revision, Json(TenantDocument::new(row, caller)))
}

impl TenantDocument {
    /// `row`, as `caller` sees it.
    fn new(row: TenantRow, caller: &Caller) -> Self {
        let is_platforms = caller.reach == Reach::Platform;
        let logo = row.has_logo.then(|| brand::logo_path(row.tenant.tenant_id, row.revision));
        let (tenant, branding) = (row.tenant, row.branding);
        Self {
            id: tenant.tenant_id.to_string(),
            name: tenant.name.to_string(),
            status: row.status.as_str(),
            delete_after: row.delete_after,
            template: tenant.template.to_string(),
            upstream: is_platforms.then(|| tenant.upstream.to_string()),
            key_type: tenant.key_type.as_str(),
            authorities: tenant.authorities,
            target_group: row.target_group.filter(|_| is_platforms).as_ref().map(GroupId::to_string),
            quota_domains: row.quota_domains,
            quota_requests: row.quota_requests,
            domains: row.domains,
            branding: BrandingDocument {
                product_name: branding.product_name.as_ref().map(ProductName::as_str).map(str::to_owned),
                support_url: branding.support_url.as_ref().map(SupportUrl::as_str).map(str::to_owned),
                accent: branding.accent.map(|accent| accent.to_string()),
                logo,
            },
            created_at: row.created_at,
        }
    }
}
