//! What an owner is told to set, and what is said of what is there.

use certmill_model::{Check, CheckKind, Finding, ProblemCode};
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{
    Bench,
    looks::{SERVER, right, wrong},
};

const SUBDOMAIN: &str = "shop.brand.test";

/// A bench with one load balancer, and the token of a tenant that has registered `name`.
async fn with_domain(name: &str) -> (Bench, String) {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    bench.add_target("lb-1").await;
    bench.register(&token, name).await;
    (bench, token)
}

async fn setup(bench: &Bench, token: &str, name: &str) -> Value {
    let answer = bench.get(&format!("/v1/domains/{name}/setup")).token(token).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()
}

/// Where the name's CNAME record is to lead.
fn target(setup: &Value) -> String {
    let records = setup["records"].as_array().unwrap();
    let record = records.iter().find(|record| record["type"] == "CNAME").unwrap();
    record["value"].as_str().expect("a zone to point into").to_owned()
}

#[tokio::test]
async fn a_subdomain_is_told_its_address_first_and_the_cname_as_an_extra() {
    let (bench, token) = with_domain(SUBDOMAIN).await;
    bench.add_zone().await;
    let setup = setup(&bench, &token, SUBDOMAIN).await;
    assert_eq!((&setup["status"], &setup["checked_at"]), (&json!("pending_dns"), &json!(null)));
    assert_eq!(setup["challenge"], json!(null));
    assert_eq!(setup["challenge_reason"], "The name has not been looked at yet.");
    assert_eq!(
        setup["records"][0],
        json!({
            "rank": 1, "purpose": "traffic", "required": true, "type": "A",
            "name": SUBDOMAIN, "name_unicode": SUBDOMAIN, "host": "shop", "zone": "brand.test",
            "value": "203.0.113.7", "result": "unknown", "seen": [], "seen_from": null, "problem": null,
        })
    );
    let target = target(&setup);
    assert!(target.ends_with(".acme.platform.test") && target.len() > 40, "{target}");
    assert_eq!(
        setup["records"][1],
        json!({
            "rank": 2, "purpose": "certificate", "required": false, "type": "CNAME",
            "name": "_acme-challenge.shop.brand.test", "name_unicode": "_acme-challenge.shop.brand.test",
            "host": "_acme-challenge.shop", "zone": "brand.test",
            "value": target, "result": "unknown", "seen": [], "seen_from": null, "problem": null,
        })
    );
    assert_eq!((setup["records"].as_array().unwrap().len(), &setup["problems"]), (2, &json!([])));
}

#[tokio::test]
async fn an_apex_is_an_at_sign_and_an_international_name_is_readable() {
    let (bench, token) = with_domain("b%C3%BCcher.test").await;
    bench.add_zone().await;
    let setup = setup(&bench, &token, "xn--bcher-kva.test").await;
    assert_eq!(
        (&setup["name"], &setup["name_unicode"]),
        (&json!("xn--bcher-kva.test"), &json!("bücher.test"))
    );
    let hosts: Vec<_> = setup["records"].as_array().unwrap().iter().map(|record| &record["host"]).collect();
    assert_eq!(hosts, ["@", "_acme-challenge"]);
    assert_eq!(setup["records"][1]["name_unicode"], "_acme-challenge.bücher.test");
    assert_eq!(setup["records"][1]["name"], "_acme-challenge.xn--bcher-kva.test");
}

#[tokio::test]
async fn a_wildcard_needs_the_cname_before_anything_else() {
    let name = "*.shop.brand.test";
    let (bench, token) = with_domain(name).await;
    bench.add_zone().await;
    let before = setup(&bench, &token, name).await;
    let (cname, traffic) = (&before["records"][0], &before["records"][1]);
    assert_eq!((&cname["type"], &cname["required"]), (&json!("CNAME"), &json!(true)));
    assert_eq!(cname["name"], "_acme-challenge.shop.brand.test");
    assert_eq!(cname["host"], "_acme-challenge.shop");
    assert_eq!((&traffic["type"], &traffic["required"]), (&json!("A"), &json!(false)));
    assert_eq!((&traffic["name"], &traffic["host"]), (&json!(name), &json!("*.shop")));

    let target = target(&before);
    bench.look(name, vec![right(CheckKind::Delegation, &[&format!("x CNAME {target}")])]).await;
    let after = setup(&bench, &token, name).await;
    assert_eq!((&after["challenge"], &after["records"][0]["result"]), (&json!("dns-01"), &json!("pass")));
}

