//! The search box: names that begin with what was typed, then names that have it in them, then, if there is nothing, names
//! that are like it.

use certmill_model::SearchText;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{DomainPosition, DomainSort, Found, Narrowed, Order, found::Rows, page, quickly, read};
use crate::StoreError;

/// Up to so many ids, a page is made among them. Of more, a walk along the names soon finds a page full.
pub(super) const FEW: i64 = 1_000;

/// Similar names that are shown.
const SIMILAR: i64 = 20;

/// Names that are looked at for each of the parts that a slip may have left right.
const CANDIDATES: i32 = 500;

/// The share of letters in threes that names have in common with what was typed, at least.
const ALIKE: f32 = 0.4;

/// By name: those that begin with `text` before all.
pub(super) async fn ranked(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    text: &SearchText,
    after: Option<&DomainPosition>,
    rows: i64,
) -> Result<Rows, StoreError> {
    let is_inner = matches!(after, Some(DomainPosition::Name { is_inner: true, .. }));
    let mut found = Rows::default();
    if let (false, Some(name)) = (is_inner, text.name()) {
        let begins = Narrowed { second_prefix: Some(name.to_owned()), ..narrowed.clone() };
        found = read(connection, &begins, Order(DomainSort::Name, after), rows).await?;
        if found.resume.is_some() {
            return Ok(found);
        }
    }
    let left = rows - found.places.len() as i64;
    if left > 0 {
        let after = after.filter(|_| is_inner);
        let inner = Narrowed { not_prefix: Some(text.name().unwrap_or("~").to_owned()), ..narrowed.clone() };
        let inner = any(connection, &inner, text, Order(DomainSort::Name, after), left).await?;
        found.places.extend(inner.places);
        (found.found, found.resume) = (inner.found, inner.resume);
    }
    if found.places.is_empty() && after.is_none() && found.found == Found::Suiting {
        return similar(connection, narrowed, text, rows - 1).await;
    }
    Ok(found)
}

/// In any order: names that have `text` in them, and shops whose id begins so.
pub(super) async fn any(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    text: &SearchText,
    order: Order<'_>,
    rows: i64,
) -> Result<Rows, StoreError> {
    let narrowed = narrow(connection, narrowed.clone(), Some(text)).await?;
    if order.0 == DomainSort::Name && narrowed.is_for_a_walk() {
        return read(connection, &narrowed, order, rows).await;
    }
    let found =
        quickly(connection, async |connection| page::read(connection, &narrowed, order, rows).await).await?;
    Ok(found.map_or(Rows { found: Found::InPart, ..Rows::default() }, Rows::from))
}

/// What `text` adds to a filter: ids where it is selective, else what names must have in them.
pub(super) async fn narrow(
    connection: &mut PgConnection,
    narrowed: Narrowed,
    text: Option<&SearchText>,
) -> Result<Narrowed, StoreError> {
    let Some(text) = text else { return Ok(narrowed) };
    let mut narrowed = Narrowed {
        part: text.inner().map(str::to_owned),
        external_prefix: Some(text.typed().to_owned()),
        ..narrowed
    };
    if text.inner().is_none()
        && let Some(name) = text.name().filter(|_| narrowed.not_prefix.is_none())
    {
        // Too short for the middle of names.
        return Ok(Narrowed { second_prefix: Some(name.to_owned()), external_prefix: None, ..narrowed });
    }
    if narrowed.ids.is_none() {
        let tenant = narrowed.tenant;
        let found =
            quickly(connection, async |connection| containing(connection, tenant, text).await).await?;
        narrowed.ids = found.filter(|ids| ids.len() as i64 <= FEW);
    }
    Ok(narrowed)
}

async fn containing(
    connection: &mut PgConnection,
    tenant: Option<Uuid>,
    text: &SearchText,
) -> Result<Vec<Uuid>, StoreError> {
    // The ends of ranges: behind every character that an id may have.
    let mut ids = sqlx::query_scalar!(
        "SELECT domain_id FROM domain_names
         WHERE external_id >= $1 AND external_id < $1 || $4 AND ($2::uuid IS NULL OR tenant_id = $2) LIMIT $3",
        text.typed(),
        tenant,
        FEW + 1,
        "\u{10ffff}",
    )
    .fetch_all(&mut *connection)
    .await?;
    if let Some(part) = text.inner() {
        // An index of letters is read by bitmaps alone.
        sqlx::query!("SELECT set_config('enable_bitmapscan', 'on', true)")
            .fetch_one(&mut *connection)
            .await?;
        let inner = sqlx::query_scalar!(
            r#"SELECT domain_id AS "domain_id!" FROM names_containing($1, $2, $3) AS domain_id"#,
            tenant,
            part,
            FEW as i32 + 1,
        )
        .fetch_all(connection)
        .await?;
        ids.extend(inner);
    }
    Ok(ids)
}

/// Names that are like what was typed, the likest first.
async fn similar(
    connection: &mut PgConnection,
    narrowed: &Narrowed,
    text: &SearchText,
    rows: i64,
) -> Result<Rows, StoreError> {
    let Some(meant) = text.name() else { return Ok(Rows::default()) };
    let patterns: Vec<_> =
        text.besides_a_slip().iter().map(|(one, other)| format!("%{one}%{other}%")).collect();
    let tenant = narrowed.tenant;
    let like =
        quickly(connection, async |connection| alike(connection, tenant, (&patterns, meant)).await).await?;
    let Some(like) = like else { return Ok(Rows { found: Found::InPart, ..Rows::default() }) };
    let among = Narrowed { ids: Some(like.clone()), ..narrowed.clone() };
    let order = Order(DomainSort::Name, None);
    let mut rows = page::read(connection, &among, order, rows.min(SIMILAR)).await?;
    rows.sort_by_key(|(id, _)| like.iter().position(|known| known == id));
    let found = if rows.is_empty() { Found::Suiting } else { Found::Similar };
    Ok(Rows { places: rows, found, resume: None })
}

async fn alike(
    connection: &mut PgConnection,
    tenant: Option<Uuid>,
    (patterns, meant): (&[String], &str),
) -> Result<Vec<Uuid>, StoreError> {
    // An index of letters is read by bitmaps alone.
    sqlx::query!("SELECT set_config('enable_bitmapscan', 'on', true)").fetch_one(&mut *connection).await?;
    let ids = sqlx::query_scalar!(
        r#"SELECT domain_id AS "domain_id!" FROM names_with_any($1, $2, $3, $4)
           WHERE likeness >= $5 GROUP BY domain_id ORDER BY max(likeness) DESC, domain_id LIMIT $6"#,
        tenant,
        patterns,
        meant,
        CANDIDATES,
        ALIKE,
        SIMILAR,
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}
