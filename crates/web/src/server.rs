//! All routes behind their layers, and the loop that answers them.

use std::{
    any::Any,
    future::{Future, ready},
    io,
    net::SocketAddr,
    time::Duration,
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header::CONTENT_TYPE};
use tokio::{net::TcpListener, sync::oneshot};
use tower::ServiceBuilder;
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer, timeout::TimeoutLayer};

use crate::{
    Counters, RouteEntry, WebState, access::Routes, api, brand, challenge, dashboard, docs, observe,
    problem::Problem,
};

/// The longest that an answer may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest that a request's body may be, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// How long requests under way may take to end after the signal to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);

/// All routes: API, dashboard, responder, probes.
pub fn router(state: WebState) -> Router {
    let (short, uploads) = guarded_routes().guarded(&state);
    let routes = limited(short.merge(api::description()).merge(challenge::routes()))
        .merge(uploads)
        .fallback(|| ready(Problem::of_status(StatusCode::NOT_FOUND)));
    layered(routes, state)
}

/// Every route of API and dashboard, with what a caller needs for it.
pub fn route_table() -> Vec<RouteEntry> {
    guarded_routes().table()
}

fn guarded_routes() -> Routes {
    api::routes().merge(dashboard::routes()).merge(brand::routes()).merge(docs::routes())
}

/// `/metrics` alone, without asking who calls: for a listener that only those reach who may.
pub fn metrics_router(counters: Counters) -> Router {
    let answer = move || ready(([(CONTENT_TYPE, api::metrics::TEXT)], counters()));
    Router::new().route("/metrics", get(answer))
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
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::select! {
        ended = async { axum::serve(listener, service).with_graceful_shutdown(signal).await } => ended,
        () = drained => Ok(()),
    }
}

/// `routes`, whose requests are short and soon answered.
fn limited(routes: Router<WebState>) -> Router<WebState> {
    let layers = ServiceBuilder::new()
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .layer(DefaultBodyLimit::max(BODY_LIMIT));
    routes.layer(layers)
}

fn layered(routes: Router<WebState>, state: WebState) -> Router {
    let layers = ServiceBuilder::new()
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(state.clone(), observe::observe))
        .layer(CatchPanicLayer::custom(answer_to_panic));
    routes.layer(layers).with_state(state)
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over so")]
fn answer_to_panic(panic: Box<dyn Any + Send>) -> Response {
    let message =
        panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = message.unwrap_or("(no message)"), "a handler panicked");
    Problem::internal().into_response()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use certmill_model::{Chance, NamePolicy, SystemClock, WebhookDestinations};
    use http::Request;
    use http_body_util::BodyExt;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;
    use crate::{Previewer, PublicUrl, WebSettings};

    /// A state whose database does not exist.
    pub(crate) async fn state() -> WebState {
        let store = certmill_store::connect_api("postgres://nobody@127.0.0.1:1/none", 1).await.unwrap();
        let settings = WebSettings {
            public_url: PublicUrl::parse("http://127.0.0.1:8080").unwrap(),
            name_policy: NamePolicy::default(),
            templates: Vec::new(),
            authorities: Vec::new(),
            limits: Vec::new(),
            previewer: Previewer::new(|_| Ok(Vec::new())),
            requests_per_minute: 600,
            trusted_proxies: Vec::new(),
            webhook_destinations: WebhookDestinations::default(),
        };
        WebState::new(store, Arc::new(SystemClock), Arc::new(Chance::seeded(1)), settings)
    }

    async fn problem_at(routes: Router<WebState>) -> Value {
        let request = Request::builder().uri("/").body(Body::empty()).unwrap();
        let answer = layered(limited(routes), state().await).oneshot(request).await.unwrap();
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json");
        serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_answered_in_fixed_words() {
        let routes = Router::new().route("/", get(|| async { assert_eq!("secret", "words") }));
        let problem = problem_at(routes).await;
        assert_eq!((&problem["status"], &problem["code"]), (&500.into(), &"internal".into()));
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_takes_too_long_is_given_up() {
        let slow = || async { tokio::time::sleep(REQUEST_TIMEOUT * 2).await };
        let problem = problem_at(Router::new().route("/", get(slow))).await;
        assert_eq!((&problem["status"], &problem["code"]), (&503.into(), &"timed_out".into()));
    }

    #[tokio::test]
    async fn serving_ends_with_the_signal() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, router(state().await), async { stopped.await.unwrap() }));
        tokio::net::TcpStream::connect(address).await.unwrap();
        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    }
}
