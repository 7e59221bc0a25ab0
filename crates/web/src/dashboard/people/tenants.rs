//! `/tenants`: the brands of the platform; `/branding`: to a tenant's own people, theirs.

use askama::Template;
use axum::{
    Form, RequestExt,
    extract::{Multipart, Path, Request, State},
    response::{IntoResponse, Redirect, Response},
};
use certmill_model::{Permission, TenantId, TenantStatus};
use certmill_store::{Reach, TenantRow};
use data_encoding::BASE64;
use http::StatusCode;
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    ConfirmPage, answer, mendable,
    tenant_forms::{BrandForm, Choices, TenantForm},
};
use crate::{
    WebState,
    access::Caller,
    brand,
    dashboard::{
        frame::Frame,
        moment::{Moment, number},
        pages::unchanged_since,
        visit::done,
        words::{self, Look},
    },
    people::{self, BrandingText, GRACE, NewTenantText, TenantAction, TenantText},
    problem::Problem,
};

/// Rows on a page.
const ROWS: usize = 50;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    after: String,
}

struct Row {
    id: String,
    name: String,
    look: Look,
    domains: String,
    quota: Option<String>,
    created: Moment,
}

#[derive(Template)]
#[template(path = "tenants.html")]
struct TenantsPage {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "tenant_new.html")]
struct NewTenantPage {
    frame: Frame,
    form: TenantForm,
    choices: Choices,
    fault: Option<String>,
}

#[derive(Template)]
#[template(path = "tenant.html")]
struct TenantPage {
    frame: Frame,
    row: Row,
    status: TenantStatus,
    ends: Option<Moment>,
    form: TenantForm,
    brand: BrandForm,
    logo: Option<String>,
    choices: Choices,
    is_platforms: bool,
    may_write: bool,
    may_manage: bool,
    /// What is wrong, and with which form.
    fault: Option<(&'static str, String)>,
}

/// The tenants, by name.
pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    axum::extract::Query(query): axum::extract::Query<ListQuery>,
) -> Result<Response, Problem> {
    let after = Some(query.after.as_str()).filter(|after| !after.is_empty() && !after.contains('\0'));
    let mut rows = state.store.read(caller.reach).await?.list_tenant_rows(after, ROWS as i64 + 1).await?;
    let more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let page = TenantsPage {
        frame: Frame::new(&caller, "/tenants"),
        next: rows.last().filter(|_| more).map(|row| row.tenant.name.to_string()),
        rows: rows.iter().map(|row| Row::new(row, state.now())).collect(),
    };
    Ok(answer(StatusCode::OK, &page))
}

/// The form for another tenant.
pub(super) async fn ask_new(State(state): State<WebState>, caller: Caller) -> Result<Response, Problem> {
    let form = TenantForm { template: Some("storefront".into()), ..TenantForm::default() };
    new_page(&state, &caller, form, StatusCode::OK, None).await
}

/// Adds a tenant.
pub(super) async fn add(
    State(state): State<WebState>,
    caller: Caller,
    Form(form): Form<TenantForm>,
) -> Result<Response, Problem> {
    let added = match form.read() {
        Ok(text) => {
            let new = NewTenantText {
                name: text.name.unwrap_or_default(),
                upstream: text.upstream.unwrap_or_default(),
                template: text.template,
                key_type: text.key_type,
                authorities: text.authorities.flatten(),
                target_group: text.target_group.flatten(),
                quota_domains: text.quota_domains.flatten(),
                quota_requests: text.quota_requests.flatten(),
            };
            people::add_tenant(&state, &caller, new).await
        }
        Err(problem) => Err(problem),
    };
    match added {
        Ok(row) => {
            let words =
                format!("{} is added. Invite its people, and give it its looks below.", row.tenant.name);
            Ok(done(&state, &caller, &path_of(row.tenant.tenant_id), &words))
        }
        Err(problem) => {
            let (status, fault) = mendable(problem)?;
            new_page(&state, &caller, form, status, Some(fault)).await
        }
    }
}

