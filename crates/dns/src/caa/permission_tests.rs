use ChallengeKind::{Dns01, Http01};

use super::*;

const ACCOUNT: &str = "https://ca.example/acct/7";

fn at(owner: &str, records: &[(u8, &str, &str)]) -> CaaRecords {
    let record = |(flags, tag, value): &(u8, &str, &str)| CaaRecord {
        flags: *flags,
        tag: (*tag).to_owned(),
        value: value.as_bytes().to_vec(),
    };
    let place = CaaPlace { owner: owner.to_owned(), alias: None };
    CaaRecords {
        name: "shop.example".to_owned(),
        found_at: (!records.is_empty()).then_some(place),
        records: records.iter().map(record).collect(),
        seen_from: "192.0.2.53:53".parse().unwrap(),
    }
}

fn ask(is_wildcard: bool, method: ChallengeKind, records: &CaaRecords) -> Result<CaaPermission, CaaForbids> {
    let identities = ["letsencrypt.org".to_owned(), "le.example".to_owned()];
    records.permits(&CaaQuestion { identities: &identities, is_wildcard, method, account_url: ACCOUNT })
}

fn name(records: &[(u8, &str, &str)]) -> Result<CaaPermission, CaaForbids> {
    ask(false, Http01, &at("shop.example", records))
}

fn wildcard(records: &[(u8, &str, &str)]) -> Result<CaaPermission, CaaForbids> {
    ask(true, Dns01, &at("shop.example", records))
}

#[test]
fn a_name_without_restricting_records_is_free() {
    assert_eq!(name(&[]), Ok(CaaPermission::Unrestricted));
    assert_eq!(name(&[(0, "iodef", "mailto:a@shop.example")]), Ok(CaaPermission::Unrestricted));
    assert_eq!(name(&[(128, "iodef", "x"), (0, "issuemail", ";")]), Ok(CaaPermission::Unrestricted));
    assert_eq!(name(&[(0, "issuewild", ";")]), Ok(CaaPermission::Unrestricted));
}

#[test]
fn a_ca_is_named_in_any_case_and_by_any_of_its_names() {
    for value in
        ["letsencrypt.org", "LetsEncrypt.ORG", " \tle.example ", "letsencrypt.org;", "le.example; a=b"]
    {
        assert_eq!(name(&[(0, "ISSUE", value)]), Ok(CaaPermission::Named), "{value}");
    }
    assert_eq!(name(&[(0, "issue", ";"), (0, "issue", "letsencrypt.org")]), Ok(CaaPermission::Named));
}

#[test]
fn another_ca_s_record_is_shown_with_the_one_to_add() {
    let records = [(0, "issue", "digicert.com"), (0, "issue", "letsencrypt.org.evil.example")];
    let error = ask(false, Http01, &at("example", &records)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "example CAA 0 issue \"digicert.com\", example CAA 0 issue \"letsencrypt.org.evil.example\" does not let \
         letsencrypt.org issue for shop.example"
    );
    assert_eq!(error.fix(), "Add example CAA 0 issue \"letsencrypt.org\".");
    assert_eq!(error.problem_code(), ProblemCode::CaaForbids);
}

#[test]
fn an_empty_issuer_and_malformed_values_permit_nobody() {
    let malformed = [
        ";",
        "",
        "%%%%%",
        "letsencrypt.org letsencrypt.org",
        "letsencrypt.org.",
        "-letsencrypt.org",
        "letsencrypt.org; accounturi",
        "letsencrypt.org; a=b;",
        "letsencrypt.org; a=b c",
        "letsencrypt.org; =b",
        "létsencrypt.org",
    ];
    for value in malformed {
        assert!(name(&[(0, "issue", value)]).is_err(), "{value}");
    }
}

