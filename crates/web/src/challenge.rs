//! The http-01 responder: any instance answers any token, from Postgres, with a short memory.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
    routing::get,
};
use certmill_model::ChallengeToken;
use certmill_store::StoreError;
use http::{StatusCode, header::CONTENT_TYPE};
use tokio::time::timeout_at;

use crate::{WebState, problem::Problem};

/// How long an answer is remembered: a CA asks from several places within seconds.
const REMEMBERED: Duration = Duration::from_secs(120);

/// How long an absence of the database is waited out, below the 5 s that load balancers wait; and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(4);
const AGAIN: Duration = Duration::from_millis(250);

/// How tokens begin with which we ask ourselves whether this path leads to us. No CA is told one, and what is answered
/// proves nothing to any.
const PROBE: &str = "certmill-probe-";

/// How many answers are remembered.
const CAPACITY: usize = 10_000;

/// How many answers are looked up at a time.
const TURNS: usize = 64;

/// Where CAs ask (RFC 8555 section 8.3): for any host, without any credentials.
pub(crate) fn routes() -> Router<WebState> {
    Router::new().route("/.well-known/acme-challenge/{token}", get(respond))
}

async fn respond(
    State(state): State<WebState>,
    token: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let token = token.ok().and_then(|Path(token)| ChallengeToken::parse(&token).ok());
    let token = token.ok_or_else(unknown_token)?;
    if token.as_str().starts_with(PROBE) {
        return Ok(answer(format!("{}.certmill", token.as_str())));
    }
    if let Some(key_authorization) = state.challenges.get(&token, Instant::now()) {
        return Ok(answer(key_authorization));
    }
    // A CA asks from several places at once: the first one looks, the others find what it found.
    let until = Instant::now() + PATIENCE;
    let _turn = timeout_at(until.into(), state.challenges.turn(&token).lock()).await;
    if let Some(key_authorization) = state.challenges.get(&token, Instant::now()) {
        return Ok(answer(key_authorization));
    }
    // An unknown token is not remembered: it may be stored a millisecond from now.
    let key_authorization = look_up(&state, &token, until).await?.ok_or_else(unknown_token)?;
    state.challenges.insert(token, key_authorization.clone(), Instant::now());
    Ok(answer(key_authorization))
}

/// A CA that gets an error refuses the order, and the shop waits for its next attempt: a short absence of the database is
/// waited out, as long as load balancers wait for us.
async fn look_up(
    state: &WebState,
    token: &ChallengeToken,
    until: Instant,
) -> Result<Option<String>, StoreError> {
    loop {
        match state.store.key_authorization(token).await {
            Err(_) if Instant::now() + AGAIN < until => tokio::time::sleep(AGAIN).await,
            found => return found,
        }
    }
}

fn answer(key_authorization: String) -> Response {
    ([(CONTENT_TYPE, "application/octet-stream")], key_authorization).into_response()
}

fn unknown_token() -> Problem {
    let detail = "No challenge with this token is under way.";
    Problem::new(StatusCode::NOT_FOUND, "challenge_not_found", "Challenge not found", detail)
}

/// Answers given lately.
pub(crate) struct ChallengeCache {
    entries: Mutex<HashMap<ChallengeToken, (String, Instant)>>,
    turns: [tokio::sync::Mutex<()>; TURNS],
}

impl Default for ChallengeCache {
    fn default() -> Self {
        let turns = std::array::from_fn(|_| tokio::sync::Mutex::default());
        Self { entries: Mutex::default(), turns }
    }
}

impl ChallengeCache {
    /// What those hold who look up `token`, or one of a few others that happen to begin with the same byte.
    fn turn(&self, token: &ChallengeToken) -> &tokio::sync::Mutex<()> {
        let first = token.as_str().as_bytes().first().copied().unwrap_or_default();
        &self.turns[usize::from(first) % TURNS]
    }

    fn get(&self, token: &ChallengeToken, now: Instant) -> Option<String> {
        let entries = self.entries.lock().expect("no holder of this lock panics");
        let (key_authorization, since) = entries.get(token)?;
        (now.duration_since(*since) < REMEMBERED).then(|| key_authorization.clone())
    }

    fn insert(&self, token: ChallengeToken, key_authorization: String, now: Instant) {
        let mut entries = self.entries.lock().expect("no holder of this lock panics");
        if entries.len() >= CAPACITY {
            entries.retain(|_, (_, since)| now.duration_since(*since) < REMEMBERED);
        }
        // Still full: so many are fresh that forgetting them all costs less than choosing among them.
        if entries.len() >= CAPACITY {
            entries.clear();
        }
        entries.insert(token, (key_authorization, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> ChallengeToken {
        ChallengeToken::parse(text).unwrap()
    }

    #[test]
    fn an_answer_is_forgotten_after_two_minutes() {
        let (cache, start) = (ChallengeCache::default(), Instant::now());
        cache.insert(token("a"), "a.thumbprint".into(), start);
        assert_eq!(cache.get(&token("a"), start + Duration::from_secs(119)).as_deref(), Some("a.thumbprint"));
        assert_eq!(cache.get(&token("a"), start + REMEMBERED), None);
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_the_newest() {
        let (cache, start) = (ChallengeCache::default(), Instant::now());
        for number in 0..=CAPACITY {
            cache.insert(token(&number.to_string()), "x".into(), start);
        }
        assert!(cache.entries.lock().unwrap().len() <= CAPACITY);
        assert!(cache.get(&token(&CAPACITY.to_string()), start).is_some());
    }
}
