use super::*;

fn wrong(fault: DelegationFault) -> NotDelegated {
    NotDelegated {
        record_name: "_acme-challenge.shop.example".to_owned(),
        wanted: "x.acme.platform.example".to_owned(),
        fault,
        would_lose: Vec::new(),
        seen_from: None,
    }
}

#[test]
fn what_is_missing_is_told_as_one_record() {
    let missing = wrong(DelegationFault::Missing);
    assert_eq!(missing.problem_code(), ProblemCode::DnsDelegationMissing);
    assert_eq!(missing.to_string(), "_acme-challenge.shop.example has no CNAME record");
    assert_eq!(missing.fix(), "Set _acme-challenge.shop.example CNAME x.acme.platform.example.");
}

#[test]
fn a_wildcard_record_may_stay_beside_the_one_to_set() {
    let records = vec!["CNAME lb.platform.example".to_owned()];
    let swallowed = wrong(DelegationFault::Wildcard { records });
    assert_eq!(swallowed.problem_code(), ProblemCode::DnsDelegationWrong);
    assert_eq!(
        swallowed.to_string(),
        "_acme-challenge.shop.example has no record of its own, a wildcard record answers for it: CNAME \
         lb.platform.example"
    );
    assert_eq!(
        swallowed.fix(),
        "Set _acme-challenge.shop.example CNAME x.acme.platform.example. The wildcard record may stay: a CNAME \
         record of its own at _acme-challenge beats it."
    );
}

#[test]
fn what_a_name_would_lose_is_to_be_set_as_well() {
    let mut missing = wrong(DelegationFault::Missing);
    missing.would_lose = vec!["A 192.0.2.1".to_owned(), "A 192.0.2.2".to_owned()];
    assert_eq!(
        missing.fix(),
        "Set _acme-challenge.shop.example CNAME x.acme.platform.example. Set also shop.example A 192.0.2.1 and \
         shop.example A 192.0.2.2: no wildcard record answers for it any more then."
    );
}

#[test]
fn what_stands_in_the_way_is_to_be_removed() {
    let chain = ["_acme-challenge.shop.example", "old.example", "older.example"].map(str::to_owned).to_vec();
    let elsewhere = wrong(DelegationFault::Elsewhere { chain });
    assert!(elsewhere.to_string().ends_with("old.example -> older.example"));
    assert_eq!(
        elsewhere.fix(),
        "Set _acme-challenge.shop.example CNAME x.acme.platform.example. Remove _acme-challenge.shop.example CNAME \
         old.example."
    );
    let text = wrong(DelegationFault::NotCname { records: vec!["TXT \"abc\"".to_owned()] });
    assert_eq!(
        text.fix(),
        "Remove _acme-challenge.shop.example TXT \"abc\". Set _acme-challenge.shop.example CNAME \
         x.acme.platform.example."
    );
}
