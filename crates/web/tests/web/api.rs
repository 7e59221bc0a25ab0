//! Who may call, and what a domain's life looks like from outside.

use certmill_model::ProblemCode;
use http::StatusCode;
use serde_json::json;
use time::Duration;

use crate::support::Bench;

#[tokio::test]
async fn a_call_without_a_valid_token_is_refused_without_saying_why() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let missing = bench.get("/v1/domains").send().await;
    assert_eq!((missing.status, missing.code().as_str()), (StatusCode::UNAUTHORIZED, "token_missing"));
    assert_eq!(missing.header("www-authenticate"), "Bearer");

    let unknown = certmill_vault::ApiToken::generate();
    let mistyped = token.replace("certmill_", "certmill_x");
    for header in
        [format!("Bearer {}", unknown.expose()), format!("Bearer {mistyped}"), format!("Basic {token}")]
    {
        let answer = bench.get("/v1/domains").header("authorization", &header).send().await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "token_invalid"));
    }

    bench.clock.advance(Duration::days(91));
    let expired = bench.get("/v1/domains").token(&token).send().await;
    assert_eq!((expired.status, expired.code().as_str()), (StatusCode::UNAUTHORIZED, "token_invalid"));
}

#[tokio::test]
async fn a_domain_is_registered_changed_read_and_removed() {
    let bench = Bench::new().await;
    let (tenant, token) = bench.tenant("nordwind").await;
    let path = "/v1/domains/M%C3%BCnchen.example-shops.test.";
    let wish = json!({ "external_id": "shop-1", "template": "storefront:dedicated" }).to_string();

    let created = bench.put(path).token(&token).json(wish.clone()).send().await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    let domain = created.json();
    assert_eq!(domain["name"], "xn--mnchen-3ya.example-shops.test");
    assert_eq!(domain["name_unicode"], "münchen.example-shops.test");
    assert_eq!(domain["tenant"], tenant.to_string());
    assert_eq!(
        (&domain["external_id"], &domain["template"]),
        (&json!("shop-1"), &json!("storefront:dedicated"))
    );
    assert_eq!((&domain["status"], &domain["health"]), (&json!("pending_dns"), &json!("ok")));
    assert_eq!((&domain["problems"], &domain["certificate"]), (&json!([]), &json!(null)));
    assert_eq!(domain["since"], "2026-11-21T12:00:00Z");

    let same = bench.put(path).token(&token).json(wish).send().await;
    assert_eq!((same.status, same.json()), (StatusCode::OK, domain.clone()));
    bench.clock.advance(Duration::seconds(1));
    let changed = bench.put("/v1/domains/xn--mnchen-3ya.example-shops.test").token(&token).send().await;
    assert_eq!((changed.status, &changed.json()["external_id"]), (StatusCode::OK, &json!(null)));

    bench.clock.advance(Duration::seconds(1));
    let deleted = bench.delete(path).token(&token).send().await;
    assert_eq!(
        (deleted.status, &deleted.json()["status"]),
        (StatusCode::ACCEPTED, &json!("pending_deletion"))
    );
    assert_eq!(bench.delete(path).token(&token).send().await.status, StatusCode::NO_CONTENT);

    let timeline = bench.get(&format!("{path}/timeline")).token(&token).send().await.json();
    let kinds: Vec<_> = timeline["data"].as_array().unwrap().iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, ["domain_created", "domain_changed", "domain_deletion_requested"]);
}

#[tokio::test]
async fn a_wildcard_is_taken_beside_its_name() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    for name in ["*.example-shops.test", "example-shops.test", "%2a.b%C3%BCcher.test"] {
        let answer = bench.put(&format!("/v1/domains/{name}")).token(&token).send().await;
        assert_eq!(answer.status, StatusCode::CREATED, "{name}: {}", answer.text);
    }
    let domain = bench.get("/v1/domains/*.xn--bcher-kva.test").token(&token).send().await.json();
    assert_eq!(domain["name_unicode"], "*.bücher.test");
}

#[tokio::test]
async fn a_domain_has_a_key_type_of_its_own_or_its_tenants() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let path = "/v1/domains/shop.example-shops.test";
    for key_type in ["ecdsa_p256", "ecdsa_p384", "rsa_2048", "rsa_3072", "rsa_4096"] {
        let wish = json!({ "key_type": key_type }).to_string();
        let answer = bench.put(path).token(&token).json(wish).send().await;
        assert_eq!(answer.json()["key_type"], key_type, "{}", answer.text);
        assert_eq!(bench.get(path).token(&token).send().await.json()["key_type"], key_type);
    }
    let unset = bench.put(path).token(&token).json("{}").send().await;
    assert_eq!(unset.json()["key_type"], "ecdsa_p256");
    for unknown in [json!("rsa_1024"), json!("RSA_2048"), json!(""), json!(2048)] {
        let wish = json!({ "key_type": unknown }).to_string();
        let answer = bench.put(path).token(&token).json(wish).send().await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "invalid_field"), "{unknown}");
        assert_eq!(answer.json()["errors"][0]["pointer"], "/key_type");
    }
    let wish = json!({ "key_type": "ed25519" }).to_string();
    let detail = bench.put(path).token(&token).json(wish).send().await.json()["detail"].clone();
    assert_eq!(detail, "key_type: it is none of ecdsa_p256, ecdsa_p384, rsa_2048, rsa_3072, rsa_4096");
}

