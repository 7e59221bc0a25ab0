//! An order, from its key to its certificate: each step is on record before the next begins.

use certmill_model::{
    AccountId, CertificateId, ChallengeKind, ChallengeToken, Chance, Checks, DomainId, EventId, EventKind,
    Hostname, OrderId, OrderStatus, TenantId, ZoneId,
};
use certmill_vault::{Place, Secret, Vault};
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{ClaimedDomain, DomainLease, Engine, LEASE, domains::held, interval, outcomes::add_events};
use crate::{StoreError, WAKE_CHANNEL};

/// When a domain is looked at again after its certificate was issued, in case nobody noticed that it is served.
const LOOK_AFTER: time::Duration = time::Duration::seconds(30);

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

/// A certificate as it came, verified.
pub struct Issued<'a> {
    /// Its id here.
    pub certificate_id: CertificateId,
    /// The order that it came of.
    pub order_id: OrderId,
    /// Its names.
    pub names: &'a [Hostname],
    /// The serial number, hexadecimal.
    pub serial_number: &'a str,
    /// SHA-256 of the leaf.
    pub fingerprint: &'a [u8],
    /// Who issued it.
    pub issuer: &'a str,
    /// Valid from.
    pub not_before: OffsetDateTime,
    /// Valid until.
    pub not_after: OffsetDateTime,
    /// Leaf and intermediates, PEM.
    pub fullchain: &'a str,
    /// Its private key.
    pub key: &'a Secret,
    /// When its renewal is due.
    pub renew_after: OffsetDateTime,
    /// When its names are looked at again, beside all renewals.
    pub check_after: OffsetDateTime,
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

    /// Stores the certificate, ends its order, makes it what every load balancer should serve for each of its domains, and
    /// wakes the planner. The lease ends.
    pub async fn issued(
        &self,
        domain: &ClaimedDomain,
        issued: &Issued<'_>,
        vault: &Vault,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        if issued.names.len() == 1 {
            return record_issued(&self.pool, domain, issued, vault, chance, now).await;
        }
        let mut tx = self.pool.begin().await?;
        lock_members(&mut tx, issued.order_id).await?;
        record_issued(&mut *tx, domain, issued, vault, chance, now).await?;
        Ok(tx.commit().await?)
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
                 status = CASE WHEN d.certificate_id IS NULL OR d.status = 'expired' THEN 'pending_issuance'
                               WHEN d.status = 'moved' THEN 'active' ELSE d.status END,
                 status_since = CASE WHEN (d.certificate_id IS NULL AND d.status <> 'pending_issuance')
                                          OR d.status IN ('expired', 'moved') THEN $9 ELSE d.status_since END
             FROM domains before
             WHERE before.domain_id = d.domain_id AND d.domain_id = $1 AND d.lease_token = $2 AND d.revision = $10
             RETURNING d.domain_id, d.tenant_id, before.status AS status_before
         ), started AS (
             INSERT INTO orders (order_id, tenant_id, domain_id, account_id, names, challenges, status, sealed_key,
                                 created_at, updated_at)
             SELECT $4, tenant_id, domain_id, $5, $6, $16, 'queued', $7, $9, $9 FROM held
         ), verified AS (
             INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at)
             SELECT $12, tenant_id, domain_id, CASE WHEN status_before = 'moved' THEN $17 ELSE $13 END, '', $9
             FROM held WHERE status_before IN ('pending_dns', 'failed', 'moved')
         ), observed AS (
             INSERT INTO checks (domain_id, tenant_id, observed, checked_at)
             SELECT seen.domain_id, held.tenant_id, seen.observed, $9
             FROM held, UNNEST($14::uuid[], $15::jsonb[]) AS seen (domain_id, observed)
             ON CONFLICT (domain_id) DO UPDATE SET observed = EXCLUDED.observed, checked_at = EXCLUDED.checked_at
         )
         INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at)
         SELECT $8, tenant_id, domain_id, $11, '', $9 FROM held",
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
    )
    .execute(executor)
    .await?;
    held(done.rows_affected())
}

/// Takes a second domain into an order, unless it has one of its own by now.
async fn join(
    connection: &mut PgConnection,
    lease: &DomainLease,
    order: &NewOrder<'_>,
    joined: DomainId,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "UPDATE domains SET order_id = $3, order_after = NULL, lease_until = NULL, lease_token = lease_token + 1,
             nudged_until = NULL, next_action_at = $5, updated_at = $4,
             status = CASE WHEN certificate_id IS NULL OR status = 'expired' THEN 'pending_issuance' ELSE status END,
             status_since = CASE WHEN (certificate_id IS NULL OR status = 'expired') AND status <> 'pending_issuance'
                                 THEN $4 ELSE status_since END
         WHERE domain_id = $1 AND tenant_id = $2 AND validation_failed_at IS NULL
           AND status NOT IN ('paused', 'blocked', 'pending_deletion', 'deleted')
           AND NOT EXISTS (
               SELECT 1 FROM orders o WHERE o.domain_id = $1
                 AND o.status IN ('queued', 'deferred', 'pending', 'ready', 'processing'))
           AND NOT EXISTS (
               SELECT 1 FROM orders o WHERE o.order_id = domains.order_id
                 AND o.status IN ('queued', 'deferred', 'pending', 'ready', 'processing'))",
        joined.uuid(),
        lease.tenant_id.uuid(),
        order.order_id.uuid(),
        now,
        now + LOOK_AT_JOINED,
    )
    .execute(&mut *connection)
    .await?;
    held(done.rows_affected())?;
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

