//! What of a filter is selective: a bounded list of ids, read by an index of its own.

use certmill_model::TenantId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{DomainFilter, page::Narrowed, text::FEW};
use crate::StoreError;

/// Up to so many ids, a page is made among them. With more, reading along the order of the list has a page full sooner.
pub(super) const SELECTIVE: i64 = 5_000;

/// Finds the ids that a selective part of `filter` leads to. The other parts are looked at row by row.
pub(super) async fn narrow(
    connection: &mut PgConnection,
    filter: &DomainFilter,
) -> Result<Narrowed, StoreError> {
    let accounts = match &filter.authority {
        Some(directory) => Some(accounts(connection, directory).await?),
        None => None,
    };
    let mut narrowed = Narrowed::new(filter, accounts);
    if let Some(external_id) = &filter.external_id {
        narrowed.ids = Some(by_external_id(connection, &narrowed, external_id).await?);
    }
    if let (None, Some(suffix)) = (&narrowed.ids, &narrowed.reversed_suffix) {
        narrowed.ids =
            Some(by_suffix(connection, &narrowed, suffix).await?).filter(|ids| ids.len() as i64 <= FEW);
    }
    // What has led to ids is not asked of each of them once more.
    if let (None, Some(tag)) = (&narrowed.ids, &filter.tag) {
        narrowed.ids = selective(by_tag(connection, narrowed.tenant, tag, SELECTIVE + 1).await?);
        narrowed.tag = narrowed.tag.filter(|_| narrowed.ids.is_none());
    }
    if let (None, Some(code)) = (&narrowed.ids, filter.problem) {
        narrowed.ids =
            selective(by_problem(connection, narrowed.tenant, code.as_str(), SELECTIVE + 1).await?);
        narrowed.problem = narrowed.problem.filter(|_| narrowed.ids.is_none());
    }
    if narrowed.ids.is_none() && (filter.expires_before.is_some() || filter.expires_after.is_some()) {
        narrowed.ids = selective(by_end(connection, &narrowed).await?);
    }
    if let (None, Some(since)) = (&narrowed.ids, filter.updated_since) {
        narrowed.ids = selective(by_change(connection, &narrowed, since).await?);
    }
    if let (None, Some(accounts)) = (&narrowed.ids, &narrowed.accounts) {
        narrowed.ids = by_account(connection, &narrowed, accounts).await?;
    }
    if let (None, Some(target)) = (&narrowed.ids, filter.target) {
        narrowed.ids = selective(by_target(connection, &narrowed, target.uuid()).await?);
        narrowed.target = narrowed.target.filter(|_| narrowed.ids.is_none());
    }
    Ok(narrowed)
}

/// How many a tag or a problem leads to, up to `at_most`, where nothing else is asked for; else `None`.
pub(super) async fn count(
    connection: &mut PgConnection,
    filter: &DomainFilter,
    at_most: i64,
) -> Result<Option<i64>, StoreError> {
    let rest = DomainFilter { tenant: filter.tenant, ..DomainFilter::default() };
    let tenant = filter.tenant.map(TenantId::uuid);
    if let Some(tag) = &filter.tag
        && *filter == (DomainFilter { tag: Some(tag.clone()), ..rest.clone() })
    {
        return Ok(Some(by_tag(connection, tenant, tag, at_most).await?.len() as i64));
    }
    if let Some(code) = filter.problem
        && *filter == (DomainFilter { problem: Some(code), ..rest })
    {
        return Ok(Some(by_problem(connection, tenant, code.as_str(), at_most).await?.len() as i64));
    }
    Ok(None)
}

fn selective(ids: Vec<Uuid>) -> Option<Vec<Uuid>> {
    (ids.len() as i64 <= SELECTIVE).then_some(ids)
}

async fn accounts(connection: &mut PgConnection, directory: &str) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT account_id FROM accounts WHERE split_part(directory_url, '#', 1) = $1",
        directory
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

async fn by_external_id(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    external_id: &str,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT domain_id FROM domain_names WHERE external_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2) LIMIT $3",
        external_id,
        narrowed.tenant,
        SELECTIVE,
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

async fn by_suffix(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    reversed: &str,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT domain_id FROM domain_names
         WHERE reversed >= $1 AND reversed < $1 || '~' AND ($2::uuid IS NULL OR tenant_id = $2) LIMIT $3",
        reversed,
        narrowed.tenant,
        FEW + 1,
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

async fn by_tag(
    connection: &mut PgConnection,
    tenant: Option<Uuid>,
    tag: &str,
    at_most: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT domain_id FROM domain_tags WHERE tag = $1 AND ($2::uuid IS NULL OR tenant_id = $2) LIMIT $3",
        tag,
        tenant,
        at_most,
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

async fn by_problem(
    connection: &mut PgConnection,
    tenant: Option<Uuid>,
    code: &str,
    at_most: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT domain_id FROM problems WHERE code = $1 AND ($2::uuid IS NULL OR tenant_id = $2) LIMIT $3",
        code,
        tenant,
        at_most,
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

/// A certificate may be that of a name and its `www.`.
async fn by_end(connection: &mut PgConnection, narrowed: &Narrowed) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT d.domain_id FROM certificates c JOIN domains d ON d.certificate_id = c.certificate_id
         WHERE c.status <> 'superseded' AND ($1::uuid IS NULL OR c.tenant_id = $1)
           AND ($2::timestamptz IS NULL OR c.not_after >= $2) AND ($3::timestamptz IS NULL OR c.not_after < $3)
           AND d.status <> 'deleted'
         LIMIT $4",
        narrowed.tenant,
        narrowed.expires_after,
        narrowed.expires_before,
        SELECTIVE + 1,
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

async fn by_change(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    since: time::OffsetDateTime,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT domain_id FROM domains
         WHERE updated_at >= $1 AND status <> 'deleted' AND ($2::uuid IS NULL OR tenant_id = $2) LIMIT $3",
        since,
        narrowed.tenant,
        SELECTIVE + 1,
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

/// `None`: they have had too many orders for a list of them. Their number alone is read of an index without the rows.
async fn by_account(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    accounts: &[Uuid],
) -> Result<Option<Vec<Uuid>>, StoreError> {
    let orders = sqlx::query_scalar!(
        "SELECT order_id FROM orders
         WHERE account_id = ANY($1) AND status = 'valid' AND ($2::uuid IS NULL OR tenant_id = $2)
         ORDER BY account_id, order_id LIMIT $3",
        accounts,
        narrowed.tenant,
        SELECTIVE + 1,
    )
    .fetch_all(&mut *connection)
    .await?;
    let Some(orders) = selective(orders) else { return Ok(None) };
    let ids = sqlx::query_scalar!(
        "SELECT d.domain_id FROM certificates c JOIN domains d ON d.certificate_id = c.certificate_id
         WHERE c.order_id = ANY($1) AND d.status <> 'deleted'",
        &orders,
    )
    .fetch_all(connection)
    .await?;
    Ok(Some(ids))
}

async fn by_target(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    target: Uuid,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT domain_id FROM placements WHERE target_id = $1 AND ($2::uuid IS NULL OR tenant_id = $2) LIMIT $3",
        target,
        narrowed.tenant,
        SELECTIVE + 1,
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}
