//! `/forgot`: another password, for who cannot log in. Nobody learns here which addresses are known.

use askama::Template;
use axum::{Form, extract::State, response::Response};
use certmill_model::EmailAddress;
use certmill_store::Reach;
use http::StatusCode;
use serde::Deserialize;

use super::answer;
use crate::{
    WebState,
    access::{PeerAddress, attempt, origin_key},
    people,
    problem::Problem,
};

#[derive(Deserialize)]
pub(super) struct ForgotForm {
    #[serde(default)]
    email: String,
}

#[derive(Template)]
#[template(path = "forgot.html")]
struct ForgotPage<'a> {
    email: &'a str,
    /// Whether mail can be sent at all.
    sends_mail: bool,
    /// Whether the form was sent.
    is_sent: bool,
    fault: Option<&'a str>,
}

/// The form for the address.
pub(super) async fn ask(State(state): State<WebState>) -> Result<Response, Problem> {
    page(&state, "", false, StatusCode::OK, None).await
}

/// Sends a link, if there is such a user; the answer is the same if not, and comes as fast.
pub(super) async fn send(
    State(state): State<WebState>,
    peer: PeerAddress,
    Form(form): Form<ForgotForm>,
) -> Result<Response, Problem> {
    let Ok(email) = EmailAddress::parse(form.email.trim()) else {
        let fault = Some("This is no e-mail address like name@example.com.");
        return page(&state, &form.email, false, StatusCode::UNPROCESSABLE_ENTITY, fault).await;
    };
    let keys: Vec<_> =
        std::iter::once(format!("forgot {email}")).chain(origin_key("forgot from", peer)).collect();
    if attempt(&state, &keys).await?.is_err() {
        let fault = Some("That was asked for often. Wait a quarter of an hour, and try again.");
        return page(&state, &form.email, false, StatusCode::TOO_MANY_REQUESTS, fault).await;
    }
    let (background, from) = (state.clone(), peer.0.map(|address| address.to_string()));
    // Behind the answer: its time must not tell whether there is such a user.
    tokio::spawn(async move {
        if let Err(problem) = people::mail_new_password(&background, &email, from).await {
            tracing::error!(code = problem.code, "a link for a new password was not sent");
        }
    });
    page(&state, &form.email, true, StatusCode::OK, None).await
}

async fn page(
    state: &WebState,
    email: &str,
    is_sent: bool,
    status: StatusCode,
    fault: Option<&str>,
) -> Result<Response, Problem> {
    let sends_mail = state.store.read(Reach::Platform).await?.mail_state().await?.server.is_some();
    Ok(answer(status, &ForgotPage { email, sends_mail, is_sent, fault }))
}
