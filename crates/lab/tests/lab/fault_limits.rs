//! Let's Encrypt's limits, as the CA in front of pebble keeps them.

use std::time::Duration;

use certmill_lab::PebbleOptions;
use certmill_lab::fault_ca::{Answer, Endpoint, Limit, Limits, Outcome, Rate, When};
use instant_acme::{CertificateIdentifier, Error, Identifier, NewOrder, Problem};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::issuance::{Issuance, open_account};

const DOCUMENTATION: &str = "https://letsencrypt.org/docs/rate-limits/#";

fn rate(capacity: u32, seconds: u64) -> Rate {
    Rate { capacity, period: Duration::from_secs(seconds) }
}

async fn limited(limits: Limits) -> Issuance {
    let issuance = Issuance::with(PebbleOptions::default()).await;
    issuance.ca.set_limits(limits);
    issuance
}

fn problem(refused: Error) -> Problem {
    match refused {
        Error::Api(problem) => problem,
        other => panic!("{other}"),
    }
}

fn assert_limited(refused: Error, words: &str, anchor: &str) {
    let problem = problem(refused);
    assert_eq!(problem.status, Some(429));
    assert_eq!(problem.r#type.as_deref(), Some("urn:ietf:params:acme:error:rateLimited"));
    let detail = problem.detail.unwrap();
    assert!(detail.starts_with(words) && detail.ends_with(&format!("{DOCUMENTATION}{anchor}")), "{detail}");
    assert!(detail.contains(", retry after 20"), "{detail}");
}

#[tokio::test]
async fn an_account_places_so_many_orders_and_another_one_may_go_on() {
    // That a bucket fills again is tested beside it, by a clock that only tests move.
    let issuance = limited(Limits { orders_per_account: Some(rate(3, 3600)), ..Limits::default() }).await;
    let order = async |name: &str| {
        let identifiers = [Identifier::Dns(name.to_owned())];
        issuance.account.new_order(&NewOrder::new(&identifiers)).await.map(drop)
    };
    for number in 0..3 {
        order(&format!("shop{number}.shops.test")).await.unwrap();
    }
    let refused = order("shop3.shops.test").await.unwrap_err();
    assert_limited(
        refused,
        "too many new orders (3) from this account in the last 1h0m0s",
        "new-orders-per-account",
    );
    let other = open_account(&issuance.https, &issuance.ca).await;
    let identifiers = [Identifier::Dns("other.shops.test".to_owned())];
    other.new_order(&NewOrder::new(&identifiers)).await.map(drop).unwrap();

    order("shop4.shops.test").await.unwrap_err();
    let outcome = Outcome::Limited(Limit::OrdersPerAccount);
    assert_eq!(issuance.ca.journal().iter().filter(|seen| seen.outcome == outcome).count(), 2);
    assert_eq!(issuance.ca.rate_limited(), 2);
}

#[tokio::test]
async fn an_order_that_pebble_refuses_is_not_counted() {
    let issuance = limited(Limits { orders_per_account: Some(rate(1, 3600)), ..Limits::default() }).await;
    let order = async |name: &str| {
        let identifiers = [Identifier::Dns(name.to_owned())];
        issuance.account.new_order(&NewOrder::new(&identifiers)).await.map(drop)
    };
    let malformed = problem(order("not a name").await.unwrap_err());
    assert_eq!(malformed.r#type.as_deref(), Some("urn:ietf:params:acme:error:malformed"));
    order("a-name.shops.test").await.unwrap();
}

#[tokio::test]
async fn a_registered_domain_gets_so_many_certificates_and_a_renewal_is_none_of_them() {
    let limits = Limits {
        certificates_per_registered_domain: Some(rate(2, 3600)),
        certificates_per_name_set: Some(rate(2, 3600)),
        ..Limits::default()
    };
    let issuance = limited(limits).await;
    issuance.issue("one.shops.test").await.unwrap();
    issuance.issue("two.shops.test").await.unwrap();
    let refused = issuance.issue("three.shops.test").await.unwrap_err();
    let words = "too many certificates (2) already issued for \"shops.test\" in the last 1h0m0s";
    assert_limited(refused, words, "new-certificates-per-registered-domain");
    issuance.issue("elsewhere.test").await.unwrap();
    issuance.issue("one.shops.test").await.unwrap();

    let refused = issuance.issue("one.shops.test").await.unwrap_err();
    let words =
        "too many certificates (2) already issued for this exact set of identifiers in the last 1h0m0s";
    assert_limited(refused, words, "new-certificates-per-exact-set-of-identifiers");
}

#[tokio::test]
async fn a_renewal_in_its_window_keeps_to_no_limit_and_outside_to_that_of_its_names() {
    let issuance = Issuance::with(PebbleOptions::with_renewal_info(45)).await;
    issuance.ca.set_limits(Limits { certificates_per_name_set: Some(rate(1, 3600)), ..Limits::default() });
    let chain = issuance.issue("ari.shops.test").await.unwrap();
    let leaf = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
    let identifiers = [Identifier::Dns("ari.shops.test".to_owned())];
    let id = || CertificateIdentifier::try_from(&leaf).unwrap();
    // Nobody asked for the window yet.
    let renewal = NewOrder::new(&identifiers).replaces(id());
    issuance.order(&renewal).await.unwrap_err();

    let now = issuance.ca.now();
    let hour = Duration::from_secs(3600);
    let window = Answer::suggested_window(now - hour, now + hour);
    let when = When::of(Endpoint::RenewalInfo);
    issuance.ca.add(when, window.retry_after_seconds(60));
    issuance.account.renewal_info(&id()).await.map(drop).unwrap();
    // An answer of a rule counts as the CA's own.
    issuance.order(&renewal).await.unwrap();
    assert!(issuance.ca.payloads(Endpoint::NewOrder).last().unwrap()["replaces"].is_string());
}

#[tokio::test]
async fn a_name_may_fail_so_often() {
    let issuance = limited(Limits { failed_validations: Some(rate(2, 3600)), ..Limits::default() }).await;
    let name = "fails.shops.test";
    issuance.fail(name).await;
    // A failure is counted once, however often it is looked at.
    let mut order = issuance.fail(name).await;
    let mut authorizations = order.authorizations();
    authorizations.next().await.unwrap().unwrap().refresh().await.map(drop).unwrap();
    let refused = issuance.issue(name).await.unwrap_err();
    let words = "too many failed authorizations (2) for \"fails.shops.test\" in the last 1h0m0s";
    assert_limited(refused, words, "authorization-failures-per-identifier-per-account");
    issuance.issue("works.shops.test").await.unwrap();
}

#[tokio::test]
async fn requests_come_no_faster_than_an_endpoint_allows() {
    let requests = vec![(Endpoint::Directory, rate(3, 3600))];
    let issuance = limited(Limits { requests, ..Limits::default() }).await;
    for _ in 0..3 {
        assert_eq!(issuance.directory().await.unwrap().status, 200);
    }
    let refused = issuance.directory().await.unwrap();
    assert_eq!(refused.status, 503);
    // A third of an hour after the first, which was a moment ago.
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1_100..=1_200).contains(&wait), "{wait}");
    assert!(String::from_utf8_lossy(&refused.body).contains("Service busy; retry later."));
}
