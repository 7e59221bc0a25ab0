//! The ledger of the CAs' limits: token buckets that all workers share. What is taken is decided by crate `model`, under a
//! lock on the rows; a crash of the database may forget the last moments, which the margin of the limits covers.

mod pages;

use certmill_model::{AccountId, Endpoint, LimitKind, LimitProfile, Need, Rate, TenantId};
use time::OffsetDateTime;

use self::pages::{Columns, Page, Pages, Place};
use super::{Deferral, Engine};
use crate::StoreError;

/// Whose limits: an account at a CA.
#[derive(Clone, Copy)]
pub struct LimitScope<'a> {
    /// The account.
    pub account_id: AccountId,
    /// The directory of its CA.
    pub directory_url: &'a str,
    /// What the CA allows.
    pub limits: &'a LimitProfile,
}

/// Whether an order may be placed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Taking {
    /// There was room everywhere, and it is taken.
    Taken,
    /// Nothing is taken; it waits for its date.
    Deferred(Deferral),
}

/// How many requests may be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Requests {
    /// So many, at least one.
    Granted(u32),
    /// None before then.
    Wait(OffsetDateTime),
}

impl Engine {
    /// Takes what an order of `tenant` needs, all or nothing. One that was deferred before is not put behind those that came
    /// later: it `waited`.
    pub async fn take_limits(
        &self,
        scope: LimitScope<'_>,
        needs: &[Need],
        tenant: TenantId,
        waited: bool,
        now: OffsetDateTime,
    ) -> Result<Taking, StoreError> {
        if needs.iter().all(|need| scope.rate(need).is_none()) {
            let held = self.held_limit(scope, needs, now).await?;
            return Ok(held.map_or(Taking::Taken, Taking::Deferred));
        }
        loop {
            let mut tx = self.pool.begin().await?;
            let mut pages = Pages::lock(&mut tx, scope.places(needs, Some(tenant)), now).await?;
            let taking = match pages.take(scope, needs, tenant, now) {
                Ok(()) => Taking::Taken,
                Err((need, slot)) => {
                    let until = pages.date(&mut tx, scope, (need, slot), tenant, waited, now).await?;
                    Taking::Deferred(Deferral { until, limit: need.kind, counted: need.key.clone() })
                }
            };
            if pages.write(tx).await? {
                return Ok(taking);
            }
        }
    }

    /// Gives back what an order took that the CA did not take in. A tenant's share that is used up is left so: whether the
    /// order took the last of it, or had to do without, is not known any more.
    pub async fn give_back_limits(
        &self,
        scope: LimitScope<'_>,
        needs: &[Need],
        tenant: TenantId,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let used: Vec<_> = needs.iter().filter(|need| need.uses).cloned().collect();
        self.change(scope, &used, Some(tenant), now, |page, rate| {
            let Some(rate) = rate.and_then(|rate| page.place.rate(rate)) else { return };
            if page.place.share_of.is_none() || page.bucket.left(rate, now) > 0 {
                page.bucket = page.bucket.give_back(rate);
            }
        })
        .await
    }

    /// Takes note of what happened whether there was room or not, such as failed validations.
    pub async fn note_limits(
        &self,
        scope: LimitScope<'_>,
        needs: &[Need],
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.change(scope, needs, None, now, |page, rate| {
            page.bucket = rate.map_or(page.bucket, |rate| page.bucket.note(rate, now));
        })
        .await
    }

    /// Takes nothing of a limit before `until`: the CA said so.
    pub async fn hold_limit(
        &self,
        scope: LimitScope<'_>,
        kind: LimitKind,
        key: &str,
        until: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let need = Need { kind, key: key.to_owned(), uses: true };
        self.change(scope, &[need], None, now, |page, rate| page.bucket = page.bucket.hold(rate, until)).await
    }

