//! `GET /v1/domains` and `GET /v1/domains/{name}`.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use certmill_store::Found;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT, VARY},
};

use super::{
    super::{
        cursor::cursor,
        documents::{DomainDetails, DomainList},
        etag::IfNoneMatch,
        page::next_link,
        refusals::{OfList, OfRead},
    },
    export::{self, Format},
    filter::{DomainParameters, DomainQuery},
    name::DomainRef,
    representation::{answer, documents},
};
use crate::{
    WebState,
    access::Caller,
    problem::{Problem, ProblemDocument},
};

/// Read a domain
///
/// With `If-None-Match` the answer is `304` as long as nothing of it changed.
#[utoipa::path(
    get, path = "/v1/domains/{name}", operation_id = "show_domain", tag = "domains", security(("token" = [])),
    params(
        ("name" = String, Path, description = "The name, in A-label or U-label form, or the id", example = "shop.brand.test"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag that it was last read with"),
    ),
    responses(
        (status = 200, description = "The domain", body = DomainDetails, headers(("ETag" = String, description = "The version"))),
        (status = 304, description = "Nothing of it changed"),
        (status = 400, description = "The request cannot be read", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "It was removed in the last 30 days", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "Not a name", body = ProblemDocument, content_type = "application/problem+json"),
        OfRead,
    )
)]
pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let mut reader = state.store.read(caller.reach).await?;
    let domain = name.find(&state, &mut reader).await?;
    answer(&state, &mut reader, StatusCode::OK, domain, Some(&known)).await
}

/// List, search and export domains
///
/// A tenant sees its own, the platform everybody's. Filters narrow together. With `Accept: application/x-ndjson` (a domain as JSON on
/// each line) or `text/csv` all that suit are sent as they are read; `limit`, `cursor` and `count` do not apply then.
#[utoipa::path(
    get, path = "/v1/domains", operation_id = "list_domains", tag = "domains", security(("token" = [])),
    params(DomainParameters),
    responses(
        (status = 200, description = "A page, or all of it", content((DomainList = "application/json"), (String = "application/x-ndjson"), (String = "text/csv")), headers(("Link" = String, description = "The next page, rel=next"))),
        (status = 422, description = "Too much would have to be looked at: narrow it", body = ProblemDocument, content_type = "application/problem+json"),
        OfList,
    )
)]
pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    headers: HeaderMap,
    query: DomainQuery,
) -> Result<Response, Problem> {
    let format = headers.get(ACCEPT).and_then(|accept| Format::wanted(accept.to_str().ok()?));
    let mut response = match format {
        Some(format) => export::answer(&state, caller, query, format),
        None => page(&state, &caller, &query).await?,
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

async fn page(state: &WebState, caller: &Caller, query: &DomainQuery) -> Result<Response, Problem> {
    let after = query.after(caller.reach)?;
    let mut reader = state.store.read(caller.reach).await?;
    let page = reader.search_domains(&query.filter, query.sort, after.as_ref(), query.limit).await?;
    let count =
        if query.counts { Some(reader.count_domains_capped(&query.filter).await?.into()) } else { None };
    let next_cursor = page.next.map(|position| cursor(caller.reach, &query.path, &position.to_string()));
    let link = next_link(next_cursor.as_deref(), query.limit, &query.path);
    let data = documents(state, &mut reader, page.domains).await?;
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
