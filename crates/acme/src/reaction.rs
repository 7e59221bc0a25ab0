//! What to do about what a CA said: one table.

use certmill_model::{ChallengeKind, ProblemCode};
use time::OffsetDateTime;

use crate::{
    AcmeError, CaProblem, CaSubproblem, FailedName, Failure, exchange::Note, limit::unpause_url,
    retry_after::parse_retry_after, transport::TransportError,
};

/// What we were about when the CA spoke; the same word means different things at different places.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// The directory, or our account.
    Account,
    /// Placing an order.
    NewOrder {
        /// It names a certificate to replace.
        replaces: bool,
        /// It names a profile.
        profile: bool,
    },
    /// Fetching an order, or what belongs to it, by a URL that was stored.
    StoredUrl,
    /// Telling that a challenge can be looked at.
    Answer,
    /// A verdict of the CA on a name, found in a challenge of this kind.
    Validation(ChallengeKind),
    /// Sending the CSR, or the verdict on it.
    Finalize,
}

/// What happens next; see the variants of [`AcmeError`] of the same names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reaction {
    Retry,
    /// The order says how it stands, and so what is to be done.
    LookAtOrder,
    NewOrder,
    NewKey,
    WithoutReplaces,
    WithoutProfile,
    Refused,
    NameRejected,
    Paused,
    NeedsOperator,
}

/// The reaction to a problem, and the kind of problem that it is for a domain.
pub(crate) fn react(stage: Stage, problem: &CaProblem) -> (Reaction, ProblemCode) {
    if let Stage::Validation(kind) = stage {
        return (Reaction::Refused, validation_code(kind, problem));
    }
    let has_named_parts = problem.subproblems.iter().any(|part| part.identifier().is_some());
    match problem.short_kind() {
        "compound" if !problem.subproblems.is_empty() => react(stage, &part(problem, 0)),
        // Some CAs sum up what is wrong with single names so, as RFC 8555 does in section 6.7.1.
        "malformed" if has_named_parts => react(stage, &part(problem, 0)),
        "badNonce" | "serverInternal" => (Reaction::Retry, ProblemCode::CaUnavailable),
        "caa" => (Reaction::Refused, ProblemCode::CaaForbids),
        "rejectedIdentifier" | "unsupportedIdentifier" => {
            (Reaction::NameRejected, ProblemCode::CaRejectedName)
        }
        "accountDoesNotExist"
        | "externalAccountRequired"
        | "userActionRequired"
        | "invalidContact"
        | "unsupportedContact"
        | "conflict" => (Reaction::NeedsOperator, ProblemCode::CaAccount),
        kind => match stage {
            Stage::NewOrder { replaces, profile } => react_to_order(kind, replaces, profile, problem),
            Stage::Finalize => react_to_finalize(kind),
            _ => None,
        }
        .unwrap_or_else(|| react_anywhere(stage, kind, problem)),
    }
}

/// What only the answer to a new order says.
fn react_to_order(
    kind: &str,
    replaces: bool,
    profile: bool,
    problem: &CaProblem,
) -> Option<(Reaction, ProblemCode)> {
    match kind {
        "rateLimited" if unpause_url(problem).is_some() => Some((Reaction::Paused, ProblemCode::CaPaused)),
        // Of another account, or with none of the names, or never issued: the next answer tells whether it was that.
        "alreadyReplaced" | "unauthorized" | "malformed" if replaces => {
            Some((Reaction::WithoutReplaces, ProblemCode::Internal))
        }
        "invalidProfile" if profile => Some((Reaction::WithoutProfile, ProblemCode::Internal)),
        "malformed" if problem.identifier.is_some() => {
            Some((Reaction::NameRejected, ProblemCode::CaRejectedName))
        }
        _ => None,
    }
}

