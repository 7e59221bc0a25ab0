//! Answers that are not pebble's.

use std::fmt;

use hyper::header::{HeaderName, HeaderValue, LINK, RETRY_AFTER};
use hyper::{HeaderMap, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

use super::body::{Body, whole};

const PROBLEM: &str = "application/problem+json";
const PROBLEM_TYPE: &str = "urn:ietf:params:acme:error:";

/// An answer that is not pebble's.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    document: Value,
    text: Option<String>,
}

impl Answer {
    /// A problem document (RFC 8555 section 6.7); `kind` is the last part of its type, as in `rateLimited`.
    pub fn problem(status: u16, kind: &str, detail: &str) -> Self {
        let document = json!({ "type": format!("{PROBLEM_TYPE}{kind}"), "detail": detail, "status": status });
        Self { document, ..Self::new(status, PROBLEM) }
    }

    /// What Let's Encrypt says of an account and names that failed too often: nothing is in the headers.
    pub fn paused(names: &[&str], unpause_url: &str) -> Self {
        let detail = format!(
            "Your account is temporarily prevented from requesting certificates for {} and possibly others. \
             Please visit: {unpause_url}",
            names.join(", ")
        );
        Self::problem(429, "rateLimited", &detail)
    }

    /// A suggested window (RFC 9773 section 4.2), whatever its ends; without `Retry-After`.
    pub fn suggested_window(start: OffsetDateTime, end: OffsetDateTime) -> Self {
        let text = |at: OffsetDateTime| at.format(&Rfc3339).expect("a year of four digits");
        Self::json(200, json!({ "suggestedWindow": { "start": text(start), "end": text(end) } }))
    }

    /// A JSON document.
    pub fn json(status: u16, document: Value) -> Self {
        Self { document, ..Self::new(status, "application/json") }
    }

    /// A page as a web server's own, not the CA's.
    pub fn html(status: u16, page: &str) -> Self {
        Self { text: Some(page.to_owned()), ..Self::new(status, "text/html; charset=utf-8") }
    }

    /// `Retry-After` in seconds.
    #[must_use]
    pub fn retry_after_seconds(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER, &seconds.to_string())
    }

    /// `Retry-After` as a date (RFC 9110 section 5.6.7).
    #[must_use]
    pub fn retry_after_date(self, date: OffsetDateTime) -> Self {
        let format = format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        let date = date.to_offset(time::UtcOffset::UTC).format(format).expect("the format fits a date");
        self.header(RETRY_AFTER, &date)
    }

    /// Where a person reads why, as in RFC 9773's `explanationURL`.
    #[must_use]
    pub fn explained_at(self, url: &str) -> Self {
        self.with("explanationURL", json!(url))
    }

    /// A member of the JSON document.
    #[must_use]
    pub fn with(mut self, member: &str, value: Value) -> Self {
        self.document[member] = value;
        self
    }

    /// One more subproblem about a name (RFC 8555 section 6.7.1).
    #[must_use]
    pub fn subproblem(mut self, kind: &str, detail: &str, name: &str) -> Self {
        let subproblem = json!({
            "type": format!("{PROBLEM_TYPE}{kind}"),
            "detail": detail,
            "identifier": { "type": "dns", "value": name },
        });
        match self.document["subproblems"].as_array_mut() {
            Some(subproblems) => subproblems.push(subproblem),
            None => self.document["subproblems"] = json!([subproblem]),
        }
        self
    }

    /// A link to documentation, as Let's Encrypt adds to what its limits refuse.
    pub(super) fn help(self, url: &str) -> Self {
        self.header(LINK, &format!("<{url}>;rel=\"help\""))
    }

    /// A header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header holds visible ASCII");
        self.headers.insert(name, value);
        self
    }

    /// Whether the CA itself speaks, which gives a nonce with its errors (RFC 8555 section 6.5); a web server
    /// before it has none.
    pub(super) fn is_of_the_ca(&self) -> bool {
        self.text.is_none()
    }

    pub(super) fn document(&self) -> &Value {
        &self.document
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let text = self.text.unwrap_or_else(|| self.document.to_string());
        let mut response = Response::new(whole(text));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    fn new(status: u16, content_type: &'static str) -> Self {
        let status = StatusCode::from_u16(status).expect("a status code has three digits");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Self { status, headers, document: Value::Null, text: None }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.status.as_u16())?;
        match (&self.text, self.document["type"].as_str()) {
            (Some(_), _) => formatter.write_str(" HTML"),
            (None, Some(kind)) => write!(formatter, " {}", kind.trim_start_matches(PROBLEM_TYPE)),
            (None, None) => Ok(()),
        }
    }
}
