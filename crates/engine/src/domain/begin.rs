//! From a look at a name to an order on record, perhaps for its `www.` as well.

use std::sync::Arc;

use certmill_acme::PrivateKey;
use certmill_model::{
    AccountId, ChallengeKind, Checks, DomainId, Exemption, Hostname, OrderId, ProblemCode, asks_to_replace,
    exemption,
};
use certmill_store::{ClaimedDomain, Counterpart, HeldCertificate, NewOrder, StoreError};
use certmill_vault::Secret;
use time::OffsetDateTime;

use super::{
    check, failure,
    look::{Subject, Verdict, look},
    order::{self, Work},
    ownership,
};
use crate::{
    Engine, EngineError,
    authorities::{Authority, Chosen, OpenAuthority},
    checkpoint::reached,
    limits,
};

/// How long until load balancers without a first configuration are looked at again.
const UNTIL_READY: time::Duration = time::Duration::seconds(3);

/// Over how long renewals spread that no CA was there for, so that they do not all ask at once when one is back.
const WITHOUT_A_CA: time::Duration = time::Duration::minutes(5);

/// An order this young is waited for, this long at a time.
const JUST_BEGUN: time::Duration = time::Duration::seconds(30);
const UNTIL_ISSUED: time::Duration = time::Duration::SECOND;

/// Looks whether the name can be proved, and to which CA; if so, stores a key and an order, and carries the order out.
pub(super) async fn begin(engine: &Arc<Engine>, domain: ClaimedDomain) -> Result<(), EngineError> {
    if let Some(soon) = after_counterpart(engine, &domain) {
        return Ok(engine.parts.store.rest(&domain.lease, Some(soon)).await?);
    }
    let Some(provable) = provable(engine, &domain).await? else {
        return Ok(());
    };
    if let Some(later) = domain.order_after.filter(|later| *later > engine.now()) {
        return check::right_but_early(engine, &domain, &provable.checks, later).await;
    }
    let Provable { authority, open, kind, checks } = provable;
    let (name, id) = (domain.name.clone(), domain.lease.domain_id);
    let mut members = vec![Member { name, kind, domain: id, checks }];
    members.extend(counterpart(engine, &domain, authority).await?);
    let names: Vec<_> = members.iter().map(|member| member.name.clone()).collect();
    let wish = Wish::of(&domain, authority, &open, &names, engine.now());
    let needs = match limits::take(engine, authority, &open, &domain, (&names, wish.exemption)).await? {
        Ok(needs) => needs,
        Err(deferral) => {
            let checks: Vec<_> = seen_of(&members).collect();
            return failure::deferred(engine, &domain, authority, &deferral, &checks).await;
        }
    };
    let stored = store_new(engine, &domain, open.account_id, &members, wish).await;
    let Ok(Some((key, work))) = stored else {
        limits::give_back(engine, authority, &open, &domain, &needs).await?;
        return stored.map(drop);
    };
    let work = Work { needs, ..work };
    reached("key_stored");
    // Whoever is let through to a CA that was away is to ask it, and nothing else: here nothing is in the way any more.
    if let Err(later) = authority.admit(engine.now()) {
        return Ok(engine.parts.store.rest(&domain.lease, Some(later)).await?);
    }
    order::carry_out(engine, &domain, authority, &open, key, work).await
}

/// What an order asks for beside its names.
pub(super) struct Wish {
    pub(super) replaces: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) exemption: Exemption,
}

impl Wish {
    /// A renewal says so only to the CA that issued what it renews (RFC 9773 section 5).
    fn of(
        domain: &ClaimedDomain,
        authority: &Authority,
        open: &OpenAuthority,
        names: &[Hostname],
        now: OffsetDateTime,
    ) -> Self {
        let held = domain.held.as_ref();
        let same_account = held.filter(|held| asks_to_replace(held.account_id, open.account_id));
        let replaces = same_account
            .filter(|held| shares_a_name(held, names))
            .and_then(|held| held.identifier.clone())
            .filter(|_| open.client.has_renewal_info());
        let same_names = same_account.filter(|held| same_names(held, names));
        let exemption = authority.settings.limits.exemption(exemption(
            replaces.is_some(),
            same_account.and_then(|held| held.window),
            same_names.map(|held| held.validity.not_before),
            now,
        ));
        let profile = authority.settings.profile.clone().filter(|_| !domain.without_profile);
        Self { replaces, profile, exemption }
    }
}

fn shares_a_name(held: &HeldCertificate, names: &[Hostname]) -> bool {
    names.iter().any(|name| held.names.contains(name))
}

fn same_names(held: &HeldCertificate, names: &[Hostname]) -> bool {
    held.names.len() == names.len() && names.iter().all(|name| held.names.contains(name))
}

/// How a name can be proved, and to whom.
struct Provable<'a> {
    authority: &'a Arc<Authority>,
    open: Arc<OpenAuthority>,
    kind: ChallengeKind,
    checks: Checks,
}

