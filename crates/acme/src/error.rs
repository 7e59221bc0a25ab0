//! Errors by what happens next.

use std::{error::Error, fmt};

use certmill_model::ProblemCode;
use time::Duration;

use crate::{CaProblem, InvalidKey, LimitHit, directory::is_web_url};

/// Why a step did not succeed. The variant says what to do, the [`Failure`] in it what to tell.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// Repeat the same step: after the time that the CA named, else by the caller's back-off. The order is still good.
    #[error("the CA cannot go on now")]
    Retry {
        /// How long the CA asks us to wait.
        after: Option<Duration>,
        /// What happened.
        #[source]
        failure: Box<Failure>,
    },
    /// The CA is not done yet: look at the order again later. Nothing is wrong.
    #[error("the CA still works on the order")]
    StillProcessing {
        /// How long the CA asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The order is gone or spent through no fault of the name: forget its URL and place a new one.
    #[error("the order cannot be used any more")]
    NewOrder {
        /// What happened.
        #[source]
        failure: Box<Failure>,
    },
    /// The CA does not take the certificate's key, or the request made with it: forget the key, which is never to be
    /// offered again, and place a new order with a new one.
    #[error("the CA does not take the key of the certificate")]
    NewKey {
        /// What happened.
        #[source]
        failure: Box<Failure>,
    },
    /// The CA does not take the order as a replacement of the certificate named in it; somebody may have replaced that
    /// already. Unless it was an order of ours, place it again without [`crate::PlaceOrder::replaces`].
    #[error("the CA does not take the order as a replacement")]
    WithoutReplaces {
        /// What happened.
        #[source]
        failure: Box<Failure>,
    },
    /// The CA does not offer the profile, or not any more: place the order without it if that will do, after opening
    /// the client anew.
    #[error("the CA does not offer the profile")]
    WithoutProfile {
        /// What happened.
        #[source]
        failure: Box<Failure>,
    },
    /// The CA looked at the name and did not like what it saw. The order is over; its owner must mend something, and a
    /// new order makes sense only by slow back-off.
    #[error("the CA could not validate the name")]
    Refused {
        /// What happened.
        #[source]
        failure: Box<Failure>,
    },
    /// This CA will not certify the name, however often it is asked.
    #[error("the CA does not certify the name")]
    NameRejected {
        /// What happened.
        #[source]
        failure: Box<Failure>,
    },
    /// The CA takes no more orders for the name from this account, because too many have failed. Stop trying: no time
    /// ends this, but an operator who opens the page once the cause is mended.
    #[error("the CA has paused the name for this account")]
    Paused {
        /// The page of the CA, an `https://` URL. Whoever has it can end the pause.
        unpause_url: String,
        /// What happened.
        #[source]
        failure: Box<Failure>,
    },
    /// An operator must act: the account, our software or the CA is at fault, and repeating helps nothing.
    #[error("an operator must look at the CA's answer")]
    NeedsOperator {
        /// What happened.
        #[source]
        failure: Box<Failure>,
    },
}

/// A name that the CA did not certify, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FailedName {
    /// The name; a wildcard's begins with `*.`.
    pub identifier: String,
    /// The kind of problem that the domain shows for it.
    pub code: ProblemCode,
    /// The CA's words about this name.
    pub detail: String,
}

/// What happened at the CA, for people.
#[derive(Debug)]
pub struct Failure {
    /// The kind of problem that a domain shows for it.
    pub code: ProblemCode,
    /// The CA's own words, if it said anything.
    pub problem: Option<CaProblem>,
    /// The names that failed, as far as the CA told them; the others of the order did nothing wrong.
    pub names: Vec<FailedName>,
    summary: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl AcmeError {
    /// What happened; `None` while the CA still works.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::StillProcessing { .. } => None,
            Self::Retry { failure, .. }
            | Self::NewOrder { failure }
            | Self::NewKey { failure }
            | Self::WithoutReplaces { failure }
            | Self::WithoutProfile { failure }
            | Self::Refused { failure }
            | Self::NameRejected { failure }
            | Self::Paused { failure, .. }
            | Self::NeedsOperator { failure } => Some(failure),
        }
    }

    /// The CA's own words, if it said anything.
    pub fn problem(&self) -> Option<&CaProblem> {
        self.failure()?.problem.as_ref()
    }

    /// The names that failed, as far as the CA told them.
    pub fn failed_names(&self) -> &[FailedName] {
        self.failure().map_or(&[], |failure| &failure.names)
    }

    /// The kind of problem that a domain shows for it.
    pub fn problem_code(&self) -> ProblemCode {
        self.failure().map_or(ProblemCode::CaUnavailable, |failure| failure.code)
    }

    /// Whether the CA itself is in trouble: it does not answer, or with a 5xx status, or with what is no ACME. That is
    /// what a circuit breaker counts. Being refused by a limit is no trouble of the CA.
    pub fn is_ca_side(&self) -> bool {
        match self {
            Self::Retry { failure, .. } => failure.code == ProblemCode::CaUnavailable,
            other => other.problem().is_some_and(|problem| problem.short_kind() == "serverInternal"),
        }
    }

    /// The limit of the CA that was reached, where it was one: what counts against it is to be held until the time of
    /// [`AcmeError::Retry`], and nothing else.
    pub fn limit_hit(&self) -> Option<LimitHit> {
        match self {
            Self::Retry { failure, .. } if failure.code == ProblemCode::CaRateLimited => {
                failure.problem.as_ref().map(LimitHit::of)
            }
            _ => None,
        }
    }

    /// The page of the CA where an operator has something to do, an `https://` URL.
    pub fn operator_url(&self) -> Option<&str> {
        match self {
            Self::Paused { unpause_url, .. } => Some(unpause_url),
            Self::NeedsOperator { failure } => {
                failure.problem.as_ref()?.instance.as_deref().filter(|url| is_web_url(url))
            }
            _ => None,
        }
    }

    /// One sentence for people: the CA's words where there are any.
    pub fn detail(&self) -> String {
        self.failure().map_or_else(|| self.to_string(), ToString::to_string)
    }
}

impl From<InvalidKey> for AcmeError {
    fn from(invalid: InvalidKey) -> Self {
        Self::NeedsOperator { failure: Failure::caused_by(ProblemCode::CaAccount, invalid) }
    }
}

impl Failure {
    /// What the CA answered.
    pub(crate) fn of_problem(code: ProblemCode, problem: CaProblem, names: Vec<FailedName>) -> Box<Self> {
        Box::new(Self { code, summary: problem.to_string(), problem: Some(problem), names, source: None })
    }

    /// What we found out ourselves.
    pub(crate) fn found(code: ProblemCode, summary: impl Into<String>) -> Box<Self> {
        Box::new(Self { code, summary: summary.into(), problem: None, names: Vec::new(), source: None })
    }

    /// What we found out ourselves about one name.
    pub(crate) fn about(identifier: &str, code: ProblemCode, summary: String) -> Box<Self> {
        let name = FailedName { identifier: identifier.to_owned(), code, detail: summary.clone() };
        Box::new(Self { code, summary, problem: None, names: vec![name], source: None })
    }

    pub(crate) fn caused_by(code: ProblemCode, source: impl Error + Send + Sync + 'static) -> Box<Self> {
        let summary = source.to_string();
        Box::new(Self {
            code,
            summary,
            problem: None,
            names: Vec::new(),
            source: source.source().is_some().then(|| Box::new(source) as _),
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref()?.source()
    }
}
