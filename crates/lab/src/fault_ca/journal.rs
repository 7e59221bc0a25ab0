//! What was asked of the CA, and what became of it.

use std::fmt;
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::Value;

use super::endpoint::Endpoint;
use super::limits::Limit;
use super::request::Asked;

/// A request, and what became of it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How long after the CA's start it came.
    pub at: Duration,
    /// What was asked.
    pub endpoint: Endpoint,
    /// How it was asked.
    pub method: Method,
    /// The path.
    pub path: String,
    /// The names it was about, as far as they are known.
    pub names: Vec<String>,
    /// What was signed, if it was JSON.
    pub payload: Option<Value>,
    /// What became of it.
    pub outcome: Outcome,
    /// The status of the answer; none where there was none, or is none yet.
    pub status: Option<u16>,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Pebble answered.
    Passed,
    /// A rule acted, in these words.
    Ruled(String),
    /// A limit refused it.
    Limited(Limit),
    /// Pebble did not answer.
    Unreachable,
}

pub(super) struct Journal {
    start: Instant,
    seen: Vec<Seen>,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), seen: Vec::new() }
    }

    /// Notes that this was asked; the answer is its number.
    pub(super) fn note(&mut self, asked: &Asked) -> usize {
        self.seen.push(Seen {
            at: self.start.elapsed(),
            endpoint: asked.endpoint,
            method: asked.parts.method.clone(),
            path: asked.path().to_owned(),
            names: asked.names.clone(),
            payload: asked.payload.clone(),
            outcome: Outcome::Passed,
            status: None,
        });
        self.seen.len() - 1
    }

    pub(super) fn became(&mut self, number: usize, outcome: Outcome) {
        self.seen[number].outcome = outcome;
    }

    pub(super) fn answered(&mut self, number: usize, status: u16) {
        self.seen[number].status = Some(status);
    }

    pub(super) fn seen(&self) -> &[Seen] {
        &self.seen
    }
}

impl fmt::Display for Journal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for seen in &self.seen {
            let status = seen.status.map_or("no answer".to_owned(), |status| status.to_string());
            let (names, outcome) = (seen.names.join(","), &seen.outcome);
            writeln!(
                formatter,
                "{:8.3} s {} {names} {status} {outcome:?}",
                seen.at.as_secs_f64(),
                seen.endpoint
            )?;
        }
        Ok(())
    }
}
