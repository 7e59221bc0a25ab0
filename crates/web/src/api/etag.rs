//! Versions of what is read, and changes that hold only for the version that was read (RFC 9110 sections 8.8.3 and 13.1).

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{ETAG, IF_MATCH, IF_NONE_MATCH},
    request::Parts,
};

use crate::{WebState, problem::Problem};

/// What stands in an `If-Match` header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct IfMatch(Tags);

/// What stands in an `If-None-Match` header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct IfNoneMatch(Tags);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Tags {
    Absent,
    Any,
    OneOf(Vec<String>),
}

impl IfMatch {
    /// As without the header.
    pub(super) fn absent() -> Self {
        Self(Tags::Absent)
    }

    /// Refuses a change of what is at another version than `revision`; without the header, none.
    pub(super) fn check(&self, revision: i64) -> Result<(), Problem> {
        let own = tag(revision);
        self.check_by(|tag| tag == own)
    }

    /// Refuses a change unless one of the tags is of the version that is there; without the header, none.
    pub(super) fn check_by(&self, is_present: impl Fn(&str) -> bool) -> Result<(), Problem> {
        match &self.0 {
            Tags::OneOf(tags) if !tags.iter().any(|tag| is_present(tag)) => Err(changed()),
            _ => Ok(()),
        }
    }

    /// Refuses a change that names no version, where one must be named (RFC 6585 section 3), and one of another version.
    pub(super) fn require(&self, revision: i64) -> Result<(), Problem> {
        if self.0 == Tags::Absent {
            let detail = "Say in If-Match which version this is a change of: the ETag that was read.";
            let status = StatusCode::PRECONDITION_REQUIRED;
            return Err(Problem::new(status, "version_missing", "If-Match is missing", detail));
        }
        self.check(revision)
    }

    /// Refuses a change of what is not there, when it was meant for what is.
    pub(super) fn check_missing(&self) -> Result<(), Problem> {
        if self.0 == Tags::Absent { Ok(()) } else { Err(changed()) }
    }
}

impl IfNoneMatch {
    /// As with `*`.
    pub(super) fn any() -> Self {
        Self(Tags::Any)
    }

    /// Refuses to change what is there, when it was only to be made (`If-None-Match: *`).
    pub(super) fn check_present(&self) -> Result<(), Problem> {
        if self.0 != Tags::Any {
            return Ok(());
        }
        let detail = "It is there already, and If-None-Match: * asked for a new one alone.";
        Err(Problem::new(StatusCode::PRECONDITION_FAILED, "exists_already", "Exists already", detail))
    }

    /// Whether the caller has this very version already: `304` will do.
    pub(super) fn has(&self, tag: &str) -> bool {
        match &self.0 {
            Tags::OneOf(tags) => tags.iter().any(|known| known.trim_start_matches("W/") == tag),
            Tags::Absent | Tags::Any => false,
        }
    }
}

/// The `ETag` of what is at `revision`.
pub(super) fn tag(revision: i64) -> String {
    format!("\"{revision}\"")
}

/// `answer`, with the `ETag` of what is at `revision`.
pub(super) fn tagged(revision: i64, answer: impl IntoResponse) -> Response {
    let tag = HeaderValue::from_str(&tag(revision)).expect("digits are plain characters");
    ([(ETAG, tag)], answer).into_response()
}

fn changed() -> Problem {
    let detail = "It is not at the version that If-Match names. Read it again, and repeat the change.";
    Problem::new(StatusCode::PRECONDITION_FAILED, "changed_meanwhile", "Changed meanwhile", detail)
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Tags, Problem> {
    let mut found = Vec::new();
    for value in headers.get_all(name) {
        let unreadable = || {
            let detail = format!("{name} is * or a list of ETags, each in quotation marks.");
            Problem::new(StatusCode::BAD_REQUEST, "invalid_condition", "Invalid condition", detail)
        };
        let text = value.to_str().map_err(|_| unreadable())?;
        for tag in text.split(',').map(str::trim) {
            let quoted = tag.strip_prefix("W/").unwrap_or(tag);
            match tag {
                "*" => return Ok(Tags::Any),
                _ if quoted.len() > 1 && quoted.starts_with('"') && quoted.ends_with('"') => {
                    found.push(tag.to_owned());
                }
                _ => return Err(unreadable()),
            }
        }
    }
    Ok(if found.is_empty() { Tags::Absent } else { Tags::OneOf(found) })
}

impl FromRequestParts<WebState> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &WebState) -> Result<Self, Problem> {
        tags(&parts.headers, &IF_MATCH).map(Self)
    }
}

impl FromRequestParts<WebState> for IfNoneMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &WebState) -> Result<Self, Problem> {
        tags(&parts.headers, &IF_NONE_MATCH).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &'static str) -> Result<IfMatch, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, HeaderValue::from_static(value));
        tags(&headers, &IF_MATCH).map(IfMatch)
    }

    #[test]
    fn a_change_holds_for_the_version_that_it_names() {
        let ok = |value, revision| parse(value).is_ok_and(|tags| tags.check(revision).is_ok());
        assert!(ok("\"7\"", 7) && ok("\"6\", \"7\"", 7) && ok("*", 7));
        assert!(!ok("\"6\"", 7));
        assert!(!ok("W/\"7\"", 7), "a weak tag matches nothing (RFC 9110 section 13.1.1)");
        for broken in ["7", "\"7", "\"", ""] {
            assert!(parse(broken).is_err(), "{broken}");
        }
    }
}