/// One tenant.
pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Response, Problem> {
    page(&state, &caller, parse(&tenant)?, StatusCode::OK, None).await
}

/// To a tenant's people their own; the platform's have a list.
pub(super) async fn show_own(State(state): State<WebState>, caller: Caller) -> Result<Response, Problem> {
    match caller.reach {
        Reach::Tenant(own) => page(&state, &caller, own, StatusCode::OK, None).await,
        Reach::Platform => Ok(Redirect::to("/tenants").into_response()),
    }
}

/// Changes what is set for a tenant.
pub(super) async fn change(
    State(state): State<WebState>,
    caller: Caller,
    Path(tenant): Path<String>,
    Form(form): Form<TenantForm>,
) -> Result<Response, Problem> {
    let text = form.read();
    changed(&state, &caller, parse(&tenant)?, text, form.revision, "settings").await
}

/// Changes how it appears.
pub(super) async fn change_brand(
    State(state): State<WebState>,
    caller: Caller,
    Path(tenant): Path<String>,
    Form(form): Form<BrandForm>,
) -> Result<Response, Problem> {
    changed(&state, &caller, parse(&tenant)?, Ok(form.read()), form.revision, "brand").await
}

/// Takes another logo.
pub(super) async fn change_logo(
    State(state): State<WebState>,
    caller: Caller,
    Path(tenant): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = parse(&tenant)?;
    let row = find(&state, &caller, id).await?;
    let text = uploaded(request).await.map(|bytes| {
        let logo = Some(Some(BASE64.encode(&bytes)));
        TenantText {
            branding: Some(BrandingText { logo, ..BrandingText::default() }),
            ..TenantText::default()
        }
    });
    changed(&state, &caller, id, text, row.revision, "brand").await
}

/// The file of a form.
async fn uploaded(request: Request) -> Result<Vec<u8>, Problem> {
    let unreadable = |status: StatusCode| match status {
        StatusCode::PAYLOAD_TOO_LARGE => people::invalid("logo", "it has more than 32 KiB"),
        _ => people::invalid("logo", "choose a file"),
    };
    let mut form: Multipart = request.extract().await.map_err(|_| unreadable(StatusCode::BAD_REQUEST))?;
    while let Some(field) = form.next_field().await.map_err(|error| unreadable(error.status()))? {
        if field.name() == Some("logo") {
            let bytes = field.bytes().await.map_err(|error| unreadable(error.status()))?;
            return if bytes.is_empty() {
                Err(unreadable(StatusCode::BAD_REQUEST))
            } else {
                Ok(bytes.into())
            };
        }
    }
    Err(unreadable(StatusCode::BAD_REQUEST))
}