/// What only the answer to a CSR says. CAs look at CAA records and at DNS once more then.
fn react_to_finalize(kind: &str) -> Option<(Reaction, ProblemCode)> {
    match kind {
        "orderNotReady" => Some((Reaction::LookAtOrder, ProblemCode::Internal)),
        "badCSR" | "badPublicKey" => Some((Reaction::NewKey, ProblemCode::Internal)),
        "invalidProfile" => Some((Reaction::WithoutProfile, ProblemCode::Internal)),
        "dns" => Some((Reaction::Refused, ProblemCode::DnsServfail)),
        "connection" | "tls" => Some((Reaction::Refused, ProblemCode::HttpUnreachable)),
        "incorrectResponse" => Some((Reaction::Refused, ProblemCode::HttpWrongResponse)),
        _ => None,
    }
}

fn react_anywhere(stage: Stage, kind: &str, problem: &CaProblem) -> (Reaction, ProblemCode) {
    match kind {
        "rateLimited" => (Reaction::Retry, ProblemCode::CaRateLimited),
        "unauthorized" => (Reaction::NeedsOperator, ProblemCode::CaAccount),
        _ => react_to_status(stage, problem.status.unwrap_or_default()),
    }
}

/// A failed operation as an error of ours.
pub(crate) fn reaction_to_failure(
    stage: Stage,
    error: instant_acme::Error,
    note: Note,
    now: OffsetDateTime,
) -> AcmeError {
    let after = note.retry_after.as_deref().and_then(|value| parse_retry_after(value, now));
    if let Some(problem) = note.problem {
        let retry_after = after.map(time::Duration::whole_seconds);
        return refusal(stage, CaProblem { retry_after, ..problem });
    }
    let error = match error {
        // The answer was a success that holds an error: the order's.
        instant_acme::Error::Api(problem) => return refusal(Stage::Finalize, library_problem(problem)),
        instant_acme::Error::Other(source) => match source.downcast::<TransportError>() {
            Ok(error) => return transport_failure(*error),
            Err(source) => instant_acme::Error::Other(source),
        },
        other => other,
    };
    match (error, note.status) {
        (
            error @ (instant_acme::Error::KeyRejected
            | instant_acme::Error::Crypto
            | instant_acme::Error::Unsupported(_)),
            _,
        ) => AcmeError::NeedsOperator { failure: Failure::caused_by(ProblemCode::CaAccount, error) },
        (instant_acme::Error::Json(_), Some(status)) => {
            let summary = format!("the CA's answer (HTTP status {}) is no ACME document", status.as_u16());
            AcmeError::Retry { after, failure: Failure::found(ProblemCode::CaUnavailable, summary) }
        }
        (error, _) => {
            AcmeError::Retry { after, failure: Failure::caused_by(ProblemCode::CaUnavailable, error) }
        }
    }
}

/// A problem of the CA as an error of ours.
pub(crate) fn refusal(stage: Stage, problem: CaProblem) -> AcmeError {
    let (reaction, code) = react(stage, &problem);
    let after = problem.retry_after.map(time::Duration::seconds);
    let names = failed_names(stage, &problem);
    let unpause_url = unpause_url(&problem).unwrap_or_default();
    let failure = Failure::of_problem(code, problem, names);
    match reaction {
        Reaction::Retry | Reaction::LookAtOrder => AcmeError::Retry { after, failure },
        Reaction::NewOrder => AcmeError::NewOrder { failure },
        Reaction::NewKey => AcmeError::NewKey { failure },
        Reaction::WithoutReplaces => AcmeError::WithoutReplaces { failure },
        Reaction::WithoutProfile => AcmeError::WithoutProfile { failure },
        Reaction::Refused => AcmeError::Refused { failure },
        Reaction::NameRejected => AcmeError::NameRejected { failure },
        Reaction::Paused => AcmeError::Paused { unpause_url, failure },
        Reaction::NeedsOperator => AcmeError::NeedsOperator { failure },
    }
}

/// The verdicts on an order's names as one error of ours; in the words of the first. `None` without any.
pub(crate) fn refusal_of_names(verdicts: Vec<(ChallengeKind, CaProblem)>) -> Option<AcmeError> {
    let names = verdicts.iter().flat_map(|(kind, problem)| failed_names(Stage::Validation(*kind), problem));
    let names = names.collect();
    let (kind, problem) = verdicts.into_iter().next()?;
    let (_, code) = react(Stage::Validation(kind), &problem);
    Some(AcmeError::Refused { failure: Failure::of_problem(code, problem, names) })
}

