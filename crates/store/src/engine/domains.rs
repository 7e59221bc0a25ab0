//! Domains that are due, and the claim on one.

use certmill_model::{
    AccountId, CertificateId, ChallengeKind, DomainId, DomainSituation, DomainStatus, Health, Hostname,
    KeyType, OpenOrderRole, OrderId, OrderStatus, TenantId, ZoneId,
};
use certmill_vault::{Secret, Vault};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Engine, LEASE, NUDGE, interval, orders::key_place};
use crate::{
    StoreError,
    rows::{hostname, parsed},
};

/// The right to record for a domain, until it expires or another claims.
#[derive(Clone, Copy, Debug)]
pub struct DomainLease {
    /// The domain.
    pub domain_id: DomainId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The fencing token.
    pub(super) token: i64,
    /// What was wanted when it was claimed: if that has changed since, the domain is due again at once.
    pub(super) revision: i64,
}

/// A domain in the hands of this worker.
pub struct ClaimedDomain {
    /// The right to record.
    pub lease: DomainLease,
    /// The name.
    pub name: Hostname,
    /// What is true of it.
    pub status: DomainStatus,
    /// Since when.
    pub status_since: OffsetDateTime,
    /// When it was registered.
    pub created_at: OffsetDateTime,
    /// How it fares; `ok` means that no problem is open.
    pub health: Health,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// The CA is not asked before this instant.
    pub order_after: Option<OffsetDateTime>,
    /// The CA looked at the name and did not like it; `None` since the last success.
    pub validation_failed_at: Option<OffsetDateTime>,
    /// An operator said to order whatever the checks find.
    pub checks_overridden: bool,
    /// The kind of key that its certificate is to have.
    pub key_type: KeyType,
    /// Where its owner was told to point `_acme-challenge` at; `None` while there is no zone.
    pub delegation: Option<Delegation>,
    /// The same name with or without `www.`, if this tenant has it as well.
    pub counterpart: Option<Counterpart>,
    /// Its current certificate.
    pub certificate_id: Option<CertificateId>,
    /// What the next step is decided from.
    pub situation: DomainSituation,
    /// The order under way.
    pub order: Option<OpenOrder>,
}

/// Where the TXT records of a name are written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delegation {
    /// The zone.
    pub zone_id: ZoneId,
    /// The record's full name, without trailing dot.
    pub record_name: String,
}

/// A tenant's other name of the pair `shop.example` and `www.shop.example`.
#[derive(Clone, Debug)]
pub struct Counterpart {
    /// Its id.
    pub domain_id: DomainId,
    /// Its name.
    pub name: Hostname,
    /// Whether one certificate may be for both: nobody orders for it now, nothing stops it, no CA disliked it lately, and
    /// its key is to be of the same kind.
    pub may_join: bool,
    /// When an order of its own began that is under way.
    pub ordering_since: Option<OffsetDateTime>,
    /// Where its owner was told to point `_acme-challenge` at.
    pub delegation: Option<Delegation>,
}

/// An order that has not ended.
pub struct OpenOrder {
    /// Its id here.
    pub order_id: OrderId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// Where it is.
    pub status: OrderStatus,
    /// Its URL at the CA, once the CA knows it (RFC 8555 section 7.4).
    pub url: Option<String>,
    /// The names it is for.
    pub names: Vec<Hostname>,
    /// How each of the names is proved.
    pub challenges: Vec<ChallengeKind>,
    tenant_id: TenantId,
    sealed_key: Option<Vec<u8>>,
}

impl OpenOrder {
    /// The private key that its certificate will be for.
    pub fn private_key(&self, vault: &Vault) -> Result<Secret, StoreError> {
        let sealed = self.sealed_key.as_deref();
        let sealed =
            sealed.ok_or_else(|| StoreError::inconsistent("orders", "an open order without a key"))?;
        Ok(vault.open(&key_place("orders", self.tenant_id, self.order_id.uuid()), sealed)?)
    }
}