#[test]
fn wildcards_obey_issuewild_and_fall_back_to_issue() {
    assert_eq!(wildcard(&[(0, "issue", "letsencrypt.org")]), Ok(CaaPermission::Named));
    let error = wildcard(&[(0, "issue", "digicert.com")]).unwrap_err();
    assert_eq!(error.fix(), "Add shop.example CAA 0 issue \"letsencrypt.org\".");

    let both = [(0, "issue", "letsencrypt.org"), (0, "issuewild", ";")];
    assert_eq!(name(&both), Ok(CaaPermission::Named));
    let error = wildcard(&both).unwrap_err();
    assert_eq!(error.fix(), "Add shop.example CAA 0 issuewild \"letsencrypt.org\".");
    assert!(error.to_string().ends_with("does not let letsencrypt.org issue for *.shop.example"));
    let other_way = [(0, "issue", ";"), (0, "issuewild", "letsencrypt.org")];
    assert_eq!(wildcard(&other_way), Ok(CaaPermission::Named));
}

#[test]
fn a_critical_property_that_nobody_knows_forbids_and_one_that_is_not_critical_does_not() {
    let permitting = (0, "issue", "letsencrypt.org");
    assert_eq!(name(&[permitting, (0, "future", "x")]), Ok(CaaPermission::Named));
    for flags in [128, 1] {
        let error = name(&[permitting, (flags, "future", "x")]).unwrap_err();
        assert_eq!(error.fix(), format!("Remove shop.example CAA {flags} future \"x\"."));
    }
}

#[test]
fn another_account_is_told_with_the_parameter_to_change() {
    let ours = format!("letsencrypt.org; accounturi={ACCOUNT}");
    assert_eq!(name(&[(0, "issue", &ours)]), Ok(CaaPermission::Named));
    let other = "letsencrypt.org; accounturi=https://ca.example/acct/8";
    let error = name(&[(0, "issue", other)]).unwrap_err();
    assert_eq!(error.fix(), format!("In shop.example CAA 0 issue \"{other}\", set accounturi to {ACCOUNT}."));
    let twice = format!("{ours}; accounturi={ACCOUNT}");
    assert!(name(&[(0, "issue", &twice)]).is_err());
    assert_eq!(name(&[(0, "issue", other), (0, "issue", "le.example")]), Ok(CaaPermission::Named));
}

#[test]
fn without_an_account_of_ours_nobody_is_refused_for_it() {
    let records = at("shop.example", &[(0, "issue", "letsencrypt.org; accounturi=https://x.example")]);
    let identities = ["letsencrypt.org".to_owned()];
    let asked = CaaQuestion { identities: &identities, is_wildcard: false, method: Http01, account_url: "" };
    assert_eq!(records.permits(&asked), Ok(CaaPermission::Named));
}

#[test]
fn a_challenge_that_is_not_among_the_methods_is_told() {
    let records = [(0, "issue", "letsencrypt.org; validationmethods=tls-alpn-01,dns-01")];
    assert_eq!(wildcard(&records), Ok(CaaPermission::Named));
    let error = name(&records).unwrap_err();
    assert!(error.fix().ends_with(", set validationmethods to http-01."), "{}", error.fix());
    assert!(wildcard(&[(0, "issue", "letsencrypt.org; validationmethods=")]).is_err());
}

#[test]
fn a_ca_that_does_not_say_its_names_is_never_refused_by_us() {
    let question = CaaQuestion { identities: &[], is_wildcard: false, method: Http01, account_url: ACCOUNT };
    let restricted = at("shop.example", &[(0, "issue", "digicert.com")]);
    assert_eq!(restricted.permits(&question), Ok(CaaPermission::UnknownCa));
    assert_eq!(at("shop.example", &[]).permits(&question), Ok(CaaPermission::Unrestricted));
}

#[test]
fn the_way_to_an_alias_is_told() {
    let mut records = at("lb.platform.example", &[(0, "issue", ";")]);
    records.found_at.as_mut().unwrap().alias = Some("shop.example".to_owned());
    let error = ask(false, Http01, &records).unwrap_err();
    assert!(error.to_string().contains("(where the CNAME record of shop.example leads)"), "{error}");
    assert_eq!(error.fix(), "Add lb.platform.example CAA 0 issue \"letsencrypt.org\".");
}
