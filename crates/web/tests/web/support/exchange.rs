//! Requests and answers, short to write.

use std::net::SocketAddr;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::ConnectInfo,
};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tower::ServiceExt;

use super::Bench;

/// A request that is being put together.
pub(crate) struct Call<'a> {
    router: &'a Router,
    request: http::request::Builder,
    body: Body,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Bench {
    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        Call::new(&self.router, Method::GET, path)
    }

    pub(crate) fn put(&self, path: &str) -> Call<'_> {
        Call::new(&self.router, Method::PUT, path)
    }

    pub(crate) fn patch(&self, path: &str) -> Call<'_> {
        Call::new(&self.router, Method::PATCH, path)
    }

    pub(crate) fn delete(&self, path: &str) -> Call<'_> {
        Call::new(&self.router, Method::DELETE, path)
    }

    /// A form on one of our own pages.
    pub(crate) fn post(&self, path: &str) -> Call<'_> {
        Call::new(&self.router, Method::POST, path).header("origin", "http://127.0.0.1:8080")
    }

    /// Sends `lines` for the holder of `token`; the id of the operation.
    pub(crate) async fn bulk(&self, token: &str, lines: &[&str]) -> String {
        let call = self.post("/v1/bulk").token(token).header("content-type", "application/x-ndjson");
        let answer = call.body(lines.join("\n")).send().await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
        answer.json()["id"].as_str().expect("an operation").to_owned()
    }

    /// Registers `name` for the holder of `token`.
    pub(crate) async fn register(&self, token: &str, name: &str) {
        let answer = self.put(&format!("/v1/domains/{name}")).token(token).send().await;
        assert!(answer.status.is_success(), "{name}: {}", answer.text);
    }
}

impl<'a> Call<'a> {
    pub(crate) fn new(router: &'a Router, method: Method, path: &str) -> Self {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:8080");
        Self { router, request, body: Body::empty() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// As from a peer with this address.
    pub(crate) fn from(mut self, peer: &str) -> Self {
        self.request = self.request.extension(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 4711)));
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn cookie(self, cookie: &str) -> Self {
        self.header("cookie", cookie).header("accept", "text/html")
    }

    /// The fields of a form.
    pub(crate) fn form(self, fields: &[(&str, &str)]) -> Self {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs: Vec<_> =
            fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        self.header("content-type", "application/x-www-form-urlencoded").body(pairs.join("&"))
    }

    pub(crate) fn json(self, body: impl Into<Body>) -> Self {
        self.header("content-type", "application/json").body(body)
    }

    pub(crate) fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) async fn send(self) -> Answer {
        let request = self.request.body(self.body).unwrap();
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        // A stream of events has no end.
        let is_stream = head.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let bytes = if is_stream { Bytes::default() } else { body.collect().await.unwrap().to_bytes() };
        let is_picture =
            head.headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"image/"));
        let text = match String::from_utf8(bytes.to_vec()) {
            Err(error) if is_picture => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            text => text.unwrap(),
        };
        Answer { status: head.status, headers: head.headers, text }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The `code` of an error, which must have the one form of all errors.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        for member in ["type", "title", "detail", "instance"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {problem}");
        }
        problem["code"].as_str().expect("a code").to_owned()
    }

    /// What is shown once on this page, to be copied.
    #[track_caller]
    pub(crate) fn shown_once(&self) -> &str {
        let (_, rest) = self.text.split_once("<code class=\"copy\">").expect("something to copy");
        rest.split('<').next().unwrap_or_default()
    }

    /// What forms on this page prove with that they are ours.
    #[track_caller]
    pub(crate) fn csrf(&self) -> &str {
        let form = self.text.split_once("name=\"csrf\" value=\"");
        let (_, rest) = form.unwrap_or_else(|| panic!("no page with a form: {} {}", self.status, self.text));
        rest.split('"').next().unwrap_or_default()
    }

    /// The cookie that was set, as a browser sends it back.
    pub(crate) fn set_cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
    }

    /// Every cookie that was set, as a browser sends them back.
    pub(crate) fn all_cookies(&self) -> String {
        let set = self.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
        set.filter_map(|cookie| cookie.split(';').next()).collect::<Vec<_>>().join("; ")
    }
}
