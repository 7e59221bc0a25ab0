//! The claim on a domain, and everything that its next step is decided from.

use certmill_model::{
    AccountId, CertificateId, ChallengeKind, DomainId, DomainSituation, OpenOrderRole, OrderId,
    SuggestedWindow, TenantId, Validity, ZoneId,
};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    ClaimedDomain, Counterpart, Delegation, DomainLease, Engine, HeldCertificate, LEASE, OpenOrder, interval,
};
use crate::{
    StoreError,
    rows::{hostname, parsed},
};

impl Engine {
    /// Claims a domain that is due at `now`. `None`: it is not due any more, or another worker has it.
    pub async fn claim_domain(
        &self,
        domain: DomainId,
        now: OffsetDateTime,
    ) -> Result<Option<ClaimedDomain>, StoreError> {
        let row = sqlx::query_as!(
            Claimed,
            r#"WITH claimed AS (
                   UPDATE domains SET lease_until = now() + $3, lease_token = lease_token + 1, nudged_until = NULL,
                       -- A lease that stands was never ended: whoever held it recorded nothing.
                       lost_claims = CASE WHEN lease_until IS NULL THEN 0 ELSE lost_claims + 1 END
                   WHERE domain_id = $1 AND next_action_at <= $2 AND (lease_until IS NULL OR lease_until < now())
                   RETURNING domain_id, tenant_id, name, status, status_since, health, revision, lease_token,
                             consecutive_failures, certificate_id, renew_after, order_id, order_after, check_after,
                             validation_failed_at, checks_overridden, key_type, without_replaces, without_profile, deferred_until,
                             lost_claims,
                             CASE WHEN starts_with(name, 'www.') THEN substr(name, 5)
                                  WHEN NOT starts_with(name, '*.') THEN 'www.' || name END AS counterpart_name
               )
               SELECT c.domain_id, c.tenant_id, c.name, c.status, c.status_since, c.health, c.revision, c.lease_token,
                      c.consecutive_failures, c.certificate_id, c.renew_after, joined.order_id AS "included_in?", c.order_after,
                      c.check_after, c.validation_failed_at, c.checks_overridden,
                      COALESCE(c.key_type, t.key_type) AS "key_type!", t.authorities,
                      held.not_before AS "not_before?", held.not_after AS "not_after?", held.names AS "held_names?",
                      held_order.account_id AS "held_account_id?",
                      CASE WHEN NOT c.without_replaces THEN known.identifier END AS identifier,
                      known.window_start AS "window_start?", known.window_end AS "window_end?", c.without_profile, c.deferred_until,
                      c.lost_claims, (SELECT b.lost_claims FROM domains b WHERE b.domain_id = c.domain_id) AS "lost_before!",
                      z.zone_id AS "zone_id?", z.record_prefix || g.label || '.' || z.name AS record_name,
                      g.label IS NOT NULL AS "is_delegated!", other.domain_id AS "counterpart_id?", other.name AS "counterpart_name?",
                      other.validation_failed_at IS NULL AND NOT other.checks_overridden
                          AND (other.order_after IS NULL OR other.order_after <= $2)
                          AND other.status NOT IN ('failed', 'paused', 'blocked', 'pending_deletion', 'deleted')
                          AND COALESCE(other.key_type, t.key_type) = COALESCE(c.key_type, t.key_type) AS suits,
                      other_order.created_at AS "ordering_since?", other_zone.zone_id AS "other_zone_id?",
                      other_zone.record_prefix || other_g.label || '.' || other_zone.name AS other_record_name,
                      o.order_id AS "order_id?", o.account_id AS "account_id?", a.directory_url AS "directory_url?",
                      o.status AS "order_status?", o.created_at AS "order_created_at?", o.url, o.replaces, o.profile,
                      o.names AS "names?", o.challenges AS "challenges?", o.sealed_key,
                      (SELECT count(*) FROM placements p WHERE p.domain_id = c.domain_id AND p.pending) AS "undelivered!",
                      (SELECT count(*) FROM placements p WHERE p.domain_id = c.domain_id AND NOT p.pending) AS "delivered!"
               FROM claimed c
               JOIN tenants t USING (tenant_id)
               LEFT JOIN certificates held ON held.certificate_id = c.certificate_id
               LEFT JOIN orders held_order ON held_order.order_id = held.order_id
               LEFT JOIN renewal_info known ON known.certificate_id = c.certificate_id
               LEFT JOIN delegations g ON g.tenant_id = c.tenant_id AND g.name = regexp_replace(c.name, '^\*\.', '')
               LEFT JOIN zones z ON z.zone_id = g.zone_id
               LEFT JOIN domains other ON other.name = c.counterpart_name AND other.tenant_id = c.tenant_id
                   AND other.status <> 'deleted'
               LEFT JOIN LATERAL (
                   SELECT x.order_id, x.created_at FROM orders x
                   WHERE (x.order_id = other.order_id OR x.domain_id = other.domain_id)
                     AND x.status IN ('queued', 'deferred', 'pending', 'ready', 'processing')
                   LIMIT 1) AS other_order ON true
               LEFT JOIN delegations other_g ON other_g.tenant_id = c.tenant_id AND other_g.name = c.counterpart_name
               LEFT JOIN zones other_zone ON other_zone.zone_id = other_g.zone_id
               LEFT JOIN orders o ON o.domain_id = c.domain_id
                   AND o.status IN ('queued', 'deferred', 'pending', 'ready', 'processing')
               LEFT JOIN accounts a ON a.account_id = o.account_id
               LEFT JOIN orders joined ON joined.order_id = c.order_id
                   AND joined.status IN ('queued', 'deferred', 'pending', 'ready', 'processing')"#,
            domain.uuid(),
            now,
            interval(LEASE),
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(mut row) = row else { return Ok(None) };
        if !row.is_delegated {
            row.delegate(&self.pool, now).await?;
        }
        row.into_domain().map(Some)
    }
}

