//! Operations, worked on in chunks: each is one transaction under a lease, so that whoever goes on after a crash begins
//! exactly behind the last line that has its result.

mod steer;

use std::collections::HashSet;

use certmill_model::{
    BulkAction, Chance, DomainStatus, EventId, EventKind, Hostname, LineWish, OperationId, OperationStatus,
    RefusedLine, TenantId,
};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Engine, LEASE, interval};
use crate::{
    DomainWish, Put, StoreError, TenantTx,
    registration::register_many,
    rows::{hostname, parsed},
};

/// Lines of a chunk, and operations of a tenant at a time.
const CHUNK: i64 = 500;
const AT_A_TIME: i64 = 5;

/// The claim on an operation.
#[derive(Clone, Copy, Debug)]
pub struct OperationLease {
    /// The operation.
    pub operation_id: OperationId,
    /// Whose it is.
    pub tenant_id: TenantId,
    token: i64,
}

/// A line that is to be worked on.
struct Line {
    number: i32,
    name: Hostname,
    /// What it says beside the name.
    said: Map<String, Value>,
}

/// What came of a line.
struct Outcome {
    line: i32,
    result: i16,
    domain: Option<Uuid>,
    code: Option<&'static str>,
    detail: Option<String>,
}

impl Outcome {
    fn done(line: i32, result: i16, domain: Uuid) -> Self {
        Self { line, result, domain: Some(domain), code: None, detail: None }
    }

    fn failed(line: i32, result: i16, code: &'static str, detail: &str) -> Self {
        Self { line, result, domain: None, code: Some(code), detail: Some(detail.to_owned()) }
    }

    fn refused(line: i32, refused: &RefusedLine) -> Self {
        Self::failed(line, 422, refused.code, &refused.detail)
    }

    fn missing(line: i32) -> Self {
        Self::failed(line, 404, "domain_not_found", "No domain of this name is registered here.")
    }
}

impl Engine {
    /// Claims an operation that is complete and that nobody works on: of the tenant whose last turn was the longest ago, the one
    /// that waits the longest; five of a tenant at most. One that was cancelled waits for no turn.
    pub async fn claim_operation(&self, now: OffsetDateTime) -> Result<Option<OperationLease>, StoreError> {
        let row = sqlx::query!(
            r#"WITH open AS (
                 SELECT operation_id, count(*) FILTER (WHERE lease_until >= now()) OVER (PARTITION BY tenant_id) AS held
                 FROM operations WHERE status IN ('queued', 'running') AND is_complete
             ), chosen AS (
                 SELECT o.operation_id FROM open JOIN operations o USING (operation_id)
                 LEFT JOIN operation_turns turn ON turn.tenant_id = o.tenant_id
                 WHERE open.held < $3 AND o.status IN ('queued', 'running')
                   AND (o.lease_until IS NULL OR o.lease_until < now())
                 ORDER BY o.cancel_requested_at IS NULL, turn.taken_at NULLS FIRST, o.lease_until NULLS FIRST, o.operation_id
                 LIMIT 1 FOR UPDATE OF o SKIP LOCKED
             ), claimed AS (
                 UPDATE operations SET status = 'running', lease_until = now() + $2, lease_token = lease_token + 1,
                     started_at = COALESCE(started_at, $1), updated_at = $1
                 FROM chosen WHERE operations.operation_id = chosen.operation_id
                 RETURNING operations.operation_id, tenant_id, lease_token
             ), turn AS (
                 INSERT INTO operation_turns (tenant_id, taken_at) SELECT tenant_id, now() FROM claimed
                 ON CONFLICT (tenant_id) DO UPDATE SET taken_at = EXCLUDED.taken_at
             )
             SELECT operation_id AS "operation_id!", tenant_id AS "tenant_id!", lease_token AS "lease_token!" FROM claimed"#,
            now,
            interval(LEASE),
            AT_A_TIME,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| OperationLease {
            operation_id: OperationId::from_uuid(row.operation_id),
            tenant_id: TenantId::from_uuid(row.tenant_id),
            token: row.lease_token,
        }))
    }

    /// Ends a turn: others that wait go first.
    pub async fn release_operation(&self, lease: &OperationLease) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE operations SET lease_until = now()
             WHERE operation_id = $1 AND lease_token = $2 AND status = 'running'",
            lease.operation_id.uuid(),
            lease.token,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Works on the next lines of an operation. `false`: it has ended.
    pub async fn work_on_operation(
        &self,
        lease: &OperationLease,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        // Everything is done as the tenant that asked for it: each statement names it.
        let mut tx = TenantTx::of_engine(self.pool.begin().await?, lease.tenant_id);
        let held = sqlx::query!(
            r#"SELECT reached, cancel_requested_at IS NOT NULL AS "is_cancelled!" FROM operations
               WHERE operation_id = $1 AND lease_token = $2 AND status = 'running' FOR UPDATE"#,
            lease.operation_id.uuid(),
            lease.token,
        )
        .fetch_optional(&mut *tx.tx)
        .await?
        .ok_or(StoreError::LeaseLost)?;
        let chunk =
            if held.is_cancelled { None } else { next_chunk(&mut tx.tx, lease, held.reached).await? };
        let Some((action, lines, reached)) = chunk else {
            finish(&mut tx.tx, lease, held.is_cancelled, chance, now).await?;
            tx.commit().await?;
            return Ok(false);
        };
        let outcomes = match action {
            Some(action) => work(&mut tx, action, &lines, chance, now).await?,
            None => Vec::new(),
        };
        record(&mut tx.tx, lease, &outcomes, reached, now).await?;
        tx.commit().await?;
        self.wake().await?;
        Ok(true)
    }
}

