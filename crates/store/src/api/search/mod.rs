//! Domains that suit a filter, page by page, fast however many there are.
//!
//! What is selective is read first by an index of its own, as a bounded list of ids ([`facets`]); the page is then read in its
//! order among those, or, where nothing is selective, along an index in that order, which soon has a page full. What stands in
//! the middle or at the end of names is looked for in a bounded number of them at a time ([`walk`]). The few
//! statements are planned anew each time: their plan depends on what is asked for, and a filter that is left out vanishes.

mod facets;
mod found;
mod page;
mod position;
mod text;
mod walk;

use certmill_model::{DomainStatus, Health, ProblemCode, SearchText, TargetId, TenantId};
use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;

use self::{
    found::Rows,
    page::{Narrowed, Order},
};
use super::{
    Domain, ScopedTx,
    domains::with_ids,
    planning::{plan_as_usual, plan_each},
};
use crate::StoreError;

pub use found::{CappedCount, DomainPage, Found};
pub(super) use position::instant_and_id;
pub use position::{DomainPosition, DomainSort, InvalidPosition};

/// Which domains are searched for; by default all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DomainFilter {
    /// Those whose name has this in it, or whose shop's id begins so.
    pub q: Option<SearchText>,
    /// Those whose name begins so.
    pub name_prefix: Option<String>,
    /// Those whose name ends so.
    pub name_suffix: Option<String>,
    /// Those in this status.
    pub status: Option<DomainStatus>,
    /// Those that fare so.
    pub health: Option<Health>,
    /// Only those that do not fare well.
    pub unhealthy: bool,
    /// Those with an open problem of this kind.
    pub problem: Option<ProblemCode>,
    /// Those of this tenant; a tenant's own transaction sees no others.
    pub tenant: Option<TenantId>,
    /// The one of the shop with this id.
    pub external_id: Option<String>,
    /// Those with this tag.
    pub tag: Option<String>,
    /// Those on this target.
    pub target: Option<TargetId>,
    /// Those whose certificate came from the CA with this directory.
    pub authority: Option<String>,
    /// Those whose certificate ends before.
    pub expires_before: Option<OffsetDateTime>,
    /// Those whose certificate ends at this instant or after.
    pub expires_after: Option<OffsetDateTime>,
    /// Those that changed at this instant or after.
    pub updated_since: Option<OffsetDateTime>,
}

/// The longest for what no index leads to, in milliseconds.
const SEARCH_MILLIS: i32 = 200;

/// What is counted at most.
const COUNTED: i64 = 10_000;

impl ScopedTx {
    /// Up to `limit` domains by name, beginning behind the name `after`.
    pub async fn list_domains(&mut self, after: Option<&str>, limit: i64) -> Result<Vec<Domain>, StoreError> {
        let after = after.map(|name| DomainPosition::Name { is_inner: false, name: name.to_owned() });
        let (filter, limit) = (DomainFilter::default(), limit.unsigned_abs() as usize);
        let page = self.search_domains(&filter, DomainSort::Name, after.as_ref(), limit).await?;
        Ok(page.domains)
    }

    /// A page of the domains that suit `filter`, in the order of `sort`, behind `after`.
    pub async fn search_domains(
        &mut self,
        filter: &DomainFilter,
        sort: DomainSort,
        after: Option<&DomainPosition>,
        limit: usize,
    ) -> Result<DomainPage, StoreError> {
        let Some(filter) = self.visible(filter) else {
            return Ok(DomainPage { domains: Vec::new(), next: None, found: Found::Suiting });
        };
        search(self.connection(), &filter, sort, after, limit).await
    }

    /// How many domains suit `filter`, as far as that is quickly counted.
    pub async fn count_domains_capped(&mut self, filter: &DomainFilter) -> Result<CappedCount, StoreError> {
        let Some(filter) = self.visible(filter) else { return Ok(CappedCount::Exactly(0)) };
        count(self.connection(), &filter).await
    }

    /// What of a filter can be seen from here; `None`: it asks for another tenant's.
    fn visible(&self, filter: &DomainFilter) -> Option<DomainFilter> {
        let Some(own) = self.reach().tenant() else { return Some(filter.clone()) };
        let is_own = filter.tenant.is_none_or(|tenant| tenant == own);
        is_own.then(|| DomainFilter { tenant: Some(own), ..filter.clone() })
    }
}

async fn search(
    connection: &mut PgConnection,
    filter: &DomainFilter,
    sort: DomainSort,
    after: Option<&DomainPosition>,
    limit: usize,
) -> Result<DomainPage, StoreError> {
    plan_each(connection).await?;
    let narrowed = facets::narrow(connection, filter).await?;
    let found = match (&filter.q, sort) {
        (Some(text), DomainSort::Name) => {
            text::ranked(connection, &narrowed, text, after, limit as i64 + 1).await?
        }
        (Some(text), _) => {
            text::any(connection, &narrowed, text, Order(sort, after), limit as i64 + 1).await?
        }
        (None, _) => read(connection, &narrowed, Order(sort, after), limit as i64 + 1).await?,
    };
    plan_as_usual(connection).await?;
    found.into_page(connection, limit).await
}

/// A page of what suits, by whatever leads to it.
async fn read(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    order: Order<'_>,
    rows: i64,
) -> Result<Rows, StoreError> {
    if order.0 == DomainSort::Name && narrowed.is_for_a_walk() {
        return walk::read(connection, narrowed, order.name(), rows).await;
    }
    Ok(page::read(connection, narrowed, order, rows).await?.into())
}

async fn count(connection: &mut PgConnection, filter: &DomainFilter) -> Result<CappedCount, StoreError> {
    plan_each(connection).await?;
    let counted = match facets::count(connection, filter, COUNTED + 1).await? {
        Some(count) => Some(count),
        None => count_rows(connection, filter).await?,
    };
    plan_as_usual(connection).await?;
    Ok(match counted {
        Some(count) if count <= COUNTED => CappedCount::Exactly(count.unsigned_abs()),
        Some(_) => CappedCount::MoreThan(COUNTED.unsigned_abs()),
        None => CappedCount::Unknown,
    })
}

async fn count_rows(connection: &mut PgConnection, filter: &DomainFilter) -> Result<Option<i64>, StoreError> {
    let narrowed = facets::narrow(connection, filter).await?;
    let narrowed = text::narrow(connection, narrowed, filter.q.as_ref()).await?;
    if narrowed.is_for_a_walk() && narrowed.is_of_names() {
        return walk::count(connection, &narrowed, COUNTED + 1).await;
    }
    quickly(connection, async |connection| page::count(connection, &narrowed, COUNTED + 1).await).await
}

/// What `search` finds within a moment; `None`: it takes longer, and was given up.
async fn quickly<T>(
    connection: &mut PgConnection,
    search: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut attempt = connection.begin().await?;
    sqlx::query!("SELECT set_config('statement_timeout', $1, true)", SEARCH_MILLIS.to_string())
        .fetch_one(&mut *attempt)
        .await?;
    // Either way the shorter time ends with the attempt.
    let found = search(&mut attempt).await;
    attempt.rollback().await?;
    match found {
        Err(error) if error.took_too_long() => Ok(None),
        found => found.map(Some),
    }
}
