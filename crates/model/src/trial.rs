//! What came of trying an nginx template before it is published.

use serde::{Deserialize, Serialize};

/// What came of a trial.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct TrialOutcome {
    /// Whether it may be published.
    pub passed: bool,
    /// The names it was rendered for.
    pub samples: Vec<String>,
    /// What differs from what is published, as `diff -u` writes it; empty: nothing.
    pub diff: String,
    /// The load balancer whose nginx was asked; `None`: there was none to ask.
    pub tested_on: Option<String>,
    /// What is wrong, in the words of nginx where it is the one to complain.
    pub words: Option<String>,
    /// Where nginx says that it is wrong.
    pub place: Option<TrialPlace>,
}

/// A place in a rendered file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TrialPlace {
    /// The file's path in the release.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// What stands there.
    pub text: String,
}
