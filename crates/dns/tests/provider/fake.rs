//! A fake of a provider's API: an HTTP server with a state, which can be told to have a bad day.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use certmill_dns::{DnsProvider, ProviderError, TxtRecord};
use http::{StatusCode, header, request::Parts};
use tokio::{net::TcpListener, task::JoinHandle};

/// What a provider's fake keeps and knows.
pub(crate) trait Api: Send + 'static {
    fn answer(&mut self, request: &Parts, body: &[u8]) -> Response;

    /// What it says to those who ask too often.
    fn too_many_requests(&self) -> Response;
}

#[derive(Clone, Copy)]
pub(crate) enum Mood {
    Well,
    RateLimited,
    /// HTTP status 503, in the middle of a deployment.
    Down,
    /// A page for people, with this status: a relay in between, or a login page.
    Html(StatusCode),
    /// JSON or XML, but not what it should be.
    Nonsense(&'static str),
    /// A body that never ends.
    Endless,
    Redirect,
    Hanging,
}

/// A running fake; it ends when it is dropped.
pub(crate) struct Fake<A> {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<(A, Mood)>>,
    server: JoinHandle<()>,
}

impl<A: Api> Fake<A> {
    pub(crate) async fn start(make: impl FnOnce(SocketAddr) -> A) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new((make(address), Mood::Well)));
        let router = Router::new().fallback(answer::<A>).with_state(Arc::clone(&state));
        let server = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { address, state, server }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn feels(&self, mood: Mood) {
        self.lock().1 = mood;
    }

    pub(crate) fn with<T>(&self, use_it: impl FnOnce(&mut A) -> T) -> T {
        use_it(&mut self.lock().0)
    }

    fn lock(&self) -> MutexGuard<'_, (A, Mood)> {
        self.state.lock().unwrap()
    }
}

impl<A> Drop for Fake<A> {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(crate) fn reply(status: u16, content_type: &str, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

async fn answer<A: Api>(State(state): State<Arc<Mutex<(A, Mood)>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let mood = state.lock().unwrap().1;
    match mood {
        // Time for others to come in between a reading and a writing.
        Mood::Well => {
            let response = state.lock().unwrap().0.answer(&parts, &body);
            tokio::task::yield_now().await;
            response
        }
        Mood::RateLimited => state.lock().unwrap().0.too_many_requests(),
        Mood::Down => reply(503, "text/plain", "upstream connect error".to_owned()),
        Mood::Html(status) => reply(status.as_u16(), "text/html", "<html><p>Please log in".to_owned()),
        Mood::Nonsense(text) => reply(200, "application/json", text.to_owned()),
        Mood::Endless => {
            let chunks = futures_util::stream::repeat_with(|| {
                Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 4_096]))
            });
            Response::new(Body::from_stream(chunks))
        }
        Mood::Redirect => {
            (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.1:9/secret")]).into_response()
        }
        Mood::Hanging => std::future::pending().await,
    }
}

/// Whatever a server does that does not concern the request: it is tried again, soon enough, and says what happened.
pub(crate) async fn bad_days_are_reasons_to_try_again<A: Api>(
    fake: &Fake<A>,
    provider: &dyn DnsProvider,
    record: TxtRecord<'_>,
) {
    let moods = [
        (Mood::Down, "503"),
        (Mood::Html(StatusCode::BAD_GATEWAY), "502"),
        (Mood::Html(StatusCode::OK), "200"),
        (Mood::Html(StatusCode::FORBIDDEN), "403"),
        (Mood::Nonsense(""), "200"),
        (Mood::Nonsense("null"), "200"),
        (Mood::Nonsense("[[[[[[[[[[[["), "200"),
        (Mood::Nonsense("{\"result\":7,\"errors\":{}}"), "200"),
        (Mood::Nonsense("<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"aaaa\">]><a>&a;</a>"), "200"),
        (Mood::Endless, "longer than 1 MiB"),
        (Mood::Redirect, "302"),
        (Mood::Hanging, "did not answer within 2 s"),
    ];
    for (mood, words) in moods {
        fake.feels(mood);
        for result in [provider.present(record).await, provider.remove(record).await] {
            let error = result.unwrap_err();
            assert!(matches!(error, ProviderError::Retry { after: None, .. }), "{error:?}");
            assert!(error.to_string().contains(words), "{error} instead of {words}");
        }
    }
    fake.feels(Mood::Well);
    provider.present(record).await.unwrap();
    provider.remove(record).await.unwrap();
}