/// How the name can be proved, to whom, and what was seen. `None`: it cannot be now, which is on record.
async fn provable<'a>(
    engine: &'a Engine,
    domain: &ClaimedDomain,
) -> Result<Option<Provable<'a>>, EngineError> {
    if let Some(later) = nobody_to_ask(engine, domain) {
        engine.parts.store.rest(&domain.lease, Some(later)).await?;
        return Ok(None);
    }
    let own_record = ownership::wanted_of(engine, domain).await?;
    let subject = Subject { own_record: own_record.as_ref(), ..Subject::of(domain) };
    let mut seen = look(engine, subject).await?;
    if seen.shows_owner() {
        let parts = &engine.parts;
        parts.store.ownership_verified(&domain.lease, &domain.name, &parts.chance, engine.now()).await?;
    }
    // Without any way to prove it the CA does not matter, not even whether it can be reached.
    let (authority, open) = if seen.is_possible() {
        match engine.choose_authority(domain, |ca| seen.lets_issue(subject, &ca.identity())) {
            Chosen::Wait(until) => {
                failure::nobody_answers(engine, domain, until).await?;
                return Ok(None);
            }
            Chosen::Use(authority) => match engine.open(authority).await {
                Ok(open) => (authority, Some(open)),
                Err(error) => {
                    failure::authority(engine, domain, authority, error).await?;
                    return Ok(None);
                }
            },
            Chosen::Forbidden(authority) => (authority, None),
        }
    } else {
        (engine.preferred_authority(domain), None)
    };
    let verdict = seen.verdict(engine, subject, &authority.identity()).await;
    let is_elsewhere = seen.is_elsewhere;
    let checks = seen.checks(engine);
    match (verdict, open) {
        (Verdict::By(kind), Some(open)) => return Ok(Some(Provable { authority, open, kind, checks })),
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

/// When a renewal is looked at again that no CA is there for: looks would cost, and help nobody.
fn nobody_to_ask(engine: &Engine, domain: &ClaimedDomain) -> Option<OffsetDateTime> {
    domain.certificate_id?;
    match engine.choose_authority(domain, |_| true) {
        Chosen::Wait(until) => Some(until + WITHOUT_A_CA * engine.fraction()),
        _ => None,
    }
}

/// A name that an order is for.
struct Member {
    name: Hostname,
    kind: ChallengeKind,
    domain: DomainId,
    checks: Checks,
}

fn seen_of(members: &[Member]) -> impl Iterator<Item = (DomainId, Checks)> {
    members.iter().map(|member| (member.domain, member.checks.clone()))
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
    authority: &Authority,
) -> Result<Option<Member>, EngineError> {
    let Some(other) = joinable(domain).filter(|other| other.ordering_since.is_none()) else {
        return Ok(None);
    };
    // One whose owner has yet to say whose it is goes its own way.
    if ownership::wanted(engine, other.domain_id, domain.lease.tenant_id, &other.name).await?.is_some() {
        return Ok(None);
    }
    let delegation = domain.counterpart_delegation.as_ref();
    let tenant = domain.lease.tenant_id;
    let subject = Subject {
        name: &other.name,
        tenant,
        delegation,
        overridden: false,
        closely: false,
        own_record: None,
    };
    let mut seen = look(engine, subject).await?;
    let Verdict::By(kind) = seen.verdict(engine, subject, &authority.identity()).await else {
        return Ok(None);
    };
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
    wish: Wish,
) -> Result<Option<(PrivateKey, Work)>, EngineError> {
    let parts = &engine.parts;
    check::record_problems_solved(engine, domain).await?;
    let key = PrivateKey::generate(domain.key_type).await;
    let secret = Secret::new(key.pkcs8().to_vec());
    let now = engine.now();
    let order_id = OrderId::new(&parts.chance, now);
    tracing::Span::current().record("order_id", tracing::field::display(order_id));
    let names: Vec<_> = members.iter().map(|member| member.name.clone()).collect();
    let challenges: Vec<_> = members.iter().map(|member| member.kind).collect();
    let checks: Vec<_> = seen_of(members).collect();
    let order = NewOrder {
        order_id,
        account_id,
        names: &names,
        challenges: &challenges,
        joined: members.get(1).map(|member| member.domain),
        replaces: wish.replaces.as_deref(),
        profile: wish.profile.as_deref(),
        key: &secret,
        checks: &checks,
    };
    match parts.store.start_order(&domain.lease, &order, &parts.vault, &parts.chance, now).await {
        Ok(()) => {
            let Wish { replaces, profile, .. } = wish;
            let work = Work {
                order_id,
                names,
                challenges,
                url: None,
                replaces,
                profile,
                since: now,
                needs: Vec::new(),
            };
            Ok(Some((key, work)))
        }
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
