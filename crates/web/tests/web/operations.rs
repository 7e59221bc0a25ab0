//! Many lines in one request, and what comes of them.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};
use http::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::support::{Bench, exchange::Answer};

impl Bench {
    /// Has the engine work on all that is there.
    pub(crate) async fn work_off(&self) {
        while let Some(lease) = self.engine.claim_operation(self.now()).await.unwrap() {
            while self.engine.work_on_operation(&lease, &self.chance, self.now()).await.unwrap() {}
        }
    }

    async fn upload(&self, token: &str, body: impl Into<Body>) -> Answer {
        let call = self.post("/v1/bulk").token(token).header("content-type", "application/x-ndjson");
        call.body(body).send().await
    }
}

fn results(answer: &Answer) -> Vec<Value> {
    answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn each_line_has_its_result_and_a_bad_one_harms_no_other() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let long = format!(r#"{{"op":"put","name":"{}.brand.test"}}"#, "x".repeat(20_000));
    let mut body = br#"{"op":"put","name":"a.brand.test","ref":"row-1","external_id":"7"}
{"op":"put","name":"localhost"}

{"op":"put","name":"b.brand.test"

"#
    .to_vec();
    body.extend_from_slice(b"\xff\xfe\n");
    body.extend_from_slice(long.as_bytes());
    body.extend_from_slice(b"\r\n{\"op\":\"patch\",\"name\":\"a.brand.test\",\"tags\":[\"eu\"]}\n{\"op\":\"put\",\"name\":\"c.brand.test\",\"template\":\"none\"}");
    let answer = bench.upload(&token, body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    let place = answer.header("location").to_owned();
    assert_eq!(answer.json()["progress"], json!({ "total": 7, "done": 5, "failed": 5 }));
    bench.work_off().await;
    let ended = bench.get(&place).token(&token).send().await.json();
    assert_eq!((&ended["status"], &ended["progress"]["done"]), (&"succeeded".into(), &7.into()), "{ended}");

    let all = bench.get(&format!("{place}/results")).token(&token).send().await;
    assert_eq!(all.header("content-type"), "application/x-ndjson");
    let all = results(&all);
    let seen: Vec<_> = all
        .iter()
        .map(|one| {
            (one["line"].as_i64().unwrap(), one["status"].as_i64().unwrap(), one["problem"]["code"].as_str())
        })
        .collect();
    assert_eq!(
        seen,
        [
            (1, 201, None),
            (2, 422, Some("name_single_label")),
            (4, 422, Some("invalid_line")),
            (6, 422, Some("invalid_line")),
            (7, 422, Some("line_too_long")),
            (8, 200, None),
            (9, 422, Some("unknown_template")),
        ]
    );
    assert_eq!((&all[0]["ref"], all[0]["id"].as_str().map(|id| &id[..4])), (&"row-1".into(), Some("dom_")));
    let failed = bench.get(&format!("{place}/results?failed=true&after=4")).token(&token).send().await;
    assert_eq!(results(&failed).len(), 3);
    let domain = bench.get("/v1/domains/a.brand.test").token(&token).send().await.json();
    assert_eq!((&domain["external_id"], &domain["tags"]), (&"7".into(), &json!(["eu"])));
    let audit = bench.get("/v1/audit?action=operation.created").token(&token).send().await.json();
    assert_eq!(audit["data"][0]["detail"]["lines"], 7, "{audit}");
}

#[tokio::test]
async fn what_is_no_list_of_lines_is_refused_and_nothing_of_it_done() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    assert_eq!(bench.upload(&token, "").await.code(), "no_lines");
    assert_eq!(bench.upload(&token, "\n\n").await.code(), "no_lines");
    let call = bench.post("/v1/bulk").token(&token).json(r#"{"op":"put","name":"a.brand.test"}"#);
    assert_eq!(call.send().await.code(), "unsupported_media_type");
    let call = bench.post("/v1/bulk?title=").token(&token).header("content-type", "application/x-ndjson");
    assert_eq!(call.body("{}").send().await.code(), "invalid_query");
    let platform = bench.token(None).await;
    assert_eq!(bench.upload(&platform, "{}").await.code(), "tenant_missing");

    // A body that breaks off: what came of it is not worked on.
    let parts = [
        Ok(Bytes::from_static(b"{\"op\":\"put\",\"name\":\"a.brand.test\"}\n")),
        Err(std::io::Error::other("the connection is gone")),
    ];
    let cut = bench.upload(&token, Body::from_stream(stream::iter(parts))).await;
    assert_eq!(cut.code(), "body_cut_off");
    bench.work_off().await;
    assert_eq!(bench.get("/v1/domains").token(&token).send().await.json()["data"], json!([]));
    let operations = bench.get("/v1/operations").token(&token).send().await.json();
    for operation in operations["data"].as_array().unwrap() {
        assert_eq!(operation["status"], "cancelled", "{operation}");
    }
}

#[tokio::test]
async fn a_tenant_has_ten_operations_under_way_at_most() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let line = r#"{"op":"put","name":"a.brand.test"}"#;
    let mut last = String::new();
    for _ in 0..10 {
        last = bench.bulk(&token, &[line]).await;
    }
    let refused = bench.upload(&token, line).await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::TOO_MANY_REQUESTS, "too_many_operations".into())
    );
    assert_eq!(refused.json()["retry_after"], 30);
    bench.post(&format!("/v1/operations/{last}/cancel")).token(&token).send().await;
    bench.work_off().await;
    assert_eq!(bench.upload(&token, line).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn what_a_tenant_has_no_room_for_is_refused_and_cancelled() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let line = r#"{"op":"put","name":"a.brand.test"}"#;
    bench.bulk(&token, &[line]).await;
    let mut connection = PgConnection::connect(&bench.database).await.unwrap();
    sqlx::query("UPDATE operations SET total = 5000000").execute(&mut connection).await.unwrap();
    let refused = bench.upload(&token, line).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::TOO_MANY_REQUESTS, "too_many_results".into()));
    assert_eq!(refused.json()["retry_after"], 3_600);
    let newest = bench.get("/v1/operations?limit=1").token(&token).send().await.json();
    assert_eq!(newest["data"][0]["status"], "cancelled", "{newest}");
}

