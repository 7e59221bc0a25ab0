//! The end of what is no longer needed: finished orders, old events, certificates that ended long ago, full buckets.
//!
//! Each call looks at a bounded number of rows, found by an index, so that it never stands in the way of work.

use certmill_model::{KEPT_BYTES, KEPT_LINES, KEPT_OPERATIONS};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::Engine;
use crate::StoreError;

/// Rows that are looked at in one transaction.
const BATCH: i64 = 1_000;

/// How long what has ended is kept: orders and certificates, events, what was seen of deleted domains,
/// and deliveries to webhook endpoints.
const ENDED: Duration = Duration::days(90);
const EVENTS: Duration = Duration::days(400);
const DELETED: Duration = Duration::days(7);
const WEBHOOKS: Duration = Duration::days(30);

/// How long operations are kept, how long the lines of one may take to come in, and for how long a request that is repeated
/// under its key is answered as it was.
const OPERATIONS: Duration = Duration::days(30);
const COMING_IN: Duration = Duration::hours(2);
const KEYS: Duration = Duration::hours(24);

/// How long what came of trials of templates is shown; a version remembers by itself that one passed.
const TRIALS: Duration = Duration::days(30);

/// How long links for the owners of shops are listed: they last 90 days at most.
const LINKS: Duration = Duration::days(180);

/// What is deleted after a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expendable {
    /// Orders that came to nothing, 90 days after their end.
    Orders,
    /// Certificates that were replaced or ran out, or whose domains are deleted for 90 days, with their orders, 90 days after
    /// their last instant.
    Certificates,
    /// Events, after 400 days.
    Events,
    /// What was last seen of domains that are deleted.
    Checks,
    /// Limits that nobody has used lately.
    Buckets,
    /// Deliveries to webhook endpoints, 30 days after they were planned.
    Webhooks,
    /// Long operations that have ended, with their lines, 30 days after they were made, or sooner where a tenant has too many;
    /// those whose lines stopped coming in end first.
    Operations,
    /// What was answered to requests with an `Idempotency-Key`, after 24 hours.
    IdempotencyKeys,
    /// Trials of templates, 30 days after somebody asked for them.
    Trials,
    /// Deliveries to load balancers, after 90 days.
    Deployments,
    /// Links for the owners of shops, 180 days after they were made, when they have ended long ago.
    SetupLinks,
}

/// Up to where rows have been looked at.
#[derive(Clone, Copy, Debug)]
struct Reached(OffsetDateTime, Uuid);

impl Expendable {
    /// All of it.
    pub const ALL: [Self; 11] = [
        Self::Orders,
        Self::Certificates,
        Self::Events,
        Self::Checks,
        Self::Buckets,
        Self::Webhooks,
        Self::Operations,
        Self::IdempotencyKeys,
        Self::Trials,
        Self::Deployments,
        Self::SetupLinks,
    ];
}

impl Engine {
    /// Deletes what is no longer needed of one kind, a batch at a time; `rest` is awaited between two batches. Returns how
    /// many rows there were.
    pub async fn delete_expendable(
        &self,
        kind: Expendable,
        now: OffsetDateTime,
        rest: impl AsyncFn(),
    ) -> Result<u64, StoreError> {
        let mut reached = Reached(OffsetDateTime::UNIX_EPOCH, Uuid::nil());
        let mut deleted = 0;
        loop {
            let mut tx = self.pool.begin().await?;
            let batch = match kind {
                Expendable::Orders => orders(&mut tx, reached, now - ENDED).await?,
                Expendable::Certificates => certificates(&mut tx, reached, now - ENDED).await?,
                Expendable::Events => events(&mut tx, now - EVENTS).await?,
                Expendable::Checks => checks(&mut tx, reached, now - DELETED).await?,
                Expendable::Buckets => buckets(&mut tx, now).await?,
                Expendable::Webhooks => webhooks(&mut tx, now - WEBHOOKS).await?,
                Expendable::Operations => operations(&mut tx, now).await?,
                Expendable::IdempotencyKeys => idempotency_keys(&mut tx, now - KEYS).await?,
                Expendable::Trials => trials(&mut tx, now - TRIALS).await?,
                Expendable::Deployments => deployments(&mut tx, now - ENDED).await?,
                Expendable::SetupLinks => setup_links(&mut tx, now - LINKS).await?,
            };
            tx.commit().await?;
            deleted += batch.deleted;
            match batch.reached {
                Some(further) => reached = further,
                None => return Ok(deleted),
            }
            rest().await;
        }
    }
}

