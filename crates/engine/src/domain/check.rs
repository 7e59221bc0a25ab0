//! What follows from a look at a name when no order does.

use certmill_model::{
    Check, CheckKind, CheckResult, Checks, DomainStatus, Finding, Health, ProblemCode, is_given_up,
    look_at_active, look_at_moved, look_at_pending,
};
use certmill_store::{ClaimedDomain, Looked};
use time::{Duration, OffsetDateTime};

use super::look::{Subject, Verdict, look};
use crate::{Engine, EngineError};

/// How long an expired name is looked at as often as one that has moved; then it is given up like one that never came.
const AFTER_THE_END: Duration = Duration::days(7);

/// How long until a load balancer without a first configuration is looked at again, beside all orders.
const UNTIL_READY: Duration = Duration::minutes(5);

/// Solved by a look that finds the records right.
pub(super) const RECORD_PROBLEMS: [ProblemCode; 9] = [
    ProblemCode::DnsNotFound,
    ProblemCode::DnsWrongTarget,
    ProblemCode::DnsExtraAddresses,
    ProblemCode::DnsServfail,
    ProblemCode::DnsDelegationMissing,
    ProblemCode::DnsDelegationWrong,
    ProblemCode::DnsZoneUnavailable,
    ProblemCode::NoTargets,
    ProblemCode::OwnershipMissing,
];

/// A name that is about to be ordered for, or waits for its turn, is right.
pub(super) async fn record_problems_solved(
    engine: &Engine,
    domain: &ClaimedDomain,
) -> Result<(), EngineError> {
    if domain.health == Health::Ok {
        return Ok(());
    }
    let (parts, me) = (&engine.parts, [domain.lease.domain_id]);
    Ok(parts.store.resolve(&me, &RECORD_PROBLEMS, &parts.chance, engine.now()).await?)
}

/// What a look has shown to be solved, by what it looked at and could tell. What the CA found wrong stays until the CA finds
/// it right.
fn solved(domain: &ClaimedDomain, checks: &Checks) -> Vec<ProblemCode> {
    use ProblemCode as P;
    const ADDRESSES: &[P] =
        &[P::DnsNotFound, P::DnsWrongTarget, P::DnsExtraAddresses, P::DnsApexCname, P::NoTargets];
    const DELEGATION: &[P] = &[P::DnsDelegationMissing, P::DnsDelegationWrong, P::DnsZoneUnavailable];
    let told = |kind: CheckKind, codes: &'static [P]| {
        let look = checks.of(kind)?;
        let found = look.problem.as_ref().map(|problem| problem.code);
        let is_told = look.result == CheckResult::Pass || found.is_some_and(|code| codes.contains(&code));
        (is_told && look.result != CheckResult::Unknown).then_some(codes)
    };
    let addresses = told(CheckKind::Addresses, ADDRESSES);
    let needless = !domain.name.is_wildcard() && checks.passed(CheckKind::Addresses);
    let delegation = if needless { Some(DELEGATION) } else { told(CheckKind::Delegation, DELEGATION) };
    let by_the_ca = domain.validation_failed_at.is_some();
    let caa = told(CheckKind::Caa, &[P::CaaForbids]).filter(|_| !by_the_ca);
    let http = told(CheckKind::Http, &[P::HttpUnreachable, P::HttpWrongResponse]).filter(|_| !by_the_ca);
    let fails = |look: &Check| look.problem.as_ref().is_some_and(|problem| problem.code == P::DnsServfail);
    let servfail = (!checks.looks.iter().any(fails)).then_some(&[P::DnsServfail][..]);
    let is_owned = checks.of(CheckKind::Ownership).is_none_or(|look| look.problem.is_none());
    let ownership = is_owned.then_some(&[P::OwnershipMissing][..]);
    [addresses, delegation, caa, http, servfail, ownership].into_iter().flatten().flatten().copied().collect()
}

impl<'a> Subject<'a> {
    /// A domain's own name. One with which something was wrong lately is looked at closely.
    pub(super) fn of(domain: &'a ClaimedDomain) -> Self {
        Self {
            name: &domain.name,
            tenant: domain.lease.tenant_id,
            delegation: domain.delegation.as_ref(),
            overridden: domain.checks_overridden,
            closely: domain.health != Health::Ok || domain.consecutive_failures > 0,
            own_record: None,
        }
    }
}

/// The look at an active or moved name between its renewals. No CA is asked for anything.
pub(super) async fn look_again(engine: &Engine, domain: &ClaimedDomain) -> Result<(), EngineError> {
    let subject = Subject { closely: true, ..Subject::of(domain) };
    let mut seen = look(engine, subject).await?;
    // Whoever of them may issue: the name may be proved to any.
    let ca = engine.permitted_authority(domain, |ca| seen.lets_issue(subject, &ca.identity())).identity();
    let verdict = seen.verdict(engine, subject, &ca).await;
    let (is_elsewhere, is_delegated) = (seen.is_elsewhere, seen.is_delegated);
    let checks = seen.checks(engine);
    match verdict {
        Verdict::Not(finding) => not_provable(engine, domain, &checks, &finding, is_elsewhere).await,
        Verdict::NotYet => {
            Ok(engine.parts.store.seen(&domain.lease, &checks, engine.now() + UNTIL_READY).await?)
        }
        Verdict::By(_) => right(engine, domain, &checks, is_elsewhere && is_delegated).await,
    }
}