/// Ends an operation, and tells of it.
async fn finish(
    connection: &mut PgConnection,
    lease: &OperationLease,
    is_cancelled: bool,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let status = if is_cancelled { OperationStatus::Cancelled } else { OperationStatus::Succeeded };
    sqlx::query!(
        "WITH ended AS (
             UPDATE operations SET status = $2, finished_at = $3, updated_at = $3, lease_until = NULL
             WHERE operation_id = $1 RETURNING tenant_id, title, total, done, failed
         )
         INSERT INTO events (event_id, tenant_id, kind, detail, happened_at, previous_status, status, subject, subject_name)
         SELECT $4, tenant_id, $5, format('%s of %s lines done, %s of them failed', done, total, failed), $3, 'running', $2,
                $6, title FROM ended",
        lease.operation_id.uuid(),
        status.as_str(),
        now,
        EventId::new(chance, now).uuid(),
        EventKind::OperationCompleted.as_str(),
        lease.operation_id.to_string(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

type Chunk = (Option<BulkAction>, Vec<Line>, i32);

/// The next lines that can be worked on together: of one kind, and no name twice, so that their order does not matter.
async fn next_chunk(
    connection: &mut PgConnection,
    lease: &OperationLease,
    reached: i32,
) -> Result<Option<Chunk>, StoreError> {
    let rows = sqlx::query!(
        "SELECT line, action, name, wish FROM operation_lines
         WHERE operation_id = $1 AND line > $2 ORDER BY line LIMIT $3",
        lease.operation_id.uuid(),
        reached,
        CHUNK,
    )
    .fetch_all(connection)
    .await?;
    let (mut kind, mut lines, mut reached, mut names) = (None, Vec::new(), None, HashSet::new());
    for row in rows {
        if let (Some(action), Some(name)) = (row.action, row.name) {
            let action = parsed::<BulkAction>("operation_lines", &action)?;
            if kind.is_some_and(|kind| kind != action) || !names.insert(name.clone()) {
                break;
            }
            kind = Some(action);
            let name = hostname("operation_lines", &name)?;
            let Some(Value::Object(said)) = row.wish.or_else(|| Some(Map::new().into())) else {
                return Err(StoreError::inconsistent("operation_lines", "what a line says is no object"));
            };
            lines.push(Line { number: row.line, name, said });
        }
        reached = Some(row.line);
    }
    Ok(reached.map(|reached| (kind, lines, reached)))
}

async fn work(
    tx: &mut TenantTx,
    action: BulkAction,
    lines: &[Line],
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<Vec<Outcome>, StoreError> {
    if let BulkAction::Put | BulkAction::Patch | BulkAction::Delete = action {
        steer::lock_named(tx, lines).await?;
    }
    match action {
        BulkAction::Put => put(tx, lines, chance, now).await,
        BulkAction::Patch => patch(tx, lines, chance, now).await,
        BulkAction::Delete => delete(tx, lines, chance, now).await,
        _ => steer::steer(tx, action, lines, chance, now).await,
    }
}

/// New names in one statement; those that are there already one by one.
async fn put(
    tx: &mut TenantTx,
    lines: &[Line],
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<Vec<Outcome>, StoreError> {
    let (mut outcomes, mut wishes) = (Vec::new(), Vec::new());
    for line in lines {
        match wish(line, &Map::new()) {
            Ok(wish) => wishes.push((line.number, wish)),
            Err(refused) => outcomes.push(Outcome::refused(line.number, &refused)),
        }
    }
    let new: Vec<_> = wishes.iter().map(|(_, wish)| wish).collect();
    let tenant = tx.tenant;
    let created = register_many(&mut tx.tx, tenant, &new, chance, now).await?;
    for (line, wish) in &wishes {
        outcomes.push(match created.get(wish.name.as_str()) {
            Some(id) => Outcome::done(*line, 201, *id),
            None => put_one(tx, *line, wish, chance, now).await?,
        });
    }
    Ok(outcomes)
}

async fn put_one(
    tx: &mut TenantTx,
    line: i32,
    wish: &DomainWish,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<Outcome, StoreError> {
    Ok(match tx.put_domain(wish, chance, now).await {
        Ok(Put::Created(domain)) => Outcome::done(line, 201, domain.domain_id.uuid()),
        Ok(Put::Changed(domain) | Put::Same(domain)) => Outcome::done(line, 200, domain.domain_id.uuid()),
        Err(StoreError::NameTaken) => {
            let detail = "The name is registered already, by somebody else.";
            Outcome::failed(line, 409, "domain_taken", detail)
        }
        Err(StoreError::QuotaReached) => {
            let detail =
                "The tenant has as many domains as it may. Remove some, or ask the platform for more.";
            Outcome::failed(line, 403, "quota_reached", detail)
        }
        Err(StoreError::Suspended) => {
            let detail = "The tenant takes no new names. Those that it has are served and renewed as before.";
            Outcome::failed(line, 403, "tenant_suspended", detail)
        }
        Err(error) => return Err(error),
    })
}

/// Each name by itself: what is wanted follows from what was wanted.
async fn patch(
    tx: &mut TenantTx,
    lines: &[Line],
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<Vec<Outcome>, StoreError> {
    let mut outcomes = Vec::new();
    for line in lines {
        outcomes.push(match tx.lock_domain(&line.name).await? {
            None => Outcome::missing(line.number),
            Some(domain) if domain.status == DomainStatus::PendingDeletion => {
                Outcome::failed(line.number, 409, "domain_being_removed", "It is being removed.")
            }
            Some(domain) => match wish(line, &domain.wanted()) {
                Ok(wish) => put_one(tx, line.number, &wish, chance, now).await?,
                Err(refused) => Outcome::refused(line.number, &refused),
            },
        });
    }
    Ok(outcomes)
}

/// What is wanted after a line. What was checked when it came in is checked again: the version before may have taken it.
fn wish(line: &Line, before: &Map<String, Value>) -> Result<DomainWish, RefusedLine> {
    let said = LineWish::after(before, &line.said)?.parse()?;
    Ok(DomainWish {
        external_id: said.external_id,
        template: said.template,
        key_type: said.key_type,
        tags: said.tags,
        metadata: said.metadata,
        ..DomainWish::of(line.name.clone())
    })
}

async fn delete(
    tx: &mut TenantTx,
    lines: &[Line],
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<Vec<Outcome>, StoreError> {
    let mut outcomes = Vec::new();
    for line in lines {
        let domain = tx.find_domain(&line.name).await?;
        outcomes.push(match domain {
            Some(domain) => {
                tx.delete_domain(&line.name, chance, now).await?;
                Outcome::done(line.number, 202, domain.domain_id.uuid())
            }
            None => Outcome::missing(line.number),
        });
    }
    Ok(outcomes)
}

async fn record(
    connection: &mut PgConnection,
    lease: &OperationLease,
    outcomes: &[Outcome],
    reached: i32,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let lines: Vec<_> = outcomes.iter().map(|one| one.line).collect();
    let results: Vec<_> = outcomes.iter().map(|one| one.result).collect();
    let domains: Vec<_> = outcomes.iter().map(|one| one.domain).collect();
    let codes: Vec<_> = outcomes.iter().map(|one| one.code.map(str::to_owned)).collect();
    let details: Vec<_> = outcomes.iter().map(|one| one.detail.clone()).collect();
    let failed = outcomes.iter().filter(|one| one.result >= 400).count() as i32;
    sqlx::query!(
        // What a line wished has been heard: its result says all that is asked for later.
        "WITH recorded AS (
             UPDATE operation_lines l SET result = r.result, domain_id = r.domain_id, code = r.code, detail = r.detail, wish = NULL
             FROM UNNEST($2::int[], $3::smallint[], $4::uuid[], $5::text[], $6::text[])
                 AS r (line, result, domain_id, code, detail), operation_lines before
             WHERE l.operation_id = $1 AND l.line = r.line AND before.operation_id = $1 AND before.line = r.line
             RETURNING octet_length(before.wish::text) AS forgotten
         )
         UPDATE operations SET done = done + $7, failed = failed + $8, reached = $9, updated_at = $10,
             lease_until = now() + $11,
             bytes = GREATEST(0, bytes - (SELECT COALESCE(sum(forgotten), 0) FROM recorded))
         WHERE operation_id = $1",
        lease.operation_id.uuid(),
        &lines,
        &results,
        &domains as &[Option<Uuid>],
        &codes as &[Option<String>],
        &details as &[Option<String>],
        outcomes.len() as i32,
        failed,
        reached,
        now,
        interval(LEASE),
    )
    .execute(connection)
    .await?;
    Ok(())
}
