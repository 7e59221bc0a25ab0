//! `/v1/templates`: nginx templates with their versions, for the platform's own people.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use certmill_model::{TemplateRef, TrialId};
use certmill_store::{ScopedTx, TemplateRow};
use http::{HeaderValue, StatusCode, header::LOCATION};

use super::{
    etag::{IfMatch, tagged},
    json::StrictJson,
    page::{Page, PageQuery, cut},
    refusals::{OfAction, OfChange, OfCreate, OfList, OfRead},
    template_documents::{
        NewTemplate, NewVersion, PublishWish, RenderedDocument, RenderedDomain, RenderedText,
        TemplateDetails, TemplateDocument, Templates, TestDocument, VersionDetails, VersionDocument,
    },
};
use crate::{WebState, access::Caller, problem::Problem, templates};

const PATH: &str = "/v1/templates";

/// List templates by name
#[utoipa::path(
    get, path = "/v1/templates", operation_id = "list_templates", tag = "templates", security(("token" = [])),
    responses((status = 200, description = "Every template, in each of its forms", body = Templates), OfList)
)]
pub(super) async fn list(State(state): State<WebState>, caller: Caller) -> Result<Json<Templates>, Problem> {
    let rows = state.store.read(caller.reach).await?.list_templates().await?;
    Ok(Json(Templates { data: rows.into_iter().map(TemplateDocument::from).collect() }))
}

/// Make a template
///
/// Its text is kept as version 1. Nothing is served with it before it is tested and published.
#[utoipa::path(
    post, path = "/v1/templates", operation_id = "create_template", tag = "templates", security(("token" = [])),
    request_body(content = NewTemplate, content_type = "application/json"),
    responses((status = 201, description = "Made", body = TemplateDetails, headers(("Location" = String, description = "The template"), ("ETag" = String, description = "Its version"))), OfCreate)
)]
pub(super) async fn create(
    State(state): State<WebState>,
    caller: Caller,
    StrictJson(new): StrictJson<NewTemplate>,
) -> Result<Response, Problem> {
    let template = templates::named(&new.name, &new.form)?;
    templates::create(&state, &caller, &template, (&new.source, &new.note)).await?;
    let location = location(&template, "");
    let answer = details(&mut state.store.read(caller.reach).await?, &template).await?;
    Ok((StatusCode::CREATED, [(LOCATION, location)], answer).into_response())
}

/// Read a template
#[utoipa::path(
    get, path = "/v1/templates/{template}", operation_id = "show_template", tag = "templates", security(("token" = [])),
    params(("template" = String, Path, description = "Name and form, `storefront:shared`; the name alone means the shared form, where it has one")),
    responses((status = 200, description = "The template", body = TemplateDetails, headers(("ETag" = String, description = "Its version"))), OfRead)
)]
pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(template): Path<String>,
) -> Result<Response, Problem> {
    let mut tx = state.store.read(caller.reach).await?;
    let (template, _) = templates::find(&mut tx, &template).await?;
    details(&mut tx, &template).await
}

/// Remove a template
///
/// Nobody may name it any more, and there may be no file of it.
#[utoipa::path(
    delete, path = "/v1/templates/{template}", operation_id = "delete_template", tag = "templates", security(("token" = [])),
    params(
        ("template" = String, Path, description = "Name and form"),
        ("If-Match" = String, Header, description = "The ETag that was read"),
    ),
    responses((status = 204, description = "Removed"), OfChange)
)]
pub(super) async fn delete(
    State(state): State<WebState>,
    caller: Caller,
    Path(template): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let (template, row) = named(&state, &caller, &template).await?;
    if_match.require(row.revision)?;
    templates::delete(&state, &caller, &template, row.revision).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the versions of a template, the newest first
#[utoipa::path(
    get, path = "/v1/templates/{template}/versions", operation_id = "list_template_versions", tag = "templates", security(("token" = [])),
    params(
        ("template" = String, Path, description = "Name and form"),
        ("limit" = Option<u16>, Query, description = "Entries on a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<VersionDocument>, headers(("Link" = String, description = "The next page, rel=next"))),
        OfAction
    )
)]
pub(super) async fn versions(
    State(state): State<WebState>,
    caller: Caller,
    Path(template): Path<String>,
    query: PageQuery,
) -> Result<Response, Problem> {
    let mut tx = state.store.read(caller.reach).await?;
    let (template, _) = templates::find(&mut tx, &template).await?;
    let list = format!("versions of {template}");
    let before = query.after::<i32>(caller.reach, &list)?;
    let mut rows = tx.template_versions(&template, before, query.rows()).await?;
    let end = cut(&mut rows, query.limit, |row| row.version.to_string());
    let data: Vec<_> = rows.into_iter().map(VersionDocument::from).collect();
    Ok(query.answer(caller.reach, &list, &format!("{PATH}/{template}/versions"), data, end.as_deref()))
}

