//! A certificate has come: what is recorded of it, in one statement.

use certmill_model::{
    AccountId, CertificateId, Chance, DomainId, EventId, EventKind, Hostname, OrderId, OrderStatus,
    RenewalPlan,
};
use certmill_vault::{Secret, Vault};
use sqlx::PgExecutor;
use time::OffsetDateTime;

use super::{
    ClaimedDomain, Engine,
    domains::held,
    orders::{key_place, lock_members, texts},
};
use crate::StoreError;

/// When a domain is looked at again after its certificate was issued, in case nobody noticed that it is served.
const LOOK_AFTER: time::Duration = time::Duration::seconds(30);

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
    /// When its renewal is due, and when its CA is asked about that.
    pub plan: &'a RenewalPlan,
    /// How its CA knows it (RFC 9773 section 4.1), and the account that it was ordered with; `None` where the CA does not
    /// tell when to renew.
    pub known_as: Option<(&'a str, AccountId)>,
    /// When its names are looked at again, beside all renewals.
    pub check_after: OffsetDateTime,
}

impl Engine {
    /// Stores the certificate, ends its order, and makes it what every load balancer should serve for each of its domains.
    /// The lease ends. Returns those of the domains that have a problem open. Planners are to be woken afterwards: a
    /// statement that notifies somebody is committed behind all others that do, one wait for the disk after the other.
    pub async fn issued(
        &self,
        domain: &ClaimedDomain,
        issued: &Issued<'_>,
        vault: &Vault,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<Vec<DomainId>, StoreError> {
        if issued.names.len() == 1 {
            return record_issued(&self.pool, domain, issued, vault, chance, now).await;
        }
        let mut tx = self.pool.begin().await?;
        lock_members(&mut tx, issued.order_id).await?;
        let unhealthy = record_issued(&mut *tx, domain, issued, vault, chance, now).await?;
        tx.commit().await?;
        Ok(unhealthy)
    }
}

async fn record_issued(
    executor: impl PgExecutor<'_>,
    domain: &ClaimedDomain,
    issued: &Issued<'_>,
    vault: &Vault,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<Vec<DomainId>, StoreError> {
    let lease = &domain.lease;
    let place = key_place("certificates", lease.tenant_id, issued.certificate_id.uuid());
    // One statement, since hundreds of these run in a second. A domain that is being deleted gets no placement.
    let row = sqlx::query!(
        r#"WITH held AS (
               SELECT domain_id FROM domains WHERE domain_id = $1 AND lease_token = $2 FOR NO KEY UPDATE
           ), members AS (
               UPDATE domains d SET certificate_id = $3, renew_after = $17, expires_at = $10,
                   consecutive_failures = 0, lost_claims = 0,
                   order_id = NULL, order_after = NULL, validation_failed_at = NULL, check_after = $20,
                   without_replaces = false, without_profile = false,
                   deferred_until = NULL, deferred_by = NULL, deferred_for = NULL,
                   lease_until = NULL, updated_at = $13,
                   next_action_at = CASE WHEN d.domain_id <> $1 OR d.revision = $18
                                         THEN LEAST($17::timestamptz, $19::timestamptz) ELSE $13 END,
                   status = CASE WHEN d.status IN ('pending_deletion', 'active', 'moved') THEN d.status
                                 ELSE 'pending_deployment' END,
                   status_since = CASE WHEN d.status IN ('pending_deletion', 'active', 'moved') THEN d.status_since
                                       ELSE $13 END
               FROM held, domains before
               WHERE before.domain_id = d.domain_id AND (d.domain_id = held.domain_id OR d.order_id = $4)
               RETURNING d.domain_id, d.tenant_id, d.revision, d.status, d.health, before.status AS status_before
           ), stored AS (
               INSERT INTO certificates (certificate_id, tenant_id, domain_id, order_id, names, status, serial_number,
                                         fingerprint, issuer, not_before, not_after, fullchain, sealed_key, created_at,
                                         key_type)
               SELECT $3, tenant_id, domain_id, $4, $5, 'issued', $6, $7, $8, $9, $10, $11, $12, $13, $25
               FROM members WHERE domain_id = $1
           ), known AS (
               INSERT INTO renewal_info (certificate_id, tenant_id, account_id, identifier, poll_after)
               SELECT $3, tenant_id, $22, $21, $23 FROM members WHERE domain_id = $1 AND $21::text IS NOT NULL
           ), ended AS (
               UPDATE orders SET status = $14, sealed_key = NULL, problem = NULL, updated_at = $13
               FROM held WHERE order_id = $4
           ), answered AS (
               DELETE FROM challenges USING held WHERE order_id = $4
           ), told AS (
               INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at, previous_status, status)
               SELECT told.event_id, m.tenant_id, m.domain_id,
                      CASE WHEN m.status_before IN ('active', 'moved') THEN $24 ELSE $16 END, $8, $13,
                      NULLIF(m.status_before, m.status), m.status
               FROM (SELECT *, row_number() OVER (ORDER BY domain_id <> $1) AS number FROM members) m
               JOIN UNNEST($15::uuid[]) WITH ORDINALITY AS told (event_id, number) USING (number)
           ), placed AS (
               INSERT INTO placements (target_id, domain_id, tenant_id, shard, wanted_certificate_id,
                                       wanted_revision, pending, next_attempt_at)
               SELECT t.target_id, m.domain_id, m.tenant_id, get_byte(uuid_send(m.domain_id), 15), $3, m.revision,
                      true, $13
               FROM members m JOIN tenants n USING (tenant_id)
               JOIN targets t ON n.target_group_id IS NULL OR t.group_id = n.target_group_id
               WHERE m.status <> 'pending_deletion'
               ON CONFLICT (target_id, domain_id) DO UPDATE SET pending = true, next_attempt_at = $13,
                   consecutive_failures = 0, wanted_certificate_id = EXCLUDED.wanted_certificate_id,
                   wanted_revision = EXCLUDED.wanted_revision
           )
           SELECT count(*) AS "held!",
                  ARRAY(SELECT domain_id FROM members WHERE health <> 'ok') AS "unhealthy!"
           FROM held"#,
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
        issued.plan.renew_at,
        lease.revision,
        now + LOOK_AFTER,
        issued.check_after,
        issued.known_as.map(|(identifier, _)| identifier),
        issued.known_as.map(|(_, account)| account.uuid()),
        issued.plan.poll_at,
        EventKind::CertificateRenewed.as_str(),
        domain.key_type.as_str(),
    )
    .fetch_one(executor)
    .await?;
    held(row.held as u64)?;
    Ok(row.unhealthy.into_iter().map(DomainId::from_uuid).collect())
}
