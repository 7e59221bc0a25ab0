//! Long operations, line by line: how they come in, how far they are, and what came of each line.

use std::collections::BTreeMap;

use certmill_model::{
    BulkLine, Chance, OPEN_OPERATIONS, OperationId, OperationStatus, RefusedLine, STORED_BYTES, STORED_LINES,
    TenantId,
};
use time::OffsetDateTime;

use super::{ScopedTx, TenantTx};
use crate::{StoreError, WAKE_CHANNEL, rows::parsed};

/// An operation as it stands.
#[derive(Clone, Debug)]
pub struct OperationRow {
    /// Its id; later ones sort behind.
    pub operation_id: OperationId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What it is called.
    pub title: String,
    /// Where it is.
    pub status: OperationStatus,
    /// Lines that are here.
    pub total: i32,
    /// Lines that have a result.
    pub done: i32,
    /// Of these, lines that were refused or failed.
    pub failed: i32,
    /// Whether somebody asked for its end.
    pub is_cancelled: bool,
    /// Why it cannot go on.
    pub problem: Option<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When its first line was worked on.
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    pub finished_at: Option<OffsetDateTime>,
    /// When anything of it last changed.
    pub updated_at: OffsetDateTime,
}

/// A line that came in: to be worked on, or refused at once.
#[derive(Clone, Debug)]
pub struct NewLine {
    /// Its number, from 1 on.
    pub line: i32,
    /// What the sender calls it.
    pub reference: Option<String>,
    /// What it asks for.
    pub asks: Result<BulkLine, RefusedLine>,
}

/// A line with what came of it.
#[derive(Clone, Debug)]
pub struct LineRow {
    /// Its number, from 1 on.
    pub line: i32,
    /// What the sender calls it.
    pub reference: Option<String>,
    /// The name, if it could be read.
    pub name: Option<String>,
    /// The status that a request of its own would have been answered with (RFC 9110); `None`: not done.
    pub result: Option<i16>,
    /// The domain.
    pub domain_id: Option<certmill_model::DomainId>,
    /// Why it failed: a stable word for programs.
    pub code: Option<String>,
    /// The same for people.
    pub detail: Option<String>,
}