/// The name can be proved: it is active, or active again.
async fn right(
    engine: &Engine,
    domain: &ClaimedDomain,
    checks: &Checks,
    points_elsewhere: bool,
) -> Result<(), EngineError> {
    // It is proved, and yet somebody should know: by DNS alone shoppers may still be led elsewhere.
    let harmless = |found: &&Finding| points_elsewhere || found.code == ProblemCode::DnsApexCname;
    let addresses = checks.of(CheckKind::Addresses).and_then(|look| look.problem.as_ref());
    let looked = Looked {
        checks,
        problem: addresses.filter(harmless).filter(|_| !domain.checks_overridden),
        status: (domain.status == DomainStatus::Moved).then_some(DomainStatus::Active),
        consecutive_failures: 0,
        next_look_at: engine.now() + look_at_active(engine.fraction()),
        solved: &solved(domain, checks),
        clock_restarts: false,
    };
    record(engine, domain, &looked).await
}

/// The name can be proved, but the CA is not to be asked before `later`. Until then it is looked at as one that has moved.
pub(super) async fn right_but_early(
    engine: &Engine,
    domain: &ClaimedDomain,
    checks: &Checks,
    later: OffsetDateTime,
) -> Result<(), EngineError> {
    let status = match domain.status {
        DomainStatus::Moved => Some(DomainStatus::Active),
        _ if domain.certificate_id.is_none() => Some(DomainStatus::PendingIssuance),
        _ => None,
    };
    let looked = Looked {
        checks,
        problem: None,
        status,
        consecutive_failures: domain.consecutive_failures,
        next_look_at: later.min(engine.now() + look_at_moved(engine.fraction())),
        solved: &solved(domain, checks),
        clock_restarts: false,
    };
    record(engine, domain, &looked).await
}

/// The name cannot be proved as it stands: no CA is asked, and it is looked at again as its status demands.
pub(super) async fn not_provable(
    engine: &Engine,
    domain: &ClaimedDomain,
    checks: &Checks,
    finding: &Finding,
    is_elsewhere: bool,
) -> Result<(), EngineError> {
    let failures = domain.consecutive_failures + 1;
    if finding.code == ProblemCode::OwnershipMissing && is_given_up(domain.status_since, engine.now()) {
        let parts = &engine.parts;
        return Ok(parts.store.give_up(&domain.lease, &finding.detail, &parts.chance, engine.now()).await?);
    }
    let (status, wait) = follows(domain, is_elsewhere, failures, engine.now(), engine.fraction());
    let looked = Looked {
        checks,
        problem: Some(finding),
        status,
        consecutive_failures: failures,
        next_look_at: engine.now() + wait,
        solved: &solved(domain, checks),
        // Our own fault is not the owner's: it does not count towards giving up.
        clock_restarts: domain.certificate_id.is_none()
            && matches!(finding.code, ProblemCode::DnsZoneUnavailable | ProblemCode::NoTargets),
    };
    record(engine, domain, &looked).await
}

async fn record(engine: &Engine, domain: &ClaimedDomain, looked: &Looked<'_>) -> Result<(), EngineError> {
    Ok(engine.parts.store.looked(domain, looked, &engine.parts.chance, engine.now()).await?)
}

/// The status of a name that cannot be proved, `None` to leave it, and the wait until the next look.
fn follows(
    domain: &ClaimedDomain,
    is_elsewhere: bool,
    failures: u32,
    now: OffsetDateTime,
    chance: f64,
) -> (Option<DomainStatus>, Duration) {
    let since = now - domain.status_since;
    match domain.status {
        // Somebody asked for a look: for a while it is as if the name had just come.
        DomainStatus::Failed if failures < 10 => (None, look_at_pending(failures, Duration::ZERO, chance).1),
        DomainStatus::Failed => (None, Duration::weeks(1)),
        DomainStatus::Expired if since > AFTER_THE_END => (None, Duration::weeks(1)),
        _ if domain.certificate_id.is_none() => {
            // The week begins when the name was last otherwise.
            let waiting = if domain.status == DomainStatus::PendingDns { since } else { Duration::ZERO };
            let (status, wait) = look_at_pending(failures, waiting, chance);
            (Some(status), wait)
        }
        DomainStatus::Active if is_elsewhere => (Some(DomainStatus::Moved), look_at_moved(chance)),
        _ => (None, look_at_moved(chance)),
    }
}
