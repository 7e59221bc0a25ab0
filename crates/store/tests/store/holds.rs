//! What a CA asked us to wait for.

use certmill_model::{Exemption, Hostname, LimitKind, LimitProfile, order_needs};
use certmill_store::LimitScope;
use certmill_vault::Secret;
use time::Duration;

use crate::base::{Base, now};

#[tokio::test]
async fn an_operator_lifts_what_a_ca_said_of_the_limits_of_one_name_and_of_no_other() {
    let base = Base::new().await;
    let directory_url = "https://ca.test/dir";
    let new_key = || Secret::new(vec![1]);
    let account =
        base.engine.account(directory_url, new_key, &base.vault, &base.chance, now()).await.unwrap();
    let limits = LimitProfile::default();
    let scope = LimitScope { account_id: account.account_id, directory_url, limits: &limits };
    let until = now() + Duration::HOUR;
    for (kind, key) in [
        (LimitKind::OrdersPerAccount, ""),
        (LimitKind::CertificatesPerNameSet, "one.example.com"),
        (LimitKind::CertificatesPerNameSet, "two.example.com"),
    ] {
        base.engine.hold_limit(scope, kind, key, until, now()).await.unwrap();
    }
    let held = async |name: &str| {
        let needs = order_needs(&[Hostname::parse(name).unwrap()], Exemption::None);
        base.engine.held_limit(scope, &needs, now()).await.unwrap().map(|deferral| deferral.limit)
    };
    assert!(held("one.example.com").await.is_some());

    let mut platform = base.api.platform().await.unwrap();
    platform.lift_holds(&Hostname::parse("one.example.com").unwrap(), now()).await.unwrap();
    platform.commit().await.unwrap();
    assert_eq!(held("one.example.com").await, None);
    assert_eq!(held("two.example.com").await, Some(LimitKind::CertificatesPerNameSet));
}
