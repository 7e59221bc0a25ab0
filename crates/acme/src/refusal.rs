//! What a CA refused, as errors of ours.

use certmill_model::{ChallengeKind, ProblemCode, parse_retry_after};
use time::OffsetDateTime;

use crate::{
    AcmeError, CaProblem, FailedName, Failure,
    exchange::Note,
    limit::unpause_url,
    reaction::{Reaction, Stage, part, react},
    transport::TransportError,
};

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
        instant_acme::Error::Api(problem) => return refusal(stage.verdict(), library_problem(problem)),
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
#[path = "refusal_tests.rs"]
mod tests;
