//! Setting a password, by the link of an invitation or a reset.

use axum::{
    Form,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use certmill_store::{Reach, User};
use certmill_vault::{ApiToken, Password};
use http::StatusCode;
use serde::Deserialize;

use super::pages::{self, PasswordPage, StalePasswordLinkPage};
use crate::{
    WebState,
    access::{PeerAddress, account_key},
    brand::Face,
    problem::Problem,
};

/// What somebody typed. Without `Debug`.
#[derive(Deserialize)]
pub(super) struct PasswordForm {
    #[serde(default)]
    password: String,
}

/// The form for a new password.
pub(super) async fn ask(
    State(state): State<WebState>,
    Path(link): Path<String>,
) -> Result<Response, Problem> {
    Ok(match holder(&state, &link).await? {
        Some((link, user)) => page(&state, StatusCode::OK, &link, &user, None).await?,
        None => stale(),
    })
}

/// Sets the password; every session of the user ends, and the link is used up.
pub(super) async fn set(
    State(state): State<WebState>,
    peer: PeerAddress,
    Path(link): Path<String>,
    Form(form): Form<PasswordForm>,
) -> Result<Response, Problem> {
    let Some((link, user)) = holder(&state, &link).await? else { return Ok(stale()) };
    let password = match Password::choose(form.password) {
        Ok(password) => password,
        Err(error) => {
            let words = format!("The password cannot be used: {error}.");
            return page(&state, StatusCode::UNPROCESSABLE_ENTITY, &link, &user, Some(&words)).await;
        }
    };
    let place = state.passwords.acquire().await.map_err(|_| Problem::internal())?;
    let hash = tokio::task::spawn_blocking(move || password.hash()).await.map_err(|_| Problem::internal())?;
    drop(place);
    let (link, address) = (link.hash(), peer.0.map(|address| address.to_string()));
    let (key, now) = (account_key(&user.email), state.now());
    Ok(match state.store.set_password(&link, &hash, &key, address, &state.chance, now).await? {
        Some(user) => {
            tracing::info!(%user, "a password was set");
            Redirect::to("/login").into_response()
        }
        None => stale(),
    })
}

async fn holder(state: &WebState, link: &str) -> Result<Option<(ApiToken, User)>, Problem> {
    let Ok(link) = ApiToken::parse(link) else { return Ok(None) };
    let user = state.store.password_link(&link.hash(), state.now()).await?;
    Ok(user.map(|user| (link, user)))
}

async fn page(
    state: &WebState,
    status: StatusCode,
    link: &ApiToken,
    user: &User,
    fault: Option<&str>,
) -> Result<Response, Problem> {
    let face = match user.tenant_id {
        Some(tenant) => {
            Some(Face::new(tenant, state.store.read(Reach::Tenant(tenant)).await?.tenant_face(tenant).await?))
        }
        None => None,
    };
    let page = PasswordPage {
        link: link.expose(),
        name: user.name.as_str(),
        email: user.email.as_str(),
        is_new: !user.has_password,
        fault,
        face,
    };
    Ok(pages::answer(status, &page))
}

fn stale() -> Response {
    pages::answer(StatusCode::GONE, &StalePasswordLinkPage)
}
