//! Webhook endpoints, over the API and on their pages.

use certmill_model::Scope;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use time::Duration;

use crate::support::{
    Bench,
    exchange::{Answer, Call},
    operator::Operator,
};

const PATH: &str = "/v1/webhook-endpoints";

async fn send(bench: &Bench, method: Method, path: &str, token: &str, body: Value) -> Answer {
    let call = Call::new(&bench.router, method, path).token(token);
    if body.is_null() { call.send().await } else { call.json(body.to_string()).send().await }
}

async fn added(bench: &Bench, token: &str) -> Value {
    let body = json!({ "url": "https://hooks.example.com/x", "description": "backend" });
    let made = send(bench, Method::POST, PATH, token, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    made.json()
}

#[tokio::test]
async fn an_endpoint_is_added_with_a_secret_that_is_shown_once() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let made = added(&bench, &token).await;
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"), "{made}");
    assert_eq!(made["types"], Value::Null);
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    let read = send(&bench, Method::GET, &path, &token, Value::Null).await;
    assert!(
        !read.text.contains("whsec_") && read.json()["url"] == "https://hooks.example.com/x",
        "{}",
        read.text
    );

    let rotated =
        send(&bench, Method::POST, &format!("{path}/rotate-secret"), &token, Value::Null).await.json();
    assert!(rotated["secret"] != made["secret"] && rotated["previous_secret_until"].is_string(), "{rotated}");
}

