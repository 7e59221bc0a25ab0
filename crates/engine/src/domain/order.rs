//! An order from its key to its certificate. Each step is on record before the next begins, so that the work goes on
//! after a crash where it stood: the key before the order, its URL before the challenge, the certificate at once.

use std::{net::IpAddr, time::Duration};

use certmill_acme::{AcmeError, Client, Order, PrivateKey, verify_issued};
use certmill_model::{
    AccountId, CertificateId, Health, Hostname, OrderId, OrderStatus, ProblemCode, renew_after,
};
use certmill_store::{ClaimedDomain, Issued, NewOrder, PlacedChallenge, StoreError};
use certmill_vault::Secret;
use tokio::time::Instant;

use super::failure;
use crate::{Engine, EngineError, checkpoint::reached};

/// How long a worker waits for the CA within one step. What takes longer is parked.
const PATIENCE: Duration = Duration::from_secs(60);

/// The least time between a certificate and its renewal.
const SOONEST_RENEWAL: time::Duration = time::Duration::HOUR;

/// How long until load balancers without a first configuration are looked at again.
const UNTIL_READY: time::Duration = time::Duration::seconds(3);

/// Looks whether the name points at us; if so, stores a key and an order, and carries the order out.
pub(super) async fn begin(engine: &Engine, domain: ClaimedDomain) -> Result<(), EngineError> {
    let load_balancers = engine.load_balancers().await?;
    let seen = match engine.parts.resolver.addresses(&domain.name).await {
        Ok(seen) => seen,
        Err(error) => return failure::dns(engine, &domain, error.problem_code(), &error.to_string()).await,
    };
    if let Err(elsewhere) = certmill_dns::compare(&domain.name, &seen, &load_balancers.addresses()) {
        let detail = format!("{elsewhere}. {}", elsewhere.fix());
        return failure::dns(engine, &domain, elsewhere.problem_code(), &detail).await;
    }
    let met =
        seen.v4.iter().copied().map(IpAddr::from).chain(seen.v6.iter().copied().map(IpAddr::from)).collect();
    if !load_balancers.answer_at(&met) {
        let detail = "A load balancer that the name points at does not answer challenges yet.";
        return failure::defer(engine, &domain, ProblemCode::NoTargets, detail, UNTIL_READY).await;
    }
    let (account_id, client) = match engine.authority().await {
        Ok(authority) => authority,
        Err(error) => return failure::authority(engine, &domain, error).await,
    };
    let Some((key, work)) = store_new(engine, &domain, *account_id).await? else { return Ok(()) };
    reached("key_stored");
    carry_out(engine, &domain, client, key, work).await
}

/// Goes on with an order that an earlier step, perhaps of a process that is gone, has begun.
pub(super) async fn resume(engine: &Engine, mut domain: ClaimedDomain) -> Result<(), EngineError> {
    let Some(order) = domain.order.take() else { return Ok(()) };
    let (account_id, client) = match engine.authority().await {
        Ok(authority) => authority,
        Err(error) => return failure::authority(engine, &domain, error).await,
    };
    if order.account_id != *account_id {
        return failure::other_account(engine, &domain, order.order_id).await;
    }
    let secret = order.private_key(&engine.parts.vault)?;
    let Ok(key) = PrivateKey::from_pkcs8(secret.expose()) else {
        let detail = "The stored private key cannot be read.";
        return failure::wrong_certificate(engine, &domain, order.order_id, detail).await;
    };
    let work = Work { order_id: order.order_id, names: order.names, url: order.url };
    carry_out(engine, &domain, client, key, work).await
}

/// An order as it is on record.
struct Work {
    order_id: OrderId,
    names: Vec<Hostname>,
    url: Option<String>,
}

