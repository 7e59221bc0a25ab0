//! Rows of a page: the same predicate, read in one of three orders, or counted.

use certmill_model::{DomainId, DomainStatus, Health, ProblemCode, TargetId, TenantId};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{DomainFilter, DomainPosition, DomainSort};
use crate::StoreError;

/// An order, and the place in it behind which a page begins.
#[derive(Clone, Copy)]
pub(super) struct Order<'a>(pub(super) DomainSort, pub(super) Option<&'a DomainPosition>);

impl<'a> Order<'a> {
    /// The name behind which a page begins.
    pub(super) fn name(self) -> Option<&'a str> {
        match self.1 {
            Some(DomainPosition::Name { name, .. }) => Some(name),
            _ => None,
        }
    }
}

/// A filter as the statements take it.
#[derive(Clone)]
pub(super) struct Narrowed {
    pub(super) tenant: Option<Uuid>,
    /// Only these, if something selective was asked for.
    pub(super) ids: Option<Vec<Uuid>>,
    pub(super) prefix: Option<String>,
    /// As well as the other one.
    pub(super) second_prefix: Option<String>,
    pub(super) not_prefix: Option<String>,
    pub(super) reversed_suffix: Option<String>,
    pub(super) suffix: Option<String>,
    /// Those whose name has this in it, or whose shop's id begins with `external_prefix`.
    pub(super) part: Option<String>,
    pub(super) external_prefix: Option<String>,
    pub(super) status: Option<&'static str>,
    pub(super) health: Option<&'static str>,
    pub(super) unhealthy: bool,
    pub(super) problem: Option<&'static str>,
    pub(super) tag: Option<String>,
    pub(super) target: Option<Uuid>,
    pub(super) accounts: Option<Vec<Uuid>>,
    pub(super) expires_after: Option<OffsetDateTime>,
    pub(super) expires_before: Option<OffsetDateTime>,
    pub(super) updated_since: Option<OffsetDateTime>,
}

impl Narrowed {
    pub(super) fn new(filter: &DomainFilter, accounts: Option<Vec<Uuid>>) -> Self {
        Self {
            tenant: filter.tenant.map(TenantId::uuid),
            ids: None,
            prefix: filter.name_prefix.clone(),
            second_prefix: None,
            not_prefix: None,
            reversed_suffix: filter.name_suffix.as_ref().map(|suffix| suffix.chars().rev().collect()),
            suffix: filter.name_suffix.clone(),
            part: None,
            external_prefix: None,
            status: filter.status.map(DomainStatus::as_str),
            health: filter.health.map(Health::as_str),
            unhealthy: filter.unhealthy,
            problem: filter.problem.map(ProblemCode::as_str),
            tag: filter.tag.clone(),
            target: filter.target.map(TargetId::uuid),
            accounts,
            expires_after: filter.expires_after,
            expires_before: filter.expires_before,
            updated_since: filter.updated_since,
        }
    }

    /// Whether names in their order say which suit: what is asked of them is no matter of an index.
    pub(super) fn is_for_a_walk(&self) -> bool {
        self.ids.is_none() && (self.suffix.is_some() || self.part.is_some())
    }

    /// Whether nothing but names and shops' ids is asked for.
    pub(super) fn is_of_names(&self) -> bool {
        let states = self.status.or(self.health).or(self.problem).is_some() || self.unhealthy;
        let things = self.tag.is_some() || self.target.is_some() || self.accounts.is_some();
        let instants = self.expires_after.or(self.expires_before).or(self.updated_since).is_some();
        !(states || things || instants)
    }
}

/// The statement `$select … $rest`, the predicate between; `$22` and on are the caller's. A prefix is a range, which an
/// index serves: no name has a character behind the tilde. What other tables say is asked row by row, by their primary keys: of
/// `EXISTS` the planner makes a join, and reads all that have a tag to find a hundred.
macro_rules! suiting {
    ($narrowed:expr, $select:tt, $rest:tt, $($argument:expr),*) => {
        sqlx::query!(
            $select + r#" WHERE d.status <> 'deleted'
              AND ($1::uuid IS NULL OR d.tenant_id = $1)
              AND ($2::uuid[] IS NULL OR d.domain_id = ANY($2))
              AND ($3::text IS NULL OR (d.name >= $3 AND d.name < $3 || '~'))
              AND ($4::text IS NULL OR (d.name >= $4 AND d.name < $4 || '~'))
              AND ($5::text IS NULL OR NOT starts_with(d.name, $5))
              AND ($6::text IS NULL OR right(d.name, length($6)) = $6)
              AND (($7::text IS NULL AND $8::text IS NULL) OR position($7 IN d.name) > 0
                   OR starts_with(d.external_id, $8))
              AND ($9::text IS NULL OR d.status = $9)
              AND ($10::text IS NULL OR d.health = $10)
              AND (NOT $11::boolean OR d.health <> 'ok')
              AND ($12::text IS NULL OR (
                  SELECT true FROM problems p WHERE p.domain_id = d.domain_id AND p.code = $12))
              AND ($13::text IS NULL OR (
                  SELECT true FROM domain_tags g WHERE g.domain_id = d.domain_id AND g.tag = $13))
              AND ($14::uuid IS NULL OR (
                  SELECT true FROM placements l WHERE l.domain_id = d.domain_id AND l.target_id = $14))
              AND ($15::uuid[] IS NULL OR (
                  SELECT o.account_id FROM certificates a JOIN orders o USING (order_id)
                  WHERE a.certificate_id = d.certificate_id) = ANY($15))
              AND (($16::timestamptz IS NULL AND $17::timestamptz IS NULL) OR (
                  SELECT true FROM certificates e WHERE e.certificate_id = d.certificate_id
                    AND ($16 IS NULL OR e.not_after >= $16) AND ($17 IS NULL OR e.not_after < $17)))
              AND ($18::timestamptz IS NULL OR d.updated_at >= $18)"# + $rest,
            $narrowed.tenant,
            $narrowed.ids.as_deref(),
            $narrowed.prefix,
            $narrowed.second_prefix,
            $narrowed.not_prefix,
            $narrowed.suffix,
            $narrowed.part,
            $narrowed.external_prefix,
            $narrowed.status,
            $narrowed.health,
            $narrowed.unhealthy,
            $narrowed.problem,
            $narrowed.tag,
            $narrowed.target,
            $narrowed.accounts.as_deref(),
            $narrowed.expires_after,
            $narrowed.expires_before,
            $narrowed.updated_since,
            $($argument),*
        )
    };
}

