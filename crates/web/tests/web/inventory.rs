//! Certificates, orders and sums over the API.

use certmill_model::ProblemCode;
use http::StatusCode;

use crate::support::{Bench, operator::Operator};

/// Two domains with certificates, of which one ends a day after the other; their ids, what ends soonest first.
async fn two_certificates(bench: &Bench, token: &str) -> [String; 2] {
    let mut ids = Vec::new();
    for name in ["first.brand.test", "second.brand.test"] {
        bench.register(token, name).await;
        let order = bench.place_order(name, name.split('.').next().unwrap()).await;
        ids.push(bench.issue(name, order).await.to_string());
        bench.clock.advance(time::Duration::days(1));
    }
    ids.try_into().unwrap()
}

#[tokio::test]
async fn certificates_are_read_page_by_page_and_one_by_one_without_their_keys() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let [first, second] = two_certificates(&bench, &token).await;
    let page = bench.get("/v1/certificates?limit=1&status=issued").token(&token).send().await.json();
    assert_eq!(page["data"][0]["id"], first.as_str(), "{page}");
    let cursor = page["next_cursor"].as_str().unwrap();
    let path = format!("/v1/certificates?limit=1&status=issued&cursor={cursor}");
    let page = bench.get(&path).token(&token).send().await.json();
    assert_eq!(
        (&page["data"][0]["id"], &page["next_cursor"]),
        (&second.as_str().into(), &().into()),
        "{page}"
    );
    let other = format!("/v1/certificates?limit=1&cursor={cursor}");
    assert_eq!(bench.get(&other).token(&token).send().await.code(), "invalid_cursor");

    for (query, found) in [
        ("domain=first.brand.test", vec![&first]),
        ("expires_after=2027-02-20T00:00:00Z", vec![&second]),
        ("expires_before=2027-02-20T00:00:00%2B00:00", vec![&first]),
        ("ca=https://ca.example/directory&key_type=rsa_2048", vec![]),
        ("ca=https://ca.example/directory", vec![&first, &second]),
        ("status=revoked", vec![]),
    ] {
        let page = bench.get(&format!("/v1/certificates?{query}")).token(&token).send().await.json();
        let ids: Vec<_> = page["data"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
        assert_eq!(ids, serde_json::json!(found).as_array().unwrap().clone(), "{query}: {page}");
    }
    let path = format!("/v1/certificates/{first}");
    let one = bench.get(&path).token(&token).send().await;
    assert_eq!(one.json()["fullchain"], "-----BEGIN CERTIFICATE-----", "{}", one.text);
    assert_eq!((&one.json()["served_by"], &one.json()["targets"]), (&0.into(), &().into()));
    let chain =
        bench.get(&path).token(&token).header("accept", "application/pem-certificate-chain").send().await;
    assert_eq!(chain.header("content-type"), "application/pem-certificate-chain");
    assert_eq!(chain.text, "-----BEGIN CERTIFICATE-----");
    for (query, status) in
        [("domain=nobody.brand.test", 404), ("domain=a_b", 400), ("expires_after=soon", 400)]
    {
        let refused = bench.get(&format!("/v1/certificates?{query}")).token(&token).send().await;
        assert_eq!(refused.status, status, "{query}: {}", refused.text);
    }
}

#[tokio::test]
async fn the_platform_sees_which_load_balancers_serve_a_certificate() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let target = bench.add_target("lb1").await;
    let [first, _] = two_certificates(&bench, &token).await;
    bench.deliver(target).await;
    let platform = bench.token(None).await;
    let path = format!("/v1/certificates/{first}");
    let seen = bench.get(&path).token(&platform).send().await.json();
    assert_eq!((&seen["served_by"], &seen["targets"][0]), (&1.into(), &"lb1".into()), "{seen}");
    let seen = bench.get(&path).token(&token).send().await.json();
    assert_eq!((&seen["served_by"], &seen["targets"]), (&1.into(), &().into()), "{seen}");
}