/// The names that a problem is about, those of its parts if it has any (RFC 8555 section 6.7.1).
fn failed_names(stage: Stage, problem: &CaProblem) -> Vec<FailedName> {
    let failed = |identifier: &str, problem: &CaProblem| FailedName {
        identifier: identifier.to_owned(),
        code: react(stage, problem).1,
        detail: problem.to_string(),
    };
    if let Some(identifier) = &problem.identifier {
        return vec![failed(identifier, problem)];
    }
    let parts = 0..problem.subproblems.len();
    parts
        .filter_map(|index| Some(failed(problem.subproblems[index].identifier()?, &part(problem, index))))
        .collect()
}

/// A part of a problem as a problem of its own.
fn part(problem: &CaProblem, index: usize) -> CaProblem {
    let identifier = problem.subproblems[index].identifier().map(str::to_owned);
    let CaSubproblem { kind, detail, .. } = problem.subproblems[index].clone();
    CaProblem {
        kind,
        detail,
        identifier,
        status: problem.status,
        retry_after: problem.retry_after,
        ..CaProblem::default()
    }
}

fn validation_code(challenge: ChallengeKind, problem: &CaProblem) -> ProblemCode {
    use ChallengeKind::{Dns01, Http01};
    match (challenge, problem.short_kind()) {
        // A compound problem is as bad as its first part.
        (_, "compound") if !problem.subproblems.is_empty() => validation_code(challenge, &part(problem, 0)),
        (Http01, "dns") | (Dns01, "connection" | "tls") => ProblemCode::DnsServfail,
        (Http01, "connection" | "tls") => ProblemCode::HttpUnreachable,
        (Http01, "unauthorized" | "incorrectResponse") => ProblemCode::HttpWrongResponse,
        // The TXT record was not there, or not with our value: it is in our own zone.
        (Dns01, "dns" | "unauthorized" | "incorrectResponse") => ProblemCode::DnsNotPropagated,
        (_, "rateLimited") => ProblemCode::CaRateLimited,
        (_, "caa") => ProblemCode::CaaForbids,
        (_, "rejectedIdentifier" | "unsupportedIdentifier") => ProblemCode::CaRejectedName,
        _ => ProblemCode::CaUnavailable,
    }
}

fn react_to_status(stage: Stage, status: u16) -> (Reaction, ProblemCode) {
    match (stage, status) {
        (_, 429) => (Reaction::Retry, ProblemCode::CaRateLimited),
        (_, 408 | 500..) => (Reaction::Retry, ProblemCode::CaUnavailable),
        (Stage::StoredUrl | Stage::Answer | Stage::Finalize, 404 | 410) => {
            (Reaction::NewOrder, ProblemCode::Internal)
        }
        // What was answered before a crash is not answered twice; the order itself says how it stands.
        (Stage::Answer, _) => (Reaction::Retry, ProblemCode::Internal),
        (Stage::Account, _) => (Reaction::NeedsOperator, ProblemCode::CaAccount),
        _ => (Reaction::NeedsOperator, ProblemCode::Internal),
    }
}

fn transport_failure(error: TransportError) -> AcmeError {
    let needs_operator = matches!(error, TransportError::ForeignUrl(_) | TransportError::Redirected(_));
    let failure = Failure::caused_by(ProblemCode::CaUnavailable, error);
    if needs_operator {
        AcmeError::NeedsOperator { failure }
    } else {
        AcmeError::Retry { after: None, failure }
    }
}

fn library_problem(problem: instant_acme::Problem) -> CaProblem {
    CaProblem {
        kind: problem.r#type.unwrap_or_else(|| "about:blank".to_owned()),
        detail: problem.detail.unwrap_or_default(),
        status: problem.status,
        ..CaProblem::default()
    }
    .cleaned()
}

#[cfg(test)]
#[path = "reaction_tests.rs"]
mod tests;
