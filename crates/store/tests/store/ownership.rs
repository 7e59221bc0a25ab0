//! Whose a name is, when two tenants want it.

use certmill_model::{Chance, Claim, Contest, Contested, DomainStatus, Holder, Hostname, TenantId, contest};
use certmill_store::{DomainWish, DueClaim, Put, StoreError};
use futures_util::StreamExt;
use time::Duration;

use crate::base::{Base, now, tenant};

fn name(text: &str) -> Hostname {
    Hostname::parse(text).unwrap()
}

fn wish(text: &str) -> DomainWish {
    DomainWish::of(name(text))
}

/// A base and a second tenant on it.
async fn two() -> (Base, TenantId) {
    let base = Base::new().await;
    let mut platform = base.api.platform().await.unwrap();
    let other = platform.put_tenant(&tenant("Suedwind", &base.chance), now()).await.unwrap();
    platform.commit().await.unwrap();
    (base, other)
}

/// Has a domain issued, so that it counts as proved.
async fn certified(base: &Base, tenant: TenantId, text: &str) {
    let id = base.put_for(tenant, text).await;
    let claimed = base.claim(id).await.unwrap();
    let order = base.start_order(&claimed).await.unwrap();
    base.issued(&claimed, order).await.unwrap();
}

/// Deletes a domain and finishes that.
async fn gone(base: &Base, tenant: TenantId, text: &str) {
    let mut tx = base.api.tenant(tenant).await.unwrap();
    let id = tx.find_domain(&name(text)).await.unwrap().unwrap().domain_id;
    tx.delete_domain(&name(text), &base.chance, now()).await.unwrap();
    tx.commit().await.unwrap();
    let claimed = base.claim(id).await.unwrap();
    base.engine.finish_deletion(&claimed.lease, &base.chance, now()).await.unwrap();
}

async fn known(base: &Base, tenant: TenantId, text: &str) -> Claim {
    let id = base.put_for(tenant, text).await;
    base.engine.claim_to(id, tenant, &name(text)).await.unwrap()
}

fn with(others: &[Contested]) -> Claim {
    Claim { is_proved: false, others: others.iter().copied().collect() }
}

/// Claims a name that another has, and takes the claim up as the engine does.
async fn claimed(base: &Base, tenant: TenantId, text: &str) -> DueClaim {
    let mut tx = base.api.tenant(tenant).await.unwrap();
    let record = tx.claim_name(&wish(text), &base.chance, now()).await.unwrap();
    tx.commit().await.unwrap();
    let later = now() + Duration::MINUTE;
    let [claim] = base.engine.take_due_claims(8, later).await.unwrap().try_into().ok().unwrap();
    assert_eq!(claim.record, record);
    claim
}

#[tokio::test]
async fn of_a_thousand_parallel_claims_of_one_name_by_two_tenants_one_wins() {
    let (base, other) = two().await;
    let claim = async |tenant: TenantId, at: u64| {
        let chance = Chance::seeded(at);
        let mut tx = base.api.tenant(tenant).await?;
        let put = tx.put_domain(&wish("shop.example.com"), &chance, now()).await?;
        tx.commit().await?;
        Ok::<_, StoreError>(put)
    };
    let claims = (0..1_000).map(|at| claim(if at % 2 == 0 { base.tenant } else { other }, at));
    // More than the pool has connections, so that as many as possible meet in the database; all of them at once would
    // only see who waits longer for a connection than one may.
    let outcomes: Vec<_> = futures_util::stream::iter(claims).buffered(32).collect().await;
    let created: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Ok(Put::Created(domain)) => Some(domain.tenant_id),
            _ => None,
        })
        .collect();
    assert_eq!(created.len(), 1);
    for (at, outcome) in outcomes.iter().enumerate() {
        let tenant = if at % 2 == 0 { base.tenant } else { other };
        match outcome {
            Ok(Put::Created(domain) | Put::Same(domain)) => {
                assert_eq!((domain.tenant_id, tenant), (created[0], tenant));
            }
            Err(StoreError::NameTaken) => {}
            other => panic!("{other:?}"),
        }
        let is_refused = matches!(outcome, Err(StoreError::NameTaken));
        assert!(tenant == created[0] || is_refused, "the other tenant has got the name as well");
    }
    assert_eq!(base.sql("SELECT count(*) FROM domains").await, 1);
}

