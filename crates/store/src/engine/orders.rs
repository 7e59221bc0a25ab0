//! An order, from its key to its certificate: each step is on record before the next begins.

use certmill_model::{
    AccountId, ChallengeKind, ChallengeToken, Chance, Checks, DomainId, EventId, EventKind, Hostname,
    OrderId, TenantId, ZoneId,
};
use certmill_vault::{Place, Secret, Vault};
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    DomainLease, Engine, LEASE,
    domains::held,
    events::{StatusChange, add_changes, add_events},
    interval,
};
use crate::StoreError;

/// When a domain that another's order includes is looked at, in case nobody brought it its certificate.
const LOOK_AT_JOINED: time::Duration = time::Duration::minutes(10);

/// An order that is about to be placed.
pub struct NewOrder<'a> {
    /// Its id here.
    pub order_id: OrderId,
    /// The account it is placed with.
    pub account_id: AccountId,
    /// The names it is for.
    pub names: &'a [Hostname],
    /// How each of the names is proved.
    pub challenges: &'a [ChallengeKind],
    /// The domain of the second name, if there is one.
    pub joined: Option<DomainId>,
    /// The certificate that it renews, as the CA knows it (RFC 9773 section 5).
    pub replaces: Option<&'a str>,
    /// The profile that is asked for.
    pub profile: Option<&'a str>,
    /// The private key of its certificate: on record before the CA hears of the order.
    pub key: &'a Secret,
    /// What was seen of the names, that it was placed for.
    pub checks: &'a [(DomainId, Checks)],
}

/// An http-01 challenge that is to be answered.
pub struct PlacedChallenge {
    /// Its token.
    pub token: ChallengeToken,
    /// The key authorization (RFC 8555 section 8.1).
    pub key_authorization: String,
}

/// A TXT record that is to be written for a dns-01 challenge (RFC 8555 section 8.4).
#[derive(Clone, Debug)]
pub struct PlacedRecord {
    /// The zone.
    pub zone_id: ZoneId,
    /// Its full name, without trailing dot.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Engine {
    /// Stores a new order with its key, before the CA hears of it. The lease goes on. A domain that joins loses its own:
    /// whoever looked at it meanwhile has not ordered yet.
    ///
    /// [`StoreError::LeaseLost`]: something else is wanted by now, of this domain or of the one that was to join.
    pub async fn start_order(
        &self,
        lease: &DomainLease,
        order: &NewOrder<'_>,
        vault: &Vault,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let Some(joined) = order.joined else {
            return insert_order(&self.pool, lease, order, vault, chance, now).await;
        };
        let mut tx = self.pool.begin().await?;
        lock(&mut tx, &[lease.domain_id, joined]).await?;
        insert_order(&mut *tx, lease, order, vault, chance, now).await?;
        join(&mut tx, lease, order, joined, chance, now).await?;
        Ok(tx.commit().await?)
    }

    /// Stores where the CA keeps the order, and the answers to its challenges, before any is given. The lease goes on.
    /// `false`: a value is being removed for an earlier order; ask again shortly.
    pub async fn order_placed(
        &self,
        lease: &DomainLease,
        order: OrderId,
        url: &str,
        challenges: &[PlacedChallenge],
        records: &[PlacedRecord],
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let tokens: Vec<_> = challenges.iter().map(|challenge| challenge.token.as_str().to_owned()).collect();
        let answers: Vec<_> =
            challenges.iter().map(|challenge| challenge.key_authorization.clone()).collect();
        let rows = sqlx::query_scalar!(
            r#"WITH held AS (
                 UPDATE domains SET lease_until = now() + $3 WHERE domain_id = $1 AND lease_token = $2
                 RETURNING tenant_id
             ), placed AS (
                 UPDATE orders SET url = $5, status = 'pending', updated_at = $8
                 FROM held WHERE order_id = $4 AND status <> 'cancelled'
             ), answered AS (
                 INSERT INTO challenges (token, tenant_id, order_id, key_authorization, created_at)
                 SELECT challenge.token, held.tenant_id, $4, challenge.answer, $8
                 FROM held, UNNEST($6::text[], $7::text[]) AS challenge (token, answer)
                 ON CONFLICT (token) DO NOTHING
             )
             SELECT count(*) AS "held!" FROM held"#,
            lease.domain_id.uuid(),
            lease.token,
            interval(LEASE),
            order.uuid(),
            url,
            &tokens,
            &answers,
            now,
        )
        .fetch_one(&self.pool)
        .await?;
        held(rows as u64)?;
        if records.is_empty() { Ok(true) } else { self.place_records(order, records, now).await }
    }

    /// A value that an earlier order left, and that nobody is removing now, is this order's from now on.
    async fn place_records(
        &self,
        order: OrderId,
        records: &[PlacedRecord],
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let zones: Vec<_> = records.iter().map(|record| record.zone_id.uuid()).collect();
        let names: Vec<_> = records.iter().map(|record| record.name.clone()).collect();
        let values: Vec<_> = records.iter().map(|record| record.value.clone()).collect();
        let done = sqlx::query!(
            "INSERT INTO txt_records (zone_id, name, value, tenant_id, order_id, next_attempt_at)
             SELECT record.zone_id, record.name, record.value, o.tenant_id, o.order_id, $5
             FROM orders o, UNNEST($2::uuid[], $3::text[], $4::text[]) AS record (zone_id, name, value)
             WHERE o.order_id = $1
             ON CONFLICT (zone_id, name, value) DO UPDATE SET order_id = EXCLUDED.order_id, consecutive_failures = 0,
                 next_attempt_at = EXCLUDED.next_attempt_at
                 WHERE txt_records.lease_until IS NULL OR txt_records.lease_until < now()",
            order.uuid(),
            &zones,
            &names,
            &values,
            now,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == records.len() as u64)
    }
}