/// Keep a version of a template
///
/// Nothing is served with it before it is tested and published.
#[utoipa::path(
    post, path = "/v1/templates/{template}/versions", operation_id = "create_template_version", tag = "templates", security(("token" = [])),
    params(
        ("template" = String, Path, description = "Name and form"),
        ("If-Match" = String, Header, description = "The ETag of the template that was read"),
    ),
    request_body(content = NewVersion, content_type = "application/json"),
    responses((status = 201, description = "Kept", body = VersionDetails, headers(("Location" = String, description = "The version"))), OfChange)
)]
pub(super) async fn save(
    State(state): State<WebState>,
    caller: Caller,
    Path(template): Path<String>,
    if_match: IfMatch,
    StrictJson(new): StrictJson<NewVersion>,
) -> Result<Response, Problem> {
    let (template, row) = named(&state, &caller, &template).await?;
    if_match.require(row.revision)?;
    let text = (new.source.as_str(), new.note.as_str());
    let version = templates::save(&state, &caller, &template, text, row.revision).await?;
    let location = location(&template, &format!("/versions/{version}"));
    let document = version_details(&mut state.store.read(caller.reach).await?, &template, version).await?;
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(document)).into_response())
}

/// Read a version of a template
#[utoipa::path(
    get, path = "/v1/templates/{template}/versions/{version}", operation_id = "show_template_version", tag = "templates", security(("token" = [])),
    params(
        ("template" = String, Path, description = "Name and form"),
        ("version" = String, Path, description = "The version's number"),
    ),
    responses((status = 200, description = "The version", body = VersionDetails), OfRead)
)]
pub(super) async fn show_version(
    State(state): State<WebState>,
    caller: Caller,
    Path((template, version)): Path<(String, String)>,
) -> Result<Json<VersionDetails>, Problem> {
    let mut tx = state.store.read(caller.reach).await?;
    let (template, _) = templates::find(&mut tx, &template).await?;
    version_details(&mut tx, &template, templates::number(&version)?).await.map(Json)
}

/// Show what a text would make
///
/// The server block of up to three domains, without asking nginx, and without keeping anything. Listening addresses and paths are
/// those of a load balancer with the usual ports.
#[utoipa::path(
    post, path = "/v1/templates/{template}/render", operation_id = "render_template", tag = "templates", security(("token" = [])),
    params(("template" = String, Path, description = "Name and form")),
    request_body(content = RenderedText, content_type = "application/json"),
    responses((status = 200, description = "What it makes, or what is wrong with it", body = RenderedDocument), OfCreate)
)]
pub(super) async fn render(
    State(state): State<WebState>,
    caller: Caller,
    Path(template): Path<String>,
    StrictJson(text): StrictJson<RenderedText>,
) -> Result<Json<RenderedDocument>, Problem> {
    let (template, _) = named(&state, &caller, &template).await?;
    let shown = templates::show_on(&state, caller.reach, &template, &text.source, &text.domains).await?;
    Ok(Json(match shown {
        Ok(domains) => {
            let domains = domains.into_iter().map(RenderedDomain::from).collect();
            RenderedDocument { mistake: None, domains }
        }
        Err(mistake) => RenderedDocument { mistake: Some(mistake.into()), domains: Vec::new() },
    }))
}

/// Test a version on a load balancer
///
/// It is rendered on domains that are served, and shown to the nginx of one load balancer in a copy (`nginx -t`). Nothing that is
/// live is touched.
#[utoipa::path(
    post, path = "/v1/templates/{template}/versions/{version}/test", operation_id = "test_template_version", tag = "templates", security(("token" = [])),
    params(
        ("template" = String, Path, description = "Name and form"),
        ("version" = String, Path, description = "The version's number"),
    ),
    responses((status = 202, description = "It runs behind the answer", body = TestDocument, headers(("Location" = String, description = "Where its result is read"))), OfAction)
)]
pub(super) async fn test(
    State(state): State<WebState>,
    caller: Caller,
    Path((template, version)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (template, _) = named(&state, &caller, &template).await?;
    let version = templates::number(&version)?;
    let id = templates::test(&state, &caller, &template, version).await?;
    let location = location(&template, &format!("/versions/{version}/tests/{id}"));
    let document = read_test(&mut state.store.read(caller.reach).await?, (&template, version), id).await?;
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], Json(document)).into_response())
}