/// What came of a batch.
struct Batch {
    deleted: u64,
    /// Where the next one begins; `None`: there is none.
    reached: Option<Reached>,
}

impl Batch {
    fn new(deleted: u64, seen: usize, last: Option<Reached>) -> Self {
        Self { deleted, reached: last.filter(|_| seen as i64 == BATCH) }
    }

    /// Where all that is found is deleted: the next one begins anew.
    fn of_all(deleted: u64, before: OffsetDateTime) -> Self {
        Self::new(deleted, deleted as usize, Some(Reached(before, Uuid::nil())))
    }
}

async fn orders(
    connection: &mut PgConnection,
    Reached(at, id): Reached,
    before: OffsetDateTime,
) -> Result<Batch, StoreError> {
    let rows = sqlx::query!(
        "SELECT order_id, updated_at FROM orders
         WHERE status IN ('invalid', 'cancelled') AND (updated_at, order_id) > ($1, $2) AND updated_at < $3
         ORDER BY updated_at, order_id LIMIT $4",
        at,
        id,
        before,
        BATCH,
    )
    .fetch_all(&mut *connection)
    .await?;
    let ids: Vec<_> = rows.iter().map(|row| row.order_id).collect();
    let deleted = delete_orders(connection, &ids).await?;
    Ok(Batch::new(deleted, rows.len(), rows.last().map(|row| Reached(row.updated_at, row.order_id))))
}

/// Deletes orders, but not those that something still refers to.
async fn delete_orders(connection: &mut PgConnection, ids: &[Uuid]) -> Result<u64, StoreError> {
    sqlx::query!("DELETE FROM challenges WHERE order_id = ANY ($1)", ids).execute(&mut *connection).await?;
    let done = sqlx::query!(
        "DELETE FROM orders o WHERE o.order_id = ANY ($1)
           AND NOT EXISTS (SELECT 1 FROM domains d WHERE d.order_id = o.order_id)
           AND NOT EXISTS (SELECT 1 FROM txt_records t WHERE t.order_id = o.order_id)
           AND NOT EXISTS (SELECT 1 FROM certificates c WHERE c.order_id = o.order_id)",
        ids,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn certificates(
    connection: &mut PgConnection,
    Reached(at, id): Reached,
    before: OffsetDateTime,
) -> Result<Batch, StoreError> {
    let let_go = let_go_of_certificates(connection, before).await?;
    let rows = sqlx::query!(
        "SELECT certificate_id, not_after FROM certificates
         WHERE status IN ('superseded', 'expired', 'revoked') AND (not_after, certificate_id) > ($1, $2)
           AND not_after < $3
         ORDER BY not_after, certificate_id LIMIT $4",
        at,
        id,
        before,
        BATCH,
    )
    .fetch_all(&mut *connection)
    .await?;
    let ids: Vec<_> = rows.iter().map(|row| row.certificate_id).collect();
    let ended = sqlx::query_scalar!(
        "DELETE FROM certificates c WHERE c.certificate_id = ANY ($1)
           AND NOT EXISTS (SELECT 1 FROM domains d WHERE d.certificate_id = c.certificate_id)
           AND NOT EXISTS (SELECT 1 FROM placements p WHERE p.wanted_certificate_id = c.certificate_id)
           AND NOT EXISTS (SELECT 1 FROM placements p WHERE p.served_certificate_id = c.certificate_id)
         RETURNING c.order_id",
        &ids,
    )
    .fetch_all(&mut *connection)
    .await?;
    let orders = delete_orders(connection, &ended).await?;
    let last = rows.last().map_or(Reached(at, id), |row| Reached(row.not_after, row.certificate_id));
    Ok(Batch::new(ended.len() as u64 + orders, rows.len().max(let_go), Some(last)))
}

/// A tombstone keeps the certificate that its domain had last, for as long as orders are kept. Returns how many let go.
async fn let_go_of_certificates(
    connection: &mut PgConnection,
    before: OffsetDateTime,
) -> Result<usize, StoreError> {
    let done = sqlx::query!(
        "WITH gone AS (
             SELECT domain_id, certificate_id FROM domains
             WHERE status = 'deleted' AND certificate_id IS NOT NULL AND status_since < $1
             ORDER BY status_since LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
         ), unused AS (
             -- One that another domain has as well is that one's.
             UPDATE certificates c SET status = 'superseded' FROM gone
             WHERE c.certificate_id = gone.certificate_id AND c.status IN ('issued', 'active')
               AND NOT EXISTS (SELECT 1 FROM domains d
                               WHERE d.certificate_id = c.certificate_id AND d.status <> 'deleted')
         )
         UPDATE domains d SET certificate_id = NULL FROM gone WHERE d.domain_id = gone.domain_id",
        before,
        BATCH,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() as usize)
}

/// The first id that is made at `instant`: ids begin with the time (RFC 9562 section 5.7), so that what is old is found by them.
fn first_id(instant: OffsetDateTime) -> Uuid {
    let millis = u128::try_from(instant.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    Uuid::from_u128(millis << 80)
}

async fn events(connection: &mut PgConnection, before: OffsetDateTime) -> Result<Batch, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM events WHERE event_id = ANY (ARRAY (
             SELECT event_id FROM events WHERE event_id < $1 ORDER BY event_id LIMIT $2))",
        first_id(before),
        BATCH,
    )
    .execute(connection)
    .await?;
    Ok(Batch::of_all(done.rows_affected(), before))
}

