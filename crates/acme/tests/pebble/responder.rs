//! Answers the challenges of a CA.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::Path, extract::State, http::StatusCode, routing::get};
use certmill_acme::{Challenge, Http01Challenge};
use tokio::net::TcpListener;

/// Answers challenges, as a load balancer does.
#[derive(Clone, Default)]
pub(crate) struct Responder(Arc<Mutex<HashMap<String, String>>>);

impl Responder {
    /// Listens until the test ends.
    pub(crate) async fn listen(address: SocketAddr) -> Self {
        let responder = Self::default();
        let routes = Router::new()
            .route("/.well-known/acme-challenge/{token}", get(respond))
            .with_state(responder.clone());
        let listener = TcpListener::bind(address).await.unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        responder
    }

    /// Answers these challenges from now on.
    pub(crate) fn publish(&self, challenges: &[Challenge]) {
        let mut published = self.0.lock().unwrap();
        for challenge in challenges.iter().filter_map(http_01) {
            let token = challenge.token.as_str().to_owned();
            published.insert(token, challenge.key_authorization.clone());
        }
    }

    /// Answers these challenges with something else.
    pub(crate) fn publish_wrong(&self, challenges: &[Challenge]) {
        let mut published = self.0.lock().unwrap();
        for challenge in challenges.iter().filter_map(http_01) {
            published.insert(challenge.token.as_str().to_owned(), "parked by a registrar".to_owned());
        }
    }
}

fn http_01(challenge: &Challenge) -> Option<&Http01Challenge> {
    match challenge {
        Challenge::Http01(challenge) => Some(challenge),
        Challenge::Dns01(_) => None,
    }
}

async fn respond(
    State(responder): State<Responder>,
    Path(token): Path<String>,
) -> Result<String, StatusCode> {
    let published = responder.0.lock().unwrap();
    published.get(&token).cloned().ok_or(StatusCode::NOT_FOUND)
}
