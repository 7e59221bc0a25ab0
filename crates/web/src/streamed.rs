//! Bodies that are read from the database piece by piece, while the piece before is sent: nothing is kept.

use std::future::Future;

use axum::body::Body;
use futures_util::stream;

use crate::problem::Problem;

/// Why a body ends early: whoever reads sees the connection break.
#[derive(Debug, thiserror::Error)]
#[error("the answer cannot go on")]
struct Broken;

/// The pieces that `next` reads, beginning at `start`, until it says that nothing comes behind.
pub(crate) fn body<S, F>(start: S, next: impl Fn(S) -> F + Send + 'static) -> Body
where
    S: Send + 'static,
    F: Future<Output = Result<(String, Option<S>), Problem>> + Send + 'static,
{
    Body::from_stream(stream::try_unfold(Some(start), move |place| {
        let piece = place.map(&next);
        async move {
            let Some(piece) = piece else { return Ok(None) };
            piece.await.map(Some).map_err(|problem| {
                let cause = problem.cause.as_deref().map(|cause| cause as &dyn std::error::Error);
                tracing::warn!(cause, "an answer ends early");
                Broken
            })
        }
    }))
}
