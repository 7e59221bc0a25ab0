//! `/v1/targets`: the load balancers, for the platform's own people.
//!
//! How a target is reached decides which commands run where: that is said on the command line, and by no token.

use std::net::IpAddr;

use axum::{
    Json,
    extract::{Path, State},
};
use certmill_model::{GroupId, TargetId, TargetState};
use certmill_store::{ScopedTx, TargetChange, TargetRow};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    documents::TargetDocument,
    json::{MergePatch, patched},
    refusals::{OfAction, OfChange, OfList, OfRead},
};
use crate::{WebState, access::Caller, problem::Problem};

/// Every target.
#[derive(Serialize, ToSchema)]
pub(super) struct Targets {
    /// The targets, by name.
    data: Vec<TargetDocument>,
}

/// What is to become of a target; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "TargetChange")]
pub(super) struct PatchTarget {
    /// What a shop's A and AAAA records must hold: 1 to 16 addresses.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["203.0.113.7"]))]
    public_addresses: Option<Vec<IpAddr>>,
    /// The id of the group that it serves in; null: none. Tenants without a group are served by every load balancer.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<String>)]
    #[expect(clippy::option_option, reason = "left out and null are two things in a merge patch (RFC 7396)")]
    group: Option<Option<GroupId>>,
    /// Whether it is left out: nothing is delivered to it, and no name is led there.
    #[serde(default)]
    disabled: Option<bool>,
}

/// List load balancers by name
#[utoipa::path(
    get, path = "/v1/targets", operation_id = "list_targets", tag = "targets", security(("token" = [])),
    responses((status = 200, description = "Every load balancer", body = Targets), OfList)
)]
pub(super) async fn list(State(state): State<WebState>, caller: Caller) -> Result<Json<Targets>, Problem> {
    let targets = state.store.read(caller.reach).await?.list_targets().await?;
    Ok(Json(Targets { data: targets.into_iter().map(TargetDocument::from).collect() }))
}

/// Read a load balancer
#[utoipa::path(
    get, path = "/v1/targets/{target}", operation_id = "show_target", tag = "targets", security(("token" = [])),
    params(("target" = String, Path, description = "Its id or name")),
    responses((status = 200, description = "The load balancer", body = TargetDocument), OfRead)
)]
pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(target): Path<String>,
) -> Result<Json<TargetDocument>, Problem> {
    let mut tx = state.store.read(caller.reach).await?;
    Ok(Json(find(&mut tx, &target).await?.into()))
}

/// Change a load balancer
///
/// It may be left out, taken in again, or moved to another group. A move takes a name off no load balancer before all of those
/// that are to serve it do so.
#[utoipa::path(
    patch, path = "/v1/targets/{target}", operation_id = "change_target", tag = "targets", security(("token" = [])),
    params(("target" = String, Path, description = "Its id or name")),
    request_body(content = PatchTarget, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "Changed", body = TargetDocument), OfChange)
)]
pub(super) async fn change(
    State(state): State<WebState>,
    caller: Caller,
    Path(target): Path<String>,
    MergePatch(patch): MergePatch<PatchTarget>,
) -> Result<Json<TargetDocument>, Problem> {
    let mut tx = state.store.scoped(caller.reach).await?;
    let found = lock(&mut tx, &target).await?;
    let change = TargetChange {
        public_addresses: patch.public_addresses.unwrap_or_else(|| found.public_addresses.clone()),
        group_id: patch.group.unwrap_or(found.group_id),
        disabled: patch.disabled.unwrap_or(found.state == TargetState::Disabled),
    };
    check(&mut tx, &change).await?;
    tx.change_target(found.target_id, &change, state.now()).await?;
    let changed = tx.find_target(found.target_id).await?.ok_or_else(|| Problem::no_such("target"))?;
    let detail = json!({ "public_addresses": change.public_addresses, "group": change.group_id, "disabled": change.disabled });
    let entry = caller.did("target.changed", "target", found.target_id, found.name, detail);
    tx.commit(&entry, &state.chance, state.now()).await?;
    Ok(Json(changed.into()))
}