#[tokio::test]
async fn an_endpoint_is_changed_only_at_the_version_that_was_read() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let path = format!("{PATH}/{}", added(&bench, &token).await["id"].as_str().unwrap());
    let etag = send(&bench, Method::GET, &path, &token, Value::Null).await.header("etag").to_owned();
    let change = |etag: &str, body: Value| {
        let call = Call::new(&bench.router, Method::PATCH, &path).token(&token).header("if-match", etag);
        call.json(body.to_string()).send()
    };
    let first = change(&etag, json!({ "types": ["domain.active"], "disabled": true })).await;
    assert_eq!(
        (first.status, &first.json()["types"]),
        (StatusCode::OK, &json!(["domain.active"])),
        "{}",
        first.text
    );
    assert!(first.json()["disabled_at"].is_string());
    let second = change(&etag, json!({ "types": null })).await;
    assert_eq!(second.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(
        send(&bench, Method::POST, &format!("{path}/test"), &token, Value::Null).await.code(),
        "webhook_disabled"
    );
    let on = send(&bench, Method::PATCH, &path, &token, json!({ "types": null, "disabled": false })).await;
    assert_eq!((&on.json()["types"], &on.json()["disabled_at"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_test_is_listed_and_can_be_sent_again() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let (_, other) = bench.tenant("Bella Casa").await;
    let path = format!("{PATH}/{}", added(&bench, &token).await["id"].as_str().unwrap());
    let tested = send(&bench, Method::POST, &format!("{path}/test"), &token, Value::Null).await;
    assert_eq!(tested.status, StatusCode::ACCEPTED, "{}", tested.text);
    let listed = send(&bench, Method::GET, &format!("{path}/deliveries"), &token, Value::Null).await.json();
    assert_eq!(
        (&listed["data"][0]["type"], &listed["data"][0]["status"]),
        (&json!("webhook.test"), &json!("pending"))
    );
    let retry = format!("/v1/webhook-deliveries/{}/retry", tested.json()["delivery"].as_str().unwrap());
    assert_eq!(send(&bench, Method::POST, &retry, &other, Value::Null).await.status, StatusCode::NOT_FOUND);
    assert_eq!(send(&bench, Method::POST, &retry, &token, Value::Null).await.status, StatusCode::ACCEPTED);
    let off = send(&bench, Method::PATCH, &path, &token, json!({ "disabled": true })).await;
    assert_eq!(off.status, StatusCode::OK, "{}", off.text);
    assert_eq!(send(&bench, Method::POST, &retry, &other, Value::Null).await.code(), "not_found");
    assert_eq!(send(&bench, Method::POST, &retry, &token, Value::Null).await.code(), "webhook_disabled");
    send(&bench, Method::PATCH, &path, &token, json!({ "disabled": false })).await;
    let replay = json!({ "from": "2026-11-20T00:00:00Z" });
    let replay = send(&bench, Method::POST, &format!("{path}/replay"), &token, replay).await;
    assert_eq!(replay.status, StatusCode::ACCEPTED, "{}", replay.text);
}

#[tokio::test]
async fn a_replay_is_noted_at_once_and_the_next_one_a_minute_later() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let path = format!("{PATH}/{}/replay", added(&bench, &token).await["id"].as_str().unwrap());
    let from = json!({ "from": "2026-11-20T00:00:00Z" });
    let first = send(&bench, Method::POST, &path, &token, from.clone()).await;
    assert_eq!((first.status, &first.json()["replaying"]), (StatusCode::ACCEPTED, &json!(true)));
    bench.clock.advance(Duration::seconds(59));
    let soon = send(&bench, Method::POST, &path, &token, from.clone()).await;
    assert_eq!(
        (soon.status, soon.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "replayed_just_now"),
        "{}",
        soon.text
    );
    assert_eq!(soon.header("retry-after"), "2");
    bench.clock.advance(Duration::seconds(2));
    let next = send(&bench, Method::POST, &path, &token, from).await;
    assert_eq!(next.status, StatusCode::ACCEPTED, "{}", next.text);
}

#[tokio::test]
async fn what_webhooks_cannot_be_sent_to_is_refused_with_its_place() {
    let bench = Bench::new().await;
    let token = bench.token_for(None, &[Scope::WebhooksWrite]).await;
    for url in [
        "https://10.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest",
        "https://8.8.8.8:8443/",
        "http://8.8.8.8/",
        "https://user:pass@hooks.example.com/",
        "ftp://hooks.example.com/",
        "",
    ] {
        let body = json!({ "url": url, "description": "x" });
        let refused = send(&bench, Method::POST, PATH, &token, body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{url}: {}", refused.text);
        assert_eq!(refused.json()["errors"][0]["pointer"], "/url", "{url}: {}", refused.text);
    }
    let body = json!({ "url": "https://hooks.example.com/", "description": "x", "types": ["domain.active", "nonsense"] });
    let refused = send(&bench, Method::POST, PATH, &token, body).await;
    assert_eq!(
        (refused.status, &refused.json()["errors"][0]["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/types/1"))
    );
}

#[tokio::test]
async fn operators_add_test_and_remove_an_endpoint_on_its_pages() {
    let bench = Bench::new().await;
    let operator = Operator::of(&bench).await;
    let refused = operator.send("/webhooks", &[("url", "http://10.0.0.1/"), ("description", "x")]).await;
    assert!(
        refused.status == StatusCode::UNPROCESSABLE_ENTITY
            && refused.text.contains("value=\"http://10.0.0.1/\"")
    );
    let form = [
        ("url", "https://hooks.example.com/x"),
        ("description", "<b>"),
        ("types", "domain.active, domain.moved"),
    ];
    let made = operator.send("/webhooks", &form).await;
    assert!(made.status == StatusCode::OK && made.text.contains("whsec_"), "{}", made.text);
    let (_, rest) = made.text.split_once("class=\"button main\" href=\"").unwrap();
    let path = rest.split('"').next().unwrap().to_owned();
    assert_eq!(operator.send(&format!("{path}/test"), &[]).await.header("location"), path);
    let page = operator.page(&path).await.text;
    assert!(
        page.contains("webhook.test") && page.contains("&#60;b&#62;") && !page.contains("whsec_"),
        "{page}"
    );
    let off = [("url", "https://hooks.example.com/x"), ("description", "hook"), ("disabled", "on")];
    assert_eq!(operator.fill(&path, &path, &off).await.header("location"), path);
    let late = operator.send(&path, &[("url", "https://hooks.example.com/x"), ("revision", "1")]).await;
    assert!(late.status == StatusCode::CONFLICT && late.text.contains("changed meanwhile"), "{}", late.text);
    assert!(operator.page("/webhooks").await.text.contains("everything but routine"));
    assert_eq!(operator.send(&format!("{path}/remove"), &[]).await.header("location"), "/webhooks");
    assert!(operator.page("/webhooks").await.text.contains("Add the first endpoint"));
}
