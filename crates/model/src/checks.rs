//! What was seen of a name before anybody asks a CA for it, in a form that is stored and shown.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    ProblemCode,
    status::{UnknownStatus, closed_set},
};

closed_set! {
    /// What is looked at.
    CheckKind {
        /// Its A and AAAA records.
        Addresses = "addresses",
        /// The CNAME record at `_acme-challenge` below it.
        Delegation = "delegation",
        /// The CAA records that rule it (RFC 8659).
        Caa = "caa",
        /// Whether the path of http-01 challenges leads to us.
        Http = "http",
        /// The record by which its owner says which tenant may have it.
        Ownership = "ownership",
    }
}

closed_set! {
    /// What came of a look.
    CheckResult {
        /// It is right.
        Pass = "pass",
        /// It is wrong, and the problem says what mends it.
        Fail = "fail",
        /// It could not be found out, or does not matter now.
        Unknown = "unknown",
    }
}

/// One look at one thing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub kind: CheckKind,
    /// What came of it.
    pub result: CheckResult,
    /// What was seen, as in `shop.example A 192.0.2.7`; empty if nothing was there.
    pub seen: Vec<String>,
    /// Who said so: the address of a name server.
    pub server: Option<String>,
    /// What is wrong, if something is.
    pub problem: Option<Finding>,
}

/// What is wrong with a name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// The kind of problem.
    pub code: ProblemCode,
    /// What was seen, and the exact record that mends it.
    pub detail: String,
}

/// Everything that was seen of a name at one time.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Checks {
    /// The looks, one a kind at most.
    pub looks: Vec<Check>,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub checked_at: OffsetDateTime,
}

impl Check {
    /// A look that found everything right.
    pub fn pass(kind: CheckKind, seen: Vec<String>, server: Option<String>) -> Self {
        Self { kind, result: CheckResult::Pass, seen, server, problem: None }
    }

    /// A look that found something wrong.
    pub fn fail(kind: CheckKind, seen: Vec<String>, server: Option<String>, problem: Finding) -> Self {
        Self { kind, result: CheckResult::Fail, seen, server, problem: Some(problem) }
    }

    /// A look that found nothing out; `why` where somebody should know.
    pub fn unknown(kind: CheckKind, server: Option<String>, why: Option<Finding>) -> Self {
        Self { kind, result: CheckResult::Unknown, seen: Vec::new(), server, problem: why }
    }
}

impl Checks {
    /// The look at `kind`, if there was one.
    pub fn of(&self, kind: CheckKind) -> Option<&Check> {
        self.looks.iter().find(|look| look.kind == kind)
    }

    /// Whether the look at `kind` found everything right.
    pub fn passed(&self, kind: CheckKind) -> bool {
        self.of(kind).is_some_and(|look| look.result == CheckResult::Pass)
    }
}