impl TenantTx {
    /// Begins an operation, whose lines come in with [`Self::add_lines`]. Fails while as many are under way as may be.
    pub async fn create_operation(
        &mut self,
        title: &str,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<OperationId, StoreError> {
        let (id, tenant) = (OperationId::new(chance, now), self.tenant);
        if self.count_open_operations().await? >= OPEN_OPERATIONS {
            return Err(StoreError::TooManyOperations);
        }
        sqlx::query!(
            "INSERT INTO operations (operation_id, tenant_id, status, title, created_at, updated_at)
             VALUES ($1, $2, 'queued', $3, $4, $4)",
            id.uuid(),
            tenant.uuid(),
            title,
            now,
        )
        .execute(self.connection())
        .await?;
        Ok(id)
    }

    /// How many operations are under way; no other begins before this transaction ends.
    async fn count_open_operations(&mut self) -> Result<i64, StoreError> {
        let tenant = self.tenant;
        sqlx::query!(
            "SELECT pg_advisory_xact_lock(hashtextextended('operations ' || $1::uuid, 0))",
            tenant.uuid()
        )
        .fetch_one(self.connection())
        .await?;
        let open = sqlx::query_scalar!(
            r#"SELECT count(*) AS "open!" FROM operations
               WHERE tenant_id = $1 AND status IN ('queued', 'running')"#,
            tenant.uuid(),
        )
        .fetch_one(self.connection())
        .await?;
        Ok(open)
    }

    /// How many lines of all operations are stored, and bytes of them.
    async fn count_lines(&mut self) -> Result<(i64, i64), StoreError> {
        let tenant = self.tenant;
        let stored = sqlx::query!(
            r#"SELECT COALESCE(sum(total), 0) AS "lines!", COALESCE(sum(bytes), 0)::bigint AS "bytes!"
               FROM operations WHERE tenant_id = $1"#,
            tenant.uuid(),
        )
        .fetch_one(self.connection())
        .await?;
        Ok((stored.lines, stored.bytes))
    }

    /// Adds lines, some thousand at a time, to an operation that is not complete. `false`: there is none. Fails once as many
    /// are stored as may be; those that come in elsewhere at the same time may go beyond that.
    pub async fn add_lines(
        &mut self,
        operation: OperationId,
        lines: &[NewLine],
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant;
        let (stored, bytes) = self.count_lines().await?;
        if stored + lines.len() as i64 > STORED_LINES || bytes >= STORED_BYTES {
            return Err(StoreError::TooManyLines);
        }
        let numbers: Vec<_> = lines.iter().map(|line| line.line).collect();
        let references: Vec<_> = lines.iter().map(|line| line.reference.clone()).collect();
        let asks: Vec<_> = lines.iter().map(|line| line.asks.as_ref()).collect();
        let actions: Vec<_> = asks.iter().map(|asks| asks.ok().map(|line| line.action.to_string())).collect();
        let names: Vec<_> = asks.iter().map(|asks| asks.ok().map(|line| line.name.to_string())).collect();
        let wishes: Vec<_> = asks
            .iter()
            .map(|asks| asks.ok().map(|line| serde_json::Value::Object(line.wish.clone())))
            .collect();
        let codes: Vec<_> =
            asks.iter().map(|asks| asks.err().map(|refused| refused.code.to_owned())).collect();
        let details: Vec<_> =
            asks.iter().map(|asks| asks.err().map(|refused| refused.detail.clone())).collect();
        let refused = asks.iter().filter(|asks| asks.is_err()).count() as i32;
        let done = sqlx::query!(
            "WITH l AS (
                 SELECT * FROM UNNEST($3::int[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::text[], $9::text[])
                     AS l (line, ref, action, name, wish, code, detail)
             ), open AS (
                 UPDATE operations SET total = total + $10, done = done + $11, failed = failed + $11, updated_at = $12,
                     bytes = bytes + (SELECT COALESCE(sum(octet_length(concat(ref, name, wish::text, detail))), 0) FROM l)
                 WHERE operation_id = $1 AND tenant_id = $2 AND NOT is_complete AND status = 'queued'
                 RETURNING operation_id, tenant_id
             )
             INSERT INTO operation_lines (operation_id, tenant_id, line, ref, action, name, wish, code, detail, result)
             SELECT open.operation_id, open.tenant_id, l.line, l.ref, l.action, l.name, l.wish, l.code, l.detail,
                    CASE WHEN l.action IS NULL THEN 422 END
             FROM open, l",
            operation.uuid(),
            tenant.uuid(),
            &numbers,
            &references as &[Option<String>],
            &actions as &[Option<String>],
            &names as &[Option<String>],
            &wishes as &[Option<serde_json::Value>],
            &codes as &[Option<String>],
            &details as &[Option<String>],
            lines.len() as i32,
            refused,
            now,
        )
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() > 0 || lines.is_empty())
    }

    /// Says that all lines are here: the engine begins when this transaction commits.
    pub async fn complete_operation(
        &mut self,
        operation: OperationId,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant;
        let done = sqlx::query!(
            "WITH complete AS (
                 UPDATE operations SET is_complete = true, updated_at = $3
                 WHERE operation_id = $1 AND tenant_id = $2 AND NOT is_complete AND status = 'queued' RETURNING 1
             )
             SELECT pg_notify($4, '') FROM complete",
            operation.uuid(),
            tenant.uuid(),
            now,
            WAKE_CHANNEL,
        )
        .fetch_optional(self.connection())
        .await?;
        Ok(done.is_some())
    }
}

impl ScopedTx {
    /// Asks for the end of an operation: the line under way is finished first. `false`: there is none that goes on.
    pub async fn cancel_operation(
        &mut self,
        operation: OperationId,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let only = self.only();
        let done = sqlx::query!(
            "UPDATE operations SET cancel_requested_at = COALESCE(cancel_requested_at, $3), updated_at = $3,
                 -- Of one that nobody has begun with nobody else would do it.
                 status = CASE WHEN is_complete THEN status ELSE 'cancelled' END,
                 finished_at = CASE WHEN is_complete THEN finished_at ELSE $3 END
             WHERE operation_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2) AND status IN ('queued', 'running')",
            operation.uuid(),
            only,
            now,
        )
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// An operation as it stands.
    pub async fn operation(&mut self, operation: OperationId) -> Result<Option<OperationRow>, StoreError> {
        Ok(self.operations(Some(operation), None, 1).await?.pop())
    }