/// A worker that looked at a domain while it was deleted has left what it saw.
async fn checks(
    connection: &mut PgConnection,
    Reached(at, _): Reached,
    since: OffsetDateTime,
) -> Result<Batch, StoreError> {
    let rows = sqlx::query!(
        "SELECT domain_id, status_since FROM domains WHERE status = 'deleted' AND status_since > $1
         ORDER BY status_since LIMIT $2",
        at.max(since),
        BATCH,
    )
    .fetch_all(&mut *connection)
    .await?;
    let ids: Vec<_> = rows.iter().map(|row| row.domain_id).collect();
    let done =
        sqlx::query!("DELETE FROM checks WHERE domain_id = ANY ($1)", &ids).execute(connection).await?;
    let last = rows.last().map(|row| Reached(row.status_since, row.domain_id));
    Ok(Batch::new(done.rows_affected(), rows.len(), last))
}

async fn buckets(connection: &mut PgConnection, now: OffsetDateTime) -> Result<Batch, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM limit_buckets b USING (
             SELECT owner, kind, key, share_of FROM limit_buckets
             WHERE full_at < $1 AND COALESCE(held_until, $1) <= $1 AND COALESCE(tail_at, $1) <= $1
             ORDER BY full_at LIMIT $2 FOR UPDATE SKIP LOCKED) AS old
         WHERE b.owner = old.owner AND b.kind = old.kind AND b.key = old.key AND b.share_of = old.share_of",
        now,
        BATCH,
    )
    .execute(connection)
    .await?;
    Ok(Batch::of_all(done.rows_affected(), now))
}

async fn webhooks(connection: &mut PgConnection, before: OffsetDateTime) -> Result<Batch, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM webhook_deliveries WHERE delivery_id = ANY (ARRAY (
             SELECT delivery_id FROM webhook_deliveries WHERE created_at < $1 ORDER BY created_at LIMIT $2))",
        before,
        BATCH,
    )
    .execute(connection)
    .await?;
    Ok(Batch::of_all(done.rows_affected(), before))
}

