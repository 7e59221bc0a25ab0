//! What a failure means for a domain: which problem it has, and when it is tried again.

use certmill_acme::AcmeError;
use certmill_model::{Checks, DomainId, DomainStatus, Hostname, OrderId, OrderStatus, ProblemCode, backoff};
use certmill_store::{Blamed, ClaimedDomain, Deferral, Failure, OrderFailure, Without};
use time::{Duration, OffsetDateTime};

use super::{
    check,
    next::{Next, wait_until},
};
use crate::{
    Engine, EngineError,
    authorities::{Authority, OpenAuthority},
    error::AuthorityError,
    limits::{self, Ordered},
    measure,
    zones::ZoneTrouble,
};

/// Records a problem that is nobody's failure: it counts for no back-off, and is looked at again after `wait`.
pub(super) async fn defer(
    engine: &Engine,
    domain: &ClaimedDomain,
    code: ProblemCode,
    detail: &str,
    wait: Duration,
) -> Result<(), EngineError> {
    let failure = Failure {
        code,
        detail,
        order: None,
        status: domain.status,
        consecutive_failures: domain.consecutive_failures,
        next_attempt_at: Some(engine.now() + wait),
        order_after: None,
        validation_failed: false,
        deferral: None,
        without: Without::default(),
        checks: &[],
        blamed: &[],
    };
    Ok(engine.parts.store.fail(&domain.lease, &failure, &engine.parts.chance, engine.now()).await?)
}

/// How soon, and how late, a zone of ours is tried again that keeps an order from going on.
const ZONE_AGAIN: std::ops::RangeInclusive<Duration> = Duration::seconds(2)..=Duration::MINUTE;

/// Records that our own zone keeps an order, which began at `since`, from going on. The order stays, no CA is asked, and it
/// is tried again soon; as nobody but us is to blame, it counts for no back-off. What the zone's provider said is for
/// operators.
pub(super) async fn zone(
    engine: &Engine,
    domain: &ClaimedDomain,
    (order_id, status): (OrderId, OrderStatus),
    since: OffsetDateTime,
    trouble: &ZoneTrouble,
) -> Result<(), EngineError> {
    tracing::warn!(code = %trouble.code, detail = trouble.words, "a challenge could not be set up");
    let age: Duration = engine.now() - since;
    let wait = (age / 2_i32).clamp(*ZONE_AGAIN.start(), *ZONE_AGAIN.end());
    let failure = Failure {
        order: Some(OrderFailure { order_id, status, problem: trouble.words.clone().into() }),
        consecutive_failures: domain.consecutive_failures,
        next_attempt_at: Some(engine.now() + trouble.after.map_or(wait, |asked| asked.max(wait))),
        order_after: None,
        ..plain(engine, domain, trouble.code, &trouble.detail)
    };
    Ok(engine.parts.store.fail(&domain.lease, &failure, &engine.parts.chance, engine.now()).await?)
}

/// Records that an order cannot be carried out because there is no zone for one of its names: it is over.
pub(super) async fn no_zone(
    engine: &Engine,
    domain: &ClaimedDomain,
    order_id: OrderId,
) -> Result<(), EngineError> {
    let detail = "There is no DNS zone for challenges any more.";
    let failure = Failure {
        order: Some(OrderFailure { order_id, status: OrderStatus::Cancelled, problem: detail.into() }),
        ..plain(engine, domain, ProblemCode::DnsZoneUnavailable, detail)
    };
    Ok(engine.parts.store.fail(&domain.lease, &failure, &engine.parts.chance, engine.now()).await?)
}

/// Records that the CA could not be worked with before the order.
pub(super) async fn authority(
    engine: &Engine,
    domain: &ClaimedDomain,
    authority: &Authority,
    error: AuthorityError,
) -> Result<(), EngineError> {
    match error {
        AuthorityError::Store(error) => Err(error.into()),
        // The breaker knows already.
        AuthorityError::Away { until } => nobody_answers(engine, domain, until).await,
        AuthorityError::Ca(error) => record(engine, domain, authority, None, &error).await,
        AuthorityError::Key(error) => {
            let failure =
                plain(engine, domain, ProblemCode::Internal, "The stored account key cannot be read.");
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the stored account key cannot be read"
            );
            Ok(engine.parts.store.fail(&domain.lease, &failure, &engine.parts.chance, engine.now()).await?)
        }
    }
}

/// Records that every CA that could be asked fails on its side. It is nobody's failure here.
pub(super) async fn nobody_answers(
    engine: &Engine,
    domain: &ClaimedDomain,
    until: OffsetDateTime,
) -> Result<(), EngineError> {
    let detail = "The certificate authority does not answer, or with errors of its own.";
    defer(engine, domain, ProblemCode::CaUnavailable, detail, wait_until(engine, until)).await
}

