//! An order from its key to its certificate. Each step is on record before the next begins, so that the work goes on
//! after a crash where it stood: the key before the order, its URL before the challenge, the certificate at once.

use std::{sync::Arc, time::Duration};

use certmill_acme::{
    AcmeError, Challenge, Client, Order, PlaceOrder, PrivateKey, certificate_id, verify_issued,
};
use certmill_model::{
    CertificateId, ChallengeKind, Hostname, Need, OrderId, OrderStatus, ProblemCode, Validity, look_at_active,
};
use certmill_store::{ClaimedDomain, Delegation, Issued, PlacedChallenge, PlacedRecord, Without};
use certmill_vault::Secret;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{
    check, failure,
    look::{Subject, look},
    records,
};
use crate::{
    Engine, EngineError,
    authorities::{Authority, Chosen, OpenAuthority},
    checkpoint::reached,
    limits::Ordered,
    measure,
    zones::ZoneTrouble,
};

/// How long a worker waits for the CA within one step. What takes longer is parked.
const PATIENCE: Duration = Duration::from_secs(60);

/// The same for an order that the CA has worked on for a while: a look at it, and no waiting.
const PATIENCE_LATER: Duration = Duration::from_secs(3);

/// How soon and how seldom an order is looked at that the CA works on, and from when on that is a problem.
const SOON: time::Duration = time::Duration::seconds(5);
const SELDOM: time::Duration = time::Duration::minutes(10);
const SLOW: time::Duration = time::Duration::minutes(5);

/// How long until name servers are asked again for what they do not show yet.
const UNTIL_SEEN: time::Duration = time::Duration::seconds(3);

/// How long until values of an earlier order are removed.
const UNTIL_REMOVED: time::Duration = time::Duration::seconds(2);

/// Goes on with an order that an earlier step, perhaps of a process that is gone, has begun.
pub(super) async fn resume(engine: &Arc<Engine>, mut domain: ClaimedDomain) -> Result<(), EngineError> {
    if let Some(later) = domain.order_after.filter(|later| *later > engine.now()) {
        return Ok(engine.parts.store.rest(&domain.lease, Some(later)).await?);
    }
    let Some(order) = domain.order.take() else { return Ok(()) };
    let Some(authority) = engine.authority_at(&order.directory_url) else {
        let detail = "The order was placed with a certificate authority that is not configured any more.";
        return failure::anew(engine, &domain, order.order_id, detail).await;
    };
    match asked_now(engine, &domain, (authority, order.status)).await? {
        Asked::Now => {}
        Asked::Later(until) => return Ok(engine.parts.store.rest(&domain.lease, Some(until)).await?),
        Asked::NotAtAll => {
            let detail = "The certificate authority is away; another one is asked.";
            return failure::anew(engine, &domain, order.order_id, detail).await;
        }
    }
    let open = match engine.open(authority).await {
        Ok(open) => open,
        Err(error) => return failure::authority(engine, &domain, authority, error).await,
    };
    if order.account_id != open.account_id {
        let detail = "The order was placed with another account; a new one begins.";
        return failure::anew(engine, &domain, order.order_id, detail).await;
    }
    let secret = order.private_key(&engine.parts.vault)?;
    let Ok(key) = PrivateKey::from_pkcs8(secret.expose()) else {
        let detail = "The stored private key cannot be read.";
        return failure::wrong_certificate(engine, &domain, order.order_id, detail).await;
    };
    let work = Work {
        order_id: order.order_id,
        names: order.names,
        challenges: order.challenges,
        url: order.url,
        replaces: order.replaces,
        profile: order.profile,
        since: order.created_at,
        needs: Vec::new(),
    };
    carry_out(engine, &domain, authority, &open, key, work).await
}

/// Whether the CA of an order under way is asked to go on with it.
enum Asked {
    Now,
    Later(OffsetDateTime),
    /// It fails for long: another one takes its place.
    NotAtAll,
}

async fn asked_now(
    engine: &Engine,
    domain: &ClaimedDomain,
    (authority, status): (&Arc<Authority>, OrderStatus),
) -> Result<Asked, EngineError> {
    let Err(until) = authority.admit(engine.now()) else { return Ok(Asked::Now) };
    let is_another = |chosen| matches!(chosen, Chosen::Use(other) if !Arc::ptr_eq(other, authority));
    // What the CA is issuing may be there any moment; and CAA records may not let another one issue.
    if status != OrderStatus::Processing && is_another(engine.choose_authority(domain, |_| true)) {
        let subject = Subject::of(domain);
        let seen = look(engine, subject).await?;
        if is_another(engine.choose_authority(domain, |ca| seen.lets_issue(subject, &ca.identity()))) {
            return Ok(Asked::NotAtAll);
        }
    }
    Ok(Asked::Later(until))
}

