//! Names that are proved by DNS, or each in its own way.

use certmill_acme::{AcmeError, Challenge, PlaceOrder, PrivateKey};
use certmill_model::{ChallengeKind, Hostname, KeyType, ProblemCode};

use crate::ca::{Ca, soon};

fn dns_01(_: &str, _: bool) -> ChallengeKind {
    ChallengeKind::Dns01
}

fn hostnames(names: &[&str]) -> Vec<Hostname> {
    names.iter().map(|name| Hostname::parse(name).unwrap()).collect()
}

/// Issues a certificate for names that need no address.
async fn issue_by_dns(ca: &Ca, names: &[&str]) -> Vec<Challenge> {
    let client = ca.client().await;
    let names = hostnames(names);
    let key = PrivateKey::generate(KeyType::EcdsaP256).await;
    let mut order = client.place(&PlaceOrder::of(&names)).await.unwrap();
    let challenges = order.challenges(dns_01).await.unwrap();
    ca.publish(&challenges).await;
    let chain = ca.finish_published(&mut order, &key).await.unwrap();
    ca.verify(&chain, &key, &names).await;
    challenges
}

#[tokio::test]
async fn a_wildcard_is_issued_by_dns() {
    let ca = Ca::up(0).await;
    let challenges = issue_by_dns(&ca, &["*.shop.owners.test"]).await;
    let [Challenge::Dns01(challenge)] = &challenges[..] else { panic!("not one challenge by DNS") };
    assert_eq!(challenge.identifier, "shop.owners.test");
    assert_eq!(challenge.value.len(), 43);
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn a_name_and_its_wildcard_are_issued_in_one_order() {
    let ca = Ca::up(5).await;
    let challenges = issue_by_dns(&ca, &["shop.owners.test", "*.shop.owners.test"]).await;
    let [Challenge::Dns01(one), Challenge::Dns01(other)] = &challenges[..] else {
        panic!("not two challenges by DNS")
    };
    assert_eq!(one.identifier, other.identifier);
    assert_ne!(one.value, other.value);
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn a_name_is_proved_by_http_while_its_wildcard_is_by_dns() {
    let ca = Ca::up(0).await;
    let client = ca.client().await;
    let mut names = ca.names(&["both.owners.test"]).await;
    names.extend(hostnames(&["*.both.owners.test"]));
    let key = PrivateKey::generate(KeyType::EcdsaP256).await;
    let mut order = client.place(&PlaceOrder::of(&names)).await.unwrap();
    let by_form = |_: &str, wildcard| if wildcard { ChallengeKind::Dns01 } else { ChallengeKind::Http01 };
    let challenges = order.challenges(by_form).await.unwrap();
    assert_eq!(challenges.iter().filter(|it| matches!(it, Challenge::Dns01(_))).count(), 1);
    ca.publish(&challenges).await;
    let chain = ca.finish_published(&mut order, &key).await.unwrap();
    ca.verify(&chain, &key, &names).await;
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn two_names_of_one_order_are_proved_each_in_its_own_way() {
    let ca = Ca::up(0).await;
    let client = ca.client().await;
    let mut names = ca.names(&["http.owners.test"]).await;
    names.extend(hostnames(&["dns.owners.test"]));
    let key = PrivateKey::generate(KeyType::EcdsaP256).await;
    let mut order = client.place(&PlaceOrder::of(&names)).await.unwrap();
    let challenges = order.challenges(by_name).await.unwrap();
    for challenge in &challenges {
        let (identifier, expected) = match challenge {
            Challenge::Http01(challenge) => (&challenge.identifier, "http.owners.test"),
            Challenge::Dns01(challenge) => (&challenge.identifier, "dns.owners.test"),
        };
        assert_eq!(identifier, expected);
    }
    ca.publish(&challenges).await;
    let chain = ca.finish_published(&mut order, &key).await.unwrap();
    ca.verify(&chain, &key, &names).await;
    ca.lab.down().await.unwrap();
}

fn by_name(name: &str, _: bool) -> ChallengeKind {
    if name.starts_with("dns.") { ChallengeKind::Dns01 } else { ChallengeKind::Http01 }
}

#[tokio::test]
async fn only_the_chosen_challenges_are_answered() {
    let ca = Ca::up(0).await;
    let client = ca.client().await;
    let names = ca.names(&["chosen.owners.test"]).await;
    let mut order = client.place(&PlaceOrder::of(&names)).await.unwrap();
    order.challenges(dns_01).await.unwrap();
    let by_http = order.challenges(|_, _| ChallengeKind::Http01).await.unwrap();
    ca.publish(&by_http).await;
    order.answer().await.unwrap();
    order.await_ready(soon()).await.unwrap();
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn the_name_that_failed_is_told_and_the_other_is_not() {
    let ca = Ca::up(0).await;
    let client = ca.client().await;
    let mut names = ca.names(&["good.owners.test"]).await;
    names.extend(hostnames(&["*.bad.owners.test"]));
    let mut order = client.place(&PlaceOrder::of(&names)).await.unwrap();
    let by_form = |_: &str, wildcard| if wildcard { ChallengeKind::Dns01 } else { ChallengeKind::Http01 };
    let challenges = order.challenges(by_form).await.unwrap();
    ca.responder.publish(&challenges);
    order.answer().await.unwrap();
    let error = order.await_ready(soon()).await.unwrap_err();
    assert!(matches!(error, AcmeError::Refused { .. }), "{error:?}");
    assert_eq!(error.problem_code(), ProblemCode::DnsNotPropagated);
    let [failed] = error.failed_names() else { panic!("not one name failed: {error:?}") };
    assert_eq!(failed.identifier, "*.bad.owners.test");
    assert_eq!(failed.code, ProblemCode::DnsNotPropagated);
    assert!(failed.detail.contains("TXT"), "{}", failed.detail);
    ca.lab.down().await.unwrap();
}