/// Records that the CA works on an order for longer than usual. Nothing is wrong with the name, and the order stays.
pub(super) async fn slow(
    engine: &Engine,
    domain: &ClaimedDomain,
    (order_id, status): (OrderId, OrderStatus),
    since: OffsetDateTime,
    wait: Duration,
) -> Result<(), EngineError> {
    let minutes = (engine.now() - since).whole_minutes();
    let detail = format!("The certificate authority has worked on the order for {minutes} minutes.");
    let failure = Failure {
        order: Some(OrderFailure { order_id, status, problem: detail.clone().into() }),
        consecutive_failures: domain.consecutive_failures,
        next_attempt_at: Some(engine.now() + wait),
        order_after: None,
        ..plain(engine, domain, ProblemCode::CaUnavailable, &detail)
    };
    Ok(engine.parts.store.fail(&domain.lease, &failure, &engine.parts.chance, engine.now()).await?)
}

/// Records that the order waits for its turn at a rate limit of the CA.
pub(super) async fn deferred(
    engine: &Engine,
    domain: &ClaimedDomain,
    authority: &Authority,
    deferral: &Deferral,
    checks: &[(DomainId, Checks)],
) -> Result<(), EngineError> {
    check::record_problems_solved(engine, domain).await?;
    let detail = limits::told(authority, deferral, engine.now());
    let failure = Failure {
        consecutive_failures: domain.consecutive_failures,
        next_attempt_at: Some(deferral.until),
        order_after: None,
        deferral: Some(deferral),
        checks,
        status: if domain.certificate_id.is_none() { DomainStatus::PendingIssuance } else { domain.status },
        ..plain(engine, domain, ProblemCode::CaRateLimited, &detail)
    };
    Ok(engine.parts.store.fail(&domain.lease, &failure, &engine.parts.chance, engine.now()).await?)
}

/// An order that did not succeed.
pub(super) struct FailedOrder<'a> {
    pub(super) order_id: OrderId,
    pub(super) ordered: Ordered<'a>,
}

/// Records what the CA said, by what happens next.
pub(super) async fn ca(
    engine: &Engine,
    domain: &ClaimedDomain,
    authority: &Authority,
    open: &OpenAuthority,
    order: FailedOrder<'_>,
    error: &AcmeError,
) -> Result<(), EngineError> {
    authority.note(engine, error);
    let may_be_old_key = is_perhaps_signed_wrongly(error);
    if may_be_old_key || matches!(error, AcmeError::WithoutProfile { .. }) {
        // The account's key may be another by now, the directory may list other profiles.
        authority.forget_account(open).await;
    }
    if may_be_old_key && authority.has_another_key(engine, open).await {
        return Ok(engine.parts.store.rest(&domain.lease, Some(engine.now())).await?);
    }
    limits::learn(engine, authority, open, domain, order.ordered, error).await?;
    record(engine, domain, authority, Some(order), error).await
}

/// What is signed with a key that is not the account's any more is malformed, which means something else at other times.
fn is_perhaps_signed_wrongly(error: &AcmeError) -> bool {
    match error {
        AcmeError::NeedsOperator { .. } | AcmeError::WithoutReplaces { .. } => true,
        AcmeError::Retry { .. } => error.problem_code() == ProblemCode::Internal,
        _ => false,
    }
}

