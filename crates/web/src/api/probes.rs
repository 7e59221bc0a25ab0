//! For whoever watches the process.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    WebState,
    problem::{Problem, ProblemDocument},
};

/// Whoever asks whether we are ready waits no longer than this.
const READY_TIMEOUT: Duration = Duration::from_millis(1500);

/// The state of the process.
#[derive(Serialize, ToSchema)]
pub(super) struct Alive {
    /// Always `ok`.
    status: &'static str,
}

/// Which program this is.
#[derive(Serialize, ToSchema)]
pub(super) struct Version {
    /// Always `certmill`.
    name: &'static str,
    /// The release.
    version: &'static str,
}

/// Whether the process runs
#[utoipa::path(get, path = "/livez", tag = "probes", responses((status = 200, description = "It runs", body = Alive)))]
pub(super) async fn livez() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// Whether requests can be answered: the database is there, with its schema
#[utoipa::path(
    get, path = "/readyz", tag = "probes",
    responses(
        (status = 200, description = "They can", body = Alive),
        (status = 503, description = "The database is away", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn readyz(State(state): State<WebState>) -> Result<Json<Alive>, Problem> {
    match tokio::time::timeout(READY_TIMEOUT, state.store.check()).await {
        Ok(Ok(())) => Ok(Json(Alive { status: "ok" })),
        Ok(Err(error)) => Err(Problem { cause: Some(Arc::new(error)), ..Problem::database_away() }),
        Err(_) => Err(Problem::database_away()),
    }
}

/// Which release this is
#[utoipa::path(get, path = "/version", tag = "probes", responses((status = 200, description = "The release", body = Version)))]
pub(super) async fn version() -> Json<Version> {
    Json(Version { name: "certmill", version: env!("CARGO_PKG_VERSION") })
}
