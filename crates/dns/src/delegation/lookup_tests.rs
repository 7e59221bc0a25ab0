use super::*;
use crate::testing::resolver;

const WANTED: &str = "x.acme.test";

async fn look(
    records: &'static [(&'static str, &'static str)],
) -> (Result<Delegation, LookupError>, Vec<String>) {
    let (resolver, asked) = resolver(records).await;
    let seen = resolver.delegation(&Hostname::parse("shop.test").unwrap(), WANTED).await;
    let asked = asked.lock().unwrap().clone();
    (seen, asked)
}

async fn fault(records: &'static [(&'static str, &'static str)]) -> DelegationFault {
    match look(records).await.0.unwrap() {
        Delegation::Wrong(wrong) => wrong.fault,
        right @ Delegation::Right { .. } => panic!("{right:?}"),
    }
}

#[tokio::test]
async fn nobody_is_asked_for_our_own_name_before_it_has_its_record() {
    let (seen, asked) =
        look(&[("_acme-challenge.shop.test", "CNAME proofs.test"), ("proofs.test", "CNAME x.acme.test")])
            .await;
    assert!(matches!(seen, Ok(Delegation::Right { .. })));
    assert_eq!(asked, ["CNAME _acme-challenge.shop.test", "CNAME proofs.test"]);
}

#[tokio::test]
async fn only_a_wildcard_record_with_the_same_target_swallows() {
    let elsewhere =
        fault(&[("_acme-challenge.shop.test", "CNAME old.test"), ("certmill-x.shop.test", "CNAME lb.test")])
            .await;
    assert!(matches!(elsewhere, DelegationFault::Elsewhere { .. }), "{elsewhere:?}");
    let swallowed =
        fault(&[("_acme-challenge.shop.test", "CNAME lb.test"), ("certmill-x.shop.test", "CNAME LB.test")])
            .await;
    assert_eq!(swallowed, DelegationFault::Wildcard { records: vec!["CNAME lb.test".to_owned()] });
}

#[tokio::test]
async fn records_that_bar_a_cname_are_all_shown_to_be_removed() {
    let records = &[
        ("_acme-challenge.shop.test", "NS ns.other.test"),
        ("_acme-challenge.shop.test", "TXT b"),
        ("_acme-challenge.shop.test", "TXT a"),
        ("certmill-x.shop.test", "TXT a"),
    ];
    let expected = ["TXT \"a\"", "TXT \"b\"", "NS ns.other.test"].map(str::to_owned).to_vec();
    assert_eq!(fault(records).await, DelegationFault::NotCname { records: expected });
    let wildcard = &[("_acme-challenge.shop.test", "TXT spf"), ("certmill-x.shop.test", "TXT spf")];
    assert_eq!(fault(wildcard).await, DelegationFault::Wildcard { records: vec!["TXT \"spf\"".to_owned()] });
}

#[tokio::test]
async fn servers_that_fail_on_the_way_are_named_and_nothing_is_concluded() {
    let (seen, _) = look(&[("_acme-challenge.shop.test", "CNAME far.test"), ("far.test", "SERVFAIL")]).await;
    assert!(matches!(&seen, Err(LookupError::ServerFailure { name, .. }) if name == "far.test"), "{seen:?}");
}

#[tokio::test]
async fn a_name_that_exists_by_a_wildcard_record_alone_is_told_what_it_would_lose() {
    let would_lose = async |records: &'static [(&'static str, &'static str)]| {
        let (resolver, _) = resolver(records).await;
        let name = Hostname::parse("red.shop.test").unwrap();
        match resolver.delegation(&name, WANTED).await.unwrap() {
            Delegation::Wrong(wrong) => wrong.would_lose,
            right @ Delegation::Right { .. } => panic!("{right:?}"),
        }
    };
    let by_wildcard_above = &[
        ("_acme-challenge.red.shop.test", "CNAME lb.test"),
        ("certmill-x.red.shop.test", "CNAME lb.test"),
        ("certmill-x.shop.test", "CNAME lb.test"),
        ("red.shop.test", "CNAME lb.test"),
    ];
    assert_eq!(would_lose(by_wildcard_above).await, ["CNAME lb.test"]);
    let by_wildcard_below = &[
        ("_acme-challenge.red.shop.test", "CNAME lb.test"),
        ("certmill-x.red.shop.test", "CNAME lb.test"),
        ("red.shop.test", "A 192.0.2.1"),
    ];
    assert!(would_lose(by_wildcard_below).await.is_empty());
}

#[test]
fn the_name_beside_is_as_random_as_our_label_and_left_out_where_it_would_be_too_long() {
    let beside = |parent: &str, wanted: &str| {
        let resolver = Resolver::new(vec!["127.0.0.1:1".parse().unwrap()]).unwrap();
        let name = Hostname::parse("shop.test").unwrap();
        let look = Look {
            resolver: &resolver,
            name: &name,
            start: name::parse("_acme-challenge.shop.test").unwrap(),
            target: &name::parse(wanted).unwrap(),
        };
        look.probe(parent).map(|name| text(&name))
    };
    assert_eq!(beside("shop.test", WANTED).unwrap(), "certmill-x.shop.test");
    assert_eq!(beside("shop.test", "_acme-challenge.x.acme.test").unwrap(), "certmill-x.shop.test");
    let label = "y".repeat(63);
    assert_eq!(beside("shop.test", &format!("{label}.acme.test")).unwrap().find('.'), Some(63));
    let long = format!("{}.test", vec!["a".repeat(59); 4].join("."));
    assert_eq!(beside(&long, WANTED), None);
}
