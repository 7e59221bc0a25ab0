//! What a CA says when it refuses: kept whole, for operators.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The prefix of the problem types of ACME (RFC 8555 section 6.7).
const ACME_ERROR: &str = "urn:ietf:params:acme:error:";

/// The longest text of a CA that is kept, in characters.
const MAX_TEXT: usize = 4_000;

/// The longest name, in bytes.
const MAX_NAME: usize = 255;

/// A problem document (RFC 7807, RFC 8555 section 6.7) in the CA's own words. Texts are cut at 4,000 characters, and
/// control characters in them replaced.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CaProblem {
    /// The kind of problem, a URI; `about:blank` when the CA sent no problem document.
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    /// What happened, in words for people.
    #[serde(default)]
    pub detail: String,
    /// The HTTP status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A page that says more, or where an operator must agree to something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// A page about this kind of problem, which the answer's header linked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The name that it is about, where the problem is one of an authorization; a wildcard's begins with `*.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// How long the CA asks us to wait, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<i64>,
    /// The parts that are about single names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subproblems: Vec<CaSubproblem>,
    /// Everything else in the document.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A part of a problem that is about one name (RFC 8555 section 6.7.1).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CaSubproblem {
    /// The kind of problem, a URI.
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    /// What happened, in words for people.
    #[serde(default)]
    pub detail: String,
    /// Everything else, among it the identifier.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl CaProblem {
    /// The last part of an ACME problem type, such as `rateLimited`; the whole URI of any other.
    pub fn short_kind(&self) -> &str {
        short(&self.kind)
    }

    /// Reads the body of a failed answer; a body that is no problem document becomes one that quotes it.
    pub(crate) fn from_body(status: u16, body: &[u8]) -> Self {
        let parsed = serde_json::from_slice::<Self>(body).unwrap_or_else(|_| Self {
            kind: about_blank(),
            detail: quote(status, body),
            ..Self::default()
        });
        Self { status: Some(status), ..parsed }.cleaned()
    }

    /// With no text that a log, a page or a database column could choke on, and no wait: only an answer's header says how
    /// long one is.
    pub(crate) fn cleaned(mut self) -> Self {
        self.retry_after = None;
        clean(&mut self.kind);
        clean(&mut self.detail);
        self.instance.iter_mut().chain(&mut self.help).chain(&mut self.identifier).for_each(clean);
        self.subproblems.truncate(100);
        for part in &mut self.subproblems {
            clean(&mut part.kind);
            clean(&mut part.detail);
            clean_map(&mut part.other);
        }
        clean_map(&mut self.other);
        self
    }
}

impl CaSubproblem {
    /// The name that it is about, if it is about one.
    pub(crate) fn identifier(&self) -> Option<&str> {
        let name = self.other.get("identifier")?.get("value")?.as_str()?;
        (name.len() <= MAX_NAME && !name.contains(char::is_control)).then_some(name)
    }
}

impl fmt::Display for CaProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.short_kind() {
            "about:blank" => f.write_str(&self.detail),
            kind => write!(f, "{kind}: {}", self.detail),
        }
    }
}

fn short(kind: &str) -> &str {
    kind.strip_prefix(ACME_ERROR).unwrap_or(kind)
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

fn quote(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(300)]);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.as_str() {
        "" => format!("HTTP status {status} with no explanation"),
        text => format!("HTTP status {status} with no problem document: {text}"),
    }
}

fn clean(text: &mut String) {
    if text.chars().any(char::is_control) || text.len() > MAX_TEXT {
        let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        *text = text.chars().take(MAX_TEXT).map(printable).collect();
    }
}

/// Unknown members are kept only while they are small and harmless: a database refuses a NUL in JSON.
fn clean_map(map: &mut Map<String, Value>) {
    let text = serde_json::to_string(map).unwrap_or_default();
    if text.len() > MAX_TEXT || text.contains("\\u0000") {
        map.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_kept_whole() {
        let body = br#"{"type":"urn:ietf:params:acme:error:caa","detail":"CAA record for a.example prevents issuance",
            "instance":"https://ca.example/x","algorithms":["ES256"],
            "subproblems":[{"type":"urn:ietf:params:acme:error:caa","detail":"d","identifier":{"type":"dns","value":"a.example"}}]}"#;
        let problem = CaProblem::from_body(403, body);
        assert_eq!(problem.short_kind(), "caa");
        assert_eq!(problem.status, Some(403));
        assert_eq!(problem.instance.as_deref(), Some("https://ca.example/x"));
        assert_eq!(problem.subproblems[0].other["identifier"]["value"], "a.example");
        assert!(problem.other.contains_key("algorithms"));
        let again: CaProblem = serde_json::from_str(&serde_json::to_string(&problem).unwrap()).unwrap();
        assert_eq!(again, problem);
    }

    #[test]
    fn a_page_of_html_becomes_a_problem_with_its_status() {
        let problem = CaProblem::from_body(503, b"<html>\n<h1>Service down</h1>\r\n</html>");
        assert_eq!(
            problem.to_string(),
            "HTTP status 503 with no problem document: <html> <h1>Service down</h1> </html>"
        );
        assert_eq!(CaProblem::from_body(502, b"").detail, "HTTP status 502 with no explanation");
    }

    #[test]
    fn a_wait_in_a_document_is_not_believed() {
        let problem = CaProblem::from_body(429, br#"{"detail":"x","retry_after":9223372036854775807}"#);
        assert_eq!(problem.retry_after, None);
    }

    #[test]
    fn texts_of_a_hostile_ca_are_cut_and_cleaned() {
        let detail = format!("a\\u0000\\u001b[31m{}", "x".repeat(9_000));
        let problem =
            CaProblem::from_body(400, format!(r#"{{"detail":"{detail}","z":"\u0000"}}"#).as_bytes());
        assert_eq!(problem.detail.chars().count(), MAX_TEXT);
        assert!(problem.detail.starts_with("a\u{fffd}\u{fffd}[31m"));
        assert!(problem.other.is_empty());
    }
}
