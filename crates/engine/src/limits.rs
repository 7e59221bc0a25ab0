//! The limits of CAs, on the way of an order: room is taken before it is placed, and what a CA says corrects the ledger.

use certmill_acme::{AcmeError, LimitHit};
use certmill_model::{Exemption, Hostname, LimitKind, Need, OrderStatus, order_needs};
use certmill_store::{ClaimedDomain, Deferral, StoreError, Taking, Without};
use time::{Duration, OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use crate::{
    Engine,
    authorities::{Authority, OpenAuthority},
};

const HOUR: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute] UTC");
const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");

/// An order that is about to be placed, or was refused.
#[derive(Clone, Copy)]
pub(crate) struct Ordered<'a> {
    pub(crate) names: &'a [Hostname],
    /// What was taken for it in this step.
    pub(crate) needs: &'a [Need],
    pub(crate) status: OrderStatus,
    /// What it asks for beside its names.
    pub(crate) asked_for: Without,
}

/// How long a limit is held, for all that count for it, where the CA does not say until when.
const HELD_BLINDLY: Duration = Duration::MINUTE;

/// How long to wait where a limit is reached and the CA does not say until when.
pub(crate) const UNTIL_FREE: Duration = Duration::minutes(10);

/// Takes what an order for `names` needs. Otherwise it waits, and nothing is taken.
pub(crate) async fn take(
    engine: &Engine,
    authority: &Authority,
    open: &OpenAuthority,
    domain: &ClaimedDomain,
    (names, exemption): (&[Hostname], Exemption),
) -> Result<Result<Vec<Need>, Deferral>, StoreError> {
    let needs = order_needs(names, exemption);
    // Whoever is exempt heeds what the CA has said of a limit all the same.
    if exemption != Exemption::None && authority.is_any_limit_held(engine, open).await? {
        let all = order_needs(names, Exemption::None);
        let held = engine.parts.store.held_limit(authority.scope(open), &all, engine.now()).await?;
        if let Some(deferral) = held {
            return Ok(Err(deferral));
        }
    }
    let is_limited = needs.iter().any(|need| authority.settings.limits.rate(need.kind).is_some());
    if !is_limited && !authority.is_any_limit_held(engine, open).await? {
        return Ok(Ok(needs));
    }
    let (tenant, now) = (domain.lease.tenant_id, engine.now());
    let scope = authority.scope(open);
    let taking = engine.parts.store.take_limits(scope, &needs, tenant, domain.was_deferred, now).await?;
    Ok(match taking {
        Taking::Taken => Ok(needs),
        Taking::Deferred(deferral) => Err(deferral),
    })
}

/// Gives back what was taken for an order that was not placed.
pub(crate) async fn give_back(
    engine: &Engine,
    authority: &Authority,
    open: &OpenAuthority,
    domain: &ClaimedDomain,
    needs: &[Need],
) -> Result<(), StoreError> {
    if needs.is_empty() {
        return Ok(());
    }
    let (tenant, now) = (domain.lease.tenant_id, engine.now());
    engine.parts.store.give_back_limits(authority.scope(open), needs, tenant, now).await
}

/// Corrects the ledger by what the CA said of an order.
pub(crate) async fn learn(
    engine: &Engine,
    authority: &Authority,
    open: &OpenAuthority,
    domain: &ClaimedDomain,
    order: Ordered<'_>,
    error: &AcmeError,
) -> Result<(), StoreError> {
    let (store, scope, now) = (&engine.parts.store, authority.scope(open), engine.now());
    if let (AcmeError::Retry { after, .. }, Some(hit)) = (error, error.limit_hit()) {
        let until = now + after.unwrap_or(HELD_BLINDLY);
        for (kind, key) in counted(hit, order.names) {
            store.hold_limit(scope, kind, &key, until, now).await?;
        }
        authority.forget_holds().await;
    }
    // What the CA did not take in it does not count either; of what may have arrived nobody knows.
    let unknown = matches!(error, AcmeError::Retry { .. }) && error.limit_hit().is_none();
    if order.status == OrderStatus::Queued && !unknown {
        give_back(engine, authority, open, domain, order.needs).await?;
    }
    if matches!(error, AcmeError::Refused { .. }) {
        let failed = error.failed_names();
        let at_fault = |name: &&Hostname| {
            failed.is_empty() || failed.iter().any(|failed| failed.identifier == name.as_str())
        };
        let needs: Vec<_> = order.names.iter().filter(at_fault).map(Need::failed_validation).collect();
        store.note_limits(scope, &needs, now).await?;
    }
    Ok(())
}

/// The deferral of an order for `names` that a CA refused by a limit of its own.
pub(crate) fn deferral(hit: LimitHit, names: &[Hostname], until: OffsetDateTime) -> Deferral {
    let counted = counted(hit, names).into_iter().next();
    let (limit, counted) = counted.unwrap_or_else(|| (LimitKind::Requests, String::new()));
    Deferral { until, limit, counted }
}

/// What people are told of an order that waits.
pub(crate) fn told(authority: &Authority, deferral: &Deferral, now: OffsetDateTime) -> String {
    let Deferral { until, limit, counted } = deferral;
    let format = if until.date() == now.date() { HOUR } else { DAY };
    let slot = until.format(format).unwrap_or_else(|_| until.to_string());
    let (what, for_whom) = match limit {
        LimitKind::OrdersPerAccount => ("orders of one account", "this order"),
        LimitKind::CertificatesPerRegisteredDomain => {
            ("certificates for one registered domain", counted.as_str())
        }
        LimitKind::CertificatesPerNameSet => ("certificates for the same names", counted.as_str()),
        LimitKind::FailedValidations => ("failed validations of one name", counted.as_str()),
        LimitKind::Requests => ("requests", "this order"),
    };
    let name = &authority.settings.name;
    format!("The certificate authority {name} limits {what}; next slot for {for_whom}: {slot}.")
}

/// The rows of the ledger that a limit is kept in; empty where requests are counted, which the breaker heeds. Where the CA
/// does not say which limit it is, it is the account's.
fn counted(hit: LimitHit, names: &[Hostname]) -> Vec<(LimitKind, String)> {
    let kind = match hit {
        LimitHit::Orders | LimitHit::Unknown => LimitKind::OrdersPerAccount,
        LimitHit::RegisteredDomain => LimitKind::CertificatesPerRegisteredDomain,
        LimitHit::NameSet => LimitKind::CertificatesPerNameSet,
        LimitHit::FailedValidations => LimitKind::FailedValidations,
        LimitHit::Requests => return Vec::new(),
    };
    let needs = order_needs(names, Exemption::None).into_iter();
    needs.filter(|need| need.kind == kind).map(|need| (need.kind, need.key)).collect()
}