async fn record(
    engine: &Engine,
    domain: &ClaimedDomain,
    authority: &Authority,
    order: Option<FailedOrder<'_>>,
    error: &AcmeError,
) -> Result<(), EngineError> {
    let status = order.as_ref().map_or(OrderStatus::Queued, |order| order.ordered.status);
    let asked_for = order.as_ref().map(|order| order.ordered.asked_for).unwrap_or_default();
    let next = Next::of(engine, domain, authority, error, (status, asked_for));
    let names = order.as_ref().map(|order| order.ordered.names).unwrap_or_default();
    let blamed = blamed(error, names);
    // Nobody knows which of the names it was: each is tried by itself, at once.
    let is_verdict = matches!(error, AcmeError::Refused { .. } | AcmeError::NameRejected { .. });
    let parts_ways = is_verdict && names.len() > 1 && blamed.is_empty();
    tracing::info!(code = %error.problem_code(), detail = detail(error), "the order did not succeed");
    // A CA may stumble over what is replaced, again and again: it must not keep a renewal from coming at all.
    let stumbles = asked_for.replaces
        && error.is_ca_side()
        && status == OrderStatus::Queued
        && domain.consecutive_failures > 0;
    let document = error.problem().and_then(|problem| serde_json::to_value(problem).ok());
    let deferral = error.limit_hit().zip(next.at).map(|(hit, until)| limits::deferral(hit, names, until));
    let failure = Failure {
        code: error.problem_code(),
        detail: &detail(error),
        order: order.map(|order| OrderFailure {
            order_id: order.order_id,
            status: if stumbles { OrderStatus::Cancelled } else { next.order },
            problem: document.unwrap_or_default(),
        }),
        status: if parts_ways { DomainStatus::PendingIssuance } else { next.domain },
        consecutive_failures: domain.consecutive_failures + u32::from(next.counts && !parts_ways),
        next_attempt_at: if parts_ways { Some(engine.now()) } else { next.at },
        order_after: if parts_ways { None } else { next.not_before },
        validation_failed: is_verdict,
        deferral: deferral.as_ref(),
        without: Without {
            replaces: matches!(error, AcmeError::WithoutReplaces { .. }) || stumbles,
            profile: matches!(error, AcmeError::WithoutProfile { .. }),
        },
        checks: &[],
        blamed: &blamed,
    };
    if failure.order.as_ref().is_some_and(|order| order.status == OrderStatus::Invalid) {
        measure::order_ended(authority, OrderStatus::Invalid, Some(failure.code));
    }
    Ok(engine.parts.store.fail(&domain.lease, &failure, &engine.parts.chance, engine.now()).await?)
}

/// The CA's words. A page where an operator has something to do is not among them: whoever has its address may act for the
/// whole account. Operators find it in what is on record.
fn detail(error: &AcmeError) -> String {
    const WHERE: &str = "`certmill domain show` names the page where an operator finds what to do.";
    match (error, error.operator_url()) {
        (AcmeError::Paused { .. }, _) => {
            format!("The certificate authority takes no more orders for this name from our account. {WHERE}")
        }
        (_, Some(url)) if error.detail().contains(url) => {
            format!("The certificate authority wants an operator to act. {WHERE}")
        }
        (_, Some(_)) => format!("{} {WHERE}", error.detail()),
        _ => error.detail(),
    }
}

/// The names of the order that the CA holds responsible, if it said so.
fn blamed(error: &AcmeError, names: &[Hostname]) -> Vec<Blamed> {
    if matches!(error, AcmeError::Paused { .. }) {
        return Vec::new();
    }
    let of_order = error
        .failed_names()
        .iter()
        .filter(|failed| names.iter().any(|name| name.as_str() == failed.identifier));
    of_order
        .map(|failed| Blamed {
            name: failed.identifier.clone(),
            code: failed.code,
            detail: failed.detail.clone(),
        })
        .collect()
}

/// Records that an order is over through no fault of the name, as `detail` says, and that a new one begins at once.
pub(super) async fn anew(
    engine: &Engine,
    domain: &ClaimedDomain,
    order_id: OrderId,
    detail: &str,
) -> Result<(), EngineError> {
    let failure = Failure {
        order: Some(OrderFailure { order_id, status: OrderStatus::Cancelled, problem: detail.into() }),
        consecutive_failures: domain.consecutive_failures,
        next_attempt_at: Some(engine.now()),
        order_after: None,
        ..plain(engine, domain, ProblemCode::CaUnavailable, detail)
    };
    Ok(engine.parts.store.fail(&domain.lease, &failure, &engine.parts.chance, engine.now()).await?)
}

/// Records that the CA sent something else than was ordered: the order is over, and an operator should know.
pub(super) async fn wrong_certificate(
    engine: &Engine,
    domain: &ClaimedDomain,
    order_id: OrderId,
    detail: &str,
) -> Result<(), EngineError> {
    let problem = serde_json::Value::String(detail.to_owned());
    let failure = Failure {
        order: Some(OrderFailure { order_id, status: OrderStatus::Invalid, problem }),
        ..plain(engine, domain, ProblemCode::CaWrongCertificate, detail)
    };
    tracing::error!(detail, "the certificate authority sent a wrong certificate");
    Ok(engine.parts.store.fail(&domain.lease, &failure, &engine.parts.chance, engine.now()).await?)
}

/// A failure that is tried again by back-off.
fn plain<'a>(engine: &Engine, domain: &ClaimedDomain, code: ProblemCode, detail: &'a str) -> Failure<'a> {
    let failures = domain.consecutive_failures + 1;
    let next = Some(engine.now() + backoff(failures, engine.fraction()));
    Failure {
        code,
        detail,
        order: None,
        status: DomainStatus::PendingIssuance,
        consecutive_failures: failures,
        next_attempt_at: next,
        order_after: next,
        validation_failed: false,
        deferral: None,
        without: Without::default(),
        checks: &[],
        blamed: &[],
    }
}