impl Engine {
    /// Takes up to `limit` domains that are due at `now`, the longest due first, and that nobody holds or was told of.
    /// They count as told for a while. Beside each stands its fencing token, which grows only with a claim.
    pub async fn take_due_domains(
        &self,
        connection: &mut PgConnection,
        limit: i64,
        now: OffsetDateTime,
    ) -> Result<Vec<(DomainId, i64)>, StoreError> {
        let rows = sqlx::query!(
            "UPDATE domains SET nudged_until = now() + $3
             WHERE domain_id = ANY (ARRAY (
                 SELECT domain_id FROM domains
                 WHERE next_action_at <= $1
                   AND (lease_until IS NULL OR lease_until < now())
                   AND (nudged_until IS NULL OR nudged_until < now())
                 ORDER BY next_action_at LIMIT $2
                 FOR UPDATE SKIP LOCKED))
             RETURNING domain_id, lease_token",
            now,
            limit,
            interval(NUDGE),
        )
        .fetch_all(connection)
        .await?;
        Ok(rows.into_iter().map(|row| (DomainId::from_uuid(row.domain_id), row.lease_token)).collect())
    }

    /// Claims a domain that is due at `now`. `None`: it is not due any more, or another worker has it.
    pub async fn claim_domain(
        &self,
        domain: DomainId,
        now: OffsetDateTime,
    ) -> Result<Option<ClaimedDomain>, StoreError> {
        let row = sqlx::query!(
            r#"WITH claimed AS (
                   UPDATE domains SET lease_until = now() + $3, lease_token = lease_token + 1, nudged_until = NULL
                   WHERE domain_id = $1 AND next_action_at <= $2 AND (lease_until IS NULL OR lease_until < now())
                   RETURNING domain_id, tenant_id, name, status, status_since, created_at, health, revision, lease_token,
                             consecutive_failures, certificate_id, renew_after, order_id, order_after, check_after,
                             validation_failed_at, checks_overridden, key_type,
                             CASE WHEN starts_with(name, 'www.') THEN substr(name, 5)
                                  WHEN NOT starts_with(name, '*.') THEN 'www.' || name END AS counterpart_name
               )
               SELECT c.tenant_id, c.name, c.status, c.status_since, c.created_at, c.health, c.revision, c.lease_token,
                      c.consecutive_failures, c.certificate_id, c.renew_after, joined.order_id AS "included_in?", c.order_after,
                      c.check_after, c.validation_failed_at, c.checks_overridden,
                      COALESCE(c.key_type, t.key_type) AS "key_type!", held.not_after AS "not_after?",
                      z.zone_id AS "zone_id?", z.record_prefix || g.label || '.' || z.name AS record_name,
                      other.domain_id AS "counterpart_id?", other.name AS "counterpart_name?",
                      other.validation_failed_at IS NULL AND NOT other.checks_overridden
                          AND other_order.order_id IS NULL
                          AND other.status NOT IN ('paused', 'blocked', 'pending_deletion', 'deleted')
                          AND COALESCE(other.key_type, t.key_type) = COALESCE(c.key_type, t.key_type) AS may_join,
                      other_order.created_at AS "ordering_since?", other_zone.zone_id AS "other_zone_id?",
                      other_zone.record_prefix || other_g.label || '.' || other_zone.name AS other_record_name,
                      o.order_id AS "order_id?", o.account_id AS "account_id?", o.status AS "order_status?", o.url,
                      o.names AS "names?", o.challenges AS "challenges?", o.sealed_key,
                      (SELECT count(*) FROM placements p WHERE p.domain_id = c.domain_id AND p.pending) AS "undelivered!",
                      (SELECT count(*) FROM placements p WHERE p.domain_id = c.domain_id AND NOT p.pending) AS "delivered!"
               FROM claimed c
               JOIN tenants t USING (tenant_id)
               LEFT JOIN certificates held ON held.certificate_id = c.certificate_id
               LEFT JOIN delegations g ON g.tenant_id = c.tenant_id AND g.name = regexp_replace(c.name, '^\*\.', '')
               LEFT JOIN zones z ON z.zone_id = g.zone_id
               LEFT JOIN domains other ON other.name = c.counterpart_name AND other.tenant_id = c.tenant_id
                   AND other.status <> 'deleted'
               LEFT JOIN orders other_order ON other_order.order_id = other.order_id
                   AND other_order.status IN ('queued', 'deferred', 'pending', 'ready', 'processing')
               LEFT JOIN delegations other_g ON other_g.tenant_id = c.tenant_id AND other_g.name = other.name
               LEFT JOIN zones other_zone ON other_zone.zone_id = other_g.zone_id
               LEFT JOIN orders o ON o.domain_id = c.domain_id
                   AND o.status IN ('queued', 'deferred', 'pending', 'ready', 'processing')
               LEFT JOIN orders joined ON joined.order_id = c.order_id
                   AND joined.status IN ('queued', 'deferred', 'pending', 'ready', 'processing')"#,
            domain.uuid(),
            now,
            interval(LEASE),
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let tenant_id = TenantId::from_uuid(row.tenant_id);
        let order = match (row.order_id, row.account_id, row.order_status, row.names) {
            (Some(order_id), Some(account_id), Some(status), Some(names)) => Some(OpenOrder {
                order_id: OrderId::from_uuid(order_id),
                account_id: AccountId::from_uuid(account_id),
                status: parsed("orders", &status)?,
                url: row.url,
                challenges: challenges(row.challenges.unwrap_or_default(), names.len())?,
                names: names.iter().map(|name| hostname("orders", name)).collect::<Result<_, _>>()?,
                tenant_id,
                sealed_key: row.sealed_key,
            }),
            _ => None,
        };
        let status = parsed("domains", &row.status)?;
        let counterpart = match (row.counterpart_id, row.counterpart_name) {
            (Some(id), Some(name)) => Some(Counterpart {
                domain_id: DomainId::from_uuid(id),
                name: hostname("domains", &name)?,
                may_join: row.may_join.unwrap_or(false),
                ordering_since: row.ordering_since,
                delegation: delegation(row.other_zone_id, row.other_record_name),
            }),
            _ => None,
        };
        let role = match (&order, row.included_in) {
            (Some(_), _) => OpenOrderRole::Leads,
            (None, Some(_)) => OpenOrderRole::Joined,
            (None, None) => OpenOrderRole::None,
        };
        Ok(Some(ClaimedDomain {
            lease: DomainLease {
                domain_id: domain,
                tenant_id,
                token: row.lease_token,
                revision: row.revision,
            },
            name: hostname("domains", &row.name)?,
            status,
            status_since: row.status_since,
            created_at: row.created_at,
            health: parsed("domains", &row.health)?,
            consecutive_failures: row.consecutive_failures.unsigned_abs(),
            order_after: row.order_after,
            validation_failed_at: row.validation_failed_at,
            checks_overridden: row.checks_overridden,
            key_type: parsed("domains", &row.key_type)?,
            delegation: delegation(row.zone_id, row.record_name),
            counterpart,
            certificate_id: row.certificate_id.map(CertificateId::from_uuid),
            situation: DomainSituation {
                status,
                order: role,
                renew_after: row.renew_after,
                not_after: row.not_after,
                check_after: row.check_after,
                undelivered: row.undelivered as u32,
                delivered: row.delivered as u32,
            },
            order,
        }))
    }

