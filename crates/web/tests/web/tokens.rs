//! `/v1/tokens`.

use certmill_model::Scope;
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Bench, exchange::Answer};

async fn make(bench: &Bench, token: &str, body: &Value) -> Answer {
    bench.post("/v1/tokens").token(token).json(body.to_string()).send().await
}

#[tokio::test]
async fn a_token_is_shown_once_and_does_what_its_scopes_say() {
    let bench = Bench::new().await;
    let (_, admin) = bench.tenant("Nordwind").await;
    let made =
        make(&bench, &admin, &json!({ "name": "shop backend", "scopes": ["domains:read"], "days": 7 })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let text = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(bench.get("/v1/domains").token(&text).send().await.status, StatusCode::OK);
    let refused = bench.put("/v1/domains/shop.example-shops.test").token(&text).send().await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "forbidden"));
    let read = bench.get(made.header("location")).token(&admin).send().await;
    assert_eq!(read.json()["last_used_at"], "2026-11-21T12:00:00Z");
    let list = bench.get("/v1/tokens").token(&admin).send().await;
    assert!(!list.text.contains(&text) && !read.text.contains(&text));
    bench.clock.advance(time::Duration::days(7));
    assert_eq!(bench.get("/v1/domains").token(&text).send().await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_revoked_token_opens_nothing_from_the_next_request_on() {
    let bench = Bench::new().await;
    let (_, admin) = bench.tenant("Nordwind").await;
    let made = make(&bench, &admin, &json!({ "name": "leaked", "scopes": ["admin"] })).await;
    let (path, text) = (made.header("location"), made.json()["token"].as_str().unwrap().to_owned());
    assert_eq!(bench.get("/v1/domains").token(&text).send().await.status, StatusCode::OK);
    for _ in 0..2 {
        assert_eq!(bench.delete(path).token(&admin).send().await.status, StatusCode::NO_CONTENT);
        assert_eq!(bench.get("/v1/domains").token(&text).send().await.status, StatusCode::UNAUTHORIZED);
    }
    let entries = bench.get("/v1/audit").token(&admin).send().await.json();
    let actions: Vec<_> = entries["data"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["token.revoked", "token.created"], "revoking again is no change");
    assert!(!entries.to_string().contains(&text));
}

#[tokio::test]
async fn what_a_token_cannot_be_is_named() {
    let bench = Bench::new().await;
    let (_, admin) = bench.tenant("Nordwind").await;
    for (body, pointer) in [
        (json!({ "name": "", "scopes": ["admin"] }), "/name"),
        (json!({ "name": "x", "scopes": [] }), "/scopes"),
        (json!({ "name": "x", "scopes": ["admin", "root"] }), "/scopes/1"),
        (json!({ "name": "x", "scopes": ["targets:read"] }), "/scopes/0"),
        (json!({ "name": "x", "scopes": ["admin", 1] }), "/scopes/1"),
        (json!({ "name": "x", "scopes": ["admin"], "days": 366 }), "/days"),
        (json!({ "name": "x", "scopes": ["admin"], "days": 0 }), "/days"),
        (json!({ "name": "x", "scopes": ["admin"], "days": 1.5 }), "/days"),
        (json!({ "name": "x", "scopes": ["admin"], "hash": "" }), "/hash"),
    ] {
        let answer = make(&bench, &admin, &body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["errors"][0]["pointer"]),
            (422, &json!(pointer)),
            "{body}"
        );
    }
    assert_eq!(
        bench.get("/v1/tokens").token(&admin).send().await.json()["data"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn tokens_are_made_and_seen_by_who_administers_alone() {
    let bench = Bench::new().await;
    let (ours, admin) = bench.tenant("Nordwind").await;
    let (_, theirs) = bench.tenant("Suedwind").await;
    let foreign = bench.get("/v1/tokens").token(&theirs).send().await.json()["data"][0]["id"].clone();
    let foreign = format!("/v1/tokens/{}", foreign.as_str().unwrap());
    assert_eq!(bench.get(&foreign).token(&admin).send().await.status, StatusCode::NOT_FOUND);
    assert_eq!(bench.delete(&foreign).token(&admin).send().await.status, StatusCode::NOT_FOUND);
    assert_eq!(bench.get("/v1/domains").token(&theirs).send().await.status, StatusCode::OK);
    for scope in Scope::ALL.iter().filter(|scope| **scope != Scope::Admin) {
        let token = bench.token_for(Some(ours), &[*scope]).await;
        assert_eq!(bench.get("/v1/tokens").token(&token).send().await.status, StatusCode::FORBIDDEN);
        let answer = make(&bench, &token, &json!({ "name": "x", "scopes": ["domains:read"] })).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{scope}");
    }
    let answer =
        make(&bench, &admin, &json!({ "name": "x", "scopes": ["admin"], "tenant": "Suedwind" })).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let platform = bench.token(None).await;
    let made =
        make(&bench, &platform, &json!({ "name": "x", "scopes": ["admin"], "tenant": "Nordwind" })).await;
    assert_eq!(made.json()["tenant"], ours.to_string());
    let made = make(&bench, &platform, &json!({ "name": "x", "scopes": ["targets:read"] })).await;
    assert_eq!((made.status, &made.json()["tenant"]), (StatusCode::CREATED, &Value::Null));
}