    /// Reserves up to `wanted` requests to an endpoint, to be sent at once.
    pub async fn take_requests(
        &self,
        scope: LimitScope<'_>,
        endpoint: Endpoint,
        wanted: u32,
        now: OffsetDateTime,
    ) -> Result<Requests, StoreError> {
        let need = Need { kind: LimitKind::Requests, key: endpoint.as_str().to_owned(), uses: true };
        let mut taken = Requests::Granted(wanted);
        self.change(scope, &[need], None, now, |page, rate| {
            let took = match rate {
                Some(rate) => page.bucket.take_up_to(rate, wanted, now),
                None => page.bucket.held(now).map(|()| (page.bucket, wanted)),
            };
            taken = took.map_or_else(Requests::Wait, |(_, granted)| Requests::Granted(granted));
            page.bucket = took.map_or(page.bucket, |(bucket, _)| bucket);
        })
        .await?;
        Ok(taken)
    }

    /// The limit of which the CA said for how long nothing is to be taken; of several, the one that lasts longest. Where no
    /// rate is known, and for who is exempt from rates, only that counts.
    pub async fn held_limit(
        &self,
        scope: LimitScope<'_>,
        needs: &[Need],
        now: OffsetDateTime,
    ) -> Result<Option<Deferral>, StoreError> {
        let columns = Columns::of(&scope.places(needs, None));
        let held = sqlx::query!(
            r#"SELECT w.place AS "place!", b.held_until AS "held_until!"
               FROM UNNEST($1::text[], $2::text[], $3::text[], $4::uuid[]) WITH ORDINALITY
                   AS w (owner, kind, key, share_of, place)
               JOIN limit_buckets b USING (owner, kind, key, share_of)
               WHERE b.held_until > $5 ORDER BY b.held_until DESC LIMIT 1"#,
            &columns.owners,
            &columns.kinds,
            &columns.keys,
            &columns.shares,
            now,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(held.map(|held| {
            let need = &needs[held.place as usize - 1];
            let (limit, counted) = (need.kind, need.key.clone());
            Deferral { until: held.held_until, limit, counted }
        }))
    }

    /// Whether the CA said of any limit that nothing is to be taken of it for now.
    pub async fn is_any_limit_held(
        &self,
        scope: LimitScope<'_>,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let owners = [scope.account_id.to_string(), scope.directory_url.to_owned()];
        let held = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM limit_buckets WHERE owner = ANY($1) AND held_until > $2) AS "held!""#,
            &owners,
            now,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(held)
    }

    async fn change(
        &self,
        scope: LimitScope<'_>,
        needs: &[Need],
        tenant: Option<TenantId>,
        now: OffsetDateTime,
        mut change: impl FnMut(&mut Page, Option<Rate>),
    ) -> Result<(), StoreError> {
        loop {
            let mut tx = self.pool.begin().await?;
            let mut pages = Pages::lock(&mut tx, scope.places(needs, tenant), now).await?;
            for page in &mut pages.0 {
                let before = page.bucket;
                let rate = scope.rate(&needs[page.place.need]);
                change(page, rate);
                page.is_changed = page.bucket != before;
            }
            if pages.write(tx).await? {
                return Ok(());
            }
        }
    }
}

impl LimitScope<'_> {
    fn rate(&self, need: &Need) -> Option<Rate> {
        match need.kind {
            LimitKind::Requests => self
                .limits
                .requests
                .iter()
                .find(|(known, _)| known.as_str() == need.key)
                .map(|(_, rate)| *rate),
            kind => self.limits.rate(kind),
        }
    }

    /// The rows that `needs` are kept in, with the share of `tenant` where there is one.
    fn places(&self, needs: &[Need], tenant: Option<TenantId>) -> Vec<Place> {
        let mut places = Vec::new();
        for (number, need) in needs.iter().enumerate() {
            let owner = if need.kind.is_per_account() {
                self.account_id.to_string()
            } else {
                self.directory_url.to_owned()
            };
            let place = Place { owner, kind: need.kind, key: need.key.clone(), share_of: None, need: number };
            let is_shared = need.kind.is_shared() && self.rate(need).and_then(Rate::share).is_some();
            let share =
                tenant.filter(|_| is_shared).map(|tenant| Place { share_of: Some(tenant), ..place.clone() });
            places.push(place);
            places.extend(share);
        }
        places
    }
}
