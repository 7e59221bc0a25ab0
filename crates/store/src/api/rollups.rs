//! The sums behind the pictures, as the engine last counted them.

use certmill_model::{DomainStatus, Health, OrderStatus, ProblemCode};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::ScopedTx;
use crate::{StoreError, rows::parsed};

/// Fewer domains than this are counted when they are asked for.
const FEW: i64 = 1_000;

/// Sums of one tenant, or of all.
#[derive(Clone, Debug, Default)]
pub struct Rollups {
    /// The instant that they are of; `None`: nobody has counted yet.
    pub as_of: Option<OffsetDateTime>,
    /// Domains by status and health.
    pub domains: Vec<(DomainStatus, Health, i64)>,
    /// Domains by the Monday of the week (UTC) in which their certificate ends, and health.
    pub expiry: Vec<(Date, Health, i64)>,
    /// Open problems by kind, the most frequent first.
    pub problems: Vec<(ProblemCode, i64)>,
}

/// What became of orders that ended within one hour.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndedOrders {
    /// The beginning of the hour.
    pub hour: OffsetDateTime,
    /// The directory of the CA.
    pub authority: String,
    /// What became of them.
    pub result: OrderStatus,
    /// The last part of the type of the CA's problem; empty: there was none.
    pub code: String,
    /// How many.
    pub count: i64,
}

impl ScopedTx {
    /// The sums of what can be seen from here.
    pub async fn rollups(&mut self) -> Result<Rollups, StoreError> {
        let of = self.only().unwrap_or_else(Uuid::nil);
        let as_of =
            sqlx::query_scalar!("SELECT as_of FROM rollups").fetch_optional(self.connection()).await?;
        let domains = sqlx::query!(
            "SELECT status, health, count FROM rollup_domains WHERE tenant_id = $1 ORDER BY status, health",
            of
        )
        .fetch_all(self.connection())
        .await?;
        let expiry = sqlx::query!(
            "SELECT week, health, count FROM rollup_expiry WHERE tenant_id = $1 ORDER BY week, health",
            of
        )
        .fetch_all(self.connection())
        .await?;
        let problems = sqlx::query!(
            "SELECT code, count FROM rollup_problems WHERE tenant_id = $1 ORDER BY count DESC, code",
            of
        )
        .fetch_all(self.connection())
        .await?;
        let health = |word: &str| parsed::<Health>("rollups", word);
        Ok(Rollups {
            as_of: as_of.flatten(),
            domains: domains
                .into_iter()
                .map(|row| Ok((parsed("rollup_domains", &row.status)?, health(&row.health)?, row.count)))
                .collect::<Result<_, StoreError>>()?,
            expiry: expiry
                .into_iter()
                .map(|row| Ok((row.week, health(&row.health)?, row.count)))
                .collect::<Result<_, StoreError>>()?,
            problems: problems
                .into_iter()
                .map(|row| Ok((parsed("rollup_problems", &row.code)?, row.count)))
                .collect::<Result<_, StoreError>>()?,
        })
    }

    /// Renewals that are planned for each day (UTC) from `first` on, over all tenants: for the platform alone.
    pub async fn planned_renewals_by_day(&mut self, first: Date) -> Result<Vec<(Date, i64)>, StoreError> {
        let is_platform = self.only().is_none();
        let rows = sqlx::query!(
            "SELECT day, count FROM rollup_renewals WHERE day >= $1 AND $2 ORDER BY day",
            first,
            is_platform,
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows.into_iter().map(|row| (row.day, row.count)).collect())
    }

    /// Orders that ended since, by the hour, over all tenants: for the platform alone.
    pub async fn ended_orders(&mut self, since: OffsetDateTime) -> Result<Vec<EndedOrders>, StoreError> {
        let is_platform = self.only().is_none();
        let rows = sqlx::query!(
            "SELECT hour, authority, result, code, count FROM rollup_orders WHERE hour >= $1 AND $2
             ORDER BY hour, authority, result, code",
            since,
            is_platform,
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                let result = parsed("rollup_orders", &row.result)?;
                let (hour, authority, code) = (row.hour, row.authority, row.code);
                Ok(EndedOrders { hour, authority, result, code, count: row.count })
            })
            .collect()
    }

    /// How many domains have a problem: of few exactly, of many as it was last counted.
    pub async fn count_unhealthy(&mut self) -> Result<i64, StoreError> {
        let counts = self.count_by_health().await?;
        Ok(counts.iter().filter(|(_, health, _)| *health != Health::Ok).map(|(_, _, count)| count).sum())
    }

    /// How many domains are in each status: of few exactly, of many as it was last counted.
    pub async fn count_domains(&mut self) -> Result<Vec<(DomainStatus, i64)>, StoreError> {
        let mut counts: Vec<(DomainStatus, i64)> = Vec::new();
        for (status, _, count) in self.count_by_health().await? {
            match counts.iter_mut().find(|(known, _)| *known == status) {
                Some((_, sum)) => *sum += count,
                None => counts.push((status, count)),
            }
        }
        Ok(counts)
    }

    async fn count_by_health(&mut self) -> Result<Vec<(DomainStatus, Health, i64)>, StoreError> {
        let only = self.only();
        let rows = sqlx::query!(
            r#"WITH few AS MATERIALIZED (
                   SELECT status, health FROM domains
                   WHERE status <> 'deleted' AND ($1::uuid IS NULL OR tenant_id = $1) LIMIT $2
               )
               SELECT status AS "status!", health AS "health!", count(*) AS "count!" FROM few
               WHERE (SELECT count(*) FROM few) < $2 GROUP BY status, health
               UNION ALL
               SELECT status, health, count FROM rollup_domains
               WHERE tenant_id = COALESCE($1, $3) AND (SELECT count(*) FROM few) = $2"#,
            only,
            FEW,
            Uuid::nil(),
        )
        .fetch_all(self.connection())
        .await?;
        let row = |status: &str, health: &str, count| {
            Ok((parsed("domains", status)?, parsed("domains", health)?, count))
        };
        rows.into_iter().map(|one| row(&one.status, &one.health, one.count)).collect()
    }
}
