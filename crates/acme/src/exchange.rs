//! One operation at the CA, with what the protocol library does not hand on: headers, statuses, whole bodies.

use std::{cell::RefCell, sync::Arc};

use bytes::Bytes;
use certmill_model::{Clock, parse_retry_after};
use http::StatusCode;
use time::Duration;

use crate::{AcmeError, CaProblem, reaction::Stage, refusal::reaction_to_failure};

/// The library tries a request three times when its nonce is refused; with this many rounds of it even a CA that
/// refuses a third of all nonces loses one request in 20,000. A request with a bad nonce was not acted upon
/// (RFC 8555 section 6.5), so repeating is safe everywhere.
const BAD_NONCE_ROUNDS: u32 = 3;

/// What the last answer of the CA looked like.
#[derive(Default)]
pub(crate) struct Note {
    pub(crate) status: Option<StatusCode>,
    pub(crate) retry_after: Option<String>,
    pub(crate) nonce: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) problem: Option<CaProblem>,
    pub(crate) body: Bytes,
}

tokio::task_local! {
    static LAST: RefCell<Note>;
}

/// Called by the transport for each answer.
pub(crate) fn record(note: Note) {
    // Outside of `noted` nobody asks.
    let _ = LAST.try_with(|last| last.replace(note));
}

/// The body of the last answer within the running operation.
pub(crate) fn last_body() -> Bytes {
    LAST.try_with(|last| last.borrow().body.clone()).unwrap_or_default()
}

/// Whether the last answer within the running operation was a success.
pub(crate) fn last_was_success() -> bool {
    LAST.try_with(|last| last.borrow().status.is_some_and(|status| status.is_success())).unwrap_or(false)
}

/// The URL of what the last answer within the running operation says to have made.
pub(crate) fn last_created() -> Option<String> {
    let created = |note: &Note| note.location.clone().filter(|_| note.status == Some(StatusCode::CREATED));
    LAST.try_with(|last| created(&last.borrow())).ok().flatten()
}

/// The nonce to go on with where the last answer within the running operation refused one.
pub(crate) fn last_bad_nonce_s_successor() -> Option<String> {
    let successor = |note: &Note| note.nonce.clone().filter(|_| note.has_bad_nonce());
    LAST.try_with(|last| successor(&last.borrow())).ok().flatten()
}

/// Runs an operation (an expression that makes its future), again while the CA refuses its nonces; what fails
/// otherwise becomes the reaction to it. A macro, because the future of an `AsyncFnMut` that borrows is not `Send`.
macro_rules! attempt {
    ($stage:expr, $clock:expr, $operation:expr) => {{
        let mut round = 1;
        loop {
            let (result, note) = $crate::exchange::noted($operation).await;
            if let Some(result) = $crate::exchange::judge($stage, &$clock, &mut round, result, note) {
                break result;
            }
        }
    }};
}
pub(crate) use attempt;

/// An operation's result, with what the last answer looked like.
pub(crate) async fn noted<T>(
    operation: impl Future<Output = Result<T, instant_acme::Error>>,
) -> (Result<T, instant_acme::Error>, Note) {
    let with_note = async {
        let result = operation.await;
        (result, LAST.with(RefCell::take))
    };
    LAST.scope(RefCell::default(), with_note).await
}

/// What became of an operation; `None` when it is to be tried again.
pub(crate) fn judge<T>(
    stage: Stage,
    clock: &Arc<dyn Clock>,
    round: &mut u32,
    result: Result<T, instant_acme::Error>,
    note: Note,
) -> Option<Result<(T, Note), AcmeError>> {
    match result {
        Ok(value) => Some(Ok((value, note))),
        Err(_) if note.has_bad_nonce() && *round < BAD_NONCE_ROUNDS => {
            *round += 1;
            None
        }
        Err(error) => Some(Err(reaction_to_failure(stage, error, note, clock.now()))),
    }
}

impl Note {
    /// The wait that the CA asks for.
    pub(crate) fn wait(&self, clock: &dyn Clock) -> Option<Duration> {
        parse_retry_after(self.retry_after.as_deref()?, clock.now())
    }

    fn has_bad_nonce(&self) -> bool {
        self.problem.as_ref().is_some_and(|problem| problem.short_kind() == "badNonce")
    }
}
