//! What a failure means for a domain: which problem it has, and when it is tried again.

use certmill_acme::AcmeError;
use certmill_model::{
    DomainStatus, Hostname, OrderId, OrderStatus, ProblemCode, after_validation_failure, backoff,
};
use certmill_store::{Blamed, ClaimedDomain, Failure, OrderFailure};
use time::{Duration, OffsetDateTime};

use crate::{Engine, EngineError, error::AuthorityError, zones::ZoneTrouble};

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
    tracing::warn!(domain.name = %domain.name, code = %trouble.code, detail = trouble.words, "a challenge could not be set up");
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
    error: AuthorityError,
) -> Result<(), EngineError> {
    match error {
        AuthorityError::Store(error) => Err(error.into()),
        AuthorityError::Ca(error) => ca(engine, domain, None, &error).await,
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

/// An order that did not succeed.
pub(super) struct FailedOrder<'a> {
    pub(super) order_id: OrderId,
    /// Where it was.
    pub(super) status: OrderStatus,
    pub(super) names: &'a [Hostname],
}

/// Records what the CA said, by what happens next.
pub(super) async fn ca(
    engine: &Engine,
    domain: &ClaimedDomain,
    order: Option<FailedOrder<'_>>,
    error: &AcmeError,
) -> Result<(), EngineError> {
    let status = order.as_ref().map_or(OrderStatus::Queued, |order| order.status);
    let next = Next::of(engine, domain, error, status);
    let names = order.as_ref().map(|order| order.names).unwrap_or_default();
    let blamed = blamed(error, names);
    // Nobody knows which of the names it was: each is tried by itself, at once.
    let is_verdict = matches!(error, AcmeError::Refused { .. } | AcmeError::NameRejected { .. });
    let parts_ways = is_verdict && names.len() > 1 && blamed.is_empty();
    tracing::info!(domain.name = %domain.name, code = %error.problem_code(), detail = error.detail(), "the order did not succeed");
    let document = error.problem().and_then(|problem| serde_json::to_value(problem).ok());
    let failure = Failure {
        code: error.problem_code(),
        detail: &error.detail(),
        order: order.map(|order| OrderFailure {
            order_id: order.order_id,
            status: next.order,
            problem: document.unwrap_or_default(),
        }),
        status: if parts_ways { DomainStatus::PendingIssuance } else { next.domain },
        consecutive_failures: domain.consecutive_failures + u32::from(!parts_ways),
        next_attempt_at: if parts_ways { Some(engine.now()) } else { next.at },
        order_after: if parts_ways { None } else { next.not_before },
        validation_failed: is_verdict,
        blamed: &blamed,
    };
    Ok(engine.parts.store.fail(&domain.lease, &failure, &engine.parts.chance, engine.now()).await?)
}

/// The names of the order that the CA holds responsible, if it said so.
fn blamed(error: &AcmeError, names: &[Hostname]) -> Vec<Blamed> {
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

/// Records that an order was placed with another account or CA than today's: it is over, and a new one begins at once.
pub(super) async fn other_account(
    engine: &Engine,
    domain: &ClaimedDomain,
    order_id: OrderId,
) -> Result<(), EngineError> {
    let detail = "The order was placed with another account; a new one begins.";
    let failure = Failure {
        order: Some(OrderFailure { order_id, status: OrderStatus::Cancelled, problem: detail.into() }),
        next_attempt_at: Some(engine.now()),
        order_after: None,
        ..plain(engine, domain, ProblemCode::CaAccount, detail)
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
    tracing::error!(domain.name = %domain.name, detail, "the certificate authority sent a wrong certificate");
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
        blamed: &[],
    }
}

/// What follows from an error of the CA.
struct Next {
    order: OrderStatus,
    domain: DomainStatus,
    at: Option<OffsetDateTime>,
    /// The CA is not asked before, whoever wants it.
    not_before: Option<OffsetDateTime>,
}

impl Next {
    fn of(engine: &Engine, domain: &ClaimedDomain, error: &AcmeError, status: OrderStatus) -> Self {
        let wait = backoff(domain.consecutive_failures + 1, engine.fraction());
        let pending = DomainStatus::PendingIssuance;
        let after = |order, wait| {
            let at = Some(engine.now() + wait);
            Self { order, domain: pending, at, not_before: at }
        };
        match error {
            AcmeError::Retry { after: asked, .. } => {
                after(status, asked.map_or(wait, |asked| asked.max(Duration::SECOND)))
            }
            AcmeError::StillProcessing { retry_after } => {
                after(status, retry_after.unwrap_or(Duration::seconds(5)))
            }
            AcmeError::NewOrder { .. } => after(OrderStatus::Invalid, wait),
            AcmeError::Refused { .. } => {
                after(OrderStatus::Invalid, after_validation_failure(engine.fraction()))
            }
            // A name that has a certificate was taken once: asked for daily, in case that it is taken again.
            AcmeError::NameRejected { .. } => {
                let daily = after(OrderStatus::Invalid, after_validation_failure(engine.fraction()));
                let at = daily.at.filter(|_| domain.certificate_id.is_some());
                Self { domain: DomainStatus::Failed, at, ..daily }
            }
            AcmeError::NeedsOperator { .. } => after(status, wait),
        }
    }
}
