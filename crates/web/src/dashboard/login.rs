//! In by a password or a one-time link, out by a button.

use axum::{
    Form,
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
};
use certmill_model::EmailAddress;
use certmill_store::{Credentials, SessionOrigin};
use certmill_vault::{ApiToken, Password};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{SET_COOKIE, USER_AGENT},
};
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    pages::{self, LinkPage, LoginPage, StaleLinkPage},
    session,
};
use crate::{
    WebState,
    access::{Caller, PeerAddress, account_key, attempt, origin_key},
    problem::Problem,
};

/// Characters that are kept of what a browser calls itself.
const LONGEST_AGENT: usize = 200;

/// Where somebody wanted to go who had to log in first.
#[derive(Deserialize)]
pub(super) struct Destination {
    #[serde(default)]
    next: String,
}

/// What somebody typed. Without `Debug`.
#[derive(Deserialize)]
pub(super) struct LoginForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

/// The form for address and password.
pub(super) async fn ask(Query(to): Query<Destination>) -> Response {
    pages::answer(StatusCode::OK, &LoginPage { next: &to.next, email: "", fault: None })
}

/// Opens a session for who knows a password.
pub(super) async fn open(
    State(state): State<WebState>,
    peer: PeerAddress,
    headers: HeaderMap,
    Form(form): Form<LoginForm>,
) -> Result<Response, Problem> {
    let email = EmailAddress::parse(form.email.trim()).ok();
    let keys = throttle_keys(email.as_ref(), peer);
    // Before the password is compared: many that come at the same time do not pass before the first is counted.
    let attempt = match attempt(&state, &keys).await? {
        Ok(attempt) => attempt,
        Err(until) => {
            return Ok(refuse(StatusCode::TOO_MANY_REQUESTS, &form, &wait_words(until, state.now())));
        }
    };
    let found = match &email {
        Some(email) => state.store.credentials(email).await?,
        None => None,
    };
    if let Some(user) = matching(&state, found, form.password.clone()).await? {
        state.store.login_succeeded(&attempt, &keys[0]).await?;
        let id = ApiToken::generate();
        let origin = session_origin(peer, &headers);
        state.store.open_session(user.user_id, &id.hash(), &origin, state.now(), session::LASTS).await?;
        tracing::info!(user = %user.user_id, "a session was opened");
        return Ok(opened(&state, &id, local_path(&form.next)));
    }
    let words = "Address and password do not belong together. Check both, or ask for a new password below.";
    Ok(refuse(StatusCode::UNPROCESSABLE_ENTITY, &form, words))
}

/// Shows a button: programs that look into links in mails and chats must not use the link up.
pub(super) async fn ask_by_link(Path(link): Path<String>) -> Response {
    match ApiToken::parse(&link) {
        Ok(link) => pages::answer(StatusCode::OK, &LinkPage { link: link.expose() }),
        Err(_) => stale(),
    }
}

/// Opens a session for the link, which is used up by it.
pub(super) async fn open_by_link(
    State(state): State<WebState>,
    Path(link): Path<String>,
) -> Result<Response, Problem> {
    let Ok(link) = ApiToken::parse(&link) else { return Ok(stale()) };
    let id = ApiToken::generate();
    if !state.store.log_in(&link.hash(), &id.hash(), state.now(), session::LASTS).await? {
        return Ok(stale());
    }
    tracing::info!("a session was opened by a link");
    Ok(opened(&state, &id, "/"))
}

/// Ends the session.
pub(super) async fn close(State(state): State<WebState>, caller: Caller) -> Result<Response, Problem> {
    if let Some(session) = caller.session() {
        state.store.log_out(session).await?;
    }
    let cookie = session::no_cookie(&state.settings.public_url);
    Ok(([(SET_COOKIE, cookie)], Redirect::to("/login")).into_response())
}

/// The user, if `typed` is the password. It takes as long when there is no such user.
async fn matching(
    state: &WebState,
    found: Option<Credentials>,
    typed: String,
) -> Result<Option<Credentials>, Problem> {
    let _place = state.passwords.acquire().await.map_err(|_| Problem::internal())?;
    let compared = tokio::task::spawn_blocking(move || {
        let matches = Password::typed(typed).matches(found.as_ref().map(|user| user.password_hash.as_str()));
        found.filter(|_| matches)
    });
    compared.await.map_err(|_| Problem::internal())
}

/// What attempts are counted under: the account first, then where they come from.
fn throttle_keys(email: Option<&EmailAddress>, peer: PeerAddress) -> Vec<String> {
    email.map(account_key).into_iter().chain(origin_key("address", peer)).collect()
}

/// Where a session is opened from, for its owner to know it by.
fn session_origin(peer: PeerAddress, headers: &HeaderMap) -> SessionOrigin {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    SessionOrigin {
        address: peer.0.map(|address| address.to_string()),
        agent: agent.map(|agent| agent.chars().take(LONGEST_AGENT).collect()),
    }
}

fn opened(state: &WebState, id: &ApiToken, path: &str) -> Response {
    let cookie: HeaderValue = session::cookie(id, &state.settings.public_url);
    ([(SET_COOKIE, cookie)], Redirect::to(path)).into_response()
}

/// A path of ours: nobody is sent elsewhere by an address that somebody made up.
pub(super) fn local_path(next: &str) -> &str {
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_plain && next.starts_with('/') && !next.starts_with("//") { next } else { "/" }
}

fn refuse(status: StatusCode, form: &LoginForm, fault: &str) -> Response {
    pages::answer(status, &LoginPage { next: &form.next, email: &form.email, fault: Some(fault) })
}

fn wait_words(until: OffsetDateTime, now: OffsetDateTime) -> String {
    let seconds = (until - now).whole_seconds() + 1;
    format!("Too many attempts failed. The next one is taken in {seconds} seconds.")
}

fn stale() -> Response {
    pages::answer(StatusCode::GONE, &StaleLinkPage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_logging_in_nobody_is_led_to_another_site() {
        assert_eq!(local_path("/domains?q=a%20b"), "/domains?q=a%20b");
        for foreign in
            ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\r\nSet-Cookie: x"]
        {
            assert_eq!(local_path(foreign), "/", "{foreign}");
        }
    }
}