/// Suspends a tenant.
pub(super) async fn suspend(
    State(state): State<WebState>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Response, Problem> {
    let words = "is suspended: its own people only read. Its domains are served and renewed as before.";
    act(&state, &caller, &tenant, TenantAction::Suspend, words).await
}

/// Lets it go on.
pub(super) async fn resume(
    State(state): State<WebState>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Response, Problem> {
    act(&state, &caller, &tenant, TenantAction::Resume, "goes on as usual.").await
}

/// Asks whether a tenant is to be deleted.
pub(super) async fn ask_delete(
    State(state): State<WebState>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Response, Problem> {
    let id = parse(&tenant)?;
    let row = find(&state, &caller, id).await?;
    let title = format!("Delete {}?", row.tenant.name);
    let words = format!(
        "Its {} domains are served for {} days more, in which this can be taken back. Then they are taken off every load \
         balancer, and its people and tokens come in no more. Until then they only read.",
        number(row.domains),
        GRACE.whole_days()
    );
    let page = ConfirmPage {
        frame: Frame::new(&caller, "/tenants"),
        title: &title,
        trail: ("Tenants", "/tenants"),
        words: &words,
        action: format!("{}/delete", path_of(id)),
        button: "Delete the tenant",
    };
    Ok(answer(StatusCode::OK, &page))
}

/// Deletes a tenant, once its grace is over.
pub(super) async fn delete(
    State(state): State<WebState>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Response, Problem> {
    act(&state, &caller, &tenant, TenantAction::Delete, "is being deleted.").await
}

async fn act(
    state: &WebState,
    caller: &Caller,
    tenant: &str,
    action: TenantAction,
    words: &str,
) -> Result<Response, Problem> {
    let id = parse(tenant)?;
    match people::act_on_tenant(state, caller, id, action, |_| Ok(())).await {
        Ok(row) => Ok(done(state, caller, &path_of(id), &format!("{} {words}", row.tenant.name))),
        Err(problem) => {
            let (status, fault) = mendable(problem)?;
            page(state, caller, id, status, Some(("state", fault))).await
        }
    }
}

async fn changed(
    state: &WebState,
    caller: &Caller,
    id: TenantId,
    text: Result<TenantText, Problem>,
    revision: i64,
    form: &'static str,
) -> Result<Response, Problem> {
    let changed = match text {
        Ok(text) => people::change_tenant(state, caller, id, text, unchanged_since(revision)).await,
        Err(problem) => Err(problem),
    };
    match changed {
        Ok(row) => Ok(done(state, caller, &path_of(id), &format!("{} is changed.", row.tenant.name))),
        Err(problem) => {
            let (status, fault) = mendable(problem)?;
            page(state, caller, id, status, Some((form, fault))).await
        }
    }
}

async fn find(state: &WebState, caller: &Caller, id: TenantId) -> Result<TenantRow, Problem> {
    let found = state.store.read(caller.reach).await?.find_tenant_row(id).await?;
    found.ok_or_else(|| Problem::no_such("tenant"))
}

fn parse(id: &str) -> Result<TenantId, Problem> {
    id.parse().map_err(|_| Problem::no_such("tenant"))
}

fn path_of(id: TenantId) -> String {
    format!("/tenants/{id}")
}

async fn new_page(
    state: &WebState,
    caller: &Caller,
    form: TenantForm,
    status: StatusCode,
    fault: Option<String>,
) -> Result<Response, Problem> {
    let choices = Choices::new(state, caller, &form).await?;
    Ok(answer(status, &NewTenantPage { frame: Frame::new(caller, "/tenants"), form, choices, fault }))
}

async fn page(
    state: &WebState,
    caller: &Caller,
    id: TenantId,
    status: StatusCode,
    fault: Option<(&'static str, String)>,
) -> Result<Response, Problem> {
    let (row, now) = (find(state, caller, id).await?, state.now());
    let is_platforms = caller.reach == Reach::Platform;
    let form = TenantForm::of(&row);
    let page = TenantPage {
        frame: Frame::new(caller, if is_platforms { "/tenants" } else { "/branding" }),
        row: Row::new(&row, now),
        status: row.status,
        ends: row.delete_after.map(|at| Moment::new(at, now)),
        brand: BrandForm::of(&row),
        logo: row.has_logo.then(|| brand::logo_path(id, row.revision)),
        choices: Choices::new(state, caller, &form).await?,
        form,
        is_platforms,
        may_write: caller.may(Permission::TenantWrite) && !caller.only_reads(),
        may_manage: caller.may(Permission::TenantsManage),
        fault,
    };
    Ok(answer(status, &page))
}

impl Row {
    fn new(row: &TenantRow, now: OffsetDateTime) -> Self {
        Self {
            id: row.tenant.tenant_id.to_string(),
            name: row.tenant.name.to_string(),
            look: words::tenant_status(row.status),
            domains: number(row.domains),
            quota: row.quota_domains.map(|quota| number(quota.into())),
            created: Moment::new(row.created_at, now),
        }
    }
}
