//! Requests that are sent again under their key, errors that say when to come again, and secrets that are changed at once.

use certmill_model::TokenId;
use certmill_store::{Actor, AuditEntry, KeyedRequest, Reach, Repeated, StoreError};
use http::StatusCode;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use time::Duration;

use crate::support::{Bench, exchange::Answer};

impl Bench {
    async fn keyed(&self, token: &str, key: &str, path: &str, body: &str) -> Answer {
        self.post(path).token(token).header("idempotency-key", key).json(body.to_owned()).send().await
    }
}

impl Bench {
    /// Has every answer be lost, as if certmill were killed before it keeps one.
    async fn lose_answers(&self) {
        let mut connection = PgConnection::connect(&self.database).await.unwrap();
        for statement in [
            "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "CREATE TRIGGER lose BEFORE UPDATE ON idempotency_keys FOR EACH ROW
             WHEN (NEW.sealed_answer IS NOT NULL) EXECUTE FUNCTION lose()",
        ] {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        }
    }
}

const WEBHOOK: &str = r#"{"url":"https://hooks.example.com/","description":"x"}"#;

#[tokio::test]
async fn the_same_request_under_its_key_is_done_once_and_answered_alike() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let path = "/v1/webhook-endpoints";
    let first = bench.keyed(&token, "one", path, WEBHOOK).await;
    assert_eq!(
        (first.status, first.header("idempotent-replayed")),
        (StatusCode::CREATED, ""),
        "{}",
        first.text
    );
    let again = bench.keyed(&token, "one", path, WEBHOOK).await;
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert!(again.json()["secret"].as_str().unwrap().starts_with("whsec_"), "{}", again.text);
    let listed = bench.get(path).token(&token).send().await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");

    let other =
        bench.keyed(&token, "one", path, r#"{"url":"https://hooks.example.com/2","description":"x"}"#).await;
    assert_eq!(
        (other.status, other.code().as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused")
    );
    let elsewhere = bench.keyed(&token, "one", "/v1/domains", r#"{"name":"a.brand.test"}"#).await;
    assert_eq!(elsewhere.code(), "idempotency_key_reused");
    // Another token's keys have nothing to do with it.
    let (_, stranger) = bench.tenant("Bella Casa").await;
    let theirs = bench.keyed(&stranger, "one", path, WEBHOOK).await;
    assert_ne!(theirs.json()["id"], first.json()["id"]);

    bench.clock.advance(Duration::hours(25));
    let anew = bench.keyed(&token, "one", path, WEBHOOK).await;
    assert_ne!(anew.json()["id"], first.json()["id"], "it is forgotten after a day");
}

#[tokio::test]
async fn nothing_that_is_kept_shows_a_secret() {
    let bench = Bench::new().await;
    let (tenant, token) = bench.tenant("Nordwind").await;
    let made = bench.keyed(&token, "one", "/v1/webhook-endpoints", WEBHOOK).await;
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    let mut connection = PgConnection::connect(&bench.database).await.unwrap();
    let kept: Vec<u8> = sqlx::query_scalar("SELECT sealed_answer FROM idempotency_keys WHERE tenant_id = $1")
        .bind(tenant.uuid())
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(kept.len() > secret.len());
    assert!(!kept.windows(secret.len()).any(|part| part == secret.as_bytes()));
}

#[tokio::test]
async fn what_was_refused_may_be_sent_again_under_its_key() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let path = "/v1/domains/a.brand.test/pause";
    assert_eq!(bench.keyed(&token, "one", path, "").await.code(), "domain_not_found");
    bench.register(&token, "a.brand.test").await;
    let paused = bench.keyed(&token, "one", path, "").await;
    assert_eq!((paused.status, paused.json()["status"].as_str()), (StatusCode::OK, Some("paused")));
    let again = bench.keyed(&token, "one", path, "").await;
    assert_eq!(again.header("idempotent-replayed"), "true", "{}", again.text);
    // A name that another tenant has is claimed, which is written down, and refused all the same.
    let (_, other) = bench.tenant("Suedwind").await;
    for _ in 0..2 {
        let refused = bench.keyed(&other, "one", "/v1/domains", r#"{"name":"a.brand.test"}"#).await;
        assert_eq!(refused.code(), "domain_taken", "{}", refused.text);
    }
}

#[tokio::test]
async fn of_many_alike_at_once_one_is_done() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let send = || bench.keyed(&token, "one", "/v1/webhook-endpoints", WEBHOOK);
    let answers = futures_util::future::join_all((0..8).map(|_| send())).await;
    for answer in answers {
        match answer.status {
            StatusCode::CREATED => {}
            StatusCode::CONFLICT => {
                assert_eq!(
                    (answer.code().as_str(), answer.header("retry-after")),
                    ("request_under_way", "1")
                );
                assert_eq!(answer.json()["retry_after"], 1, "{}", answer.text);
            }
            status => panic!("{status}: {}", answer.text),
        }
    }
    let listed = bench.get("/v1/webhook-endpoints").token(&token).send().await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_refused() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    for key in ["", " ", &"x".repeat(256)] {
        let refused = bench.keyed(&token, key, "/v1/webhook-endpoints", WEBHOOK).await;
        assert_eq!(refused.code(), "invalid_idempotency_key", "{key:?}");
    }
    let bulk = bench.post("/v1/bulk").token(&token).header("idempotency-key", "one").body("{}").send().await;
    assert_eq!(bulk.code(), "idempotency_key_not_taken");
}

#[tokio::test]
async fn an_error_leads_to_what_is_written_about_it() {
    let bench = Bench::new().await;
    let refused = bench.get("/v1/domains").send().await.json();
    let address = refused["type"].as_str().unwrap();
    assert_eq!(address, "http://127.0.0.1:8080/docs/errors#token_missing");
    assert_eq!(refused.get("retry_after"), None::<&Value>);
    let page = bench.get("/docs/errors").send().await;
    assert!(page.text.contains("id=\"token_missing\""), "{}", page.text);
}

#[tokio::test]
async fn of_several_rotations_at_once_each_follows_the_one_before() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let made = bench.post("/v1/webhook-endpoints").token(&token).json(WEBHOOK).send().await.json();
    let path = format!("/v1/webhook-endpoints/{}/rotate-secret", made["id"].as_str().unwrap());
    let send = || bench.post(&path).token(&token).send();
    for answer in futures_util::future::join_all((0..6).map(|_| send())).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
}

