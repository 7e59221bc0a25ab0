//! What the process counts and measures, for Prometheus.

use axum::{extract::State, response::IntoResponse};
use http::header::CONTENT_TYPE;

use crate::{WebState, problem::ProblemDocument};

/// Prometheus' text format (version 0.0.4).
pub(crate) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Read what the process counts and measures
#[utoipa::path(
    get, path = "/metrics", operation_id = "show_metrics", tag = "probes", security(("token" = [])),
    responses(
        (status = 200, description = "In Prometheus' text format", body = String, content_type = "text/plain"),
        (status = 401, description = "No valid token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not for this caller", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "More than the quota", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(State(state): State<WebState>) -> impl IntoResponse {
    ([(CONTENT_TYPE, TEXT)], state.counted())
}
