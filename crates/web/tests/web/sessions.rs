//! In and out of the dashboard.

use http::StatusCode;
use time::Duration;

use crate::support::{Bench, exchange::Call};

async fn log_in(bench: &Bench) -> String {
    let answer = bench.post(&bench.login_path().await).send().await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/"), "{}", answer.text);
    answer.set_cookie()
}

async fn is_in(bench: &Bench, cookie: &str) -> bool {
    let answer = bench.get("/").cookie(cookie).send().await;
    assert!(matches!(answer.status, StatusCode::OK | StatusCode::SEE_OTHER), "{}", answer.text);
    answer.status == StatusCode::OK
}

#[tokio::test]
async fn without_a_session_a_page_leads_to_the_log_in_and_back() {
    let bench = Bench::new().await;
    for (path, to) in [("/", "/login"), ("/domains/a.test?x=1", "/login?next=%2Fdomains%2Fa%2Etest%3Fx%3D1")]
    {
        let answer = bench.get(path).send().await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, to));
    }
    let page = bench.get("/login?next=%2Fdomains").send().await;
    assert!(
        page.text.contains("certmill login-link") && page.text.contains("value=\"/domains\""),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn a_login_link_survives_being_looked_at_and_works_once() {
    let bench = Bench::new().await;
    let path = bench.login_path().await;
    for _ in 0..3 {
        let page = bench.get(&path).send().await;
        assert!(page.status == StatusCode::OK && page.text.contains("<button"));
        assert_eq!(page.header("set-cookie"), "");
    }
    let first = bench.post(&path).send().await;
    assert_eq!(first.status, StatusCode::SEE_OTHER);
    let attributes = first.header("set-cookie");
    assert!(
        attributes.contains("; HttpOnly; SameSite=Lax") && attributes.contains("; Path=/"),
        "{attributes}"
    );
    assert!(is_in(&bench, &first.set_cookie()).await);
    let second = bench.post(&path).send().await;
    assert_eq!((second.status, second.header("set-cookie")), (StatusCode::GONE, ""));
}

#[tokio::test]
async fn a_login_link_expires_and_an_unknown_one_opens_nothing() {
    let bench = Bench::new().await;
    let path = bench.login_path().await;
    bench.clock.advance(Duration::minutes(10));
    assert_eq!(bench.post(&path).send().await.status, StatusCode::GONE);
    let unknown = format!("/login/{}", certmill_vault::ApiToken::generate().expose());
    for path in [unknown.as_str(), "/login/x", "/login/%00"] {
        assert_eq!(bench.post(path).send().await.status, StatusCode::GONE, "{path}");
    }
}

#[tokio::test]
async fn a_session_ends_after_30_minutes_without_use() {
    let bench = Bench::new().await;
    let cookie = log_in(&bench).await;
    for _ in 0..3 {
        bench.clock.advance(Duration::minutes(29));
        assert!(is_in(&bench, &cookie).await);
    }
    bench.clock.advance(Duration::minutes(30));
    assert!(!is_in(&bench, &cookie).await);
}

#[tokio::test]
async fn a_session_ends_after_12_hours_however_much_it_is_used() {
    let bench = Bench::new().await;
    let cookie = log_in(&bench).await;
    for _ in 0..25 {
        bench.clock.advance(Duration::minutes(28));
        assert!(is_in(&bench, &cookie).await);
    }
    bench.clock.advance(Duration::minutes(20));
    assert!(!is_in(&bench, &cookie).await);
}

#[tokio::test]
async fn logging_out_ends_the_session() {
    let bench = Bench::new().await;
    let cookie = log_in(&bench).await;
    let csrf = bench.get("/").cookie(&cookie).send().await.csrf().to_owned();
    let without = bench.post("/logout").cookie(&cookie).send().await;
    assert_eq!(without.status, StatusCode::FORBIDDEN);
    assert!(is_in(&bench, &cookie).await);
    let answer = bench.post("/logout").cookie(&cookie).form(&[("csrf", &csrf)]).send().await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(
        answer.header("set-cookie").starts_with("certmill=; ")
            && answer.header("set-cookie").contains("Max-Age=0")
    );
    assert!(!is_in(&bench, &cookie).await);
}

#[tokio::test]
async fn another_sites_form_does_nothing() {
    let bench = Bench::at("https://certmill.example.com").await;
    let path = bench.login_path().await;
    let foreign = bench.post(&path).header("origin", "https://evil.example").send().await;
    // Two Origin headers, ours first: only a broken client sends that, and the first one counts.
    assert_eq!(foreign.status, StatusCode::SEE_OTHER);
    let call = || Call::new(&bench.router, http::Method::POST, &path);
    for answer in [call().header("origin", "https://evil.example").send().await, call().send().await] {
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "foreign_form"));
    }
}

#[tokio::test]
async fn api_tokens_open_no_page_and_sessions_open_no_api() {
    let bench = Bench::new().await;
    let platform = bench.token(None).await;
    assert_eq!(bench.get("/").token(&platform).send().await.status, StatusCode::SEE_OTHER);
    assert!(!is_in(&bench, &format!("certmill={platform}")).await);
    let cookie = log_in(&bench).await;
    assert_eq!(bench.get("/v1/domains").cookie(&cookie).send().await.status, StatusCode::UNAUTHORIZED);
    let (_, session) = cookie.split_once('=').unwrap();
    assert_eq!(bench.get("/v1/domains").token(session).send().await.status, StatusCode::UNAUTHORIZED);
}