#[tokio::test]
async fn what_was_done_is_not_done_again_when_its_answer_is_lost() {
    let bench = Bench::new().await;
    let (tenant, token) = bench.tenant("Nordwind").await;
    bench.lose_answers().await;
    let path = "/v1/webhook-endpoints";
    assert_eq!(bench.keyed(&token, "one", path, WEBHOOK).await.status, StatusCode::CREATED);
    assert_eq!(bench.keyed(&token, "one", path, WEBHOOK).await.code(), "request_under_way");
    bench.clock.advance(Duration::minutes(2));
    let lost = bench.keyed(&token, "one", path, WEBHOOK).await;
    assert_eq!((lost.status, lost.code().as_str()), (StatusCode::CONFLICT, "answer_lost"));
    let listed = bench.get(path).token(&token).send().await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");

    // The platform's keys are its own, also where it works for a tenant.
    bench.register(&token, "a.brand.test").await;
    let platform = bench.token(None).await;
    let pause = "/v1/domains/a.brand.test/pause";
    let paused = bench.keyed(&platform, "two", pause, "").await;
    assert_eq!(paused.status, StatusCode::OK, "{} {tenant}", paused.text);
    bench.clock.advance(Duration::minutes(2));
    assert_eq!(bench.keyed(&platform, "two", pause, "").await.code(), "answer_lost");
}

#[tokio::test]
async fn who_comes_late_neither_changes_anything_nor_answers_in_the_place_of_another() {
    let bench = Bench::new().await;
    let (tenant, _) = bench.tenant("Nordwind").await;
    let mut connection = PgConnection::connect(&bench.database).await.unwrap();
    let token =
        sqlx::query_scalar("SELECT token_id FROM api_tokens").fetch_one(&mut connection).await.unwrap();
    let first = KeyedRequest {
        reach: Reach::Tenant(tenant),
        token_id: TokenId::from_uuid(token),
        key: "one".into(),
        print: [7; 32],
        started_at: bench.now(),
    };
    assert!(matches!(bench.api.begin_keyed(&first).await.unwrap(), Repeated::New));
    let second = KeyedRequest { started_at: bench.now() + Duration::minutes(2), ..first.clone() };
    assert!(matches!(bench.api.begin_keyed(&second).await.unwrap(), Repeated::New));

    let actor = Actor { keyed: Some(first.clone()), ..Actor::command_line() };
    let entry = AuditEntry {
        actor: &actor,
        action: "test",
        object_kind: "test",
        object_id: None,
        object_name: "late".into(),
        tenant: Some(tenant),
        detail: Value::Null,
    };
    let tx = bench.api.scoped(first.reach).await.unwrap();
    let late = tx.commit(&entry, &bench.chance, bench.now()).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    bench.api.release_keyed(&first).await.unwrap();
    bench.api.finish_keyed(&second, 200, b"second").await.unwrap();
    bench.api.finish_keyed(&first, 201, b"first").await.unwrap();
    let third = KeyedRequest { started_at: bench.now() + Duration::minutes(4), ..first };
    let Repeated::Answered { status, sealed } = bench.api.begin_keyed(&third).await.unwrap() else {
        panic!("the answer is kept");
    };
    assert_eq!((status, sealed.as_slice()), (200, b"second".as_slice()));
}
