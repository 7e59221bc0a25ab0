//! Pages, and cursors that were tampered with.

use http::StatusCode;
use serde_json::Value;

use crate::support::Bench;

async fn walk(bench: &Bench, token: &str, path: &str) -> Vec<Value> {
    let (mut seen, mut next) = (Vec::new(), format!("{path}?limit=2"));
    loop {
        let answer = bench.get(&next).token(token).send().await;
        let page = answer.json();
        seen.extend(page["data"].as_array().unwrap().iter().cloned());
        let Some(cursor) = page["next_cursor"].as_str() else { return seen };
        next = format!("{path}?limit=2&cursor={cursor}");
        assert_eq!(answer.header("link"), format!("<{next}>; rel=\"next\""));
    }
}

#[tokio::test]
async fn pages_show_every_domain_once_by_name() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    for name in ["d", "a", "c", "e", "b"] {
        bench.register(&token, &format!("{name}.example-shops.test")).await;
    }
    let seen = walk(&bench, &token, "/v1/domains").await;
    let names: Vec<_> = seen.iter().map(|domain| &domain["name"].as_str().unwrap()[..1]).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn pages_show_every_event_once_oldest_first() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let path = "/v1/domains/shop.example-shops.test";
    for number in 0..5 {
        bench.clock.advance(time::Duration::seconds(1));
        let body = format!("{{\"external_id\":\"{number}\"}}");
        bench.put(path).token(&token).json(body).send().await;
    }
    let seen = walk(&bench, &token, &format!("{path}/timeline")).await;
    let times: Vec<_> = seen.iter().map(|event| event["at"].as_str().unwrap()).collect();
    assert_eq!(times.len(), 5);
    assert!(times.is_sorted());
}

#[tokio::test]
async fn a_tampered_or_foreign_cursor_is_refused() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let (_, other) = bench.tenant("suedwind").await;
    for name in ["a.example-shops.test", "b.example-shops.test"] {
        bench.register(&token, name).await;
    }
    let page = bench.get("/v1/domains?limit=1").token(&token).send().await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(
        bench.get(&format!("/v1/domains?cursor={cursor}")).token(&token).send().await.status,
        StatusCode::OK
    );

    let foreign = bench.get(&format!("/v1/domains?cursor={cursor}")).token(&other).send().await;
    assert_eq!((foreign.status, foreign.code().as_str()), (StatusCode::BAD_REQUEST, "invalid_cursor"));
    let elsewhere = format!("/v1/domains/a.example-shops.test/timeline?cursor={cursor}");
    assert_eq!(bench.get(&elsewhere).token(&token).send().await.code(), "invalid_cursor");

    let swapped = if cursor.ends_with('A') { "B" } else { "A" };
    let altered = format!("{}{swapped}", &cursor[..cursor.len() - 1]);
    let long = "A".repeat(10_000);
    for bad in [&altered, &cursor[..10], "x", "%00", "AQ", "....", &long] {
        let answer = bench.get(&format!("/v1/domains?cursor={bad}")).token(&token).send().await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::BAD_REQUEST, "invalid_cursor"),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn a_limit_is_a_number_from_1_to_1000_and_nothing_else_is_asked() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    for bad in ["0", "-1", "1001", "1000000000", "x", "", "1.5", "%31%30%30%31"] {
        let answer = bench.get(&format!("/v1/domains?limit={bad}")).token(&token).send().await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::BAD_REQUEST, "invalid_limit"),
            "{bad}"
        );
    }
    for bad in ["limit=1&limit=2", "sort=size", "limit=1&offset=3", "limit=%ff"] {
        let answer = bench.get(&format!("/v1/domains?{bad}")).token(&token).send().await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}: {}", answer.text);
        answer.code();
    }
}