async fn insert_order(
    executor: impl PgExecutor<'_>,
    lease: &DomainLease,
    order: &NewOrder<'_>,
    vault: &Vault,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let place = key_place("orders", lease.tenant_id, order.order_id.uuid());
    // Made first, so that it stands first on the timeline.
    let verified = EventId::new(chance, now - time::Duration::MILLISECOND);
    let (checked, observed) = columns(order.checks)?;
    let done = sqlx::query!(
        "WITH held AS (
             UPDATE domains d SET lease_until = now() + $3, updated_at = $9, order_id = $4, order_after = NULL,
                 deferred_until = NULL, deferred_by = NULL, deferred_for = NULL,
                 -- Looks that found a record missing are no failures of the CA's.
                 consecutive_failures = CASE WHEN d.status IN ('pending_dns', 'failed', 'moved') THEN 0
                                             ELSE d.consecutive_failures END,
                 status = CASE WHEN d.certificate_id IS NULL OR d.status = 'expired' THEN 'pending_issuance'
                               WHEN d.status = 'moved' THEN 'active' ELSE d.status END,
                 status_since = CASE WHEN (d.certificate_id IS NULL AND d.status <> 'pending_issuance')
                                          OR d.status IN ('expired', 'moved') THEN $9 ELSE d.status_since END
             FROM domains before
             WHERE before.domain_id = d.domain_id AND d.domain_id = $1 AND d.lease_token = $2 AND d.revision = $10
             RETURNING d.domain_id, d.tenant_id, before.status AS status_before, d.status
         ), started AS (
             INSERT INTO orders (order_id, tenant_id, domain_id, account_id, names, challenges, status, sealed_key,
                                 replaces, profile, created_at, updated_at)
             SELECT $4, tenant_id, domain_id, $5, $6, $16, 'queued', $7, $18, $19, $9, $9 FROM held
         ), verified AS (
             INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at, previous_status, status)
             SELECT $12, tenant_id, domain_id, CASE WHEN status_before = 'moved' THEN $17 ELSE $13 END, '', $9,
                    status_before, status
             FROM held WHERE status_before IN ('pending_dns', 'failed', 'moved')
         ), observed AS (
             INSERT INTO checks (domain_id, tenant_id, observed, checked_at)
             SELECT seen.domain_id, held.tenant_id, seen.observed, $9
             FROM held, UNNEST($14::uuid[], $15::jsonb[]) AS seen (domain_id, observed)
             ON CONFLICT (domain_id) DO UPDATE SET observed = EXCLUDED.observed, checked_at = EXCLUDED.checked_at
         )
         INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at, status)
         SELECT $8, tenant_id, domain_id, $11, '', $9, status FROM held",
        lease.domain_id.uuid(),
        lease.token,
        interval(LEASE),
        order.order_id.uuid(),
        order.account_id.uuid(),
        &texts(order.names),
        vault.seal(&place, order.key),
        EventId::new(chance, now).uuid(),
        now,
        lease.revision,
        EventKind::OrderStarted.as_str(),
        verified.uuid(),
        EventKind::DnsVerified.as_str(),
        &checked,
        &observed,
        &order.challenges.iter().map(ToString::to_string).collect::<Vec<_>>(),
        EventKind::DomainReturned.as_str(),
        order.replaces,
        order.profile,
    )
    .execute(executor)
    .await?;
    held(done.rows_affected())
}

