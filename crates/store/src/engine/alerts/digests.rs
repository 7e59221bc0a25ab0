//! The numbers of digests: counted once for all tenants, since each count reads what a day has written.

use std::collections::HashMap;

use certmill_model::{DigestAlert, DigestPeriod, TenantId};
use time::{Duration, OffsetDateTime};
use uuid::{Builder, Uuid};

use crate::{Engine, StoreError, rows::parsed};

/// The numbers of one time, by tenant.
#[derive(Debug, Default)]
pub struct DigestFacts {
    tenants: HashMap<TenantId, TenantFacts>,
    platform: TenantFacts,
}

/// The numbers of one tenant, or of all.
#[derive(Clone, Debug, Default)]
pub struct TenantFacts {
    /// Domains by status.
    pub domains: Vec<(String, u64)>,
    /// Certificates issued in the time.
    pub issued: u64,
    /// Orders that failed in the time.
    pub failed: u64,
    /// Alerts opened in the time.
    pub opened: Vec<DigestAlert>,
    /// Alerts resolved in the time.
    pub resolved: Vec<DigestAlert>,
    /// Alerts that are open.
    pub open: Vec<DigestAlert>,
    /// Renewals planned for each of the seven days from its end on.
    pub forecast: [u64; 7],
}

impl DigestFacts {
    /// The numbers of a tenant; of all of them for `None`.
    pub fn of(&self, tenant: Option<TenantId>) -> TenantFacts {
        match tenant {
            None => self.platform.clone(),
            Some(tenant) => self.tenants.get(&tenant).cloned().unwrap_or_default(),
        }
    }

    /// Adds to a tenant's numbers and to those of all.
    fn add(&mut self, tenant: Uuid, add: impl Fn(&mut TenantFacts)) {
        add(self.tenants.entry(TenantId::from_uuid(tenant)).or_default());
        add(&mut self.platform);
    }
}

impl Engine {
    /// The numbers of `period`.
    pub async fn digest_facts(&self, period: DigestPeriod) -> Result<DigestFacts, StoreError> {
        let mut facts = DigestFacts::default();
        self.add_domains(&mut facts).await?;
        self.add_events(&mut facts, period).await?;
        self.add_forecast(&mut facts, period.until).await?;
        self.add_alerts(&mut facts, period).await?;
        Ok(facts)
    }

    async fn add_domains(&self, facts: &mut DigestFacts) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            r#"SELECT tenant_id, status, count(*) AS "count!" FROM domains WHERE status <> 'deleted'
               GROUP BY tenant_id, status ORDER BY status"#
        )
        .fetch_all(&self.pool)
        .await?;
        for row in rows {
            facts.add(row.tenant_id, |facts| {
                match facts.domains.iter_mut().find(|(known, _)| *known == row.status) {
                    Some((_, count)) => *count += row.count.unsigned_abs(),
                    None => facts.domains.push((row.status.clone(), row.count.unsigned_abs())),
                }
            });
        }
        Ok(())
    }

    async fn add_events(&self, facts: &mut DigestFacts, period: DigestPeriod) -> Result<(), StoreError> {
        // Ids begin with the time, so that its part of the table is a range of them.
        let rows = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", kind, count(*) AS "count!" FROM events
               WHERE event_id >= $1 AND event_id < $2 AND tenant_id IS NOT NULL
                 AND kind IN ('certificate_issued', 'certificate_renewed', 'order_failed')
               GROUP BY tenant_id, kind"#,
            first_id(period.from),
            first_id(period.until),
        )
        .fetch_all(&self.pool)
        .await?;
        for row in rows {
            let count = row.count.unsigned_abs();
            let is_issued = row.kind != "order_failed";
            facts.add(row.tenant_id, |facts| {
                *(if is_issued { &mut facts.issued } else { &mut facts.failed }) += count;
            });
        }
        Ok(())
    }

    async fn add_forecast(&self, facts: &mut DigestFacts, from: OffsetDateTime) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            r#"SELECT tenant_id, floor(extract(epoch FROM renew_after - $1) / 86400)::integer AS "day!",
                      count(*) AS "count!"
               FROM domains WHERE renew_after >= $1 AND renew_after < $2 AND status <> 'deleted' GROUP BY 1, 2"#,
            from,
            from + Duration::WEEK,
        )
        .fetch_all(&self.pool)
        .await?;
        for row in rows {
            let day = row.day.clamp(0, 6).unsigned_abs() as usize;
            facts.add(row.tenant_id, |facts| facts.forecast[day] += row.count.unsigned_abs());
        }
        Ok(())
    }

    async fn add_alerts(&self, facts: &mut DigestFacts, period: DigestPeriod) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            "SELECT tenant_id, code, about, level, names, opened_at, resolved_at FROM alerts
             WHERE resolved_at IS NULL OR resolved_at >= $1",
            period.from,
        )
        .fetch_all(&self.pool)
        .await?;
        for row in rows {
            let alert = DigestAlert {
                code: parsed("alerts", &row.code)?,
                about: row.about.strip_prefix("ca:").map(str::to_owned),
                level: parsed("alerts", &row.level)?,
                names: row.names.unsigned_abs(),
            };
            let is_new = row.opened_at >= period.from;
            let is_over = row.resolved_at.is_some();
            let add = |facts: &mut TenantFacts| {
                if is_new {
                    facts.opened.push(alert.clone());
                }
                if is_over { &mut facts.resolved } else { &mut facts.open }.push(alert.clone());
            };
            match row.tenant_id {
                Some(tenant) => facts.add(tenant, add),
                None => add(&mut facts.platform),
            }
        }
        Ok(())
    }
}

/// The smallest id of what is made at an instant (RFC 9562 section 5.7).
fn first_id(at: OffsetDateTime) -> Uuid {
    let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}