/// Deliver to a load balancer now
///
/// Everything on it is compared with what should be there, and what waits for a later attempt is tried at once.
#[utoipa::path(
    post, path = "/v1/targets/{target}/sync", operation_id = "sync_target", tag = "targets", security(("token" = [])),
    params(("target" = String, Path, description = "Its id or name")),
    responses((status = 202, description = "It begins behind the answer", body = TargetDocument), OfAction)
)]
pub(super) async fn sync(
    State(state): State<WebState>,
    caller: Caller,
    Path(target): Path<String>,
) -> Result<(StatusCode, Json<TargetDocument>), Problem> {
    let mut tx = state.store.scoped(caller.reach).await?;
    let found = find(&mut tx, &target).await?;
    tx.sync_target(found.target_id, state.now()).await?;
    let entry = caller.did("target.synced", "target", found.target_id, &found.name, json!({}));
    tx.commit(&entry, &state.chance, state.now()).await?;
    Ok((StatusCode::ACCEPTED, Json(found.into())))
}

/// Forget a load balancer
///
/// It must be left out first (`disabled`). What certmill knows of it is removed; nothing is changed on the machine itself.
#[utoipa::path(
    delete, path = "/v1/targets/{target}", operation_id = "delete_target", tag = "targets", security(("token" = [])),
    params(("target" = String, Path, description = "Its id or name")),
    responses((status = 204, description = "Forgotten"), OfAction)
)]
pub(super) async fn delete(
    State(state): State<WebState>,
    caller: Caller,
    Path(target): Path<String>,
) -> Result<StatusCode, Problem> {
    remove(&state, &caller, &target).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets the target with this id or name.
pub(crate) async fn remove(state: &WebState, caller: &Caller, target: &str) -> Result<TargetRow, Problem> {
    let mut tx = state.store.scoped(caller.reach).await?;
    let found = find(&mut tx, target).await?;
    if !tx.remove_target(found.target_id).await? {
        let detail = "Leave it out first, and wait until a delivery that is under way has ended: shoppers may be sent there still.";
        return Err(Problem::new(StatusCode::CONFLICT, "target_in_use", "Target in use", detail));
    }
    let entry = caller.did("target.deleted", "target", found.target_id, &found.name, json!({}));
    tx.commit(&entry, &state.chance, state.now()).await?;
    Ok(found)
}

/// The target with this id or name.
pub(crate) async fn find(tx: &mut ScopedTx, target: &str) -> Result<TargetRow, Problem> {
    let missing = || Problem::no_such("target");
    // The database takes no NUL, and no name has one.
    if target.contains('\0') {
        return Err(missing());
    }
    let id: Option<TargetId> = target.parse().ok();
    let id = tx.target_id(id, target).await?.ok_or_else(missing)?;
    tx.find_target(id).await?.ok_or_else(missing)
}

/// The same, and nobody else changes it before `tx` ends.
pub(crate) async fn lock(tx: &mut ScopedTx, target: &str) -> Result<TargetRow, Problem> {
    let found = find(tx, target).await?;
    tx.lock_target(found.target_id).await?;
    tx.find_target(found.target_id).await?.ok_or_else(|| Problem::no_such("target"))
}

/// Refuses what cannot be.
pub(crate) async fn check(tx: &mut ScopedTx, change: &TargetChange) -> Result<(), Problem> {
    if !(1..=16).contains(&change.public_addresses.len()) {
        let detail = "give 1 to 16 addresses".to_owned();
        return Err(Problem::field("/public_addresses".into(), "invalid_field", detail));
    }
    let Some(group) = change.group_id else { return Ok(()) };
    match tx.group_name(group).await? {
        Some(_) => Ok(()),
        None => Err(Problem::field("/group".into(), "unknown_group", "there is no group of this id".into())),
    }
}