#[tokio::test]
async fn an_order_says_how_each_name_is_proved_and_only_the_platform_where_the_ca_keeps_it() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    bench.register(&token, "shop.brand.test").await;
    let order = bench.place_order("shop.brand.test", "challenge").await;
    bench.fail("shop.brand.test", ProblemCode::CaaForbids, "a CAA record", Some(order)).await;
    let path = format!("/v1/orders/{order}");
    let seen = bench.get(&path).token(&token).send().await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text);
    let seen = seen.json();
    assert_eq!(seen["names"][0], serde_json::json!({ "name": "shop.brand.test", "challenge": "http-01" }));
    assert_eq!((&seen["status"], &seen["url"]), (&"invalid".into(), &().into()));
    assert_eq!(seen["problem"], serde_json::json!({}));
    let platform = bench.token(None).await;
    let seen = bench.get(&path).token(&platform).send().await.json();
    assert_eq!(seen["url"], "https://ca.example/order/1");
    for (query, count) in [("domain=shop.brand.test", 1), ("status=valid", 0), ("status=invalid", 1)] {
        let page = bench.get(&format!("/v1/orders?{query}")).token(&token).send().await.json();
        assert_eq!(page["data"].as_array().unwrap().len(), count, "{query}: {page}");
    }
}

#[tokio::test]
async fn sums_are_of_what_a_caller_may_see() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let (_, other) = bench.tenant("Bella Casa").await;
    two_certificates(&bench, &token).await;
    bench.register(&other, "shop.other.test").await;
    bench.engine.sum_up(std::time::Duration::ZERO, bench.now()).await.unwrap();
    let seen = bench.get("/v1/stats").token(&token).send().await.json();
    let sum = |stats: &serde_json::Value| {
        stats["domains"].as_array().unwrap().iter().map(|one| one["count"].as_i64().unwrap()).sum::<i64>()
    };
    assert_eq!((sum(&seen), &seen["orders"], &seen["renewals"]), (2, &().into(), &().into()), "{seen}");
    let platform = bench.token(None).await;
    let seen = bench.get("/v1/stats").token(&platform).send().await.json();
    assert_eq!(sum(&seen), 3, "{seen}");
    assert_eq!(seen["orders"][0]["authority"], "https://ca.example/directory", "{seen}");
    let weeks = bench.get("/v1/stats/expiry?bucket=week").token(&token).send().await.json();
    assert_eq!(
        (&weeks["data"][0]["from"], &weeks["bucket"]),
        (&"2027-02-15".into(), &"week".into()),
        "{weeks}"
    );
    let refused = bench.get("/v1/stats/expiry?bucket=day").token(&token).send().await;
    assert_eq!(refused.code(), "invalid_query");
}

#[tokio::test]
async fn a_certificate_has_a_page_and_its_chain_is_a_file() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let [first, _] = two_certificates(&bench, &token).await;
    let operator = Operator::of(&bench).await;
    let path = format!("/certificates/{first}");
    for from in ["/certificates", "/domains/first.brand.test"] {
        assert!(operator.page(from).await.text.contains(&format!("href=\"{path}\"")), "{from} leads to it");
    }
    let page = operator.page(&path).await.text;
    let fingerprint = "07".repeat(32);
    for words in [
        "first.brand.test",
        "Issued, not served yet",
        "04a1b2c3d4e5f60718293a4b5c6d7e8f9012",
        "CN=Example Intermediate R3, O=Example CA",
        "ca.example",
        "Renewal",
        "No load balancer was seen to serve it.",
        "-----BEGIN CERTIFICATE-----",
        "/domains/first.brand.test#ord_",
        &fingerprint,
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("PRIVATE KEY"), "{page}");
    let order = page.split("first.brand.test#").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert!(operator.page("/domains/first.brand.test").await.text.contains(&format!("id=\"{order}\"")));

    let chain = bench.get(&format!("{path}/chain.pem")).cookie(&operator.cookie).send().await;
    assert_eq!(
        (chain.header("content-type"), chain.text.as_str()),
        ("application/pem-certificate-chain", "-----BEGIN CERTIFICATE-----")
    );
    assert_eq!(chain.header("content-disposition"), format!("attachment; filename=\"{first}.pem\""));
}