#[tokio::test]
async fn an_operation_is_cancelled_once() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let id = bench.bulk(&token, &[r#"{"op":"put","name":"a.brand.test"}"#]).await;
    let path = format!("/v1/operations/{id}/cancel");
    let cancelled = bench.post(&path).token(&token).send().await;
    assert_eq!(
        (cancelled.status, &cancelled.json()["cancel_requested"]),
        (StatusCode::ACCEPTED, &true.into())
    );
    bench.work_off().await;
    let ended = bench.get(&format!("/v1/operations/{id}")).token(&token).send().await.json();
    assert_eq!((&ended["status"], &ended["progress"]["done"]), (&"cancelled".into(), &0.into()));
    assert_eq!(bench.post(&path).token(&token).send().await.code(), "operation_ended");
    let left = bench.get(&format!("/v1/operations/{id}/results")).token(&token).send().await;
    assert_eq!(results(&left)[0]["status"], Value::Null);
}

#[tokio::test]
async fn a_stream_tells_how_far_it_is_until_it_has_ended() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let id = bench.bulk(&token, &[r#"{"op":"put","name":"a.brand.test"}"#]).await;
    let mut stream = bench.open(&token, &format!("/v1/operations/{id}/stream"), None).await;
    let first = stream.next().await.unwrap();
    assert_eq!((first.kind.as_str(), &first.data["status"]), ("progress", &"queued".into()));
    bench.clock.advance(time::Duration::seconds(1));
    bench.work_off().await;
    let mut last = stream.next().await.unwrap();
    while let Some(next) = stream.next().await {
        last = next;
    }
    assert_eq!(last.data["status"], "succeeded");
}

#[tokio::test]
async fn an_upload_may_take_longer_than_other_requests() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let parts = stream::iter([Duration::ZERO, Duration::from_secs(11)]).then(|pause| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, std::io::Error>(Bytes::from_static(b"{\"op\":\"check\",\"name\":\"a.brand.test\"}\n"))
    });
    let answer = bench.upload(&token, Body::from_stream(parts)).await;
    assert_eq!((answer.status, &answer.json()["progress"]["total"]), (StatusCode::ACCEPTED, &2.into()));
}
