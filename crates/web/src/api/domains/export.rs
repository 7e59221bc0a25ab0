//! All domains that suit a filter, as lines: a page is read while the one before is sent, and nothing is kept.

use axum::response::{IntoResponse, Response};
use certmill_store::{Domain, DomainPosition};
use http::{
    HeaderValue,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{filter::DomainQuery, representation::documents};
use crate::{WebState, access::Caller, problem::Problem, streamed};

/// Domains that are read at a time.
const AT_ONCE: usize = 500;

const COLUMNS: &str =
    "name,id,tenant,external_id,tags,status,since,health,not_after,renew_after,created_at,updated_at\r\n";

/// How lines are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Format {
    /// A domain as JSON on each line.
    JsonLines,
    /// RFC 4180.
    Csv,
}

impl Format {
    /// The first of them that an `Accept` header names before JSON, if there is one.
    pub(super) fn wanted(accept: &str) -> Option<Self> {
        let known = accept.split(',').find_map(|kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            match kind.as_str() {
                "application/x-ndjson" | "application/jsonl" => Some(Some(Self::JsonLines)),
                "text/csv" => Some(Some(Self::Csv)),
                "application/json" | "*/*" => Some(None),
                _ => None,
            }
        });
        known.flatten()
    }
}

struct Export {
    state: WebState,
    caller: Caller,
    query: DomainQuery,
    format: Format,
    after: Option<DomainPosition>,
    is_first: bool,
}

/// Answers with all domains that suit `query`.
pub(super) fn answer(state: &WebState, caller: Caller, query: DomainQuery, format: Format) -> Response {
    let (kind, name) = match format {
        Format::JsonLines => ("application/x-ndjson", "attachment; filename=\"domains.ndjson\""),
        Format::Csv => ("text/csv; charset=utf-8; header=present", "attachment; filename=\"domains.csv\""),
    };
    let export = Export { state: state.clone(), caller, query, format, after: None, is_first: true };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CONTENT_DISPOSITION, HeaderValue::from_static(name)),
    ];
    (headers, streamed::body(export, Export::next)).into_response()
}

impl Export {
    /// The next lines, and what comes behind them.
    async fn next(mut self) -> Result<(String, Option<Self>), Problem> {
        let (lines, next) = self.page().await?;
        self.is_first = false;
        self.after = next;
        Ok((lines, self.after.is_some().then_some(self)))
    }

    async fn page(&self) -> Result<(String, Option<DomainPosition>), Problem> {
        // It may last for minutes, and the token may have been revoked meanwhile.
        if !self.is_first {
            self.caller.may_go_on(&self.state).await?;
        }
        let mut reader = self.state.store.read(self.caller.reach).await?;
        let (filter, sort) = (&self.query.filter, self.query.sort);
        let page = reader.search_domains(filter, sort, self.after.as_ref(), AT_ONCE).await?;
        let lines = match self.format {
            Format::JsonLines => {
                let mut lines = String::new();
                for document in documents(&self.state, &mut reader, page.domains).await? {
                    lines.push_str(&serde_json::to_string(&document).map_err(|_| Problem::internal())?);
                    lines.push('\n');
                }
                lines
            }
            Format::Csv => {
                let head = if self.is_first { COLUMNS } else { "" };
                head.to_owned() + &page.domains.iter().map(row).collect::<String>()
            }
        };
        Ok((lines, page.next))
    }
}

fn row(domain: &Domain) -> String {
    let certificate = domain.certificate.as_ref();
    let cells = [
        domain.name.to_string(),
        domain.domain_id.to_string(),
        domain.tenant_id.to_string(),
        cell(domain.external_id.as_deref().unwrap_or_default()),
        cell(&domain.tags.join(" ")),
        domain.status.to_string(),
        instant(Some(domain.status_since)),
        domain.health.to_string(),
        instant(certificate.map(|certificate| certificate.not_after)),
        instant(domain.renew_after.filter(|_| certificate.is_some())),
        instant(Some(domain.created_at)),
        instant(Some(domain.updated_at)),
    ];
    cells.join(",") + "\r\n"
}

fn instant(at: Option<OffsetDateTime>) -> String {
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}

/// A text that somebody else wrote: quoted where it has to be, and never a formula to a spreadsheet.
fn cell(text: &str) -> String {
    let formula = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{formula}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{formula}{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_first_is_sent() {
        assert_eq!(Format::wanted("text/csv"), Some(Format::Csv));
        assert_eq!(Format::wanted("application/jsonl; q=1, */*"), Some(Format::JsonLines));
        assert_eq!(Format::wanted("application/json, text/csv"), None);
        assert_eq!(Format::wanted("*/*"), None);
    }

    #[test]
    fn a_cell_is_one_cell_and_no_formula() {
        assert_eq!(cell("a,b\"c"), "\"a,b\"\"c\"");
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("shop-1"), "shop-1");
    }
}