#[tokio::test]
async fn another_tenants_domain_does_not_exist_and_its_name_is_taken() {
    let bench = Bench::new().await;
    let (_, owner) = bench.tenant("nordwind").await;
    let (_, other) = bench.tenant("suedwind").await;
    let path = "/v1/domains/shop.example-shops.test";
    bench.register(&owner, "shop.example-shops.test").await;

    for call in [bench.get(path), bench.delete(path), bench.get(&format!("{path}/timeline"))] {
        let answer = call.token(&other).send().await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, "domain_not_found"));
    }
    let taken = bench.put(path).token(&other).send().await;
    assert_eq!((taken.status, taken.code().as_str()), (StatusCode::CONFLICT, "domain_taken"));
    assert!(!taken.text.contains("nordwind"), "{}", taken.text);
    assert_eq!(bench.get("/v1/domains").token(&other).send().await.json()["data"], json!([]));
}

#[tokio::test]
async fn one_tenant_racing_itself_for_a_new_name_gets_it_once() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let put = || bench.put("/v1/domains/race.example-shops.test").token(&token).send();
    let (one, two, three) = tokio::join!(put(), put(), put());
    let mut statuses = [one.status, two.status, three.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::OK, StatusCode::CREATED]);
}

#[tokio::test]
async fn the_platform_reads_everything_and_writes_for_the_tenant_that_it_names() {
    let bench = Bench::new().await;
    let (tenant, token) = bench.tenant("nordwind").await;
    let (_, other) = bench.tenant("suedwind").await;
    bench.register(&token, "a.example-shops.test").await;
    bench.register(&other, "b.example-shops.test").await;
    let platform = bench.token(None).await;

    let list = bench.get("/v1/domains").token(&platform).send().await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    let path = "/v1/domains/c.example-shops.test";
    let unsaid = bench.put(path).token(&platform).send().await;
    assert_eq!((unsaid.status.as_u16(), unsaid.code().as_str()), (422, "tenant_missing"));
    let wish = json!({ "tenant": tenant.to_string() }).to_string();
    let created = bench.put(path).token(&platform).json(wish.clone()).send().await;
    assert_eq!(
        (created.status, &created.json()["tenant"]),
        (StatusCode::CREATED, &json!(tenant.to_string()))
    );
    assert_eq!(bench.get(path).token(&token).send().await.status, StatusCode::OK);
    let foreign = bench.put("/v1/domains/d.example-shops.test").token(&other).json(wish).send().await;
    assert_eq!((foreign.status, foreign.code().as_str()), (StatusCode::NOT_FOUND, "not_found"));
    let missing = json!({ "tenant": "ten_01jd4z6k3m8q2v5w7x9y0a1b2c" }).to_string();
    let missing = bench.put("/v1/domains/e.example-shops.test").token(&platform).json(missing).send().await;
    assert_eq!((missing.status, missing.code().as_str()), (StatusCode::NOT_FOUND, "not_found"));
}

#[tokio::test]
async fn load_balancers_are_shown_to_the_platform_without_their_settings() {
    let bench = Bench::new().await;
    let (_, tenant) = bench.tenant("nordwind").await;
    bench.add_target("lb-1").await;
    let refused = bench.get("/v1/targets").token(&tenant).send().await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "forbidden"));

    let platform = bench.token(None).await;
    let answer = bench.get("/v1/targets").token(&platform).send().await;
    let target = &answer.json()["data"][0];
    assert_eq!((&target["name"], &target["state"]), (&json!("lb-1"), &json!("behind")));
    assert_eq!(target["public_addresses"], json!(["203.0.113.7"]));
    assert!(!answer.text.contains("secret"), "{}", answer.text);
}

#[tokio::test]
async fn a_domain_shows_its_problem_with_the_fix_and_later_its_certificate() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let target = bench.add_target("lb-1").await;
    let (name, path) = ("shop.example-shops.test", "/v1/domains/shop.example-shops.test");
    bench.register(&token, name).await;
    bench.fail(name, ProblemCode::DnsWrongTarget, "it points at 192.0.2.1", None).await;

    let domain = bench.get(path).token(&token).send().await.json();
    assert_eq!((&domain["status"], &domain["health"]), (&json!("pending_dns"), &json!("critical")));
    let problem = &domain["problems"][0];
    assert_eq!((&problem["code"], &problem["severity"]), (&json!("dns_wrong_target"), &json!("critical")));
    assert_eq!(problem["title"], ProblemCode::DnsWrongTarget.title());
    assert_eq!(problem["detail"], "it points at 192.0.2.1");
    assert_eq!(problem["fix"], ProblemCode::DnsWrongTarget.fix());
    assert_eq!(problem["next_attempt_at"], "2026-11-21T12:10:00Z");
    let list = bench.get("/v1/domains").token(&token).send().await.json();
    for (member, value) in list["data"][0].as_object().unwrap() {
        assert_eq!(&domain[member], value, "{member}");
    }

    bench.clock.advance(Duration::minutes(10));
    let order = bench.place_order(name, "token-1").await;
    let certificate = bench.issue(name, order).await;
    bench.deliver(target).await;
    let domain = bench.get(path).token(&token).send().await.json();
    assert_eq!(domain["status"], "active");
    assert_eq!(domain["certificate"]["id"], certificate.to_string());
    assert_eq!(domain["certificate"]["not_after"], "2027-02-19T12:10:00Z");
    assert_eq!(domain["certificate"]["renew_after"], "2027-01-20T12:10:00Z");
}
