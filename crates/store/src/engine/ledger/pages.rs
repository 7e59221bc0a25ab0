//! Buckets as rows: locked, taken from, and written back in one short transaction.

use certmill_model::{Bucket, LimitKind, Need, Rate, TenantId, next_date, take_fairly};
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::LimitScope;
use crate::StoreError;

/// Where a bucket is kept.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) owner: String,
    pub(super) kind: LimitKind,
    pub(super) key: String,
    pub(super) share_of: Option<TenantId>,
    /// Which of the needs it is for.
    pub(super) need: usize,
}

impl Place {
    /// The limit's rate, or that of a tenant's share of it.
    pub(super) fn rate(&self, rate: Rate) -> Option<Rate> {
        if self.share_of.is_some() { rate.share() } else { Some(rate) }
    }
}

/// A bucket in the hands of this transaction.
pub(super) struct Page {
    pub(super) place: Place,
    pub(super) bucket: Bucket,
    pub(super) is_changed: bool,
    tail_at: Option<OffsetDateTime>,
    is_stored: bool,
}

/// The buckets in the hands of a transaction.
pub(super) struct Pages(pub(super) Vec<Page>);

impl Pages {
    /// Locks the rows in the order in which everybody does. Those that are missing are full.
    pub(super) async fn lock(
        tx: &mut Transaction<'static, Postgres>,
        places: Vec<Place>,
        now: OffsetDateTime,
    ) -> Result<Self, StoreError> {
        let columns = Columns::of(&places);
        let rows = sqlx::query!(
            r#"SELECT w.place AS "place!", b.full_at, b.held_until, b.tail_at
               FROM UNNEST($1::text[], $2::text[], $3::text[], $4::uuid[]) WITH ORDINALITY
                   AS w (owner, kind, key, share_of, place)
               JOIN limit_buckets b USING (owner, kind, key, share_of)
               ORDER BY b.owner, b.kind, b.key, b.share_of FOR UPDATE OF b"#,
            &columns.owners,
            &columns.kinds,
            &columns.keys,
            &columns.shares,
        )
        .fetch_all(&mut **tx)
        .await?;
        let full = |place| Page {
            place,
            bucket: Bucket::full(now),
            tail_at: None,
            is_stored: false,
            is_changed: false,
        };
        let mut pages: Vec<_> = places.into_iter().map(full).collect();
        for row in rows {
            let page = &mut pages[row.place as usize - 1];
            page.bucket = Bucket { full_at: row.full_at, held_until: row.held_until };
            page.tail_at = row.tail_at;
            page.is_stored = true;
        }
        Ok(Self(pages))
    }

