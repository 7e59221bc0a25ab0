//! Filters of the list of domains, as programs ask for them.

use http::StatusCode;

use crate::support::Bench;

async fn names(bench: &Bench, token: &str, query: &str) -> Vec<String> {
    let answer = bench.get(&format!("/v1/domains?{query}")).token(token).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.json());
    let page = answer.json();
    let data = page["data"].as_array().unwrap();
    data.iter().map(|domain| domain["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn domains_are_found_by_letters_and_by_what_was_put_with_them() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let body = r#"{"external_id": "Shop 1", "tags": ["eu", "beta"], "metadata": {"plan": "gold"}}"#;
    let put = bench.put("/v1/domains/shoes.example-shops.test").token(&token).json(body).send().await.json();
    assert_eq!((&put["tags"][0], &put["metadata"]["plan"]), (&"beta".into(), &"gold".into()));
    bench.register(&token, "hats.example-shops.test").await;
    bench.register(&token, "bücher.example-shops.test").await;
    for query in [
        "q=hoes",
        "q=sh",
        "q=Shop%201",
        "tag=eu",
        "external_id=Shop%201",
        "name_prefix=shoe",
        "q=shoos.example-shops.test",
    ] {
        assert_eq!(names(&bench, &token, query).await[0], "shoes.example-shops.test", "{query}");
    }
    assert_eq!(names(&bench, &token, "q=b%C3%BCcher").await, ["xn--bcher-kva.example-shops.test"]);
    assert_eq!(names(&bench, &token, "name_suffix=shops.test&status=pending_dns").await.len(), 3);
    assert!(names(&bench, &token, "updated_since=2090-01-01T00:00:00Z").await.is_empty());
    assert!(names(&bench, &token, "q=%00%25_%5C").await.is_empty());
    let counted = bench.get("/v1/domains?count=capped&limit=1").token(&token).send().await.json();
    assert_eq!((&counted["count"]["at_least"], &counted["count"]["is_exact"]), (&3.into(), &true.into()));
}

#[tokio::test]
async fn a_filter_that_makes_no_sense_is_refused_by_its_name() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    for (query, word) in [
        ("status=Active", "status"),
        ("status=deleted", "status"),
        ("health=bad", "health"),
        ("problem=nothing", "problem"),
        ("tenant=me", "tenant"),
        ("sort=size", "sort"),
        ("count=all", "count"),
        ("updated_since=", "updated_since"),
        ("expires_before=tomorrow", "expires_before"),
        // In UTC it has a year that cannot be written.
        ("expires_before=9999-12-31T23:59:59-01:00", "expires_before"),
        ("updated_since=-7537-01-01T00:00:00Z", "updated_since"),
        ("name_prefix=a_b", "name_prefix"),
        ("colour=red", "colour"),
        ("q=a&q=b", "q"),
    ] {
        let answer = bench.get(&format!("/v1/domains?{query}")).token(&token).send().await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        let problem = answer.json();
        assert_eq!(problem["code"], "invalid_query", "{query}");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{query}: {problem}");
    }
}

#[tokio::test]
async fn a_cursor_of_one_filter_serves_no_other() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    for name in ["a.example-shops.test", "b.example-shops.test"] {
        bench.register(&token, name).await;
    }
    let page = bench.get("/v1/domains?q=example&limit=1").token(&token).send().await;
    let cursor = page.json()["next_cursor"].as_str().unwrap().to_owned();
    let next = format!("/v1/domains?q=example&limit=1&cursor={cursor}");
    assert_eq!(page.header("link"), format!("<{next}>; rel=\"next\""));
    assert_eq!(bench.get(&next).token(&token).send().await.json()["data"][0]["name"], "b.example-shops.test");
    for other in ["/v1/domains?", "/v1/domains?q=exam&", "/v1/domains?q=example&sort=updated_at&"] {
        let answer = bench.get(&format!("{other}cursor={cursor}")).token(&token).send().await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{other}");
    }
}