    /// Up to `limit` operations, newest first, behind `after`.
    pub async fn list_operations(
        &mut self,
        after: Option<OperationId>,
        limit: i64,
    ) -> Result<Vec<OperationRow>, StoreError> {
        self.operations(None, after, limit).await
    }

    async fn operations(
        &mut self,
        one: Option<OperationId>,
        after: Option<OperationId>,
        limit: i64,
    ) -> Result<Vec<OperationRow>, StoreError> {
        let only = self.only();
        let rows = sqlx::query!(
            r#"SELECT operation_id, tenant_id, title, status, total, done, failed, problem, created_at, started_at, finished_at,
                      updated_at, cancel_requested_at IS NOT NULL AS "is_cancelled!"
               FROM operations
               WHERE ($1::uuid IS NULL OR tenant_id = $1) AND ($2::uuid IS NULL OR operation_id = $2)
                 AND ($3::uuid IS NULL OR operation_id < $3)
               ORDER BY operation_id DESC LIMIT $4"#,
            only,
            one.map(OperationId::uuid),
            after.map(OperationId::uuid),
            limit,
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(OperationRow {
                    operation_id: OperationId::from_uuid(row.operation_id),
                    tenant_id: TenantId::from_uuid(row.tenant_id),
                    title: row.title,
                    status: parsed("operations", &row.status)?,
                    total: row.total,
                    done: row.done,
                    failed: row.failed,
                    is_cancelled: row.is_cancelled,
                    problem: row.problem,
                    created_at: row.created_at,
                    started_at: row.started_at,
                    finished_at: row.finished_at,
                    updated_at: row.updated_at,
                })
            })
            .collect()
    }

    /// Who had these operations begun, by name, as the audit log has it. Of one whose lines still come in it knows nothing yet.
    pub async fn starters_of(
        &mut self,
        operations: &[OperationId],
    ) -> Result<BTreeMap<OperationId, String>, StoreError> {
        let only = self.only();
        let ids: Vec<_> = operations.iter().map(ToString::to_string).collect();
        let rows = sqlx::query!(
            r#"SELECT object_id AS "object_id!", actor_name FROM audit_entries
               WHERE object_kind = 'operation' AND object_id = ANY($1) AND action = 'operation.created'
                 AND ($2::uuid IS NULL OR tenant_id = $2)"#,
            &ids,
            only,
        )
        .fetch_all(self.connection())
        .await?;
        let starter = |(id, name): (String, String)| Some((id.parse().ok()?, name));
        Ok(rows.into_iter().filter_map(|row| starter((row.object_id, row.actor_name))).collect())
    }

    /// Up to `limit` lines of an operation behind the line `after`, with what came of them; perhaps only those that failed.
    pub async fn operation_lines(
        &mut self,
        operation: OperationId,
        failed: bool,
        after: i32,
        limit: i64,
    ) -> Result<Vec<LineRow>, StoreError> {
        let only = self.only();
        let rows = sqlx::query!(
            "SELECT line, ref, name, result, domain_id, code, detail FROM operation_lines
             WHERE operation_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2) AND line > $3
               AND (NOT $4::boolean OR result >= 400)
             ORDER BY line LIMIT $5",
            operation.uuid(),
            only,
            after,
            failed,
            limit,
        )
        .fetch_all(self.connection())
        .await?;
        let row = rows.into_iter().map(|row| LineRow {
            line: row.line,
            reference: row.r#ref,
            name: row.name,
            result: row.result,
            domain_id: row.domain_id.map(certmill_model::DomainId::from_uuid),
            code: row.code,
            detail: row.detail,
        });
        Ok(row.collect())
    }
}
