//! The parts of the CA's documents that the protocol library does not show.

use certmill_model::ChallengeKind;
use serde::Deserialize;

use crate::CaProblem;

/// An order (RFC 8555 section 7.1.3).
#[derive(Debug, Default, Deserialize)]
pub(crate) struct OrderDocument {
    #[serde(default)]
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) error: Option<CaProblem>,
}

/// What an order or an authorization is for.
#[derive(Debug, Deserialize)]
pub(crate) struct Identifier {
    pub(crate) value: String,
}

/// An authorization (RFC 8555 section 7.1.4).
#[derive(Debug, Deserialize)]
struct AuthorizationDocument {
    identifier: Identifier,
    #[serde(default)]
    wildcard: bool,
    #[serde(default)]
    challenges: Vec<ChallengeDocument>,
}

#[derive(Debug, Deserialize)]
struct ChallengeDocument {
    #[serde(default, rename = "type")]
    kind: String,
    error: Option<CaProblem>,
}

impl OrderDocument {
    pub(crate) fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }
}

/// Why the CA did not accept the response to a challenge, and the challenge's kind, out of the authorization that holds
/// it: Let's Encrypt says so nowhere else. The problem names the identifier, a wildcard with its `*.`.
pub(crate) fn challenge_problem(authorization: &[u8]) -> Option<(ChallengeKind, CaProblem)> {
    let document: AuthorizationDocument = serde_json::from_slice(authorization).ok()?;
    let failed = |challenge: ChallengeDocument| Some((challenge.kind, challenge.error?));
    let (kind, problem) = document.challenges.into_iter().find_map(failed)?;
    // Never chosen by us if it is of another kind; the more common one then.
    let kind = kind.parse().unwrap_or(ChallengeKind::Http01);
    let prefix = if document.wildcard { "*." } else { "" };
    let identifier = Some(format!("{prefix}{}", document.identifier.value));
    Some((kind, CaProblem { identifier, ..problem }.cleaned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_in_the_challenge() {
        let body = br#"{"identifier":{"type":"dns","value":"a.example"},"status":"invalid","challenges":[
            {"type":"dns-01","url":"x","status":"pending","token":"t"},
            {"type":"http-01","url":"y","status":"invalid","error":{"type":"urn:ietf:params:acme:error:connection",
             "detail":"Timeout during connect","status":400},"validationRecord":[{"addressUsed":"192.0.2.1"}]}]}"#;
        let (kind, problem) = challenge_problem(body).unwrap();
        assert_eq!(kind, ChallengeKind::Http01);
        assert_eq!(problem.short_kind(), "connection");
        assert_eq!(problem.identifier.as_deref(), Some("a.example"));
    }

    #[test]
    fn a_wildcard_that_failed_keeps_its_star() {
        let body = br#"{"identifier":{"type":"dns","value":"a.example"},"wildcard":true,"challenges":[
            {"type":"dns-01","error":{"type":"urn:ietf:params:acme:error:unauthorized","detail":"no TXT record"}}]}"#;
        let (kind, problem) = challenge_problem(body).unwrap();
        assert_eq!(kind, ChallengeKind::Dns01);
        assert_eq!(problem.identifier.as_deref(), Some("*.a.example"));
    }

    #[test]
    fn an_authorization_without_an_error_gives_no_reason() {
        let body =
            br#"{"identifier":{"type":"dns","value":"a.example"},"challenges":[{"type":"tokenless-99"}]}"#;
        assert!(challenge_problem(body).is_none());
        assert!(challenge_problem(b"<html>").is_none());
    }
}
