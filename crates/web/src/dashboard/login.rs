//! In by a one-time link, out by a button.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use certmill_vault::ApiToken;
use http::{HeaderMap, StatusCode, Uri, header::SET_COOKIE};

use super::{
    pages::{self, LoginPage, StaleLinkPage},
    session::{self, Session},
};
use crate::{WebState, problem::Problem};

/// Shows a button: programs that look into links in mails and chats must not use the link up.
pub(super) async fn ask(Path(link): Path<String>) -> Response {
    match ApiToken::parse(&link) {
        Ok(link) => pages::answer(StatusCode::OK, &LoginPage { link: link.expose() }),
        Err(_) => stale(),
    }
}

/// Opens a session for the link, which is used up by it.
pub(super) async fn open(
    State(state): State<WebState>,
    Path(link): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    session::require_own_form(&headers, &uri, &state.settings.public_url)?;
    let Ok(link) = ApiToken::parse(&link) else { return Ok(stale()) };
    let id = ApiToken::generate();
    if !state.store.log_in(&link.hash(), &id.hash(), state.now(), session::LASTS).await? {
        return Ok(stale());
    }
    tracing::info!("a session was opened");
    let cookie = session::cookie(&id, &state.settings.public_url);
    Ok(([(SET_COOKIE, cookie)], Redirect::to("/")).into_response())
}

/// Ends the session.
pub(super) async fn close(
    State(state): State<WebState>,
    session: Session,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    session::require_own_form(&headers, &uri, &state.settings.public_url)?;
    session.close(&state).await?;
    let cookie = session::no_cookie(&state.settings.public_url);
    Ok(([(SET_COOKIE, cookie)], Redirect::to("/")).into_response())
}

fn stale() -> Response {
    pages::answer(StatusCode::GONE, &StaleLinkPage)
}
