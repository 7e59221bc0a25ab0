//! `/v1/domains/{name}/timeline`: what happened to a domain.

use axum::{extract::State, response::Response};
use certmill_model::EventId;

use super::{
    cursor::cursor,
    documents::EventDocument,
    name::DomainName,
    page::{Page, PageQuery, cut},
};
use crate::{
    WebState,
    access::Caller,
    problem::{Problem, ProblemDocument},
};

/// Read what happened to a domain, oldest first
#[utoipa::path(
    get, path = "/v1/domains/{name}/timeline", operation_id = "show_timeline", tag = "domains", security(("token" = [])),
    params(
        ("name" = String, Path, description = "The name, in A-label or U-label form", example = "shop.brand.test"),
        ("limit" = Option<u16>, Query, description = "Entries on a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<EventDocument>, headers(("Link" = String, description = "The next page, rel=next"))),
        (status = 400, description = "The limit or cursor cannot be used", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "Not registered by this caller", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "Not a name", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    DomainName(name): DomainName,
    query: PageQuery,
) -> Result<Response, Problem> {
    let mut reader = state.store.read(caller.reach).await?;
    let domain = reader.find_domain(&name).await?.ok_or_else(Problem::no_such_domain)?;
    let list = format!("timeline of {}", domain.domain_id);
    let after = query.after::<EventId>(caller.reach, &list)?;
    let mut events = reader.timeline(domain.domain_id, after, query.rows()).await?;
    let end = cut(&mut events, query.limit, |event| event.event_id.to_string());
    let next = end.map(|id| cursor(caller.reach, &list, &id));
    let documents: Vec<_> = events.into_iter().map(EventDocument::from).collect();
    Ok(Page::answer(documents, next, query.limit, &format!("/v1/domains/{name}/timeline")))
}