#[tokio::test]
async fn a_name_and_its_wildcard_share_one_target_which_stays() {
    let (bench, token) = with_domain("brand.test").await;
    bench.add_zone().await;
    let first = target(&setup(&bench, &token, "brand.test").await);
    bench.register(&token, "*.brand.test").await;
    assert_eq!(target(&setup(&bench, &token, "*.brand.test").await), first);
    assert_eq!(target(&setup(&bench, &token, "brand.test").await), first);
}

#[tokio::test]
async fn without_a_zone_the_cname_has_no_value_and_an_operator_is_asked_for() {
    let (bench, token) = with_domain("*.brand.test").await;
    let setup = setup(&bench, &token, "*.brand.test").await;
    let cname = &setup["records"][0];
    assert_eq!((&cname["value"], &cname["result"]), (&json!(null), &json!("unknown")));
    assert_eq!(cname["problem"]["code"], "dns_zone_unavailable");
    assert!(cname["problem"]["fix"].as_str().unwrap().contains("operator"), "{cname}");
}

#[tokio::test]
async fn without_a_load_balancer_there_is_no_address_to_point_at() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    bench.register(&token, SUBDOMAIN).await;
    let setup = setup(&bench, &token, SUBDOMAIN).await;
    assert_eq!(setup["problems"][0]["code"], "no_targets");
    assert_eq!(setup["records"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_right_is_told_with_who_saw_it() {
    let (bench, token) = with_domain(SUBDOMAIN).await;
    bench.add_zone().await;
    let seen = "shop.brand.test A 203.0.113.7";
    bench.look(SUBDOMAIN, vec![right(CheckKind::Addresses, &[seen])]).await;
    let setup = setup(&bench, &token, SUBDOMAIN).await;
    assert_eq!(
        (&setup["challenge"], &setup["checked_at"]),
        (&json!("http-01"), &json!("2026-11-21T12:00:00Z"))
    );
    let record = &setup["records"][0];
    assert_eq!((&record["result"], &record["problem"]), (&json!("pass"), &json!(null)));
    assert_eq!((&record["seen"], &record["seen_from"]), (&json!([seen]), &json!(SERVER)));
}

#[tokio::test]
async fn one_of_several_addresses_is_enough() {
    let (bench, token) = with_domain(SUBDOMAIN).await;
    bench.add_target_at("lb-2", "[2001:db8::7]:443").await;
    bench.look(SUBDOMAIN, vec![right(CheckKind::Addresses, &["shop.brand.test A 203.0.113.7"])]).await;
    let setup = setup(&bench, &token, SUBDOMAIN).await;
    let said = |number: usize| {
        let record = &setup["records"][number];
        (record["rank"].as_u64().unwrap(), record["type"].clone(), record["result"].clone())
    };
    assert_eq!(said(0), (1, json!("A"), json!("pass")));
    assert_eq!(said(1), (1, json!("AAAA"), json!("unknown")));
}

#[tokio::test]
async fn what_is_wrong_is_told_with_the_words_of_the_look() {
    let (bench, token) = with_domain(SUBDOMAIN).await;
    bench.add_zone().await;
    let (address, cname) = ("shop.brand.test A 192.0.2.1", "*.brand.test CNAME brand.test");
    let looks = vec![
        wrong(
            CheckKind::Addresses,
            &[address],
            ProblemCode::DnsWrongTarget,
            "Set shop.brand.test A 203.0.113.7.",
        ),
        wrong(CheckKind::Delegation, &[cname], ProblemCode::DnsDelegationWrong, "A wildcard record answers."),
        wrong(CheckKind::Caa, &[], ProblemCode::CaaForbids, "brand.test CAA 0 issue \";\""),
    ];
    bench.look(SUBDOMAIN, looks).await;
    let setup = setup(&bench, &token, SUBDOMAIN).await;
    assert_eq!(setup["challenge"], json!(null));
    let (traffic, certificate) = (&setup["records"][0], &setup["records"][1]);
    assert_eq!((&traffic["result"], &traffic["seen"]), (&json!("fail"), &json!([address])));
    assert_eq!(
        traffic["problem"],
        json!({
            "code": "dns_wrong_target", "detail": "Set shop.brand.test A 203.0.113.7.",
            "fix": ProblemCode::DnsWrongTarget.fix(),
            "docs_url": "http://127.0.0.1:8080/docs/problems/dns_wrong_target",
        })
    );
    assert_eq!(certificate["problem"]["code"], "dns_delegation_wrong");
    assert_eq!(certificate["seen"], json!([cname]));
    assert_eq!(setup["problems"].as_array().unwrap().len(), 1);
    assert_eq!(setup["problems"][0]["code"], "caa_forbids");
}

#[tokio::test]
async fn a_name_that_is_delegated_needs_no_address_for_its_certificate() {
    let (bench, token) = with_domain(SUBDOMAIN).await;
    bench.add_zone().await;
    let not_found = Finding { code: ProblemCode::DnsNotFound, detail: "No record.".into() };
    let looks = vec![
        Check::fail(CheckKind::Addresses, Vec::new(), Some(SERVER.into()), not_found),
        right(CheckKind::Delegation, &["_acme-challenge.shop.brand.test CNAME x.acme.platform.test"]),
    ];
    bench.look(SUBDOMAIN, looks).await;
    let setup = setup(&bench, &token, SUBDOMAIN).await;
    assert_eq!(setup["challenge"], "dns-01");
    assert!(setup["challenge_reason"].as_str().unwrap().contains("does not point"), "{setup}");
}

#[tokio::test]
async fn the_challenge_is_the_one_that_nothing_speaks_against() {
    use CheckKind::{Addresses, Caa, Delegation, Http};
    let (bench, token) = with_domain(SUBDOMAIN).await;
    bench.add_zone().await;
    let refused = |kind| wrong(kind, &[], ProblemCode::CaaForbids, "It says no.");
    let ok = |kind| right(kind, &[]);
    for (looks, challenge) in [
        (vec![ok(Addresses), ok(Caa), ok(Http)], json!("http-01")),
        // A load balancer is not ready yet: nothing else was looked at.
        (vec![ok(Addresses)], json!("http-01")),
        (vec![ok(Addresses), ok(Delegation), ok(Caa), refused(Http)], json!("dns-01")),
        // CAA records allow dns-01 alone.
        (vec![ok(Addresses), ok(Delegation), ok(Caa)], json!("dns-01")),
        (vec![ok(Addresses), ok(Caa), refused(Http)], json!(null)),
        (vec![ok(Addresses), ok(Delegation), refused(Caa)], json!(null)),
        (vec![refused(Addresses), ok(Delegation), ok(Caa)], json!("dns-01")),
    ] {
        let shown = format!("{looks:?}");
        bench.look(SUBDOMAIN, looks).await;
        bench.clock.advance(time::Duration::minutes(2));
        assert_eq!(setup(&bench, &token, SUBDOMAIN).await["challenge"], challenge, "{shown}");
    }
    let mut tx = bench.api.platform().await.unwrap();
    let name = certmill_model::Hostname::parse(SUBDOMAIN).unwrap();
    let domain = tx.find_domain(&name).await.unwrap().unwrap();
    tx.override_checks(domain.domain_id, true, bench.now()).await.unwrap();
    tx.commit().await.unwrap();
    bench.look(SUBDOMAIN, vec![refused(Addresses), refused(Caa)]).await;
    let setup = setup(&bench, &token, SUBDOMAIN).await;
    assert_eq!(
        (&setup["challenge"], setup["challenge_reason"].as_str().unwrap().contains("operator")),
        (&json!("http-01"), true)
    );
}

#[tokio::test]
async fn a_foreign_domain_has_no_setup_and_the_platform_reads_everybodys() {
    let (bench, _) = with_domain(SUBDOMAIN).await;
    let (_, other) = bench.tenant("suedwind").await;
    let path = format!("/v1/domains/{SUBDOMAIN}/setup");
    let foreign = bench.get(&path).token(&other).send().await;
    assert_eq!((foreign.status, foreign.code().as_str()), (StatusCode::NOT_FOUND, "domain_not_found"));
    let platform = bench.token(None).await;
    assert_eq!(bench.get(&path).token(&platform).send().await.status, StatusCode::OK);
    assert_eq!(bench.get(&path).send().await.status, StatusCode::UNAUTHORIZED);
}
