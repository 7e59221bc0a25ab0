//! `/v1/audit`: who changed what.

use axum::{extract::State, response::Response};
use certmill_model::{AuditId, TenantId};
use certmill_store::{AuditFilter, AuditRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    page::{ListQuery, Page, cut},
    refusals::OfList,
};
use crate::{WebState, access::Caller, problem::Problem};

const LIST: &str = "audit";

/// Which entries.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    tenant: Option<TenantId>,
    actor: Option<String>,
    action: Option<String>,
    object_kind: Option<String>,
    object: Option<String>,
}

/// A change.
#[derive(Serialize, ToSchema)]
#[schema(title = "AuditEntry")]
pub(super) struct AuditDocument {
    /// The id.
    #[schema(example = "aud_01jd4z6k3m8q2v5w7x9y0a1b2c")]
    id: String,
    /// The id of the tenant whose matter it is; null: the platform's own.
    tenant: Option<String>,
    /// Who changed it.
    actor: ActorDocument,
    /// What was done, as `user.invited` or `token.revoked`.
    action: String,
    /// What was changed.
    object: ObjectDocument,
    /// The particulars.
    #[schema(value_type = Object)]
    detail: Value,
    /// The request that the change came with.
    request_id: Option<String>,
    /// The address that it came from.
    address: Option<String>,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    happened_at: OffsetDateTime,
}

/// Who changed something.
#[derive(Serialize, ToSchema)]
#[schema(title = "Actor")]
pub(super) struct ActorDocument {
    /// `user`, `token`, `command_line`, `shop_owner`, or `certmill` where it is not told who.
    kind: String,
    /// The id.
    id: Option<String>,
    /// The name at that time.
    name: String,
}

/// What was changed.
#[derive(Serialize, ToSchema)]
#[schema(title = "AuditObject")]
pub(super) struct ObjectDocument {
    /// What kind of thing.
    kind: String,
    /// The id.
    id: Option<String>,
    /// The name at that time.
    name: String,
}

/// List who changed what, the newest first
///
/// A tenant sees what was changed of its own, the platform everything.
#[utoipa::path(
    get, path = "/v1/audit", operation_id = "list_audit", tag = "audit", security(("token" = [])),
    params(
        ("tenant" = Option<String>, Query, description = "Of the tenant with this id"),
        ("actor" = Option<String>, Query, description = "By the user or token with this id"),
        ("action" = Option<String>, Query, description = "Of this kind of change, as `user.invited`"),
        ("object_kind" = Option<String>, Query, description = "Of things of this kind, as `user`"),
        ("object" = Option<String>, Query, description = "Of the thing with this id"),
        ("limit" = Option<u16>, Query, description = "Entries on a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<AuditDocument>, headers(("Link" = String, description = "The next page, rel=next"))),
        OfList
    )
)]
pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    query: ListQuery<AuditQuery>,
) -> Result<Response, Problem> {
    let before = query.after::<AuditId>(caller.reach, LIST)?;
    let asked = &query.filter;
    let filter = AuditFilter {
        tenant: asked.tenant,
        actor: asked.actor.clone(),
        action: asked.action.clone(),
        object_kind: asked.object_kind.clone(),
        object: asked.object.clone(),
    };
    let mut reader = state.store.read(caller.reach).await?;
    let mut entries = reader.audit_entries(&filter, before, query.rows()).await?;
    let end = cut(&mut entries, query.limit, |entry| entry.entry_id.to_string());
    let documents: Vec<_> = entries.into_iter().map(AuditDocument::from).collect();
    Ok(query.answer(caller.reach, LIST, "/v1/audit", documents, end.as_deref()))
}

impl From<AuditRow> for AuditDocument {
    fn from(row: AuditRow) -> Self {
        Self {
            id: row.entry_id.to_string(),
            tenant: row.tenant_id.map(|tenant| tenant.to_string()),
            actor: ActorDocument { kind: row.actor_kind, id: row.actor_id, name: row.actor_name },
            action: row.action,
            object: ObjectDocument { kind: row.object_kind, id: row.object_id, name: row.object_name },
            detail: row.detail,
            request_id: row.request_id,
            address: row.address,
            happened_at: row.happened_at,
        }
    }
}