#[tokio::test]
async fn a_name_that_another_tenant_left_is_known_as_held_and_one_s_own_is_not() {
    let (base, other) = two().await;
    certified(&base, base.tenant, "shop.example.com").await;
    gone(&base, base.tenant, "shop.example.com").await;
    assert_eq!(known(&base, base.tenant, "shop.example.com").await, with(&[]), "it was the last to have it");
    gone(&base, base.tenant, "shop.example.com").await;
    assert_eq!(known(&base, other, "shop.example.com").await, with(&[Contested::HeldBefore]));
    let wildcard = known(&base, other, "*.shop.example.com").await;
    assert_eq!(wildcard, with(&[Contested::HeldBefore]), "a wildcard is proved at the same place");
    assert_eq!(known(&base, other, "else.example.com").await, Claim::default());
    // Its owner says that it is the other's.
    let id = base.put_for(other, "shop.example.com").await;
    let claimed = base.claim(id).await.unwrap();
    base.engine.ownership_verified(&claimed.lease, &claimed.name, &base.chance, now()).await.unwrap();
    base.engine.rest(&claimed.lease, None).await.unwrap();
    assert!(known(&base, other, "shop.example.com").await.is_proved);
    gone(&base, other, "shop.example.com").await;
    assert!(!known(&base, other, "shop.example.com").await.is_proved, "it was not said of this claim");
}

#[tokio::test]
async fn a_proved_name_locks_its_relatives_against_other_tenants_alone() {
    let (base, other) = two().await;
    certified(&base, base.tenant, "brand.example.com").await;
    base.put("merely-claimed.example.net").await;
    let below = with(&[Contested::Below]);
    let above = with(&[Contested::Above]);
    assert_eq!(known(&base, other, "evil.brand.example.com").await, below);
    assert_eq!(known(&base, other, "very.evil.brand.example.com").await, below);
    assert_eq!(known(&base, other, "example.com").await, above);
    assert_eq!(known(&base, other, "xbrand.example.com").await, Claim::default(), "only whole labels count");
    assert_eq!(known(&base, other, "a.merely-claimed.example.net").await, Claim::default());
    assert_eq!(known(&base, base.tenant, "own.brand.example.com").await, Claim::default());
    // Its wildcard covers what is below, and is proved at the name itself.
    assert_eq!(known(&base, other, "*.brand.example.com").await, below);
}

#[tokio::test]
async fn a_proved_claim_takes_the_name_from_its_holder_and_becomes_a_domain_once_it_is_free() {
    let (base, other) = two().await;
    certified(&base, base.tenant, "shop.example.com").await;
    let claim = claimed(&base, other, "shop.example.com").await;
    assert!(
        base.engine.take_due_claims(8, now() + Duration::MINUTE).await.unwrap().is_empty(),
        "taken by two"
    );
    let holder = base.engine.name_holder(&claim.wish.name, now()).await.unwrap().unwrap();
    assert_eq!((holder.tenant_id, claim.verified_at), (base.tenant, None));
    assert!(holder.validated_at.is_some());
    let before = base.engine.name_holder(&claim.wish.name, now() - Duration::DAY).await.unwrap().unwrap();
    assert_eq!(before.validated_at, None, "what a CA saw later does not count");

    base.engine.put_off_claim(&claim, Some(now()), now()).await.unwrap();
    let claim = base.engine.take_due_claims(8, now() + Duration::MINUTE).await.unwrap().remove(0);
    assert_eq!(contest(claim.claimed_at, claim.verified_at, &Holder::default(), now()), Contest::Won);
    base.engine.take_from_holder(holder.domain_id, "why", &base.chance, now()).await.unwrap();
    assert!(!base.engine.fulfil_claim(&claim, &base.chance, now()).await.unwrap(), "it is not free yet");
    let mut tx = base.api.tenant(base.tenant).await.unwrap();
    let lost = tx.find_domain(&claim.wish.name).await.unwrap().unwrap();
    assert_eq!(lost.status, DomainStatus::PendingDeletion);
    let told = tx.timeline(lost.domain_id, None, 100).await.unwrap();
    assert!(told.iter().any(|event| event.kind.as_str() == "ownership_lost" && event.detail == "why"));
    drop(tx);

    base.sql("WITH off AS (DELETE FROM placements) SELECT count(*) FROM placements").await;
    let leaving = base.claim(holder.domain_id).await.unwrap();
    base.engine.finish_deletion(&leaving.lease, &base.chance, now()).await.unwrap();
    assert!(base.engine.fulfil_claim(&claim, &base.chance, now()).await.unwrap());
    let known = known(&base, other, "shop.example.com").await;
    assert!(known.is_proved && known.others.contains(&Contested::HeldBefore), "{known:?}");
    assert_eq!(base.sql("SELECT count(*) FROM ownership_claims").await, 0);
}

#[tokio::test]
async fn a_tenant_sees_neither_records_nor_claims_of_another() {
    let (base, other) = two().await;
    base.put("shop.example.com").await;
    claimed(&base, other, "shop.example.com").await;
    let mut ours = base.api.tenant(base.tenant).await.unwrap();
    let own = ours.ownership_record(&name("shop.example.com"), &base.chance, now()).await.unwrap();
    ours.commit().await.unwrap();
    let mut theirs = base.api.tenant(other).await.unwrap();
    let record = theirs.ownership_record(&name("*.shop.example.com"), &base.chance, now()).await.unwrap();
    assert_ne!(record, own);
    assert_eq!(record.name, own.name);
}
