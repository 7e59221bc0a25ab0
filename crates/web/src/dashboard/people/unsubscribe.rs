//! `/unsubscribe/{token}`: out of alerts and digests, by the link in a mail (RFC 8058): only a `POST` acts.

use askama::Template;
use axum::{
    body::Bytes,
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::answer;
use crate::{WebState, access::PeerAddress, problem::Problem};

#[derive(Template)]
#[template(path = "unsubscribe.html")]
struct UnsubscribePage<'a> {
    token: &'a str,
    email: String,
    /// The tenant whose names the mails are about; `None`: everybody's.
    tenant: Option<String>,
    is_out: bool,
}

#[derive(Template)]
#[template(path = "unsubscribe_stale.html")]
struct StalePage;

/// What the link would end; nothing changes by looking, which programs do that read mail.
pub(super) async fn ask(
    State(state): State<WebState>,
    Path(token): Path<String>,
) -> Result<Response, Problem> {
    page(&state, &token).await
}

/// Ends it, or takes that back.
pub(super) async fn change(
    State(state): State<WebState>,
    Path(token): Path<String>,
    PeerAddress(address): PeerAddress,
    body: Bytes,
) -> Result<Response, Problem> {
    // A mail program sends `List-Unsubscribe=One-Click` and nothing else.
    let (is_out, address) = (body != "undo=on".as_bytes(), address.map(|address| address.to_string()));
    state.store.set_unsubscribed(&token, is_out, address, &state.chance, state.now()).await?;
    page(&state, &token).await
}

async fn page(state: &WebState, token: &str) -> Result<Response, Problem> {
    let Some(found) = state.store.subscription(token).await? else {
        return Ok(answer(StatusCode::GONE, &StalePage));
    };
    let is_out = found.unsubscribed_at.is_some();
    Ok(answer(StatusCode::OK, &UnsubscribePage { token, email: found.email, tenant: found.tenant, is_out }))
}
