//! All routes behind their layers, and the loop that answers them.

use std::{any::Any, future::Future, io, time::Duration};

use axum::{Router, extract::DefaultBodyLimit, middleware, response::Response};
use http::StatusCode;
use tokio::{net::TcpListener, sync::oneshot};
use tower::ServiceBuilder;
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer, timeout::TimeoutLayer};

use crate::{WebState, api, challenge, dashboard, observe, problem::Problem};

/// The longest that an answer may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest that a request's body may be, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// How long requests under way may take to end after the signal to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);

/// All routes: API, dashboard, responder, probes.
pub fn router(state: WebState) -> Router {
    let layers = ServiceBuilder::new()
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(state.clone(), observe::observe))
        .layer(CatchPanicLayer::custom(answer_to_panic))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .layer(DefaultBodyLimit::max(BODY_LIMIT));
    Router::new()
        .merge(api::routes())
        .merge(challenge::routes())
        .merge(dashboard::routes())
        .fallback(Problem::no_such_page)
        .layer(layers)
        .with_state(state)
}

/// Answers requests on `listener` until `shutdown` completes and the requests under way have ended.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let signal = async move {
        shutdown.await;
        // Nobody listens any more only when the server has ended by itself.
        let _ = stopping.send(());
    };
    let drained = async {
        match stopped.await {
            Ok(()) => tokio::time::sleep(DRAIN_TIMEOUT).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = async { axum::serve(listener, router).with_graceful_shutdown(signal).await } => ended,
        () = drained => Ok(()),
    }
}

fn answer_to_panic(panic: Box<dyn Any + Send>) -> Response {
    let message =
        panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = message.unwrap_or("(no message)"), "a handler panicked");
    axum::response::IntoResponse::into_response(Problem::internal())
}
