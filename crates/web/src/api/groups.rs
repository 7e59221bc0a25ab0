//! `/v1/target-groups`: load balancers that serve the same tenants.

use axum::{
    Json,
    extract::{Path, State},
};
use certmill_model::{GroupId, Label};
use certmill_store::TargetGroup;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    json::StrictJson,
    refusals::{OfAction, OfCreate, OfList},
};
use crate::{WebState, access::Caller, problem::Problem};

/// Every group.
#[derive(Serialize, ToSchema)]
pub(super) struct TargetGroups {
    /// The groups, by name.
    data: Vec<GroupDocument>,
}

/// A group of load balancers.
#[derive(Serialize, ToSchema)]
#[schema(title = "TargetGroup")]
pub(super) struct GroupDocument {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// Load balancers in it.
    targets: i64,
    /// Tenants that are served by it alone.
    tenants: i64,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// A group to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewGroup {
    /// Its name: 1 to 200 printable characters.
    #[schema(example = "Europe")]
    name: String,
}

/// List groups of load balancers by name
#[utoipa::path(
    get, path = "/v1/target-groups", operation_id = "list_target_groups", tag = "targets", security(("token" = [])),
    responses((status = 200, description = "Every group", body = TargetGroups), OfList)
)]
pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
) -> Result<Json<TargetGroups>, Problem> {
    let groups = state.store.read(caller.reach).await?.list_groups().await?;
    Ok(Json(TargetGroups { data: groups.into_iter().map(GroupDocument::from).collect() }))
}

/// Make a group of load balancers
#[utoipa::path(
    post, path = "/v1/target-groups", operation_id = "create_target_group", tag = "targets", security(("token" = [])),
    request_body(content = NewGroup, content_type = "application/json"),
    responses((status = 201, description = "Made", body = GroupDocument), OfCreate)
)]
pub(super) async fn create(
    State(state): State<WebState>,
    caller: Caller,
    StrictJson(new): StrictJson<NewGroup>,
) -> Result<(StatusCode, Json<GroupDocument>), Problem> {
    let name = Label::parse(&new.name)
        .map_err(|error| Problem::field("/name".into(), "invalid_field", error.to_string()))?;
    let group = add(&state, &caller, &name).await?;
    Ok((StatusCode::CREATED, Json(group.into())))
}

/// Remove a group of load balancers
///
/// Nobody may be in it any more: neither a load balancer nor a tenant.
#[utoipa::path(
    delete, path = "/v1/target-groups/{group}", operation_id = "delete_target_group", tag = "targets", security(("token" = [])),
    params(("group" = String, Path, description = "Its id")),
    responses((status = 204, description = "Removed"), OfAction)
)]
pub(super) async fn delete(
    State(state): State<WebState>,
    caller: Caller,
    Path(group): Path<String>,
) -> Result<StatusCode, Problem> {
    remove(&state, &caller, &group).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a group.
pub(crate) async fn add(state: &WebState, caller: &Caller, name: &Label) -> Result<TargetGroup, Problem> {
    let (id, now) = (GroupId::new(&state.chance, state.now()), state.now());
    let mut tx = state.store.scoped(caller.reach).await?;
    tx.add_group(id, name, now).await?;
    let entry = caller.did("target_group.created", "target_group", id, name, json!({}));
    tx.commit(&entry, &state.chance, now).await?;
    Ok(TargetGroup { group_id: id, name: name.to_string(), targets: 0, tenants: 0, created_at: now })
}

/// Removes the group with this id.
pub(crate) async fn remove(state: &WebState, caller: &Caller, group: &str) -> Result<(), Problem> {
    let missing = || Problem::no_such("group");
    let id: GroupId = group.parse().map_err(|_| missing())?;
    let mut tx = state.store.scoped(caller.reach).await?;
    let name = tx.group_name(id).await?.ok_or_else(missing)?;
    if !tx.remove_group(id).await? {
        let detail = "Load balancers or tenants are in the group. Give them another one first.";
        return Err(Problem::new(StatusCode::CONFLICT, "group_in_use", "Group in use", detail));
    }
    let entry = caller.did("target_group.deleted", "target_group", id, name, json!({}));
    tx.commit(&entry, &state.chance, state.now()).await?;
    Ok(())
}

impl From<TargetGroup> for GroupDocument {
    fn from(group: TargetGroup) -> Self {
        Self {
            id: group.group_id.to_string(),
            name: group.name,
            targets: group.targets,
            tenants: group.tenants,
            created_at: group.created_at,
        }
    }
}