/// An order as it is on record.
pub(super) struct Work {
    pub(super) order_id: OrderId,
    pub(super) names: Vec<Hostname>,
    pub(super) challenges: Vec<ChallengeKind>,
    pub(super) url: Option<String>,
    /// The certificate that it renews, as the CA knows it.
    pub(super) replaces: Option<String>,
    /// The profile that is asked for.
    pub(super) profile: Option<String>,
    /// When it was begun.
    pub(super) since: OffsetDateTime,
    /// What was taken for it of the CA's limits in this step.
    pub(super) needs: Vec<Need>,
}

/// Carries an order out that is on record, from wherever it stands.
pub(super) async fn carry_out(
    engine: &Arc<Engine>,
    domain: &ClaimedDomain,
    authority: &Authority,
    open: &OpenAuthority,
    key: PrivateKey,
    work: Work,
) -> Result<(), EngineError> {
    let mut status = if work.url.is_some() { OrderStatus::Pending } else { OrderStatus::Queued };
    let outcome = obtain(engine, domain, &open.client, &key, &work, &mut status).await;
    // What it refused or failed in is told when it is recorded; whatever else held the order up, the CA was there.
    match &outcome {
        Err(Stopped::Ca(error)) if !matches!(error, AcmeError::StillProcessing { .. }) => {}
        _ => authority.answered(engine.now()),
    }
    let rest = async |wait| engine.parts.store.rest(&domain.lease, Some(engine.now() + wait)).await;
    let done = match outcome {
        Ok(chain) => {
            reached("certificate_downloaded");
            store_certificate(engine, domain, authority, open, &key, &work, &chain).await
        }
        Err(Stopped::Unrecorded(error)) => Err(error),
        Err(Stopped::Busy) => Ok(rest(UNTIL_REMOVED).await?),
        Err(Stopped::Zone(trouble)) => {
            failure::zone(engine, domain, (work.order_id, status), work.since, &trouble).await
        }
        Err(Stopped::NoZone) => failure::no_zone(engine, domain, work.order_id).await,
        Err(Stopped::Ca(AcmeError::StillProcessing { retry_after })) => {
            let age = engine.now() - work.since;
            let own = (age / 10_i32).clamp(SOON, SELDOM);
            let wait = retry_after.map_or(own, |asked| asked.max(own));
            if age < SLOW {
                Ok(rest(wait).await?)
            } else {
                failure::slow(engine, domain, (work.order_id, status), work.since, wait).await
            }
        }
        Err(Stopped::Unseen) => Ok(rest(UNTIL_SEEN).await?),
        Err(Stopped::Ca(error)) => {
            let asked_for = Without { replaces: work.replaces.is_some(), profile: work.profile.is_some() };
            let ordered = Ordered { names: &work.names, needs: &work.needs, status, asked_for };
            let order = failure::FailedOrder { order_id: work.order_id, ordered };
            failure::ca(engine, domain, authority, open, order, &error).await
        }
    };
    if work.challenges.contains(&ChallengeKind::Dns01) {
        engine.records_left.notify_one();
    }
    done
}

/// Why an order did not come to its certificate.
pub(super) enum Stopped {
    Ca(AcmeError),
    /// Our own zone cannot be written, or does not show what was written.
    Zone(ZoneTrouble),
    /// There is no zone, any more, for one of its names.
    NoZone,
    /// A value of an earlier order is being removed.
    Busy,
    /// Not every name server shows what was written, which need not be wrong yet.
    Unseen,
    Unrecorded(EngineError),
}

impl From<AcmeError> for Stopped {
    fn from(error: AcmeError) -> Self {
        Self::Ca(error)
    }
}

/// The order's way at the CA (RFC 8555 section 7.4), from wherever it stands. `status` follows it.
async fn obtain(
    engine: &Arc<Engine>,
    domain: &ClaimedDomain,
    client: &Client,
    key: &PrivateKey,
    work: &Work,
    status: &mut OrderStatus,
) -> Result<String, Stopped> {
    let mut order = if let Some(url) = &work.url {
        client.resume(url).await?
    } else {
        let (replaces, profile) = (work.replaces.as_deref(), work.profile.as_deref());
        client.place(&PlaceOrder { names: &work.names, replaces, profile }).await?
    };
    reached("order_created");
    let records = store_placed(engine, domain, work, &mut order).await?;
    *status = OrderStatus::Pending;
    reached("order_stored");
    if !records.is_empty() {
        records::publish(engine, domain, work.order_id, work.since, &records).await?;
    }
    let is_old = engine.now() - work.since > time::Duration::MINUTE;
    let deadline = Instant::now() + if is_old { PATIENCE_LATER } else { PATIENCE };
    order.answer().await?;
    reached("challenge_answered");
    order.await_ready(deadline).await?;
    *status = OrderStatus::Ready;
    reached("authorization_valid");
    order.finalize(key).await?;
    *status = OrderStatus::Processing;
    reached("finalize_sent");
    Ok(order.await_certificate(deadline).await?)
}