/// Takes a second domain, which is locked, into an order, unless it has one of its own by now.
async fn join(
    connection: &mut PgConnection,
    lease: &DomainLease,
    order: &NewOrder<'_>,
    joined: DomainId,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let row = sqlx::query!(
        "WITH before AS (SELECT status FROM domains WHERE domain_id = $1)
         UPDATE domains d SET order_id = $3, order_after = NULL, deferred_until = NULL, deferred_by = NULL,
             deferred_for = NULL, lease_until = NULL, lease_token = lease_token + 1,
             nudged_until = NULL, next_action_at = $5, updated_at = $4, consecutive_failures = 0,
             status = CASE WHEN d.certificate_id IS NULL OR d.status = 'expired' THEN 'pending_issuance'
                           WHEN d.status = 'moved' THEN 'active' ELSE d.status END,
             status_since = CASE WHEN (d.certificate_id IS NULL AND d.status <> 'pending_issuance')
                                      OR d.status IN ('expired', 'moved') THEN $4 ELSE d.status_since END
         FROM before
         WHERE domain_id = $1 AND tenant_id = $2 AND validation_failed_at IS NULL
           AND (order_after IS NULL OR order_after <= $4)
           AND d.status NOT IN ('failed', 'paused', 'blocked', 'pending_deletion', 'deleted')
           AND NOT EXISTS (
               SELECT 1 FROM orders o WHERE o.domain_id = $1
                 AND o.status IN ('queued', 'deferred', 'pending', 'ready', 'processing'))
           AND NOT EXISTS (
               SELECT 1 FROM orders o WHERE o.order_id = d.order_id
                 AND o.status IN ('queued', 'deferred', 'pending', 'ready', 'processing'))
         RETURNING before.status AS status_before, d.status",
        joined.uuid(),
        lease.tenant_id.uuid(),
        order.order_id.uuid(),
        now,
        now + LOOK_AT_JOINED,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let row = row.ok_or(StoreError::LeaseLost)?;
    let turned = StatusChange::read(joined, &row.status_before, &row.status)?;
    if let Some((turned, kind)) = turned.and_then(|turned| Some((turned, turned.kind()?))) {
        let first = now - time::Duration::MILLISECOND;
        add_changes(connection, &[turned], kind, "", chance, first).await?;
    }
    add_events(connection, &[joined], EventKind::OrderStarted, "", chance, now).await
}

/// Locks domains in the order in which everybody does.
pub(super) async fn lock(connection: &mut PgConnection, domains: &[DomainId]) -> Result<(), StoreError> {
    let ids: Vec<_> = domains.iter().map(|id| id.uuid()).collect();
    sqlx::query!(
        "SELECT domain_id FROM domains WHERE domain_id = ANY($1) ORDER BY domain_id FOR NO KEY UPDATE",
        &ids,
    )
    .fetch_all(connection)
    .await?;
    Ok(())
}

/// The same for all domains of an order.
pub(super) async fn lock_members(connection: &mut PgConnection, order: OrderId) -> Result<(), StoreError> {
    sqlx::query!(
        "SELECT domain_id FROM domains WHERE order_id = $1 ORDER BY domain_id FOR NO KEY UPDATE",
        order.uuid(),
    )
    .fetch_all(connection)
    .await?;
    Ok(())
}

/// What was seen, as columns.
pub(super) fn columns(
    checks: &[(DomainId, Checks)],
) -> Result<(Vec<Uuid>, Vec<serde_json::Value>), StoreError> {
    let observed = checks.iter().map(|(_, checks)| serde_json::to_value(checks));
    let observed: Result<_, _> = observed.collect();
    let observed = observed.map_err(|error| StoreError::inconsistent("checks", error))?;
    Ok((checks.iter().map(|(id, _)| id.uuid()).collect(), observed))
}

/// Where a private key stands. Orders and certificates keep it in a column of the same name.
pub(super) fn key_place(table: &'static str, tenant: TenantId, row: Uuid) -> Place<'static> {
    Place { table, column: "sealed_key", tenant: Some(tenant), row: row.into_bytes() }
}

pub(super) fn texts(names: &[Hostname]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
