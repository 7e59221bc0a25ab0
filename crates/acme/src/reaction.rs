//! What to do about what a CA said: one table.

use certmill_model::{ChallengeKind, ProblemCode};

use crate::{CaProblem, CaSubproblem, limit::unpause_url};

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
    Finalize {
        /// The order is known to have named a profile.
        profile: bool,
    },
    /// Revoking a certificate.
    Revocation,
}

impl Stage {
    /// The stage of the CA's verdict on the order that this one is about.
    pub(crate) fn verdict(self) -> Self {
        match self {
            Self::NewOrder { profile, .. } | Self::Finalize { profile } => Self::Finalize { profile },
            _ => Self::Finalize { profile: false },
        }
    }
}

/// What happens next; see the variants of [`crate::AcmeError`] of the same names.
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
            Stage::Finalize { profile } => react_to_finalize(kind, profile),
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
fn react_to_finalize(kind: &str, profile: bool) -> Option<(Reaction, ProblemCode)> {
    match kind {
        "orderNotReady" => Some((Reaction::LookAtOrder, ProblemCode::Internal)),
        "badCSR" | "badPublicKey" => Some((Reaction::NewKey, ProblemCode::Internal)),
        "invalidProfile" if profile => Some((Reaction::WithoutProfile, ProblemCode::Internal)),
        // To leave out what was not there would go in a circle; a new order says more, and waits longer each time.
        "invalidProfile" => Some((Reaction::NewOrder, ProblemCode::Internal)),
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

/// A part of a problem as a problem of its own.
pub(crate) fn part(problem: &CaProblem, index: usize) -> CaProblem {
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
        (Stage::StoredUrl | Stage::Answer | Stage::Finalize { .. }, 404 | 410) => {
            (Reaction::NewOrder, ProblemCode::Internal)
        }
        // What was answered before a crash is not answered twice; the order itself says how it stands.
        (Stage::Answer, _) => (Reaction::Retry, ProblemCode::Internal),
        (Stage::Account, _) => (Reaction::NeedsOperator, ProblemCode::CaAccount),
        _ => (Reaction::NeedsOperator, ProblemCode::Internal),
    }
}

#[cfg(test)]
#[path = "reaction_tests.rs"]
mod tests;