/// What is read of a domain at its claim.
struct Claimed {
    domain_id: Uuid,
    tenant_id: Uuid,
    name: String,
    status: String,
    status_since: OffsetDateTime,
    health: String,
    revision: i64,
    lease_token: i64,
    consecutive_failures: i32,
    lost_claims: i32,
    lost_before: i32,
    certificate_id: Option<Uuid>,
    renew_after: Option<OffsetDateTime>,
    included_in: Option<Uuid>,
    order_after: Option<OffsetDateTime>,
    check_after: Option<OffsetDateTime>,
    validation_failed_at: Option<OffsetDateTime>,
    checks_overridden: bool,
    key_type: String,
    authorities: Option<Vec<String>>,
    not_before: Option<OffsetDateTime>,
    not_after: Option<OffsetDateTime>,
    held_names: Option<Vec<String>>,
    held_account_id: Option<Uuid>,
    identifier: Option<String>,
    window_start: Option<OffsetDateTime>,
    window_end: Option<OffsetDateTime>,
    without_profile: bool,
    deferred_until: Option<OffsetDateTime>,
    zone_id: Option<Uuid>,
    record_name: Option<String>,
    is_delegated: bool,
    counterpart_id: Option<Uuid>,
    counterpart_name: Option<String>,
    suits: Option<bool>,
    ordering_since: Option<OffsetDateTime>,
    other_zone_id: Option<Uuid>,
    other_record_name: Option<String>,
    order_id: Option<Uuid>,
    account_id: Option<Uuid>,
    directory_url: Option<String>,
    order_status: Option<String>,
    order_created_at: Option<OffsetDateTime>,
    url: Option<String>,
    replaces: Option<String>,
    profile: Option<String>,
    names: Option<Vec<String>>,
    challenges: Option<Vec<String>>,
    sealed_key: Option<Vec<u8>>,
    undelivered: i64,
    delivered: i64,
}

