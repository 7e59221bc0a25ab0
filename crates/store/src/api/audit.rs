//! The audit log: who changed what, written in the transaction of the change and never altered.

use certmill_model::{AuditId, Chance, TenantId};
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{KeyedRequest, ScopedTx, planning::plan_each};
use crate::StoreError;

/// Who acts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Actor {
    /// `user`, `token`, `command_line`, `shop_owner`, or `certmill` where it is not told who.
    pub kind: &'static str,
    /// The id of the user, token or link.
    pub id: Option<String>,
    /// The name of it, as it is now.
    pub name: String,
    /// The request that the change came with.
    pub request_id: Option<String>,
    /// The address that it came from.
    pub address: Option<String>,
    /// The request, where it is to be done once however often it is sent.
    pub keyed: Option<KeyedRequest>,
}

impl Actor {
    /// Somebody with a shell where certmill runs.
    pub fn command_line() -> Self {
        Self {
            kind: "command_line",
            id: None,
            name: "command line".into(),
            request_id: None,
            address: None,
            keyed: None,
        }
    }
}

/// A change, as the log keeps it.
#[derive(Clone, Debug)]
pub struct AuditEntry<'a> {
    /// Who changed it.
    pub actor: &'a Actor,
    /// What was done: `user.invited`, `domain.deleted`.
    pub action: &'static str,
    /// What kind of thing was changed: `user`, `domain`.
    pub object_kind: &'static str,
    /// Which one.
    pub object_id: Option<String>,
    /// Its name at that time.
    pub object_name: String,
    /// Whose it is; `None`: the platform's.
    pub tenant: Option<TenantId>,
    /// The particulars; nothing secret.
    pub detail: Value,
}

/// Which entries are looked for; each part that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Of this tenant.
    pub tenant: Option<TenantId>,
    /// By the user, token or link with this id.
    pub actor: Option<String>,
    /// Of this kind of change.
    pub action: Option<String>,
    /// Of things of this kind.
    pub object_kind: Option<String>,
    /// Of the thing with this id.
    pub object: Option<String>,
}

/// An entry of the log.
#[derive(Clone, Debug)]
pub struct AuditRow {
    /// Its id.
    pub entry_id: AuditId,
    /// Whose matter it is; `None`: the platform's.
    pub tenant_id: Option<TenantId>,
    /// What kind of actor.
    pub actor_kind: String,
    /// Which one.
    pub actor_id: Option<String>,
    /// Its name at that time.
    pub actor_name: String,
    /// What was done.
    pub action: String,
    /// What kind of thing was changed.
    pub object_kind: String,
    /// Which one.
    pub object_id: Option<String>,
    /// Its name at that time.
    pub object_name: String,
    /// The particulars.
    pub detail: Value,
    /// The request that the change came with.
    pub request_id: Option<String>,
    /// The address that it came from.
    pub address: Option<String>,
    /// When.
    pub happened_at: OffsetDateTime,
}

impl ScopedTx {
    /// Up to `limit` entries that suit `filter`, newest first, beginning behind (before) the entry `before`.
    pub async fn audit_entries(
        &mut self,
        filter: &AuditFilter,
        before: Option<AuditId>,
        limit: i64,
    ) -> Result<Vec<AuditRow>, StoreError> {
        plan_each(self.connection()).await?;
        let only = self.only();
        let rows = sqlx::query!(
            "SELECT entry_id, tenant_id, actor_kind, actor_id, actor_name, action, object_kind, object_id, object_name,
                    detail, request_id, address, happened_at
             FROM audit_entries
             WHERE ($1::uuid IS NULL OR tenant_id = $1) AND ($2::uuid IS NULL OR entry_id < $2)
               AND ($4::uuid IS NULL OR tenant_id = $4) AND ($5::text IS NULL OR actor_id = $5)
               AND ($6::text IS NULL OR action = $6) AND ($7::text IS NULL OR object_kind = $7)
               AND ($8::text IS NULL OR object_id = $8)
             ORDER BY entry_id DESC LIMIT $3",
            only,
            before.map(AuditId::uuid),
            limit,
            filter.tenant.map(TenantId::uuid),
            filter.actor,
            filter.action,
            filter.object_kind,
            filter.object,
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| AuditRow {
                entry_id: AuditId::from_uuid(row.entry_id),
                tenant_id: row.tenant_id.map(TenantId::from_uuid),
                actor_kind: row.actor_kind,
                actor_id: row.actor_id,
                actor_name: row.actor_name,
                action: row.action,
                object_kind: row.object_kind,
                object_id: row.object_id,
                object_name: row.object_name,
                detail: row.detail,
                request_id: row.request_id,
                address: row.address,
                happened_at: row.happened_at,
            })
            .collect())
    }
}

pub(crate) async fn record(
    connection: &mut PgConnection,
    entry: &AuditEntry<'_>,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO audit_entries (entry_id, tenant_id, actor_kind, actor_id, actor_name, action, object_kind, object_id,
                                    object_name, detail, request_id, address, happened_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        AuditId::new(chance, now).uuid(),
        entry.tenant.map(TenantId::uuid),
        entry.actor.kind,
        entry.actor.id,
        entry.actor.name,
        entry.action,
        entry.object_kind,
        entry.object_id,
        entry.object_name,
        entry.detail,
        entry.actor.request_id,
        entry.actor.address,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
