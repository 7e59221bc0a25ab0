//! What there was and is of one domain: its orders, its certificates, its places on load balancers.

use certmill_model::{CertificateId, CertificateStatus, DomainId, OrderId, OrderStatus};
use serde_json::Value;
use time::OffsetDateTime;

use super::ScopedTx;
use crate::{StoreError, rows::parsed};

/// An order that includes a domain, as people read it.
#[derive(Clone, Debug)]
pub struct OrderOfDomain {
    /// Its id.
    pub order_id: OrderId,
    /// How it stands.
    pub status: OrderStatus,
    /// The names that it is for.
    pub names: Vec<String>,
    /// The kind of challenge for each name; empty: http-01 for all.
    pub challenges: Vec<String>,
    /// The directory of the CA.
    pub directory_url: String,
    /// The CA's problem document (RFC 7807), as it came. Not for tenants: it may name pages that act for the platform's account.
    pub problem: Option<Value>,
    /// When it began.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

/// A certificate that a domain has or had, without its key.
#[derive(Clone, Debug)]
pub struct CertificateOfDomain {
    /// Its id.
    pub certificate_id: CertificateId,
    /// How it stands.
    pub status: CertificateStatus,
    /// The names in it.
    pub names: Vec<String>,
    /// The serial number, hexadecimal.
    pub serial_number: String,
    /// Who issued it.
    pub issuer: String,
    /// Valid from.
    pub not_before: OffsetDateTime,
    /// Valid until.
    pub not_after: OffsetDateTime,
}

/// A domain on one load balancer.
#[derive(Clone, Debug)]
pub struct PlacementOfDomain {
    /// The load balancer's name; `None`: it is not for a tenant to see.
    pub target: Option<String>,
    /// Whether something is still to be delivered.
    pub is_pending: bool,
    /// Whether the wanted certificate was seen to be served.
    pub is_proved: bool,
    /// When that was.
    pub served_at: Option<OffsetDateTime>,
    /// Deliveries that failed in a row.
    pub failures: i32,
    /// When the next delivery may begin.
    pub next_attempt_at: OffsetDateTime,
}

impl ScopedTx {
    /// The last `limit` orders that were placed for `domain`, the newest first.
    pub async fn orders_of(
        &mut self,
        domain: DomainId,
        limit: i64,
    ) -> Result<Vec<OrderOfDomain>, StoreError> {
        let only = self.only();
        let rows = sqlx::query!(
            r#"SELECT o.order_id, o.status, o.names, o.challenges, o.problem, o.created_at, o.updated_at,
                  split_part(a.directory_url, '#', 1) AS "directory_url!"
               FROM orders o JOIN accounts a USING (account_id)
               WHERE o.domain_id = $1 AND ($2::uuid IS NULL OR o.tenant_id = $2)
               ORDER BY o.order_id DESC LIMIT $3"#,
            domain.uuid(),
            only,
            limit,
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(OrderOfDomain {
                    order_id: OrderId::from_uuid(row.order_id),
                    status: parsed("orders", &row.status)?,
                    names: row.names,
                    challenges: row.challenges,
                    directory_url: row.directory_url,
                    problem: row.problem.filter(|_| only.is_none()),
                    created_at: row.created_at,
                    updated_at: row.updated_at,
                })
            })
            .collect()
    }

    /// The last `limit` certificates of `domain`, the newest first. One that it shares with its `www.` or without stands with
    /// the domain that it was ordered for.
    pub async fn certificates_of(
        &mut self,
        domain: DomainId,
        limit: i64,
    ) -> Result<Vec<CertificateOfDomain>, StoreError> {
        let only = self.only();
        let rows = sqlx::query!(
            "SELECT certificate_id, status, names, serial_number, issuer, not_before, not_after FROM certificates
             WHERE (domain_id = $1 OR certificate_id = (SELECT d.certificate_id FROM domains d WHERE d.domain_id = $1))
               AND ($2::uuid IS NULL OR tenant_id = $2)
             ORDER BY certificate_id DESC LIMIT $3",
            domain.uuid(),
            only,
            limit,
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(CertificateOfDomain {
                    certificate_id: CertificateId::from_uuid(row.certificate_id),
                    status: parsed("certificates", &row.status)?,
                    names: row.names,
                    serial_number: row.serial_number,
                    issuer: row.issuer,
                    not_before: row.not_before,
                    not_after: row.not_after,
                })
            })
            .collect()
    }

    /// How `domain` stands on each load balancer, by name.
    pub async fn placements_of(&mut self, domain: DomainId) -> Result<Vec<PlacementOfDomain>, StoreError> {
        let only = self.only();
        let rows = sqlx::query!(
            r#"SELECT t.name, p.pending, p.consecutive_failures, p.served_at, p.next_attempt_at,
                  COALESCE(p.wanted_certificate_id = p.served_certificate_id, false) AS "is_proved!"
               FROM placements p JOIN targets t USING (target_id)
               WHERE p.domain_id = $1 AND ($2::uuid IS NULL OR p.tenant_id = $2) ORDER BY t.name"#,
            domain.uuid(),
            only,
        )
        .fetch_all(self.connection())
        .await?;
        let placement = rows.into_iter().map(|row| PlacementOfDomain {
            target: only.is_none().then_some(row.name),
            is_pending: row.pending,
            is_proved: row.is_proved,
            served_at: row.served_at,
            failures: row.consecutive_failures,
            next_attempt_at: row.next_attempt_at,
        });
        Ok(placement.collect())
    }

    /// Since when the domain waits that is due longest and that no worker has taken: how old the queue is. For the platform
    /// alone; `None`: nothing waits.
    pub async fn oldest_due(&mut self, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, StoreError> {
        let is_platform = self.only().is_none();
        let oldest = sqlx::query_scalar!(
            "SELECT min(next_action_at) FROM domains
             WHERE next_action_at <= $1 AND (lease_until IS NULL OR lease_until < $1) AND $2",
            now,
            is_platform,
        )
        .fetch_one(self.connection())
        .await?;
        Ok(oldest)
    }
}