impl Claimed {
    /// A name that the version before took in has no label yet.
    async fn delegate(&mut self, pool: &PgPool, now: OffsetDateTime) -> Result<(), StoreError> {
        let row = sqlx::query!(
            r#"WITH made AS (
                   INSERT INTO delegations (tenant_id, name, label, zone_id, created_at)
                   VALUES ($1, $2, replace(gen_random_uuid()::text, '-', ''),
                           (SELECT zone_id FROM zones ORDER BY created_at DESC LIMIT 1), $3)
                   ON CONFLICT (tenant_id, name) DO NOTHING
                   RETURNING zone_id, label
               )
               SELECT z.zone_id, z.record_prefix || made.label || '.' || z.name AS record_name
               FROM made JOIN zones z USING (zone_id)"#,
            self.tenant_id,
            self.name.trim_start_matches("*."),
            now,
        )
        .fetch_optional(pool)
        .await?;
        if let Some(row) = row {
            self.zone_id = Some(row.zone_id);
            self.record_name = row.record_name;
        }
        Ok(())
    }

    fn into_domain(mut self) -> Result<ClaimedDomain, StoreError> {
        let order = self.open_order()?;
        let held = self.held()?;
        let counterpart_delegation = delegation(self.other_zone_id, self.other_record_name.take());
        let counterpart = self.counterpart()?;
        let status = parsed("domains", &self.status)?;
        let role = match (&order, self.included_in) {
            (Some(_), _) => OpenOrderRole::Leads,
            (None, Some(_)) => OpenOrderRole::Joined,
            (None, None) => OpenOrderRole::None,
        };
        Ok(ClaimedDomain {
            lease: DomainLease {
                domain_id: DomainId::from_uuid(self.domain_id),
                tenant_id: TenantId::from_uuid(self.tenant_id),
                token: self.lease_token,
                revision: self.revision,
            },
            name: hostname("domains", &self.name)?,
            status,
            status_since: self.status_since,
            health: parsed("domains", &self.health)?,
            consecutive_failures: self.consecutive_failures.unsigned_abs(),
            lost_claims: self.lost_claims.unsigned_abs(),
            lost_before: self.lost_before.unsigned_abs(),
            order_after: self.order_after,
            validation_failed_at: self.validation_failed_at,
            checks_overridden: self.checks_overridden,
            key_type: parsed("domains", &self.key_type)?,
            delegation: delegation(self.zone_id, self.record_name),
            counterpart,
            counterpart_delegation,
            certificate_id: self.certificate_id.map(CertificateId::from_uuid),
            held,
            authorities: self.authorities,
            without_profile: self.without_profile,
            was_deferred: self.deferred_until.is_some(),
            situation: DomainSituation {
                status,
                order: role,
                renew_after: self.renew_after,
                not_after: self.not_after,
                check_after: self.check_after,
                undelivered: self.undelivered as u32,
                delivered: self.delivered as u32,
            },
            order,
        })
    }

    fn open_order(&mut self) -> Result<Option<OpenOrder>, StoreError> {
        let ids = (self.order_id, self.account_id, self.order_created_at);
        let (Some(order_id), Some(account_id), Some(created_at)) = ids else { return Ok(None) };
        let directory_url = self.directory_url.take().unwrap_or_default();
        let (Some(status), Some(names)) = (self.order_status.take(), self.names.take()) else {
            return Ok(None);
        };
        Ok(Some(OpenOrder {
            order_id: OrderId::from_uuid(order_id),
            account_id: AccountId::from_uuid(account_id),
            directory_url,
            status: parsed("orders", &status)?,
            created_at,
            url: self.url.take(),
            replaces: self.replaces.take(),
            profile: self.profile.take(),
            challenges: challenges(&self.challenges.take().unwrap_or_default(), names.len())?,
            names: names.iter().map(|name| hostname("orders", name)).collect::<Result<_, _>>()?,
            tenant_id: TenantId::from_uuid(self.tenant_id),
            sealed_key: self.sealed_key.take(),
        }))
    }

    fn held(&mut self) -> Result<Option<HeldCertificate>, StoreError> {
        let (Some(not_before), Some(not_after)) = (self.not_before, self.not_after) else { return Ok(None) };
        let names = self.held_names.take().unwrap_or_default();
        let window = (self.window_start, self.window_end);
        Ok(Some(HeldCertificate {
            names: names.iter().map(|name| hostname("certificates", name)).collect::<Result<_, _>>()?,
            validity: Validity { not_before, not_after },
            account_id: self.held_account_id.map(AccountId::from_uuid),
            identifier: self.identifier.take(),
            window: match window {
                (Some(start), Some(end)) => SuggestedWindow::new(start, end).ok(),
                _ => None,
            },
        }))
    }

    fn counterpart(&mut self) -> Result<Option<Counterpart>, StoreError> {
        let (Some(id), Some(name)) = (self.counterpart_id, self.counterpart_name.take()) else {
            return Ok(None);
        };
        Ok(Some(Counterpart {
            domain_id: DomainId::from_uuid(id),
            name: hostname("domains", &name)?,
            suits: self.suits.unwrap_or(false),
            ordering_since: self.ordering_since,
        }))
    }
}

/// An order of the version before says nothing of challenges: they were all of one kind.
fn challenges(words: &[String], names: usize) -> Result<Vec<ChallengeKind>, StoreError> {
    match words {
        [] => Ok(vec![ChallengeKind::Http01; names]),
        words => words.iter().map(|word| parsed("orders", word)).collect(),
    }
}

fn delegation(zone: Option<Uuid>, record_name: Option<String>) -> Option<Delegation> {
    Some(Delegation { zone_id: ZoneId::from_uuid(zone?), record_name: record_name? })
}