/// A batch of lines of operations that are too old or too many, and those operations that have none left.
async fn operations(connection: &mut PgConnection, now: OffsetDateTime) -> Result<Batch, StoreError> {
    sqlx::query!(
        "UPDATE operations SET status = 'cancelled', finished_at = $1, updated_at = $1
         WHERE status = 'queued' AND NOT is_complete AND updated_at < $2",
        now,
        now - COMING_IN,
    )
    .execute(&mut *connection)
    .await?;
    let mut ended = old_operations(connection, now - OPERATIONS).await?;
    if ended.is_empty() {
        ended = surplus_operations(connection).await?;
    }
    if ended.is_empty() {
        return Ok(Batch::new(0, 0, None));
    }
    let lines = sqlx::query!(
        "DELETE FROM operation_lines WHERE (operation_id, line) IN (
             SELECT operation_id, line FROM operation_lines WHERE operation_id = ANY ($1) ORDER BY operation_id, line LIMIT $2)",
        &ended,
        BATCH,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM operations o WHERE o.operation_id = ANY ($1)
           AND NOT EXISTS (SELECT 1 FROM operation_lines l WHERE l.operation_id = o.operation_id)",
        &ended,
    )
    .execute(connection)
    .await?;
    Ok(Batch { deleted: lines.rows_affected(), reached: Some(Reached(now, Uuid::nil())) })
}

/// Ids are made in the order of time: the oldest are the first.
async fn old_operations(
    connection: &mut PgConnection,
    before: OffsetDateTime,
) -> Result<Vec<Uuid>, StoreError> {
    let ended = sqlx::query_scalar!(
        "SELECT operation_id FROM operations WHERE created_at < $1 AND status NOT IN ('queued', 'running')
         ORDER BY operation_id LIMIT $2",
        before,
        BATCH,
    )
    .fetch_all(connection)
    .await?;
    Ok(ended)
}

/// Those of tenants that have more than is kept, behind the newest that are.
async fn surplus_operations(connection: &mut PgConnection) -> Result<Vec<Uuid>, StoreError> {
    let ended = sqlx::query_scalar!(
        r#"SELECT placed.operation_id AS "operation_id!" FROM (
               SELECT operation_id, status, sum(total) OVER newer AS lines, sum(bytes) OVER newer AS bytes,
                      row_number() OVER newer AS place
               FROM operations
               WHERE tenant_id IN (SELECT tenant_id FROM operations GROUP BY tenant_id
                                   HAVING sum(total) > $1 OR count(*) > $2 OR sum(bytes) > $4::bigint)
               WINDOW newer AS (PARTITION BY tenant_id ORDER BY operation_id DESC)) AS placed
           WHERE (placed.lines > $1 OR placed.place > $2 OR placed.bytes > $4::bigint) AND placed.status NOT IN ('queued', 'running')
           ORDER BY placed.operation_id LIMIT $3"#,
        KEPT_LINES,
        KEPT_OPERATIONS,
        BATCH,
        KEPT_BYTES,
    )
    .fetch_all(connection)
    .await?;
    Ok(ended)
}

async fn idempotency_keys(
    connection: &mut PgConnection,
    before: OffsetDateTime,
) -> Result<Batch, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM idempotency_keys k USING (
             SELECT token_id, key FROM idempotency_keys WHERE started_at < $1 ORDER BY started_at LIMIT $2) AS old
         WHERE k.token_id = old.token_id AND k.key = old.key",
        before,
        BATCH,
    )
    .execute(connection)
    .await?;
    Ok(Batch::of_all(done.rows_affected(), before))
}

async fn trials(connection: &mut PgConnection, before: OffsetDateTime) -> Result<Batch, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM template_trials WHERE trial_id = ANY (ARRAY (
             SELECT trial_id FROM template_trials WHERE trial_id < $1 ORDER BY trial_id LIMIT $2))",
        first_id(before),
        BATCH,
    )
    .execute(connection)
    .await?;
    Ok(Batch::of_all(done.rows_affected(), before))
}

async fn deployments(connection: &mut PgConnection, before: OffsetDateTime) -> Result<Batch, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM deployments WHERE deployment_id = ANY (ARRAY (
             SELECT deployment_id FROM deployments WHERE deployment_id < $1 ORDER BY deployment_id LIMIT $2))",
        first_id(before),
        BATCH,
    )
    .execute(connection)
    .await?;
    Ok(Batch::of_all(done.rows_affected(), before))
}

async fn setup_links(connection: &mut PgConnection, before: OffsetDateTime) -> Result<Batch, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM setup_links WHERE link_id = ANY (ARRAY (
             SELECT link_id FROM setup_links WHERE link_id < $1 ORDER BY link_id LIMIT $2))",
        first_id(before),
        BATCH,
    )
    .execute(connection)
    .await?;
    Ok(Batch::of_all(done.rows_affected(), before))
}