    /// Takes from each, or says which of the needs has to wait longest, and for which slot.
    pub(super) fn take<'a>(
        &mut self,
        scope: LimitScope<'_>,
        needs: &'a [Need],
        tenant: TenantId,
        now: OffsetDateTime,
    ) -> Result<(), (&'a Need, OffsetDateTime)> {
        let mut taken = Vec::new();
        let mut refused: Option<(&Need, OffsetDateTime)> = None;
        for (number, need) in needs.iter().enumerate() {
            let (shared, own) = (self.page(number, None), self.page(number, Some(tenant)));
            let bucket = self.0[shared.expect("every need has a row")].bucket;
            let own_bucket = own.map_or(Bucket::full(now), |own| self.0[own].bucket);
            let outcome = match scope.rate(need) {
                None => bucket.held(now).map(|()| (bucket, own_bucket)),
                Some(rate) if own.is_some() => take_fairly(rate, bucket, own_bucket, now),
                Some(rate) => bucket.take(rate, 0, now).map(|bucket| (bucket, own_bucket)),
            };
            match outcome {
                Err(slot) if refused.is_none_or(|(_, furthest)| slot > furthest) => {
                    refused = Some((need, slot));
                }
                Ok((bucket, own_bucket)) if need.uses => {
                    taken.extend(shared.map(|place| (place, bucket)));
                    taken.extend(own.map(|place| (place, own_bucket)));
                }
                _ => {}
            }
        }
        if let Some(refused) = refused {
            return Err(refused);
        }
        for (place, bucket) in taken {
            let page = &mut self.0[place];
            page.is_changed = page.bucket != bucket;
            page.bucket = bucket;
        }
        Ok(())
    }

    /// The date for one that has to wait for a slot: where tenants compete, behind the others of its tenant.
    pub(super) async fn date(
        &mut self,
        tx: &mut Transaction<'static, Postgres>,
        scope: LimitScope<'_>,
        (need, slot): (&Need, OffsetDateTime),
        tenant: TenantId,
        waited: bool,
        now: OffsetDateTime,
    ) -> Result<OffsetDateTime, StoreError> {
        let Some(rate) = scope.rate(need).filter(|_| need.kind.is_shared()) else { return Ok(slot) };
        let number =
            self.0.iter().position(|page| page.place.kind == need.kind && page.place.key == need.key);
        let number = self.0[number.expect("every need has a row")].place.need;
        // Those whose slot was taken by another wait in a line of their own: there are few, and they are served soon.
        let own = if waited { None } else { self.page(number, Some(tenant)) };
        let page = own.or_else(|| self.page(number, None)).expect("every need has a row");
        let page = &mut self.0[page];
        let others = match page.place.share_of {
            Some(_) => {
                others_waiting(tx, &page.place, page.tail_at.map_or(now, |tail| tail.max(now))).await?
            }
            None => 0,
        };
        let date = next_date(rate, slot, page.tail_at, others);
        page.tail_at = Some(date);
        page.is_changed = true;
        Ok(date)
    }

    /// Writes what has changed. False: another worker made one of the rows meanwhile, and everything begins anew.
    pub(super) async fn write(self, mut tx: Transaction<'static, Postgres>) -> Result<bool, StoreError> {
        let changed: Vec<_> = self.0.into_iter().filter(|page| page.is_changed).collect();
        if changed.is_empty() {
            tx.rollback().await?;
            return Ok(true);
        }
        let places: Vec<_> = changed.iter().map(|page| page.place.clone()).collect();
        let columns = Columns::of(&places);
        let written = sqlx::query!(
            r#"WITH page AS (
                   SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::uuid[], $5::timestamptz[],
                                        $6::timestamptz[], $7::timestamptz[], $8::boolean[])
                       AS w (owner, kind, key, share_of, full_at, held_until, tail_at, is_stored)
               ), changed AS (
                   UPDATE limit_buckets b SET full_at = w.full_at, held_until = w.held_until, tail_at = w.tail_at
                   FROM page w
                   WHERE w.is_stored AND b.owner = w.owner AND b.kind = w.kind AND b.key = w.key
                     AND b.share_of = w.share_of
                   RETURNING 1
               ), added AS (
                   INSERT INTO limit_buckets (owner, kind, key, share_of, full_at, held_until, tail_at)
                   SELECT owner, kind, key, share_of, full_at, held_until, tail_at FROM page WHERE NOT is_stored
                   ORDER BY owner COLLATE "C", kind COLLATE "C", key COLLATE "C", share_of
                   ON CONFLICT DO NOTHING
                   RETURNING 1
               )
               SELECT (SELECT count(*) FROM changed) + (SELECT count(*) FROM added) AS "rows!",
                      set_config('synchronous_commit', 'off', true) AS set"#,
            &columns.owners,
            &columns.kinds,
            &columns.keys,
            &columns.shares,
            &changed.iter().map(|page| page.bucket.full_at).collect::<Vec<_>>(),
            &changed.iter().map(|page| page.bucket.held_until).collect::<Vec<_>>() as _,
            &changed.iter().map(|page| page.tail_at).collect::<Vec<_>>() as _,
            &changed.iter().map(|page| page.is_stored).collect::<Vec<_>>(),
        )
        .fetch_one(&mut *tx)
        .await?;
        if written.rows as usize != changed.len() {
            tx.rollback().await?;
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    fn page(&self, need: usize, share_of: Option<TenantId>) -> Option<usize> {
        self.0.iter().position(|page| page.place.need == need && page.place.share_of == share_of)
    }
}

/// How many other tenants wait for the same limit for longer than until `tail`.
async fn others_waiting(
    tx: &mut Transaction<'static, Postgres>,
    place: &Place,
    tail: OffsetDateTime,
) -> Result<u32, StoreError> {
    let others = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM limit_buckets
           WHERE owner = $1 AND kind = $2 AND key = $3 AND tail_at > $4 AND share_of <> $5 AND share_of <> $6"#,
        place.owner,
        place.kind.as_str(),
        place.key,
        tail,
        share(place.share_of),
        Uuid::nil(),
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(others as u32)
}

/// Places as columns.
pub(super) struct Columns {
    pub(super) owners: Vec<String>,
    pub(super) kinds: Vec<String>,
    pub(super) keys: Vec<String>,
    pub(super) shares: Vec<Uuid>,
}

impl Columns {
    pub(super) fn of(places: &[Place]) -> Self {
        Self {
            owners: places.iter().map(|place| place.owner.clone()).collect(),
            kinds: places.iter().map(|place| place.kind.as_str().to_owned()).collect(),
            keys: places.iter().map(|place| place.key.clone()).collect(),
            shares: places.iter().map(|place| share(place.share_of)).collect(),
        }
    }
}

fn share(of: Option<TenantId>) -> Uuid {
    of.map_or(Uuid::nil(), TenantId::uuid)
}
