//! `/v1/deployments`: what was brought to load balancers, and how that went.

use axum::{extract::State, response::Response};
use certmill_model::{DeploymentStatus, ReleaseId, TargetId};
use certmill_store::DeploymentRow;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    page::{ListQuery, Page, cut},
    refusals::OfList,
};
use crate::{WebState, access::Caller, problem::Problem};

const LIST: &str = "deployments";

/// A delivery to one load balancer.
#[derive(Serialize, ToSchema)]
#[schema(title = "Deployment")]
pub(super) struct DeploymentDocument {
    /// Its id.
    id: String,
    /// The id of the load balancer.
    target: String,
    /// Its name.
    target_name: String,
    /// The release that went live with it.
    release: Option<i64>,
    /// `queued`, `syncing`, `testing`, `reloading`, `verifying`, `succeeded`, `failed` or `rolled_back`.
    status: &'static str,
    /// Domains that something was delivered for.
    domains: i32,
    /// Why it did not succeed, in nginx's or the machine's own words.
    problem: Option<String>,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    finished_at: Option<OffsetDateTime>,
}

/// Which deliveries are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeploymentFilter {
    target: Option<TargetId>,
    status: Option<DeploymentStatus>,
}

/// List deliveries, newest first
#[utoipa::path(
    get, path = "/v1/deployments", operation_id = "list_deployments", tag = "targets", security(("token" = [])),
    params(
        ("target" = Option<String>, Query, description = "The id of a load balancer"),
        ("status" = Option<String>, Query, description = "One of the statuses"),
        ("limit" = Option<u16>, Query, description = "Entries on a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Page<DeploymentDocument>, headers(("Link" = String, description = "The next page, rel=next"))), OfList)
)]
pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    query: ListQuery<DeploymentFilter>,
) -> Result<Response, Problem> {
    let before = query.after::<ReleaseId>(caller.reach, LIST)?;
    let mut tx = state.store.read(caller.reach).await?;
    let mut rows =
        tx.list_deployments(query.filter.target, query.filter.status, before, query.rows()).await?;
    let end = cut(&mut rows, query.limit, |row| row.deployment_id.to_string());
    let data = rows.into_iter().map(DeploymentDocument::from).collect();
    Ok(query.answer(caller.reach, LIST, "/v1/deployments", data, end.as_deref()))
}

impl From<DeploymentRow> for DeploymentDocument {
    fn from(row: DeploymentRow) -> Self {
        Self {
            id: row.deployment_id.to_string(),
            target: row.target_id.to_string(),
            target_name: row.target,
            release: row.release_number,
            status: row.status.as_str(),
            domains: row.domains,
            problem: row.problem,
            started_at: row.started_at,
            finished_at: row.finished_at,
        }
    }
}
