//! The ledger of limits: what many workers take at once, and the dates of those who wait.

use std::collections::BTreeSet;

use crate::base::{Base, now};
use certmill_model::{
    AccountId, Endpoint, Exemption, Hostname, LimitKind, LimitProfile, Need, Rate, TenantId, order_needs,
};
use certmill_store::{LimitScope, Requests, Taking};
use time::{Duration, OffsetDateTime};

const DIRECTORY: &str = "https://ca.test/dir";

/// An account at a CA with limits.
struct Account {
    id: AccountId,
    limits: LimitProfile,
}

impl Account {
    fn new(base: &Base, limits: LimitProfile) -> Self {
        Self { id: AccountId::new(&base.chance, now()), limits }
    }

    fn scope(&self) -> LimitScope<'_> {
        LimitScope { account_id: self.id, directory_url: DIRECTORY, limits: &self.limits }
    }
}

fn orders(capacity: u32, period: Duration) -> LimitProfile {
    LimitProfile { orders_per_account: Some(Rate::new(capacity, period)), ..LimitProfile::default() }
}

fn needs(name: &str) -> Vec<Need> {
    order_needs(&[Hostname::parse(name).unwrap()], Exemption::None)
}

async fn take(base: &Base, account: &Account, name: &str, at: OffsetDateTime) -> Taking {
    base.engine.take_limits(account.scope(), &needs(name), base.tenant, false, at).await.unwrap()
}

fn until(taking: &Taking) -> OffsetDateTime {
    match taking {
        Taking::Deferred(deferral) => deferral.until,
        Taking::Taken => panic!("it was taken"),
    }
}

#[tokio::test]
async fn eight_workers_together_take_no_more_than_the_limit_holds() {
    let base = Base::new().await;
    let limits = LimitProfile {
        certificates_per_registered_domain: Some(Rate::new(5, Duration::days(7))),
        ..orders(50, Duration::hours(3))
    };
    let account = Account::new(&base, limits);
    let at = now();
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let (engine, limits, tenant, id) =
            (base.engine.clone(), account.limits.clone(), TenantId::new(&base.chance, at), account.id);
        workers.spawn(async move {
            let scope = LimitScope { account_id: id, directory_url: DIRECTORY, limits: &limits };
            let mut taken = 0;
            for order in 0..20 {
                // Also names that nobody asked for before: rows that are made while others make them.
                let needs = needs(&format!("www.shop-{}.example", order + worker % 2));
                let taking = engine.take_limits(scope, &needs, tenant, false, at).await.unwrap();
                taken += u32::from(taking == Taking::Taken);
            }
            taken
        });
    }
    let taken: u32 = workers.join_all().await.into_iter().sum();
    assert!((45..=50).contains(&taken), "all but the reserve, and not one too many: {taken}");
    let at_most = "SELECT count(*) FROM limit_buckets WHERE full_at > now() + interval '7 days 1 minute'";
    assert_eq!(base.sql(at_most).await, 0, "no domain has more than its five");
}

#[tokio::test]
async fn an_order_takes_from_all_of_its_limits_or_from_none() {
    let base = Base::new().await;
    let limits = LimitProfile {
        certificates_per_name_set: Some(Rate::new(1, Duration::days(7))),
        ..orders(3, Duration::hours(3))
    };
    let account = Account::new(&base, limits);
    let at = now();
    assert_eq!(take(&base, &account, "a.example.com", at).await, Taking::Taken);
    match take(&base, &account, "a.example.com", at).await {
        Taking::Deferred(deferral) => {
            assert_eq!(deferral.limit, LimitKind::CertificatesPerNameSet);
            assert_eq!(deferral.counted, "a.example.com");
            assert_eq!(deferral.until, at + Duration::days(7));
        }
        Taking::Taken => panic!("its name set is used up"),
    }
    assert_eq!(take(&base, &account, "b.example.com", at).await, Taking::Taken);
    assert_eq!(
        take(&base, &account, "c.example.com", at).await,
        Taking::Taken,
        "the refused one took no order"
    );
    assert_eq!(until(&take(&base, &account, "d.example.com", at).await), at + Duration::hours(1));
}

#[tokio::test]
async fn each_of_those_who_wait_has_a_date_of_its_own() {
    let base = Base::new().await;
    let account = Account::new(&base, orders(10, Duration::minutes(10)));
    let at = now();
    let mut dates = Vec::new();
    for number in 0..30 {
        if let Taking::Deferred(deferral) = take(&base, &account, &format!("s{number}.example.com"), at).await
        {
            dates.push(deferral.until);
        }
    }
    // One of the ten is left to other tenants.
    assert_eq!(dates.len(), 21);
    assert_eq!(dates.iter().collect::<BTreeSet<_>>().len(), dates.len());
    assert!(dates.windows(2).all(|pair| pair[1] - pair[0] == Duration::MINUTE), "{dates:?}");
    let other = TenantId::new(&base.chance, at);
    let single = base.engine.take_limits(account.scope(), &needs("single.example"), other, false, at).await;
    assert_eq!(single.unwrap(), Taking::Taken, "another tenant's single name does not wait behind them");
    let waited = take_again(&base, &account, at).await;
    assert!(until(&waited) < dates[3], "whoever waited already is not put behind those that came later");
}

