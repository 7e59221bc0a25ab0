//! `/v1/targets`: the load balancers, for the platform's own people.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::documents::TargetDocument;
use crate::{
    WebState,
    access::Caller,
    problem::{Problem, ProblemDocument},
};

/// Every target.
#[derive(Serialize, ToSchema)]
pub(super) struct Targets {
    /// The targets, by name.
    data: Vec<TargetDocument>,
}

/// List load balancers by name
#[utoipa::path(
    get, path = "/v1/targets", operation_id = "list_targets", tag = "targets", security(("token" = [])),
    responses(
        (status = 200, description = "Every load balancer", body = Targets),
        (status = 401, description = "No valid token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "A token of a tenant", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(State(state): State<WebState>, caller: Caller) -> Result<Json<Targets>, Problem> {
    let targets = state.store.read(caller.reach).await?.list_targets().await?;
    Ok(Json(Targets { data: targets.into_iter().map(TargetDocument::from).collect() }))
}
