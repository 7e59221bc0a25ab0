//! A stream of server-sent events, as a program reads it.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::Bench;

/// Ample: what is waited for comes at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open stream.
pub(crate) struct Stream {
    body: Body,
    text: String,
    /// Its events have ids, to go on behind.
    is_feed: bool,
}

/// What came.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl Bench {
    /// Opens the stream of events at `path`, perhaps behind an event.
    pub(crate) async fn follow(&self, token: &str, path: &str, last: Option<&str>) -> Stream {
        let mut stream = self.open(token, path, last).await;
        // It is open, and hears what happens from now on.
        assert!(stream.block().await.expect("a first sign of life").contains("events follow"));
        stream.is_feed = true;
        stream
    }

    /// Opens the stream at `path`.
    pub(crate) async fn open(&self, token: &str, path: &str, last: Option<&str>) -> Stream {
        let mut request = Request::builder()
            .uri(path)
            .header(header::HOST, "127.0.0.1:8080")
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/event-stream");
        Stream { body: answer.into_body(), text: String::new(), is_feed: false }
    }

    /// Gives all events their places in the feed, as the engine does.
    pub(crate) async fn place_events(&self) {
        while self.engine.place_events(&self.chance, self.now()).await.unwrap().is_more {}
    }
}

impl Stream {
    /// The next event; `None`: the stream is over.
    pub(crate) async fn next(&mut self) -> Option<Sent> {
        loop {
            let block = self.block().await?;
            let field = |name: &str| {
                let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                line.map(|value| value.trim_start().to_owned())
            };
            if let (Some(kind), Some(data)) = (field("event"), field("data")) {
                let id = field("id");
                assert!(id.is_some() || !self.is_feed, "who reads on behind an event needs its id: {block}");
                let id = id.unwrap_or_default();
                return Some(Sent { id, kind, data: serde_json::from_str(&data).unwrap() });
            }
        }
    }

    /// The text up to the next empty line.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("news in time")?;
            let bytes = frame.unwrap().into_data().expect("data");
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }
}