/// Stores where the order is and what answers its challenges, and returns the TXT records among that. Load balancers may
/// ask for the other answers from now on.
async fn store_placed(
    engine: &Engine,
    domain: &ClaimedDomain,
    work: &Work,
    order: &mut Order,
) -> Result<Vec<PlacedRecord>, Stopped> {
    let (mut responses, mut records) = (Vec::new(), Vec::new());
    for challenge in order.challenges(|base, wildcard| work.kind_for(base, wildcard)).await? {
        match challenge {
            Challenge::Http01(found) => responses
                .push(PlacedChallenge { token: found.token, key_authorization: found.key_authorization }),
            Challenge::Dns01(found) => {
                let place = delegation_of(domain, &found.identifier).ok_or(Stopped::NoZone)?;
                let (zone_id, name) = (place.zone_id, place.record_name.clone());
                records.push(PlacedRecord { zone_id, name, value: found.value });
            }
        }
    }
    let store = &engine.parts.store;
    let placed = store
        .order_placed(&domain.lease, work.order_id, order.url(), &responses, &records, engine.now())
        .await
        .map_err(|error| Stopped::Unrecorded(error.into()))?;
    if placed { Ok(records) } else { Err(Stopped::Busy) }
}

impl Work {
    /// How a name of the order is proved; what the CA asks beside the names is for it to explain.
    fn kind_for(&self, base: &str, wildcard: bool) -> ChallengeKind {
        let wanted = |name: &Hostname| name.base() == base && name.is_wildcard() == wildcard;
        let place = self.names.iter().position(wanted);
        place.and_then(|place| self.challenges.get(place)).copied().unwrap_or(ChallengeKind::Http01)
    }
}

/// Where the TXT record of one of the order's names belongs.
fn delegation_of<'a>(domain: &'a ClaimedDomain, base: &str) -> Option<&'a Delegation> {
    if domain.name.base() == base {
        return domain.delegation.as_ref();
    }
    let counterpart = domain.name.www_counterpart().is_some_and(|other| other.base() == base);
    domain.counterpart_delegation.as_ref().filter(|_| counterpart)
}

/// Checks what came, stores it, and hands it to the load balancers.
async fn store_certificate(
    engine: &Engine,
    domain: &ClaimedDomain,
    authority: &Authority,
    open: &OpenAuthority,
    key: &PrivateKey,
    work: &Work,
    chain: &str,
) -> Result<(), EngineError> {
    let parts = &engine.parts;
    let now = engine.now();
    let roots = authority.settings.issuing_roots.as_ref();
    let issued = match verify_issued(chain, key, &work.names, now, roots) {
        Ok(issued) => issued,
        Err(wrong) => {
            return failure::wrong_certificate(engine, domain, work.order_id, &wrong.to_string()).await;
        }
    };
    let secret = Secret::new(key.pkcs8().to_vec());
    let validity = Validity { not_before: issued.not_before, not_after: issued.not_after };
    let identifier = certificate_id(&issued.fullchain_pem).filter(|_| open.client.has_renewal_info());
    let plan = engine.plan_renewal(domain, validity, identifier.is_some()).await?;
    let record = Issued {
        certificate_id: CertificateId::new(&parts.chance, now),
        order_id: work.order_id,
        names: &work.names,
        serial_number: &issued.serial,
        fingerprint: &issued.fingerprint,
        issuer: &issued.issuer,
        not_before: issued.not_before,
        not_after: issued.not_after,
        fullchain: &issued.fullchain_pem,
        key: &secret,
        plan: &plan,
        known_as: identifier.as_deref().map(|identifier| (identifier, open.account_id)),
        check_after: now + look_at_active(engine.fraction()),
    };
    let unhealthy = parts.store.issued(domain, &record, &parts.vault, &parts.chance, now).await?;
    tracing::info!(serial_number = issued.serial, "a certificate was issued");
    measure::order_ended(authority, OrderStatus::Valid, None);
    let planned = domain.certificate_id.and(domain.situation.renew_after);
    measure::issued(work.since, planned, now);
    engine.to_deliver.notify_one();
    reached("certificate_stored");
    if !unhealthy.is_empty() {
        parts.store.resolve(&unhealthy, &check::RECORD_PROBLEMS, &parts.chance, now).await?;
        parts.store.resolve(&unhealthy, &CA_PROBLEMS, &parts.chance, now).await?;
    }
    Ok(())
}

/// Solved by a certificate.
const CA_PROBLEMS: [ProblemCode; 11] = [
    ProblemCode::HttpUnreachable,
    ProblemCode::HttpWrongResponse,
    ProblemCode::CaaForbids,
    ProblemCode::DnsNotPropagated,
    ProblemCode::CaRateLimited,
    ProblemCode::CaPaused,
    ProblemCode::CaRejectedName,
    ProblemCode::CaUnavailable,
    ProblemCode::CaAccount,
    ProblemCode::CaWrongCertificate,
    ProblemCode::Internal,
];
