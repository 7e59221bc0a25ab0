//! Looks at claims to names that another tenant holds, and gives each name to whom its owner says.

use std::{sync::Arc, time::Duration};

use certmill_dns::{Delegation, LookupError, OwnershipValues};
use certmill_model::{
    Contest, DomainStatus, Holder, Hostname, OwnershipRecord, ProblemCode, contest, look_at_pending,
};
use certmill_store::{DueClaim, NameHolder, StoreError};
use futures_util::future::try_join_all;
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::Engine;

/// Claims taken at a time.
const AT_ONCE: i64 = 8;

/// How long to sleep between two looks for claims that are due.
const POLL: Duration = Duration::from_secs(2);

/// How soon a claim that has won is looked at again while the name is being taken off.
const UNTIL_FREE: time::Duration = time::Duration::seconds(2);

/// How often a claim is looked at whose record is seen, but whose time has not come.
const WHILE_PROVED: time::Duration = time::Duration::hours(1);

/// Runs until `stop` turns true. What goes wrong is logged and tried again.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let more = match round(&engine).await {
            Ok(taken) => taken as i64 == AT_ONCE,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "claims to names could not be looked at; trying again");
                false
            }
        };
        if more {
            continue;
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

async fn round(engine: &Engine) -> Result<usize, StoreError> {
    let claims = engine.parts.store.take_due_claims(AT_ONCE, engine.now()).await?;
    let taken = claims.len();
    try_join_all(claims.into_iter().map(|claim| look(engine, claim))).await?;
    Ok(taken)
}

/// What was seen of a claim and of the holder.
struct Seen {
    values: OwnershipValues,
    verified_at: Option<OffsetDateTime>,
}

async fn look(engine: &Engine, claim: DueClaim) -> Result<(), StoreError> {
    let now = engine.now();
    let (_, wait) = look_at_pending(claim.failures + 1, now - claim.claimed_at, engine.fraction());
    let store = &engine.parts.store;
    let Ok(values) = engine.parts.resolver.ownership(&claim.record).await else {
        // Nothing was found out; what was seen before stands.
        return store.put_off_claim(&claim, claim.verified_at, now + wait).await;
    };
    let is_seen = values.contain(&claim.record.value);
    let seen = Seen { values, verified_at: is_seen.then(|| claim.verified_at.unwrap_or(now)) };
    let until = seen.verified_at.unwrap_or(now);
    match store.name_holder(&claim.wish.name, until).await? {
        None => free(engine, &claim, &seen, now + wait).await,
        Some(holder) if holder.status == DomainStatus::PendingDeletion => {
            let next = if is_seen { now + UNTIL_FREE } else { now + wait };
            store.put_off_claim(&claim, seen.verified_at, next).await
        }
        // Its own by now: it was registered at the same time.
        Some(holder) if holder.tenant_id == claim.tenant_id => store.drop_claim(&claim).await,
        Some(holder) => held(engine, &claim, &seen, &holder, now + wait).await,
    }
}

/// The name is nobody's any more.
async fn free(
    engine: &Engine,
    claim: &DueClaim,
    seen: &Seen,
    next: OffsetDateTime,
) -> Result<(), StoreError> {
    let (parts, now) = (&engine.parts, engine.now());
    match contest(claim.claimed_at, seen.verified_at, &Holder::default(), now) {
        Contest::Won => {
            let next = match parts.store.fulfil_claim(claim, &parts.chance, now).await {
                Ok(true) => return Ok(()),
                Ok(false) => now + UNTIL_FREE,
                // Proved, but the tenant may have no more names for now.
                Err(StoreError::QuotaReached | StoreError::Suspended) => now + WHILE_PROVED,
                Err(error) => return Err(error),
            };
            parts.store.put_off_claim(claim, seen.verified_at, next).await
        }
        Contest::GivenUp => parts.store.drop_claim(claim).await,
        Contest::Unproven | Contest::Kept | Contest::Notice(_) => {
            parts.store.put_off_claim(claim, seen.verified_at, next).await
        }
    }
}

/// Another tenant holds the name.
async fn held(
    engine: &Engine,
    claim: &DueClaim,
    seen: &Seen,
    holder: &NameHolder,
    next: OffsetDateTime,
) -> Result<(), StoreError> {
    let (parts, now, name) = (&engine.parts, engine.now(), &claim.wish.name);
    let is_seen = seen.verified_at.is_some();
    let record = parts.store.ownership_record(holder.tenant_id, name, &parts.chance, now).await?;
    let found = if is_seen {
        look_at_holder(engine, name, holder, seen, &record).await
    } else {
        Ok(Holder::default())
    };
    // What cannot be found out of a holder is not held against it.
    let Ok(found) = found else { return parts.store.put_off_claim(claim, seen.verified_at, next).await };
    let verdict = contest(claim.claimed_at, seen.verified_at, &found, now);
    if !matches!(verdict, Contest::Notice(_)) {
        let codes = [ProblemCode::OwnershipConflict];
        parts.store.resolve(&[holder.domain_id], &codes, &parts.chance, now).await?;
    }
    match verdict {
        Contest::Unproven => parts.store.put_off_claim(claim, None, next).await,
        Contest::GivenUp => parts.store.drop_claim(claim).await,
        Contest::Kept => parts.store.put_off_claim(claim, seen.verified_at, now + WHILE_PROVED).await,
        Contest::Notice(until) => {
            let detail = format!(
                "Another account has proved that {name} is theirs. Set {record} to keep it; otherwise it goes to them."
            );
            parts.store.warn_holder(holder.domain_id, &detail, until, &parts.chance, now).await?;
            let next = until.min(now + WHILE_PROVED);
            parts.store.put_off_claim(claim, seen.verified_at, next).await
        }
        Contest::Won => {
            let detail = "Another account has proved by a TXT record that the name is theirs.";
            tracing::info!(%name, "a name goes to the tenant that has proved it");
            parts.store.take_from_holder(holder.domain_id, detail, &parts.chance, now).await?;
            parts.store.put_off_claim(claim, seen.verified_at, now + UNTIL_FREE).await
        }
    }
}

/// What the holder has to show now.
async fn look_at_holder(
    engine: &Engine,
    name: &Hostname,
    holder: &NameHolder,
    seen: &Seen,
    record: &OwnershipRecord,
) -> Result<Holder, Trouble> {
    let resolver = &engine.parts.resolver;
    let is_delegated = match &holder.delegation {
        Some(wanted) => {
            let found = resolver.delegation(name, &wanted.record_name).await;
            matches!(answered(found)?, Some(Delegation::Right { .. }))
        }
        None => false,
    };
    let load_balancers = engine.load_balancers(holder.tenant_id).await.map_err(|_| Trouble)?;
    let found = if name.is_wildcard() { None } else { answered(resolver.addresses(name).await)? };
    let points_here = found.is_some_and(|found| {
        let v4 = found.v4.into_iter().map(std::net::IpAddr::from);
        load_balancers.know_any(&v4.chain(found.v6.into_iter().map(std::net::IpAddr::from)).collect())
    });
    Ok(Holder {
        shows_record: is_delegated || seen.values.contain(&record.value),
        validated_at: holder.validated_at,
        points_here,
    })
}

/// Nothing could be found out.
struct Trouble;

/// What a lookup found; a name that does not exist has nothing.
fn answered<T>(found: Result<T, LookupError>) -> Result<Option<T>, Trouble> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.problem_code() == ProblemCode::DnsNotFound => Ok(None),
        Err(_) => Err(Trouble),
    }
}