    /// Lets a domain go until `next`; `None` until somebody wants something else of it.
    pub async fn rest(&self, lease: &DomainLease, next: Option<OffsetDateTime>) -> Result<(), StoreError> {
        let done = sqlx::query!(
            "UPDATE domains SET lease_until = NULL,
                 next_action_at = CASE WHEN revision = $3 THEN $4 ELSE now() END
             WHERE domain_id = $1 AND lease_token = $2",
            lease.domain_id.uuid(),
            lease.token,
            lease.revision,
            next,
        )
        .execute(&self.pool)
        .await?;
        held(done.rows_affected())
    }

    /// Renews the claim on a domain whose step takes long.
    pub async fn renew_lease(&self, lease: &DomainLease) -> Result<(), StoreError> {
        let done = sqlx::query!(
            "UPDATE domains SET lease_until = now() + $3
             WHERE domain_id = $1 AND lease_token = $2 AND lease_until IS NOT NULL",
            lease.domain_id.uuid(),
            lease.token,
            interval(LEASE),
        )
        .execute(&self.pool)
        .await?;
        held(done.rows_affected())
    }
}

fn challenges(words: Vec<String>, names: usize) -> Result<Vec<ChallengeKind>, StoreError> {
    match words.as_slice() {
        [] => Ok(vec![ChallengeKind::Http01; names]),
        words => words.iter().map(|word| parsed("orders", word)).collect(),
    }
}

fn delegation(zone: Option<Uuid>, record_name: Option<String>) -> Option<Delegation> {
    Some(Delegation { zone_id: ZoneId::from_uuid(zone?), record_name: record_name? })
}

/// A record that found no row means that the lease is another's now.
pub(super) fn held(rows: u64) -> Result<(), StoreError> {
    if rows == 0 { Err(StoreError::LeaseLost) } else { Ok(()) }
}
