//! `Idempotency-Key`: a request that is sent again, because nobody knows what became of it, is done once.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use certmill_model::TokenId;
use certmill_store::{KeyedRequest, Reach, Repeated};
use certmill_vault::ApiToken;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use sha2::{Digest, Sha256};
use tracing::Instrument;

use super::Caller;
use crate::{WebState, problem::Problem};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The longest key, in bytes; the longest body of a request with one, and the longest answer that is kept.
const LONGEST_KEY: usize = 255;
const LONGEST_BODY: usize = 64 * 1024;
const LONGEST_ANSWER: usize = 1024 * 1024;

/// Who sends a request.
pub(super) struct Sender {
    pub(super) state: WebState,
    pub(super) reach: Reach,
    pub(super) token_id: TokenId,
    pub(super) token: ApiToken,
    /// Its requests may be longer than what is read for a comparison.
    pub(super) is_upload: bool,
}

impl Sender {
    /// Answers `request`: once, if it has a key.
    pub(super) async fn answer(self, request: Request, next: Next) -> Response {
        match key(request.headers()) {
            Ok(Some(key)) if request.method() == Method::POST => {
                self.answer_keyed(key, request, next).await.unwrap_or_else(IntoResponse::into_response)
            }
            Ok(_) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    }

    async fn answer_keyed(self, key: String, request: Request, next: Next) -> Result<Response, Problem> {
        if self.is_upload {
            return Err(not_taken());
        }
        let (mut head, body) = request.into_parts();
        let body = to_bytes(body, LONGEST_BODY).await;
        let body = body.map_err(|_| Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE))?;
        let target = head.uri.path_and_query().map_or("", |target| target.as_str());
        let print = print(&head.method, target, &body);
        let started_at = self.state.now();
        let keyed = KeyedRequest { reach: self.reach, token_id: self.token_id, key, print, started_at };
        match self.state.store.begin_keyed(&keyed).await? {
            Repeated::New => {}
            Repeated::AnswerLost => return Err(answer_lost()),
            Repeated::UnderWay => return Err(Problem::under_way()),
            Repeated::Differs => return Err(differs()),
            Repeated::Answered { status, sealed } => return self.replay(&keyed, status, &sealed),
        }
        // Whatever the caller commits says that this request is done.
        if let Some(caller) = head.extensions.get_mut::<Caller>() {
            caller.actor.keyed = Some(keyed.clone());
        }
        let request = Request::from_parts(head, Body::from(body));
        // It goes on when its sender is gone: what it does has its answer for the next one.
        let work = async move { self.keep(keyed, next.run(request).await).await };
        match tokio::spawn(work.in_current_span()).await {
            Ok(answer) => Ok(answer),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Problem::internal()),
        }
    }

    /// Keeps `answer` for the next request with the key; a refusal is not kept: either nothing was done, or that it was stands with
    /// what was done.
    async fn keep(self, keyed: KeyedRequest, answer: Response) -> Response {
        let (head, body) = answer.into_parts();
        let is_done = head.status.is_success() || head.status.is_redirection();
        let kept = to_bytes(body, LONGEST_ANSWER).await;
        let written = match (&kept, is_done) {
            (Ok(body), true) => {
                let plain = plain(&head.headers, body);
                let sealed = self.token.seal_for_holder(&keyed.key, &plain);
                self.state.store.finish_keyed(&keyed, head.status.as_u16() as i16, &sealed).await
            }
            _ => self.state.store.release_keyed(&keyed).await,
        };
        if let Err(error) = written {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "what was answered under a key could not be kept");
        }
        match kept {
            Ok(body) => Response::from_parts(head, Body::from(body)),
            Err(_) => Problem::internal().into_response(),
        }
    }

    fn replay(&self, keyed: &KeyedRequest, status: i16, sealed: &[u8]) -> Result<Response, Problem> {
        let opened = self.token.open_as_holder(&keyed.key, sealed).ok_or_else(Problem::internal)?;
        let answer = read(opened.expose()).ok_or_else(Problem::internal)?;
        let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        Ok((status.ok_or_else(Problem::internal)?, [(REPLAYED, "true")], answer).into_response())
    }
}

/// The key of a request with these headers.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut keys = headers.get_all(KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=LONGEST_KEY).contains(&key.trim().len()));
    if let (Some(key), None) = (key, keys.next()) {
        return Ok(Some(key.trim().to_owned()));
    }
    let detail = "Idempotency-Key is given once, and has 1 to 255 visible characters.";
    Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", "Invalid key", detail))
}

/// What tells one request from another.
fn print(method: &Method, target: &str, body: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [method.as_str().as_bytes(), target.as_bytes(), body] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// Headers, a line each, an empty line, and the body.
fn plain(headers: &HeaderMap, body: &Bytes) -> Vec<u8> {
    let mut plain = Vec::new();
    for (name, value) in headers {
        plain.extend_from_slice(name.as_str().as_bytes());
        plain.push(b':');
        plain.extend_from_slice(value.as_bytes());
        plain.push(b'\n');
    }
    plain.push(b'\n');
    plain.extend_from_slice(body);
    plain
}

fn read(mut plain: &[u8]) -> Option<(HeaderMap, Bytes)> {
    let mut headers = HeaderMap::new();
    loop {
        let end = plain.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = (&plain[..end], &plain[end + 1..]);
        plain = rest;
        if line.is_empty() {
            return Some((headers, Bytes::copy_from_slice(plain)));
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        headers.append(name, HeaderValue::from_bytes(&line[colon + 1..]).ok()?);
    }
}

fn not_taken() -> Problem {
    let detail = "Lines are not kept, so that this address takes no Idempotency-Key. What a line asks for is done once, however \
                  often it is sent.";
    Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_not_taken", "No key here", detail)
}

fn answer_lost() -> Problem {
    let detail = "A request with this Idempotency-Key was done, and its answer is lost. Read what it changed; it is not done again.";
    Problem::new(StatusCode::CONFLICT, "answer_lost", "Done, answer lost", detail)
}

fn differs() -> Problem {
    let detail = "Another request had this Idempotency-Key within the last 24 hours. Give each request a key of its own.";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", "Key of another request", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_kept() {
        let headers = [("content-type", "application/json"), ("set-cookie", "a=1"), ("set-cookie", "b=2")];
        let headers: HeaderMap = headers
            .into_iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let body = Bytes::from_static(b"{\n\n}");
        assert_eq!(read(&plain(&headers, &body)), Some((headers, body)));
        assert_eq!(read(&plain(&HeaderMap::new(), &Bytes::new())), Some((HeaderMap::new(), Bytes::new())));
    }

    #[test]
    fn no_two_requests_have_the_same_print() {
        let of = |method: &Method, target, body| print(method, target, body);
        let one = of(&Method::POST, "/v1/a", b"b");
        assert_eq!(one, of(&Method::POST, "/v1/a", b"b"));
        assert_ne!(one, of(&Method::POST, "/v1/ab", b""));
        assert_ne!(one, of(&Method::POST, "/v1/a?b", b""));
        assert_ne!(one, of(&Method::POST, "/v1/a", b"c"));
    }
}
