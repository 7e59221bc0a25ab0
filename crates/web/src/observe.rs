//! Around every request: its id, its line in the log, the form of its errors, the headers of its answer.

use std::{error::Error, fmt::Write, time::Instant};

use axum::{
    Json,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use certmill_model::Id;
use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{
        ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
        RETRY_AFTER, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    },
};
use tracing::Instrument;

use crate::{PublicUrl, WebState, brand::Face, dashboard, problem::Problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Nothing inline, nothing from elsewhere, nothing made of text.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Handles `request` with its id in every line of the log, and finishes the answer.
pub(crate) async fn observe(State(state): State<WebState>, mut request: Request, next: Next) -> Response {
    let request_id = request_id(request.headers(), &state);
    request.extensions_mut().insert(RequestId(request_id.clone()));
    let (uri, wants_html) = (request.uri().clone(), wants_html(request.uri(), request.headers()));
    let theme = dashboard::theme(request.headers());
    let path = logged_path(&uri).to_owned();
    let span = tracing::info_span!("request", request_id, method = %request.method(), path);
    let started = Instant::now();
    async move {
        let mut response = next.run(request).await;
        if let Some(problem) = problem_of(&response) {
            log(&problem);
            let face = response.extensions().get::<Face>();
            let page = wants_html.then(|| dashboard::error_page(&problem, &request_id, theme, face));
            let told = Told { url: &state.settings.public_url, path: uri.path(), request_id: &request_id };
            response = with_problem(&response, &problem, &told, page);
        }
        finish(response.headers_mut(), &request_id, state.settings.public_url.is_https());
        let milliseconds = started.elapsed().as_millis() as u64;
        let status = response.status().as_u16();
        // CAs ask several times for each certificate; that is not news.
        if uri.path().starts_with("/.well-known/") {
            tracing::debug!(status, milliseconds, "answered");
        } else {
            tracing::info!(status, milliseconds, "answered");
        }
        response
    }
    .instrument(span)
    .await
}

/// The caller's own id, if it is a plain word, or else a new one.
fn request_id(headers: &HeaderMap, state: &WebState) -> String {
    let plain = |id: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        (1..=64).contains(&id.len()) && id.bytes().all(allowed)
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(plain);
    given.map_or_else(|| Id::<RequestKind>::new(&state.chance, state.now()).to_string(), str::to_owned)
}

enum RequestKind {}
impl certmill_model::IdKind for RequestKind {
    const PREFIX: &'static str = "req";
}

/// The id of a request, for whoever handles it.
#[derive(Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// The path without what is secret in it: a link that opens something is as good as a password.
fn logged_path(uri: &Uri) -> &str {
    const SECRET: [(&str, &str); 4] = [
        ("/login/", "/login/…"),
        ("/password/", "/password/…"),
        ("/setup/", "/setup/…"),
        ("/unsubscribe/", "/unsubscribe/…"),
    ];
    let found = SECRET.iter().find(|(secret, _)| uri.path().starts_with(secret));
    found.map_or(uri.path(), |(_, shown)| *shown)
}

/// Whether an error is to be a page: not for programs, which ask below `/v1` or do not ask for HTML.
fn wants_html(uri: &Uri, headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    !uri.path().starts_with("/v1/") && accepts.contains("text/html")
}

/// The problem that a handler answered with, or one that stands for an error some layer made by itself.
fn problem_of(response: &Response) -> Option<Problem> {
    let status = response.status();
    let handled = response.extensions().get::<Problem>().cloned();
    let is_page = || response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == dashboard::HTML);
    let foreign = (status.is_client_error() || status.is_server_error()) && !is_page();
    handled.or_else(|| foreign.then(|| Problem::of_status(status)))
}

fn log(problem: &Problem) {
    let Some(cause) = &problem.cause else { return };
    let cause = chain(cause.as_ref());
    if problem.status == http::StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(cause, "the database is away");
    } else {
        tracing::error!(cause, "a request failed");
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        write!(text, ": {error}").expect("a String takes all that is written to it");
        source = error.source();
    }
    text
}

/// What an answer that tells of a problem says beside it.
struct Told<'a> {
    url: &'a PublicUrl,
    path: &'a str,
    request_id: &'a str,
}

fn with_problem(bare: &Response, problem: &Problem, told: &Told<'_>, page: Option<Response>) -> Response {
    let mut response = page.unwrap_or_else(|| {
        let wait = bare.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let document = problem.document(told.url, told.path, told.request_id, wait);
        let mut response = Json(document).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    });
    *response.status_mut() = problem.status;
    for (name, value) in bare.headers() {
        if *name != CONTENT_TYPE && *name != CONTENT_LENGTH {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn finish(headers: &mut HeaderMap, request_id: &str, https: bool) {
    let id = HeaderValue::from_str(request_id).expect("a request id is made of plain characters");
    headers.insert(REQUEST_ID, id);
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Not `no-referrer`: with that a browser sends `Origin: null` with our own forms.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if https {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_link_is_not_logged() {
        assert_eq!(logged_path(&Uri::from_static("/login/certmill_secret")), "/login/…");
        assert_eq!(logged_path(&Uri::from_static("/v1/domains/a.example?cursor=x")), "/v1/domains/a.example");
    }
}
