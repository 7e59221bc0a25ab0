//! An order, from its key to its certificate: each step is on record before the next begins.

use certmill_model::{
    AccountId, CertificateId, ChallengeToken, Chance, EventId, EventKind, Hostname, OrderId, OrderStatus,
    TenantId,
};
use certmill_vault::{Place, Secret, Vault};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{ClaimedDomain, DomainLease, Engine, LEASE, domains::held, interval};
use crate::{StoreError, WAKE_CHANNEL};

/// When a domain is looked at again after its certificate was issued, in case nobody noticed that it is served.
const LOOK_AFTER: time::Duration = time::Duration::seconds(30);

/// An order that is about to be placed.
pub struct NewOrder<'a> {
    /// Its id here.
    pub order_id: OrderId,
    /// The account it is placed with.
    pub account_id: AccountId,
    /// The names it is for.
    pub names: &'a [Hostname],
    /// The private key of its certificate: on record before the CA hears of the order.
    pub key: &'a Secret,
}

/// An http-01 challenge that is to be answered.
pub struct PlacedChallenge {
    /// Its token.
    pub token: ChallengeToken,
    /// The key authorization (RFC 8555 section 8.1).
    pub key_authorization: String,
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
}

impl Engine {
    /// Stores a new order with its key, before the CA hears of it. The lease goes on.
    pub async fn start_order(
        &self,
        lease: &DomainLease,
        order: &NewOrder<'_>,
        vault: &Vault,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let place = key_place("orders", lease.tenant_id, order.order_id.uuid());
        // Made first, so that it stands first on the timeline.
        let verified = EventId::new(chance, now - time::Duration::MILLISECOND);
        let done = sqlx::query!(
            "WITH held AS (
                 UPDATE domains d SET lease_until = now() + $3, updated_at = $9,
                     status = CASE WHEN d.certificate_id IS NULL THEN 'pending_issuance' ELSE d.status END,
                     status_since = CASE WHEN d.certificate_id IS NULL AND d.status <> 'pending_issuance' THEN $9
                                         ELSE d.status_since END
                 FROM domains before
                 WHERE before.domain_id = d.domain_id AND d.domain_id = $1 AND d.lease_token = $2 AND d.revision = $10
                 RETURNING d.domain_id, d.tenant_id, before.status AS status_before
             ), started AS (
                 INSERT INTO orders (order_id, tenant_id, domain_id, account_id, names, status, sealed_key, created_at,
                                     updated_at)
                 SELECT $4, tenant_id, domain_id, $5, $6, 'queued', $7, $9, $9 FROM held
             ), verified AS (
                 INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at)
                 SELECT $12, tenant_id, domain_id, $13, '', $9 FROM held WHERE status_before = 'pending_dns'
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
        )
        .execute(&self.pool)
        .await?;
        held(done.rows_affected())
    }

    /// Stores where the CA keeps the order, and the answers to its challenges, before any is answered. The lease goes
    /// on.
    pub async fn order_placed(
        &self,
        lease: &DomainLease,
        order: OrderId,
        url: &str,
        challenges: &[PlacedChallenge],
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
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
        held(rows as u64)
    }

    /// Stores the certificate, ends its order, makes it what every load balancer should serve, and wakes the planner. The
    /// lease ends.
    pub async fn issued(
        &self,
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
                   UPDATE domains SET certificate_id = $3, renew_after = $17, consecutive_failures = 0,
                       lease_until = NULL, updated_at = $13,
                       next_action_at = CASE WHEN revision = $18 THEN LEAST($17::timestamptz, $19::timestamptz)
                                             ELSE $13 END,
                       status = CASE WHEN status IN ('pending_deletion', 'active') THEN status
                                     ELSE 'pending_deployment' END,
                       status_since = CASE WHEN status IN ('pending_deletion', 'active') THEN status_since ELSE $13 END
                   WHERE domain_id = $1 AND lease_token = $2
                   RETURNING domain_id, tenant_id, revision, status
               ), stored AS (
                   INSERT INTO certificates (certificate_id, tenant_id, domain_id, order_id, names, status, serial_number,
                                             fingerprint, issuer, not_before, not_after, fullchain, sealed_key, created_at)
                   SELECT $3, tenant_id, domain_id, $4, $5, 'issued', $6, $7, $8, $9, $10, $11, $12, $13 FROM held
               ), ended AS (
                   UPDATE orders SET status = $14, sealed_key = NULL, problem = NULL, updated_at = $13
                   FROM held WHERE order_id = $4
               ), answered AS (
                   DELETE FROM challenges USING held WHERE order_id = $4
               ), told AS (
                   INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at)
                   SELECT $15, tenant_id, domain_id, $16, $8, $13 FROM held
               ), placed AS (
                   INSERT INTO placements (target_id, domain_id, tenant_id, shard, wanted_certificate_id,
                                           wanted_revision, pending, next_attempt_at)
                   SELECT t.target_id, h.domain_id, h.tenant_id, get_byte(uuid_send(h.domain_id), 15), $3, h.revision,
                          true, $13
                   FROM held h, targets t WHERE h.status <> 'pending_deletion'
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
            EventId::new(chance, now).uuid(),
            EventKind::CertificateIssued.as_str(),
            issued.renew_after,
            lease.revision,
            now + LOOK_AFTER,
            WAKE_CHANNEL,
        )
        .fetch_one(&self.pool)
        .await?;
        held(rows as u64)
    }
}

/// Where a private key stands. Orders and certificates keep it in a column of the same name.
pub(super) fn key_place(table: &'static str, tenant: TenantId, row: Uuid) -> Place<'static> {
    Place { table, column: "sealed_key", tenant: Some(tenant), row: row.into_bytes() }
}

fn texts(names: &[Hostname]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
