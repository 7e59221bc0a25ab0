//! The CNAME record at `_acme-challenge`.

use certmill_dns::{Delegation, DelegationFault, LookupError, NotDelegated, Resolver};
use certmill_lab::{Lab, Record};
use certmill_model::{Hostname, ProblemCode};

use crate::{lab, name};

/// Below a zone that the server has, at a name that is not there: nobody may have to ask for it.
const WANTED: &str = "x7q.acme.test";

async fn chain(resolver: &Resolver, text: &str) -> Vec<String> {
    match resolver.delegation(&name(text), WANTED).await.unwrap() {
        Delegation::Right { chain, .. } => chain,
        Delegation::Wrong(wrong) => panic!("{wrong}"),
    }
}

async fn wrong(resolver: &Resolver, text: &str) -> NotDelegated {
    match resolver.delegation(&name(text), WANTED).await.unwrap() {
        Delegation::Wrong(wrong) => wrong,
        Delegation::Right { chain, .. } => panic!("{chain:?}"),
    }
}

#[tokio::test]
async fn every_outcome_of_a_delegation_is_seen_at_a_real_name_server() {
    let (lab, resolver) = lab().await;
    a_delegation_is_right_directly_and_through_other_names_in_any_case(&lab, &resolver).await;
    each_wrong_delegation_is_told_with_the_record_to_set(&lab, &resolver).await;
    delegations_without_an_end_and_names_without_room_are_named(&lab, &resolver).await;
    lab.down().await.unwrap();
}

async fn a_delegation_is_right_directly_and_through_other_names_in_any_case(lab: &Lab, resolver: &Resolver) {
    lab.set_records(&[
        Record::cname("_acme-challenge.direct.test", "X7Q.ACME.test"),
        Record::cname("_acme-challenge.far.test", "proofs.far.test"),
        Record::cname("proofs.far.test", WANTED),
        // A wildcard record that leads to us is as good to a CA as any other.
        Record::cname("*.wild.test", WANTED),
    ])
    .await
    .unwrap();
    let direct = ["_acme-challenge.direct.test", WANTED];
    assert_eq!(chain(resolver, "direct.test").await, direct.map(str::to_lowercase));
    assert_eq!(chain(resolver, "*.direct.test").await, direct);
    assert_eq!(chain(resolver, "far.test").await, ["_acme-challenge.far.test", "proofs.far.test", WANTED]);
    assert_eq!(chain(resolver, "shop.wild.test").await.len(), 2);
    let Delegation::Right { seen_from, .. } =
        resolver.delegation(&name("direct.test"), "X7q.Acme.Test.").await.unwrap()
    else {
        panic!("not right")
    };
    assert_eq!(seen_from, lab.description().dns_server);
}

async fn each_wrong_delegation_is_told_with_the_record_to_set(lab: &Lab, resolver: &Resolver) {
    lab.set_records(&[
        Record::address("bare.test", "192.0.2.1".parse().unwrap()),
        Record::cname("*.swallowed.test", "lb.platform.test"),
        Record::address("*.addressed.test", "192.0.2.1".parse().unwrap()),
        Record::cname("_acme-challenge.elsewhere.test", "y.acme.test"),
        Record::txt("_acme-challenge.text.test", "an old proof"),
    ])
    .await
    .unwrap();

    let missing = wrong(resolver, "bare.test").await;
    assert_eq!(missing.fault, DelegationFault::Missing);
    assert_eq!(missing.seen_from, Some(lab.description().dns_server));
    assert_eq!(missing.fix(), "Set _acme-challenge.bare.test CNAME x7q.acme.test.");
    assert_eq!(wrong(resolver, "nobody.test").await.fault, DelegationFault::Missing);

    let swallowed = wrong(resolver, "swallowed.test").await;
    assert_eq!(swallowed.problem_code(), ProblemCode::DnsDelegationWrong);
    let records = vec!["CNAME lb.platform.test".to_owned()];
    assert_eq!(swallowed.fault, DelegationFault::Wildcard { records });
    let below = wrong(resolver, "shop.swallowed.test").await;
    assert_eq!(below.fault, swallowed.fault);
    assert_eq!(
        (swallowed.would_lose.len(), below.would_lose),
        (0, vec!["CNAME lb.platform.test".to_owned()])
    );
    let addressed = wrong(resolver, "addressed.test").await;
    assert_eq!(addressed.fault, DelegationFault::Wildcard { records: vec!["A 192.0.2.1".to_owned()] });

    let elsewhere = wrong(resolver, "elsewhere.test").await;
    assert_eq!(
        elsewhere.to_string(),
        "_acme-challenge.elsewhere.test leads elsewhere: _acme-challenge.elsewhere.test -> y.acme.test"
    );
    let text = wrong(resolver, "text.test").await;
    assert_eq!(text.fault, DelegationFault::NotCname { records: vec!["TXT \"an old proof\"".to_owned()] });

    // A record of its own beside the wildcard's is what we ask for.
    lab.set_records(&[Record::cname("_acme-challenge.swallowed.test", WANTED)]).await.unwrap();
    assert_eq!(chain(resolver, "swallowed.test").await.len(), 2);
}

async fn delegations_without_an_end_and_names_without_room_are_named(lab: &Lab, resolver: &Resolver) {
    let hop = |number: usize| match number {
        0 => "_acme-challenge.long.test".to_owned(),
        number => format!("{number}.long.test"),
    };
    let mut records: Vec<_> = (0..12).map(|number| Record::cname(&hop(number), &hop(number + 1))).collect();
    records.push(Record::cname("_acme-challenge.loop.test", "a.loop.test"));
    records.push(Record::cname("a.loop.test", "_acme-challenge.loop.test"));
    lab.set_records(&records).await.unwrap();

    let looped = resolver.delegation(&name("loop.test"), WANTED).await.unwrap_err();
    assert_eq!(
        looped.to_string(),
        "the CNAME records go round in a circle: _acme-challenge.loop.test -> a.loop.test -> \
         _acme-challenge.loop.test"
    );
    let long = resolver.delegation(&name("long.test"), WANTED).await.unwrap_err();
    assert!(matches!(&long, LookupError::CnameTooLong(chain) if chain.len() == 10), "{long}");

    let base = format!("{}.long.test", vec!["a".repeat(59); 4].join("."));
    assert_eq!(base.len(), 249);
    let cramped = wrong(resolver, &base).await;
    assert_eq!((cramped.fault.clone(), cramped.seen_from), (DelegationFault::NameTooLong, None));
    assert!(!cramped.fix().contains("Set "), "{}", cramped.fix());
    let broken = Hostname::from_stored("a..test").unwrap();
    assert!(matches!(resolver.delegation(&broken, WANTED).await, Ok(Delegation::Wrong(_))));
    assert!(matches!(resolver.addresses(&broken).await, Err(LookupError::InvalidName { .. })));
}