/// Read what came of a test
#[utoipa::path(
    get, path = "/v1/templates/{template}/versions/{version}/tests/{test}", operation_id = "show_template_test", tag = "templates", security(("token" = [])),
    params(
        ("template" = String, Path, description = "Name and form"),
        ("version" = String, Path, description = "The version's number"),
        ("test" = String, Path, description = "The test's id"),
    ),
    responses((status = 200, description = "The test", body = TestDocument), OfRead)
)]
pub(super) async fn show_test(
    State(state): State<WebState>,
    caller: Caller,
    Path((template, version, test)): Path<(String, String, String)>,
) -> Result<Json<TestDocument>, Problem> {
    let mut tx = state.store.read(caller.reach).await?;
    let (template, _) = templates::find(&mut tx, &template).await?;
    let id: TrialId = test.parse().map_err(|_| Problem::no_such("test"))?;
    read_test(&mut tx, (&template, templates::number(&version)?), id).await.map(Json)
}

/// Publish a version
///
/// A version that a load balancer's nginx has taken in a test. It goes to one load balancer first (`canary`), and to the others once
/// that one serves it; what it refuses is taken back.
#[utoipa::path(
    post, path = "/v1/templates/{template}/publish", operation_id = "publish_template", tag = "templates", security(("token" = [])),
    params(
        ("template" = String, Path, description = "Name and form"),
        ("If-Match" = String, Header, description = "The ETag that was read"),
    ),
    request_body(content = PublishWish, content_type = "application/json"),
    responses((status = 202, description = "Load balancers are brought up to date behind the answer", body = TemplateDetails, headers(("ETag" = String, description = "Its version"))), OfChange)
)]
pub(super) async fn publish(
    State(state): State<WebState>,
    caller: Caller,
    Path(template): Path<String>,
    if_match: IfMatch,
    StrictJson(wish): StrictJson<PublishWish>,
) -> Result<Response, Problem> {
    let (template, row) = named(&state, &caller, &template).await?;
    if_match.require(row.revision)?;
    templates::publish(&state, &caller, &template, wish.version, row.revision).await?;
    let answer = details(&mut state.store.read(caller.reach).await?, &template).await?;
    Ok((StatusCode::ACCEPTED, answer).into_response())
}

/// Go back to what was served before
#[utoipa::path(
    post, path = "/v1/templates/{template}/rollback", operation_id = "roll_back_template", tag = "templates", security(("token" = [])),
    params(
        ("template" = String, Path, description = "Name and form"),
        ("If-Match" = String, Header, description = "The ETag that was read"),
    ),
    responses((status = 202, description = "Load balancers are brought up to date behind the answer", body = TemplateDetails, headers(("ETag" = String, description = "Its version"))), OfChange)
)]
pub(super) async fn roll_back(
    State(state): State<WebState>,
    caller: Caller,
    Path(template): Path<String>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let (template, row) = named(&state, &caller, &template).await?;
    if_match.require(row.revision)?;
    templates::roll_back(&state, &caller, &template, row.revision).await?;
    let answer = details(&mut state.store.read(caller.reach).await?, &template).await?;
    Ok((StatusCode::ACCEPTED, answer).into_response())
}

async fn named(
    state: &WebState,
    caller: &Caller,
    template: &str,
) -> Result<(TemplateRef, TemplateRow), Problem> {
    templates::find(&mut state.store.read(caller.reach).await?, template).await
}

async fn details(tx: &mut ScopedTx, template: &TemplateRef) -> Result<Response, Problem> {
    let row = tx.find_template(template).await?.ok_or_else(|| Problem::no_such("template"))?;
    let (revision, source) = (row.revision, tx.template_source(template, row.published_version).await?);
    let domains = tx.template_use(template).await?.count;
    Ok(tagged(revision, Json(TemplateDetails { template: row.into(), source, domains })))
}

async fn version_details(
    tx: &mut ScopedTx,
    template: &TemplateRef,
    version: i32,
) -> Result<VersionDetails, Problem> {
    let missing = || Problem::no_such("version");
    let row = tx.template_version(template, version).await?.ok_or_else(missing)?;
    let source = tx.template_source(template, Some(version)).await?.ok_or_else(missing)?;
    let tests = tx.list_trials((template, version), templates::TESTS).await?;
    let tests = tests.into_iter().map(TestDocument::from).collect();
    Ok(VersionDetails { version: row.into(), source, tests })
}

async fn read_test(
    tx: &mut ScopedTx,
    version: (&TemplateRef, i32),
    id: TrialId,
) -> Result<TestDocument, Problem> {
    let found = tx.read_trial(version, id).await?;
    found.map(TestDocument::from).ok_or_else(|| Problem::no_such("test"))
}

fn location(template: &TemplateRef, rest: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("{PATH}/{template}{rest}"))
        .expect("names and numbers are plain characters")
}