/// Up to `rows` rows of a list.
pub(super) async fn read(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    order: Order<'_>,
    rows: i64,
) -> Result<Vec<(Uuid, DomainPosition)>, StoreError> {
    if narrowed.ids.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Vec::new());
    }
    // Few ids are sorted; all others are read in their order.
    let sorts = if narrowed.ids.is_some() { "on" } else { "off" };
    sqlx::query!("SELECT set_config('enable_sort', $1, true)", sorts).fetch_one(&mut *connection).await?;
    let (at, id) = match order.1 {
        Some(DomainPosition::Instant { at, id }) => (Some(*at), Some(id.uuid())),
        _ => (None, None),
    };
    match order.0 {
        DomainSort::Name => by_name(connection, narrowed, order.name(), rows).await,
        DomainSort::NotAfter => by_end(connection, narrowed, at, id, rows).await,
        DomainSort::UpdatedAt => by_change(connection, narrowed, at, id, rows).await,
    }
}

async fn by_name(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    after: Option<&str>,
    rows: i64,
) -> Result<Vec<(Uuid, DomainPosition)>, StoreError> {
    let is_inner = narrowed.not_prefix.is_some();
    let rows = suiting!(
        narrowed,
        "SELECT d.domain_id, d.name FROM domains d",
        " AND ($19::text IS NULL OR d.name > $19) ORDER BY d.name LIMIT $20",
        after,
        rows
    )
    .fetch_all(connection)
    .await?;
    let row = |id, name| (id, DomainPosition::Name { is_inner, name });
    Ok(rows.into_iter().map(|one| row(one.domain_id, one.name)).collect())
}

/// Along the ends of certificates, of which two domains may have one.
async fn by_end(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    at: Option<OffsetDateTime>,
    id: Option<Uuid>,
    rows: i64,
) -> Result<Vec<(Uuid, DomainPosition)>, StoreError> {
    let rows = suiting!(
        narrowed,
        "SELECT d.domain_id, c.not_after FROM certificates c JOIN domains d ON d.certificate_id = c.certificate_id",
        " AND c.status <> 'superseded' AND ($1::uuid IS NULL OR c.tenant_id = $1)
          AND ($16::timestamptz IS NULL OR c.not_after >= $16) AND ($17::timestamptz IS NULL OR c.not_after < $17)
          AND ($19::timestamptz IS NULL OR (c.not_after >= $19 AND (c.not_after, d.domain_id) > ($19, $20::uuid)))
          ORDER BY c.not_after, d.domain_id LIMIT $21",
        at,
        id,
        rows
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|one| at_instant(one.domain_id, one.not_after)).collect())
}

async fn by_change(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    at: Option<OffsetDateTime>,
    id: Option<Uuid>,
    rows: i64,
) -> Result<Vec<(Uuid, DomainPosition)>, StoreError> {
    let rows = suiting!(
        narrowed,
        "SELECT d.domain_id, d.updated_at FROM domains d",
        " AND ($19::timestamptz IS NULL OR (d.updated_at, d.domain_id) > ($19, $20::uuid))
          ORDER BY d.updated_at, d.domain_id LIMIT $21",
        at,
        id,
        rows
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|one| at_instant(one.domain_id, one.updated_at)).collect())
}

fn at_instant(domain: Uuid, at: OffsetDateTime) -> (Uuid, DomainPosition) {
    (domain, DomainPosition::Instant { at, id: DomainId::from_uuid(domain) })
}

/// How many there are, up to `at_most`.
pub(super) async fn count(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    at_most: i64,
) -> Result<i64, StoreError> {
    let row = suiting!(
        narrowed,
        r#"SELECT count(*) AS "count!" FROM (SELECT 1 FROM domains d"#,
        " LIMIT $19) AS counted",
        at_most
    )
    .fetch_one(connection)
    .await?;
    Ok(row.count)
}
