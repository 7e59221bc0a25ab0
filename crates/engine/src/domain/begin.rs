//! From a look at a name to an order on record, perhaps for its `www.` as well.

use std::sync::Arc;

use certmill_acme::{Client, PrivateKey};
use certmill_model::{AccountId, ChallengeKind, Checks, DomainId, Health, Hostname, OrderId, ProblemCode};
use certmill_store::{ClaimedDomain, Counterpart, NewOrder, StoreError};
use certmill_vault::Secret;
use time::OffsetDateTime;

use super::{
    check, failure,
    look::{Subject, Verdict, look},
    order::{self, Work},
};
use crate::{Engine, EngineError, checkpoint::reached};

/// How long until load balancers without a first configuration are looked at again.
const UNTIL_READY: time::Duration = time::Duration::seconds(3);

/// An order this young is waited for, this long at a time.
const JUST_BEGUN: time::Duration = time::Duration::seconds(30);
const UNTIL_ISSUED: time::Duration = time::Duration::SECOND;

/// Looks whether the name can be proved; if so, stores a key and an order, and carries the order out.
pub(super) async fn begin(engine: &Arc<Engine>, domain: ClaimedDomain) -> Result<(), EngineError> {
    if let Some(soon) = after_counterpart(engine, &domain) {
        return Ok(engine.parts.store.rest(&domain.lease, Some(soon)).await?);
    }
    let Some(((account_id, client), kind, checks)) = provable(engine, &domain).await? else {
        return Ok(());
    };
    if let Some(later) = domain.order_after.filter(|later| *later > engine.now()) {
        return check::right_but_early(engine, &domain, &checks, later).await;
    }
    let (name, id) = (domain.name.clone(), domain.lease.domain_id);
    let mut members = vec![Member { name, kind, domain: id, checks }];
    members.extend(counterpart(engine, &domain, client).await?);
    let Some((key, work)) = store_new(engine, &domain, *account_id, &members).await? else {
        return Ok(());
    };
    reached("key_stored");
    order::carry_out(engine, &domain, client, key, work).await
}

/// How the name can be proved, to whom, and what was seen. `None`: it cannot be now, which is on record.
async fn provable<'a>(
    engine: &'a Engine,
    domain: &ClaimedDomain,
) -> Result<Option<(&'a (AccountId, Client), ChallengeKind, Checks)>, EngineError> {
    let subject = Subject::of(domain);
    let mut seen = look(engine, subject).await?;
    // Without any way to prove it the CA does not matter, not even whether it can be reached.
    let authority = if seen.is_possible() { Some(engine.authority().await).transpose() } else { Ok(None) };
    let authority = match authority {
        Ok(authority) => authority,
        Err(error) => {
            failure::authority(engine, domain, error).await?;
            return Ok(None);
        }
    };
    let verdict = seen.verdict(engine, subject, authority.map(|(_, client)| client)).await;
    let is_elsewhere = seen.is_elsewhere;
    let checks = seen.checks(engine);
    match (verdict, authority) {
        (Verdict::By(kind), Some(authority)) => return Ok(Some((authority, kind, checks))),
        (Verdict::Not(finding), _) => {
            check::not_provable(engine, domain, &checks, &finding, is_elsewhere).await?;
        }
        (Verdict::NotYet | Verdict::By(_), _) => {
            let detail = "A load balancer that the name points at does not answer challenges yet.";
            failure::defer(engine, domain, ProblemCode::NoTargets, detail, UNTIL_READY).await?;
        }
    }
    Ok(None)
}

/// A name that an order is for.
struct Member {
    name: Hostname,
    kind: ChallengeKind,
    domain: DomainId,
    checks: Checks,
}

/// When the order for the same name with or without `www.` will be over that has just begun: then one is placed for both,
/// which costs no more than one for each.
fn after_counterpart(engine: &Engine, domain: &ClaimedDomain) -> Option<OffsetDateTime> {
    let other = joinable(domain)?;
    (engine.now() - other.ordering_since? < JUST_BEGUN).then(|| engine.now() + UNTIL_ISSUED)
}

/// The same name with or without `www.`, if one certificate is to be for both. A name that the CA disliked lately goes
/// alone, and harms no other.
async fn counterpart(
    engine: &Engine,
    domain: &ClaimedDomain,
    client: &Client,
) -> Result<Option<Member>, EngineError> {
    let Some(other) = joinable(domain).filter(|other| other.ordering_since.is_none()) else {
        return Ok(None);
    };
    let delegation = domain.counterpart_delegation.as_ref();
    let subject = Subject { name: &other.name, delegation, overridden: false, closely: false };
    let mut seen = look(engine, subject).await?;
    let Verdict::By(kind) = seen.verdict(engine, subject, Some(client)).await else { return Ok(None) };
    let checks = seen.checks(engine);
    Ok(Some(Member { name: other.name.clone(), kind, domain: other.domain_id, checks }))
}

fn joinable(domain: &ClaimedDomain) -> Option<&Counterpart> {
    let alone = domain.validation_failed_at.is_some() || domain.checks_overridden;
    domain.counterpart.as_ref().filter(|other| other.suits && !alone)
}

/// Stores the order for `members`, of which the first is the domain itself.
async fn store_new(
    engine: &Engine,
    domain: &ClaimedDomain,
    account_id: AccountId,
    members: &[Member],
) -> Result<Option<(PrivateKey, Work)>, EngineError> {
    let parts = &engine.parts;
    if domain.health != Health::Ok {
        let me = [domain.lease.domain_id];
        parts.store.resolve(&me, &check::RECORD_PROBLEMS, &parts.chance, engine.now()).await?;
    }
    let key = PrivateKey::generate(domain.key_type).await;
    let secret = Secret::new(key.pkcs8().to_vec());
    let now = engine.now();
    let order_id = OrderId::new(&parts.chance, now);
    let names: Vec<_> = members.iter().map(|member| member.name.clone()).collect();
    let challenges: Vec<_> = members.iter().map(|member| member.kind).collect();
    let checks: Vec<_> = members.iter().map(|member| (member.domain, member.checks.clone())).collect();
    let order = NewOrder {
        order_id,
        account_id,
        names: &names,
        challenges: &challenges,
        joined: members.get(1).map(|member| member.domain),
        key: &secret,
        checks: &checks,
    };
    match parts.store.start_order(&domain.lease, &order, &parts.vault, &parts.chance, now).await {
        Ok(()) => Ok(Some((key, Work { order_id, names, challenges, url: None, since: now }))),
        // Something else is wanted by now of this domain, or an order for the other has begun: if the lease is still ours,
        // it is looked at again.
        Err(StoreError::LeaseLost) => {
            let again = if members.len() > 1 { now + UNTIL_ISSUED } else { now };
            parts.store.rest(&domain.lease, Some(again)).await?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