async fn take_again(base: &Base, account: &Account, at: OffsetDateTime) -> Taking {
    base.engine.take_limits(account.scope(), &needs("s9.example.com"), base.tenant, true, at).await.unwrap()
}

#[tokio::test]
async fn tenants_that_wait_together_share_the_slots() {
    let base = Base::new().await;
    let account = Account::new(&base, orders(10, Duration::minutes(10)));
    let at = now();
    for number in 0..30 {
        take(&base, &account, &format!("s{number}.example.com"), at).await;
    }
    let other = TenantId::new(&base.chance, at);
    let mut dates = Vec::new();
    for number in 0..5 {
        let needs = needs(&format!("t{number}.example.com"));
        let taking = base.engine.take_limits(account.scope(), &needs, other, false, at).await.unwrap();
        dates.extend((taking != Taking::Taken).then(|| until(&taking)));
    }
    // The first is another tenant's own share.
    assert_eq!(dates.len(), 4);
    assert!(dates.windows(2).all(|pair| pair[1] - pair[0] == Duration::minutes(2)), "{dates:?}");
}

#[tokio::test]
async fn what_the_ca_says_holds_for_every_worker_and_passes() {
    let base = Base::new().await;
    for limits in [LimitProfile::default(), orders(300, Duration::hours(3))] {
        let account = Account::new(&base, limits);
        let (at, end) = (now(), now() + Duration::hours(1));
        let scope = account.scope();
        assert!(!base.engine.is_any_limit_held(scope, at).await.unwrap());
        base.engine.hold_limit(scope, LimitKind::OrdersPerAccount, "", end, at).await.unwrap();
        assert!(base.engine.is_any_limit_held(scope, at).await.unwrap());
        assert!(!base.engine.is_any_limit_held(scope, end + Duration::SECOND).await.unwrap());
        assert_eq!(until(&take(&base, &account, "a.example.com", at).await), end);
        assert_eq!(take(&base, &account, "a.example.com", end + Duration::SECOND).await, Taking::Taken);
    }
}

#[tokio::test]
async fn what_a_refused_order_took_is_given_back() {
    let base = Base::new().await;
    let account = Account::new(&base, orders(1, Duration::hours(3)));
    let at = now();
    assert_eq!(take(&base, &account, "a.example.com", at).await, Taking::Taken);
    let scope = account.scope();
    base.engine.give_back_limits(scope, &needs("a.example.com"), base.tenant, at).await.unwrap();
    assert_eq!(take(&base, &account, "b.example.com", at).await, Taking::Taken);
}

#[tokio::test]
async fn a_refused_order_beyond_its_tenants_share_gives_no_claim_on_what_is_left_to_others() {
    let base = Base::new().await;
    let account = Account::new(&base, orders(10, Duration::hours(10)));
    let (at, scope) = (now(), account.scope());
    for number in 0..9 {
        assert_eq!(take(&base, &account, &format!("s{number}.example.com"), at).await, Taking::Taken);
    }
    base.engine.give_back_limits(scope, &needs("s8.example.com"), base.tenant, at).await.unwrap();
    let other = TenantId::new(&base.chance, at);
    let single = base.engine.take_limits(scope, &needs("single.example"), other, false, at).await;
    assert_eq!(single.unwrap(), Taking::Taken);
    let again = take(&base, &account, "s8.example.com", at).await;
    assert!(until(&again) > at, "the last one is left to others");
}

#[tokio::test]
async fn a_name_whose_validation_failed_too_often_waits_and_others_do_not() {
    let base = Base::new().await;
    let limits =
        LimitProfile { failed_validations: Some(Rate::new(2, Duration::HOUR)), ..LimitProfile::default() };
    let account = Account::new(&base, limits);
    let at = now();
    let failed = Need::failed_validation(&Hostname::parse("a.example.com").unwrap());
    for _ in 0..2 {
        assert_eq!(take(&base, &account, "a.example.com", at).await, Taking::Taken, "looking takes nothing");
        base.engine.note_limits(account.scope(), std::slice::from_ref(&failed), at).await.unwrap();
    }
    assert_eq!(until(&take(&base, &account, "a.example.com", at).await), at + Duration::minutes(30));
    assert_eq!(take(&base, &account, "b.example.com", at).await, Taking::Taken);
}

#[tokio::test]
async fn requests_are_reserved_by_the_handful_until_none_is_left() {
    let base = Base::new().await;
    let rate = Rate::new(10, Duration::SECOND);
    let limits = LimitProfile { requests: [(Endpoint::NewNonce, rate)].into(), ..LimitProfile::default() };
    let account = Account::new(&base, limits);
    let at = now();
    let reserve = |endpoint, wanted| base.engine.take_requests(account.scope(), endpoint, wanted, at);
    assert_eq!(reserve(Endpoint::NewNonce, 7).await.unwrap(), Requests::Granted(7));
    assert_eq!(reserve(Endpoint::NewNonce, 7).await.unwrap(), Requests::Granted(3));
    let wait = Requests::Wait(at + Duration::milliseconds(100));
    assert_eq!(reserve(Endpoint::NewNonce, 7).await.unwrap(), wait);
    assert_eq!(reserve(Endpoint::NewOrder, 7).await.unwrap(), Requests::Granted(7), "it has no limit");
}
