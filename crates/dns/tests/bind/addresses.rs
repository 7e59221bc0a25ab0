//! Addresses.

use std::{collections::BTreeSet, net::IpAddr};

use certmill_dns::{LookupError, Resolver, compare};
use certmill_lab::Part;
use certmill_model::ProblemCode;
use tokio::task::JoinSet;

use crate::{lab, name};

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_name_s_addresses_of_both_kinds_are_seen_and_compared() {
    let (lab, resolver) = lab().await;
    lab.set_addresses("both.dns.test", &addresses(&["192.0.2.1", "192.0.2.2", "2001:db8::bad"]))
        .await
        .unwrap();
    let both = name("both.dns.test");
    let seen = resolver.addresses(&both).await.unwrap();
    assert_eq!((seen.v4.len(), seen.v6.len()), (2, 1));
    assert_eq!(seen.seen_from, lab.description().dns_server);

    let ours: BTreeSet<_> = addresses(&["192.0.2.1", "192.0.2.2"]).into_iter().collect();
    let error = compare(&both, &seen, &ours).unwrap_err();
    assert_eq!(error.problem_code(), ProblemCode::DnsExtraAddresses);
    assert_eq!(error.fix(), "Remove both.dns.test AAAA 2001:db8::bad.");

    lab.set_addresses("both.dns.test", &addresses(&["192.0.2.2"])).await.unwrap();
    let seen = resolver.addresses(&both).await.unwrap();
    assert_eq!(compare(&both, &seen, &ours), Ok(()));
    lab.down().await.unwrap();
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_told_apart_from_a_server_that_fails_and_from_silence() {
    let (lab, resolver) = lab().await;
    let missing = resolver.addresses(&name("nobody.nx.test")).await.unwrap_err();
    let not_found = LookupError::NotFound { name: "nobody.nx.test".to_owned(), cname_chain: Vec::new() };
    assert_eq!(missing, not_found);
    assert_eq!(missing.problem_code(), ProblemCode::DnsNotFound);

    // A zone that this server does not have, and asks nobody else about.
    let refused = resolver.addresses(&name("shop.example.com")).await.unwrap_err();
    assert!(matches!(refused, LookupError::ServerFailure { .. }), "{refused}");
    assert_eq!(refused.problem_code(), ProblemCode::DnsServfail);

    lab.stop(Part::Bind).await.unwrap();
    let silent = resolver.addresses(&name("shop.dns.test")).await.unwrap_err();
    assert!(matches!(silent, LookupError::Timeout { .. }), "{silent}");
    lab.down().await.unwrap();
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_is_away() {
    let (lab, _) = lab().await;
    lab.set_addresses("shop.dns.test", &addresses(&["192.0.2.1"])).await.unwrap();
    let nobody = "127.0.0.1:1".parse().unwrap();
    let resolver = Resolver::new(vec![nobody, lab.description().dns_server]).unwrap();
    let seen = resolver.addresses(&name("shop.dns.test")).await.unwrap();
    assert_eq!(seen.seen_from, lab.description().dns_server);
    lab.down().await.unwrap();
}

#[tokio::test]
async fn thousands_of_lookups_at_once_lose_none() {
    let (lab, resolver) = lab().await;
    lab.set_addresses("shop.dns.test", &addresses(&["192.0.2.1"])).await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let resolver = resolver.clone();
        tasks.spawn(async move {
            for _ in 0..32 {
                resolver.addresses(&name("shop.dns.test")).await.unwrap();
            }
        });
    }
    assert_eq!(tasks.join_all().await.len(), 64);
    lab.down().await.unwrap();
}