async fn store_new(
    engine: &Engine,
    domain: &ClaimedDomain,
    account_id: AccountId,
) -> Result<Option<(PrivateKey, Work)>, EngineError> {
    let parts = &engine.parts;
    let now = engine.now();
    if domain.health != Health::Ok {
        parts.store.resolve(&domain.lease, &DNS_PROBLEMS, &parts.chance, now).await?;
    }
    let key = PrivateKey::generate();
    let order_id = OrderId::new(&parts.chance, now);
    let names = vec![domain.name.clone()];
    let secret = Secret::new(key.pkcs8().to_vec());
    let order = NewOrder { order_id, account_id, names: &names, key: &secret };
    match parts.store.start_order(&domain.lease, &order, &parts.vault, &parts.chance, now).await {
        // Something else is wanted by now, if the lease is still ours: it is due again at once.
        Err(StoreError::LeaseLost) => {
            parts.store.rest(&domain.lease, Some(now)).await?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
        Ok(()) => Ok(Some((key, Work { order_id, names, url: None }))),
    }
}

/// Solved as soon as an order begins.
const DNS_PROBLEMS: [ProblemCode; 5] = [
    ProblemCode::DnsNotFound,
    ProblemCode::DnsWrongTarget,
    ProblemCode::DnsExtraAddresses,
    ProblemCode::DnsServfail,
    ProblemCode::NoTargets,
];

async fn carry_out(
    engine: &Engine,
    domain: &ClaimedDomain,
    client: &Client,
    key: PrivateKey,
    work: Work,
) -> Result<(), EngineError> {
    let mut status = if work.url.is_some() { OrderStatus::Pending } else { OrderStatus::Queued };
    match obtain(engine, domain, client, &key, &work, &mut status).await {
        Ok(chain) => {
            reached("certificate_downloaded");
            store_certificate(engine, domain, &key, &work, &chain).await
        }
        Err(Stopped::Unrecorded(error)) => Err(error),
        Err(Stopped::Ca(AcmeError::StillProcessing { retry_after })) => {
            let wait = retry_after.unwrap_or(time::Duration::seconds(5));
            Ok(engine.parts.store.rest(&domain.lease, Some(engine.now() + wait)).await?)
        }
        Err(Stopped::Ca(error)) => failure::ca(engine, domain, Some(work.order_id), status, &error).await,
    }
}

/// Why an order did not come to its certificate.
enum Stopped {
    Ca(AcmeError),
    Unrecorded(EngineError),
}

impl From<AcmeError> for Stopped {
    fn from(error: AcmeError) -> Self {
        Self::Ca(error)
    }
}

/// The order's way at the CA (RFC 8555 section 7.4), from wherever it stands. `status` follows it.
async fn obtain(
    engine: &Engine,
    domain: &ClaimedDomain,
    client: &Client,
    key: &PrivateKey,
    work: &Work,
    status: &mut OrderStatus,
) -> Result<String, Stopped> {
    let deadline = Instant::now() + PATIENCE;
    let mut order = match &work.url {
        Some(url) => client.resume(url).await?,
        None => client.place(&work.names).await?,
    };
    reached("order_created");
    store_placed(engine, domain, work, &mut order).await?;
    *status = OrderStatus::Pending;
    reached("order_stored");
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

/// Stores where the order is and what answers its challenges. Load balancers may ask for the answer from now on.
async fn store_placed(
    engine: &Engine,
    domain: &ClaimedDomain,
    work: &Work,
    order: &mut Order,
) -> Result<(), Stopped> {
    let challenges = order.challenges().await?;
    let challenges: Vec<_> = challenges
        .into_iter()
        .map(|challenge| PlacedChallenge {
            token: challenge.token,
            key_authorization: challenge.key_authorization,
        })
        .collect();
    engine
        .parts
        .store
        .order_placed(&domain.lease, work.order_id, order.url(), &challenges, engine.now())
        .await
        .map_err(|error| Stopped::Unrecorded(error.into()))
}

/// Checks what came, stores it, and hands it to the load balancers.
async fn store_certificate(
    engine: &Engine,
    domain: &ClaimedDomain,
    key: &PrivateKey,
    work: &Work,
    chain: &str,
) -> Result<(), EngineError> {
    let parts = &engine.parts;
    let now = engine.now();
    let issued = match verify_issued(chain, key, &work.names, now, parts.issuing_roots.as_ref()) {
        Ok(issued) => issued,
        Err(wrong) => {
            return failure::wrong_certificate(engine, domain, work.order_id, &wrong.to_string()).await;
        }
    };
    let secret = Secret::new(key.pkcs8().to_vec());
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
        // A CA whose certificates are due at once must not be asked in a circle.
        renew_after: renew_after(issued.not_before, issued.not_after, engine.fraction())
            .max(now + SOONEST_RENEWAL),
    };
    parts.store.issued(domain, &record, &parts.vault, &parts.chance, now).await?;
    reached("certificate_stored");
    if domain.health != Health::Ok {
        parts.store.resolve(&domain.lease, &CA_PROBLEMS, &parts.chance, now).await?;
    }
    Ok(())
}

/// Solved by a certificate.
const CA_PROBLEMS: [ProblemCode; 9] = [
    ProblemCode::HttpUnreachable,
    ProblemCode::HttpWrongResponse,
    ProblemCode::CaaForbids,
    ProblemCode::CaRateLimited,
    ProblemCode::CaRejectedName,
    ProblemCode::CaUnavailable,
    ProblemCode::CaAccount,
    ProblemCode::CaWrongCertificate,
    ProblemCode::Internal,
];
