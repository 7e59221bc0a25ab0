//! Names in their order, looked at one by one in an index that holds all of them: for what stands at their end or in their
//! middle and is too frequent for a list of ids.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    DomainPosition, DomainSort, Found, Order,
    facets::SELECTIVE,
    found::Rows,
    page::{self, Narrowed},
};
use crate::StoreError;

/// Names that are looked at for a page, at most: some hundredths of a second. The next page begins behind them.
const LOOKED: i64 = 200_000;

/// A page by name, of what a walk finds and the rest of the filter lets through.
pub(super) async fn read(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    after: Option<&str>,
    rows: i64,
) -> Result<Rows, StoreError> {
    let wanted = if narrowed.is_of_names() { rows } else { SELECTIVE };
    let hits = hits(connection, narrowed, after, wanted).await?;
    let reached = if hits.len() as i64 == wanted {
        hits.last().map(|(_, name)| name.clone())
    } else {
        looked_up_to(connection, narrowed, after).await?
    };
    let ids = hits.iter().map(|(id, _)| *id).collect();
    let among = Narrowed { ids: Some(ids), ..narrowed.clone() };
    let found: Rows = page::read(connection, &among, Order(DomainSort::Name, None), rows).await?.into();
    Ok(match reached {
        Some(name) if (found.places.len() as i64) < rows => {
            let position = DomainPosition::Name { is_inner: narrowed.not_prefix.is_some(), name };
            Rows { found: Found::InPart, resume: Some(position), ..found }
        }
        _ => found,
    })
}

/// How many there are up to `at_most`; `None`: not all were looked at.
pub(super) async fn count(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    at_most: i64,
) -> Result<Option<i64>, StoreError> {
    let counted = hits(connection, narrowed, None, at_most).await?.len() as i64;
    let is_all = counted == at_most || looked_up_to(connection, narrowed, None).await?.is_none();
    Ok(is_all.then_some(counted))
}

async fn hits(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    after: Option<&str>,
    rows: i64,
) -> Result<Vec<(Uuid, String)>, StoreError> {
    let rows = sqlx::query!(
        "SELECT looked.domain_id, looked.name
         FROM (SELECT domain_id, name, external_id FROM domain_names
               WHERE ($1::uuid IS NULL OR tenant_id = $1) AND ($2::text IS NULL OR name > $2)
                 AND ($3::text IS NULL OR (name >= $3 AND name < $3 || '~'))
                 AND ($4::text IS NULL OR (name >= $4 AND name < $4 || '~'))
               ORDER BY name LIMIT $5) AS looked
         WHERE ($6::text IS NULL OR right(looked.name, length($6)) = $6)
           AND (($7::text IS NULL AND $8::text IS NULL) OR position($7 IN looked.name) > 0
                OR starts_with(looked.external_id, $8))
           AND ($9::text IS NULL OR NOT starts_with(looked.name, $9))
         ORDER BY looked.name LIMIT $10",
        narrowed.tenant,
        after,
        narrowed.prefix,
        narrowed.second_prefix,
        LOOKED,
        narrowed.suffix,
        narrowed.part,
        narrowed.external_prefix,
        narrowed.not_prefix,
        rows,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.domain_id, row.name)).collect())
}

/// The last name that a walk looked at; `None`: it came to the end.
async fn looked_up_to(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    after: Option<&str>,
) -> Result<Option<String>, StoreError> {
    let name = sqlx::query_scalar!(
        "SELECT name FROM domain_names
         WHERE ($1::uuid IS NULL OR tenant_id = $1) AND ($2::text IS NULL OR name > $2)
           AND ($3::text IS NULL OR (name >= $3 AND name < $3 || '~'))
           AND ($4::text IS NULL OR (name >= $4 AND name < $4 || '~'))
         ORDER BY name OFFSET $5::bigint - 1 LIMIT 1",
        narrowed.tenant,
        after,
        narrowed.prefix,
        narrowed.second_prefix,
        LOOKED,
    )
    .fetch_optional(connection)
    .await?;
    Ok(name)
}
