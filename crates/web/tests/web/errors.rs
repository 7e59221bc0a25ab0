//! Every error has the one form, whoever made it.

use http::{Method, StatusCode};

use crate::support::{Bench, exchange::Call};

#[tokio::test]
async fn an_unknown_address_and_a_wrong_method_are_problems_too() {
    let bench = Bench::new().await;
    let nowhere = bench.get("/v1/nowhere").send().await;
    assert_eq!((nowhere.status, nowhere.code().as_str()), (StatusCode::NOT_FOUND, "not_found"));
    let post = Call::new(&bench.router, Method::POST, "/v1/domains/a.example").send().await;
    assert_eq!((post.status, post.code().as_str()), (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"));
    assert!(post.header("allow").contains("PUT"), "{}", post.header("allow"));
}

#[tokio::test]
async fn people_see_a_page_where_programs_see_json() {
    let bench = Bench::new().await;
    let page = bench.get("/nowhere").header("accept", "text/html,*/*").send().await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (StatusCode::NOT_FOUND, "text/html; charset=utf-8")
    );
    assert!(page.text.contains("Not found") && page.text.contains(page.header("x-request-id")));
    let json = bench.get("/v1/nowhere").header("accept", "text/html").send().await;
    assert_eq!(json.code(), "not_found");
}

#[tokio::test]
async fn a_request_id_is_taken_over_when_it_is_a_plain_word() {
    let bench = Bench::new().await;
    let given = bench.get("/livez").header("x-request-id", "order-4711.a_B").send().await;
    assert_eq!(given.header("x-request-id"), "order-4711.a_B");
    for odd in ["", "a b", "a\tb", "<b>", &"x".repeat(65)] {
        let made = bench.get("/livez").header("x-request-id", odd).send().await;
        assert!(made.header("x-request-id").starts_with("req_"), "{odd}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_guard_browsers() {
    let bench = Bench::at("https://certmill.example.com").await;
    for path in ["/", "/livez", "/v1/domains", "/nowhere", "/.well-known/acme-challenge/x"] {
        let answer = bench.get(path).send().await;
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert!(!answer.header("content-security-policy").contains("unsafe"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
        assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn the_release_is_told() {
    let bench = Bench::new().await;
    let version = bench.get("/version").send().await.json();
    assert_eq!(
        (version["name"].as_str(), version["version"].as_str()),
        (Some("certmill"), Some(env!("CARGO_PKG_VERSION")))
    );
}