async fn record_issued(
    executor: impl PgExecutor<'_>,
    domain: &ClaimedDomain,
    issued: &Issued<'_>,
    vault: &Vault,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let lease = &domain.lease;
    let place = key_place("certificates", lease.tenant_id, issued.certificate_id.uuid());
    // One statement, since hundreds of these run in a second. A domain that is being deleted gets no placement.
    let rows = sqlx::query_scalar!(
        r#"WITH held AS (
               SELECT domain_id FROM domains WHERE domain_id = $1 AND lease_token = $2 FOR NO KEY UPDATE
           ), members AS (
               UPDATE domains d SET certificate_id = $3, renew_after = $17, consecutive_failures = 0,
                   order_id = NULL, order_after = NULL, validation_failed_at = NULL, check_after = $21,
                   lease_until = NULL, updated_at = $13,
                   next_action_at = CASE WHEN d.domain_id <> $1 OR revision = $18
                                         THEN LEAST($17::timestamptz, $19::timestamptz) ELSE $13 END,
                   status = CASE WHEN status IN ('pending_deletion', 'active', 'moved') THEN status
                                 ELSE 'pending_deployment' END,
                   status_since = CASE WHEN status IN ('pending_deletion', 'active', 'moved') THEN status_since
                                       ELSE $13 END
               FROM held
               WHERE d.domain_id = held.domain_id OR d.order_id = $4
               RETURNING d.domain_id, d.tenant_id, d.revision, d.status
           ), stored AS (
               INSERT INTO certificates (certificate_id, tenant_id, domain_id, order_id, names, status, serial_number,
                                         fingerprint, issuer, not_before, not_after, fullchain, sealed_key, created_at)
               SELECT $3, tenant_id, domain_id, $4, $5, 'issued', $6, $7, $8, $9, $10, $11, $12, $13
               FROM members WHERE domain_id = $1
           ), ended AS (
               UPDATE orders SET status = $14, sealed_key = NULL, problem = NULL, updated_at = $13
               FROM held WHERE order_id = $4
           ), answered AS (
               DELETE FROM challenges USING held WHERE order_id = $4
           ), told AS (
               INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at)
               SELECT told.event_id, m.tenant_id, m.domain_id, $16, $8, $13
               FROM (SELECT *, row_number() OVER (ORDER BY domain_id <> $1) AS number FROM members) m
               JOIN UNNEST($15::uuid[]) WITH ORDINALITY AS told (event_id, number) USING (number)
           ), placed AS (
               INSERT INTO placements (target_id, domain_id, tenant_id, shard, wanted_certificate_id,
                                       wanted_revision, pending, next_attempt_at)
               SELECT t.target_id, m.domain_id, m.tenant_id, get_byte(uuid_send(m.domain_id), 15), $3, m.revision,
                      true, $13
               FROM members m, targets t WHERE m.status <> 'pending_deletion'
               ON CONFLICT (target_id, domain_id) DO UPDATE SET pending = true, next_attempt_at = $13,
                   consecutive_failures = 0, wanted_certificate_id = EXCLUDED.wanted_certificate_id,
                   wanted_revision = EXCLUDED.wanted_revision
           )
           SELECT count(*) AS "held!" FROM held, LATERAL (SELECT pg_notify($20, '')) AS woken"#,
        lease.domain_id.uuid(),
        lease.token,
        issued.certificate_id.uuid(),
        issued.order_id.uuid(),
        &texts(issued.names),
        issued.serial_number,
        issued.fingerprint,
        issued.issuer,
        issued.not_before,
        issued.not_after,
        issued.fullchain,
        vault.seal(&place, issued.key),
        now,
        OrderStatus::Valid.as_str(),
        &issued.names.iter().map(|_| EventId::new(chance, now).uuid()).collect::<Vec<_>>(),
        EventKind::CertificateIssued.as_str(),
        issued.renew_after,
        lease.revision,
        now + LOOK_AFTER,
        WAKE_CHANNEL,
        issued.check_after,
    )
    .fetch_one(executor)
    .await?;
    held(rows as u64)
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

fn texts(names: &[Hostname]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
