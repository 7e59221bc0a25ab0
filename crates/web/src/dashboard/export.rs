//! What a list shows, whole, as a file: written while it is read, a page at a time.

use axum::{
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use certmill_model::DomainId;
use certmill_store::{Domain, DomainFilter, DomainPosition, DomainSort};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::list::ListQuery;
use crate::{WebState, access::Caller, problem::Problem, streamed};

/// Domains that are read at once.
const PAGE: usize = 1_000;

const HEADS: &str =
    "name,name_unicode,tenant,shop_id,tags,status,since,health,problems,certificate_until,renewal_after\r\n";

/// What a file is made of.
#[derive(Clone, Copy)]
enum Form {
    Csv,
    Ndjson,
}

/// Where the reading stands.
struct Place {
    state: WebState,
    caller: Caller,
    filter: DomainFilter,
    sort: DomainSort,
    form: Form,
    /// Behind which one the next page begins; `None`: nothing is read yet.
    after: Option<DomainPosition>,
}

pub(super) async fn download(
    State(state): State<WebState>,
    caller: Caller,
    Path(file): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let (form, kind) = match file.as_str() {
        "domains.csv" => (Form::Csv, "text/csv; charset=utf-8"),
        "domains.ndjson" => (Form::Ndjson, "application/x-ndjson"),
        _ => return Err(Problem::of_status(http::StatusCode::NOT_FOUND)),
    };
    let filter = query.filter(state.now());
    let place = Place { state, caller, filter, sort: query.sort(), form, after: None };
    let name = format!("attachment; filename=\"{file}\"");
    Ok(([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, name)], streamed::body(place, read))
        .into_response())
}

async fn read(place: Place) -> Result<(String, Option<Place>), Problem> {
    let mut text = String::new();
    match (&place.after, place.form) {
        // It may last for minutes, and the session may have ended meanwhile.
        (Some(_), _) => place.caller.may_go_on(&place.state).await?,
        (None, Form::Csv) => text.push_str(HEADS),
        (None, Form::Ndjson) => {}
    }
    let mut tx = place.state.store.read(place.caller.reach).await?;
    let page = tx.search_domains(&place.filter, place.sort, place.after.as_ref(), PAGE).await?;
    let ids: Vec<DomainId> = page.domains.iter().map(|domain| domain.domain_id).collect();
    let problems = tx.problems_of(&ids).await?;
    for domain in &page.domains {
        let of = problems.iter().filter(|(id, _)| *id == domain.domain_id);
        let codes: Vec<_> = of.map(|(_, problem)| problem.code.as_str()).collect();
        match place.form {
            Form::Csv => text.push_str(&csv(domain, &codes)),
            Form::Ndjson => text.push_str(&ndjson(domain, &codes)),
        }
    }
    Ok((text, page.next.map(|next| Place { after: Some(next), ..place })))
}

fn csv(domain: &Domain, problems: &[&str]) -> String {
    let until = domain.certificate.as_ref().map(|found| found.not_after);
    let cells = [
        domain.name.to_string(),
        domain.name.to_unicode(),
        domain.tenant.clone(),
        domain.external_id.clone().unwrap_or_default(),
        domain.tags.join(" "),
        domain.status.as_str().to_owned(),
        instant(Some(domain.status_since)),
        domain.health.as_str().to_owned(),
        problems.join(" "),
        instant(until),
        instant(domain.renew_after),
    ];
    let cells: Vec<_> = cells.iter().map(|cell| quoted(cell)).collect();
    format!("{}\r\n", cells.join(","))
}

fn ndjson(domain: &Domain, problems: &[&str]) -> String {
    let line = serde_json::json!({
        "id": domain.domain_id.to_string(),
        "name": domain.name.as_str(),
        "name_unicode": domain.name.to_unicode(),
        "tenant": domain.tenant,
        "external_id": domain.external_id,
        "tags": domain.tags,
        "status": domain.status.as_str(),
        "since": instant(Some(domain.status_since)),
        "health": domain.health.as_str(),
        "problems": problems,
        "not_after": domain.certificate.as_ref().map(|found| instant(Some(found.not_after))),
        "renew_after": domain.renew_after.map(|at| instant(Some(at))),
    });
    format!("{line}\n")
}

pub(super) fn instant(at: Option<OffsetDateTime>) -> String {
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}

/// `cell` as RFC 4180 writes it. What a spreadsheet would take for a formula gets an apostrophe in front.
pub(super) fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_breaks_the_table() {
        assert_eq!(quoted("shop.example"), "shop.example");
        assert_eq!(quoted("=HYPERLINK(\"x\",1)"), "\"'=HYPERLINK(\"\"x\"\",1)\"");
        assert_eq!(quoted("a,b\r\nc"), "\"a,b\r\nc\"");
    }
}
