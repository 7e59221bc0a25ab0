//! What a failure means for a domain: which problem it has, and when it is tried again.

use certmill_acme::AcmeError;
use certmill_model::{
    DomainStatus, OrderId, OrderStatus, ProblemCode, after_validation_failure, backoff, target_retry,
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

/// Records that our own zone keeps an order from going on. The order stays, no CA is asked, and nobody but us is to blame:
/// it is tried again soon.
pub(super) async fn zone(
    engine: &Engine,
    domain: &ClaimedDomain,
    order_id: OrderId,
    status: OrderStatus,
    trouble: &ZoneTrouble,
) -> Result<(), EngineError> {
    tracing::warn!(domain.name = %domain.name, code = %trouble.code, detail = trouble.detail, "a challenge could not be set up");
    let failures = domain.consecutive_failures + 1;
    let wait = target_retry(failures, engine.fraction());
    let detail = sentence(&trouble.detail);
    let failure = Failure {
        order: Some(OrderFailure { order_id, status, problem: serde_json::Value::Null }),
        next_attempt_at: Some(engine.now() + trouble.after.map_or(wait, |asked| asked.max(wait))),
        ..plain(engine, domain, trouble.code, &detail)
    };
    Ok(engine.parts.store.fail(&domain.lease, &failure, &engine.parts.chance, engine.now()).await?)
}

/// Foreign words as a sentence.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

/// Records that the CA could not be worked with before the order.
pub(super) async fn authority(
    engine: &Engine,
    domain: &ClaimedDomain,
    error: AuthorityError,
) -> Result<(), EngineError> {
    match error {
        AuthorityError::Store(error) => Err(error.into()),
        AuthorityError::Ca(error) => ca(engine, domain, None, OrderStatus::Queued, &error).await,
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

/// Records what the CA said, by what happens next. `status` is where the order was.
pub(super) async fn ca(
    engine: &Engine,
    domain: &ClaimedDomain,
    order: Option<OrderId>,
    status: OrderStatus,
    error: &AcmeError,
) -> Result<(), EngineError> {
    let next = Next::of(engine, domain, error, status);
    let named = error.failed_names().iter();
    let blamed: Vec<_> = named
        .map(|failed| Blamed {
            name: failed.identifier.clone(),
            code: failed.code,
            detail: failed.detail.clone(),
        })
        .collect();
    tracing::info!(domain.name = %domain.name, code = %error.problem_code(), detail = error.detail(), "the order did not succeed");
    let failure = Failure {
        code: error.problem_code(),
        detail: &error.detail(),
        order: order.map(|order_id| OrderFailure {
            order_id,
            status: next.order,
            problem: error
                .problem()
                .and_then(|problem| serde_json::to_value(problem).ok())
                .unwrap_or_default(),
        }),
        status: next.domain,
        consecutive_failures: domain.consecutive_failures + 1,
        next_attempt_at: next.at,
        order_after: next.at,
        validation_failed: matches!(error, AcmeError::Refused { .. }),
        blamed: &blamed,
    };
    Ok(engine.parts.store.fail(&domain.lease, &failure, &engine.parts.chance, engine.now()).await?)
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
    Failure {
        code,
        detail,
        order: None,
        status: DomainStatus::PendingIssuance,
        consecutive_failures: failures,
        next_attempt_at: Some(engine.now() + backoff(failures, engine.fraction())),
        order_after: None,
        validation_failed: false,
        blamed: &[],
    }
}

/// What follows from an error of the CA.
struct Next {
    order: OrderStatus,
    domain: DomainStatus,
    at: Option<OffsetDateTime>,
}

impl Next {
    fn of(engine: &Engine, domain: &ClaimedDomain, error: &AcmeError, status: OrderStatus) -> Self {
        let wait = backoff(domain.consecutive_failures + 1, engine.fraction());
        let pending = DomainStatus::PendingIssuance;
        let at = |wait| Some(engine.now() + wait);
        match error {
            AcmeError::Retry { after, .. } => Self {
                order: status,
                domain: pending,
                at: at(after.map_or(wait, |after| after.max(Duration::SECOND))),
            },
            AcmeError::StillProcessing { retry_after } => {
                Self { order: status, domain: pending, at: at(retry_after.unwrap_or(Duration::seconds(5))) }
            }
            AcmeError::NewOrder { .. } => Self { order: OrderStatus::Invalid, domain: pending, at: at(wait) },
            AcmeError::Refused { .. } => Self {
                order: OrderStatus::Invalid,
                domain: pending,
                at: at(after_validation_failure(engine.fraction())),
            },
            // A name that has a certificate was taken once: asked for daily, in case that it is taken again.
            AcmeError::NameRejected { .. } => Self {
                order: OrderStatus::Invalid,
                domain: DomainStatus::Failed,
                at: domain.certificate_id.and_then(|_| at(Duration::DAY)),
            },
            AcmeError::NeedsOperator { .. } => Self { order: status, domain: pending, at: at(wait) },
        }
    }
}
