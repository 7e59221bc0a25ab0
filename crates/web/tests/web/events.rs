//! The feed of events, page by page and as a stream.

use http::StatusCode;
use serde_json::Value;
use time::Duration;

use crate::support::Bench;

async fn read_all(bench: &Bench, token: &str, query: &str) -> Vec<Value> {
    let mut events = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/events?limit=2{query}{after}");
        let answer = bench.get(&path).token(token).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let page = answer.json();
        let data = page["data"].as_array().unwrap();
        if data.is_empty() {
            assert_eq!(answer.header("retry-after"), "5");
            return events;
        }
        events.extend(data.iter().cloned());
        after = format!("&after={}", page["next_after"].as_str().unwrap());
    }
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["data"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_feed_is_read_page_by_page_without_a_gap_and_each_sees_its_own() {
    let bench = Bench::new().await;
    let (tenant, token) = bench.tenant("nordwind").await;
    let (_, other) = bench.tenant("suedwind").await;
    for name in ["a.example-shops.test", "b.example-shops.test", "c.example-shops.test"] {
        bench.register(&token, name).await;
        bench.register(&other, &format!("x{name}")).await;
    }
    assert_eq!(read_all(&bench, &token, "").await, Vec::<Value>::new(), "nothing has its place yet");
    bench.place_events().await;

    let own = read_all(&bench, &token, "").await;
    assert_eq!(names(&own), ["a.example-shops.test", "b.example-shops.test", "c.example-shops.test"]);
    assert_eq!(own[0]["type"], "domain.created");
    assert_eq!(
        (&own[0]["data"]["tenant"], &own[0]["data"]["status"]),
        (&tenant.to_string().into(), &"pending_dns".into())
    );
    let platform = bench.token(None).await;
    assert_eq!(read_all(&bench, &platform, "").await.len(), 6);

    bench.delete("/v1/domains/b.example-shops.test").token(&token).send().await;
    bench.place_events().await;
    let deleted = read_all(&bench, &token, "&types=domain.deletion_requested,domain.failed").await;
    assert_eq!(names(&deleted), ["b.example-shops.test"]);
}

#[tokio::test]
async fn an_event_of_somebody_else_or_of_no_kind_is_no_place_to_begin() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let (_, other) = bench.tenant("suedwind").await;
    bench.register(&token, "a.example-shops.test").await;
    bench.place_events().await;
    let foreign = read_all(&bench, &token, "").await[0]["id"].as_str().unwrap().to_owned();

    let answer = bench.get(&format!("/v1/events?after={foreign}")).token(&other).send().await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, "event_not_found"));
    for query in ["after=nonsense", "after=", "types=nonsense", "types=", "cursor=x", "kind=x", "limit=0"] {
        let answer = bench.get(&format!("/v1/events?{query}")).token(&token).send().await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}: {}", answer.text);
    }
    let stream =
        bench.get("/v1/events/stream").header("last-event-id", "nonsense").token(&token).send().await;
    assert_eq!((stream.status, stream.code().as_str()), (StatusCode::BAD_REQUEST, "invalid_event_id"));
}

#[tokio::test]
async fn a_stream_hears_what_happens_and_goes_on_where_it_was() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let (_, other) = bench.tenant("suedwind").await;
    let mut stream = bench.follow(&token, "/v1/events/stream", None).await;
    bench.register(&other, "foreign.example-shops.test").await;
    bench.register(&token, "a.example-shops.test").await;
    bench.place_events().await;
    let first = stream.next().await.unwrap();
    assert_eq!(
        (first.kind.as_str(), &first.data["data"]["name"]),
        ("domain.created", &"a.example-shops.test".into())
    );
    assert_eq!(first.data["id"], first.id.as_str());
    assert_eq!(read_all(&bench, &token, "").await[0], first.data, "the same JSON as in the feed");
    drop(stream);

    for name in ["b.example-shops.test", "c.example-shops.test"] {
        bench.register(&token, name).await;
    }
    bench.place_events().await;
    let mut stream = bench.follow(&token, "/v1/events/stream", Some(&first.id)).await;
    for name in ["b.example-shops.test", "c.example-shops.test"] {
        assert_eq!(stream.next().await.unwrap().data["data"]["name"], name);
    }
}

#[tokio::test]
async fn a_stream_of_a_domain_is_about_nothing_else() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    for name in ["a.example-shops.test", "b.example-shops.test"] {
        bench.register(&token, name).await;
    }
    let mut stream = bench.follow(&token, "/v1/domains/b.example-shops.test/stream", None).await;
    bench.place_events().await;
    bench.clock.advance(Duration::seconds(1));
    for name in ["a.example-shops.test", "b.example-shops.test"] {
        bench.delete(&format!("/v1/domains/{name}")).token(&token).send().await;
    }
    bench.place_events().await;
    let kinds = [stream.next().await.unwrap(), stream.next().await.unwrap()].map(|sent| sent.kind);
    assert_eq!(kinds, ["domain.created", "domain.deletion_requested"]);
}

#[tokio::test]
async fn a_stream_ends_with_the_token_that_opened_it_and_with_the_server() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let mut stream = bench.follow(&token, "/v1/events/stream", None).await;
    bench.clock.advance(Duration::days(91));
    let (_, other) = bench.tenant("nordwind").await;
    bench.register(&other, "a.example-shops.test").await;
    bench.place_events().await;
    assert!(stream.next().await.is_none(), "an expired token reads nothing more");

    let mut stream = bench.follow(&other, "/v1/events/stream", None).await;
    bench.state.end_streams();
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_stream_that_nothing_matches_ends_with_its_token_too() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let mut stream = bench.follow(&token, "/v1/events/stream?types=domain.moved", None).await;
    bench.clock.advance(Duration::days(91));
    let (_, other) = bench.tenant("suedwind").await;
    bench.register(&other, "a.example-shops.test").await;
    bench.place_events().await;
    assert!(stream.next().await.is_none(), "somebody else's event");

    let mut stream = bench.follow(&other, "/v1/events/stream", None).await;
    for name in ["b.example-shops.test", "c.example-shops.test"] {
        bench.register(&other, name).await;
        bench.place_events().await;
        assert_eq!(stream.next().await.unwrap().data["data"]["name"], name);
    }
    // It waits for the next one.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    bench.clock.advance(Duration::days(91));
    tokio::time::pause();
    tokio::time::advance(Duration::seconds(61).unsigned_abs()).await;
    tokio::time::resume();
    assert!(stream.next().await.is_none(), "nothing happens at all");
}
