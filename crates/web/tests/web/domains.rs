//! What is done with a domain beside registering it: versions, patches, actions, links, exports, and what is left of it.

use certmill_model::Hostname;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use time::Duration;

use crate::support::{Bench, exchange::Call};

const NAME: &str = "shop.example-shops.test";
const PATH: &str = "/v1/domains/shop.example-shops.test";

fn post<'a>(bench: &'a Bench, path: &str, token: &str) -> Call<'a> {
    Call::new(&bench.router, Method::POST, path).token(token)
}

fn patch<'a>(bench: &'a Bench, token: &str, body: &Value) -> Call<'a> {
    let call = Call::new(&bench.router, Method::PATCH, PATH).token(token);
    call.header("content-type", "application/merge-patch+json").body(body.to_string())
}

async fn shop() -> (Bench, String) {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let wish = json!({ "external_id": "shop-1", "tags": ["eu"], "metadata": { "plan": "gold", "who": "a" } });
    let answer = bench.put(PATH).token(&token).json(wish.to_string()).send().await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    (bench, token)
}

#[tokio::test]
async fn a_domain_that_did_not_change_is_not_sent_again() {
    let (bench, token) = shop().await;
    let first = bench.get(PATH).token(&token).send().await;
    let tag = first.header("etag").to_owned();
    let again = bench.get(PATH).token(&token).header("if-none-match", &tag).send().await;
    assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(again.header("etag"), tag);
    patch(&bench, &token, &json!({ "tags": ["us"] })).send().await;
    let changed = bench.get(PATH).token(&token).header("if-none-match", &tag).send().await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_ne!(changed.header("etag"), tag);
}

#[tokio::test]
async fn a_patch_changes_what_it_names_unless_somebody_else_was_faster() {
    let (bench, token) = shop().await;
    let tag = bench.get(PATH).token(&token).send().await.header("etag").to_owned();
    // What the engine does meanwhile is nothing that a change could undo.
    bench.fail(NAME, certmill_model::ProblemCode::DnsNotFound, "nothing there", None).await;
    let change = json!({ "external_id": null, "metadata": { "who": null, "plan": "blue" } });
    let answer = patch(&bench, &token, &change).header("if-match", &tag).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let domain = answer.json();
    assert_eq!((&domain["external_id"], &domain["tags"]), (&json!(null), &json!(["eu"])));
    assert_eq!(domain["metadata"], json!({ "plan": "blue" }));

    let late = patch(&bench, &token, &json!({ "tags": [] })).header("if-match", &tag).send().await;
    assert_eq!((late.status, late.code().as_str()), (StatusCode::PRECONDITION_FAILED, "changed_meanwhile"));
    for (body, pointer) in [(json!({ "tags": "eu" }), "/tags"), (json!({ "tenant": "ten_x" }), "/tenant")] {
        let answer = patch(&bench, &token, &body).send().await;
        assert_eq!((answer.status.as_u16(), &answer.json()["errors"][0]["pointer"]), (422, &json!(pointer)));
    }
    assert_eq!(patch(&bench, &token, &json!({ "nonsense": 1 })).send().await.status.as_u16(), 422);
}

#[tokio::test]
async fn a_domain_can_be_wanted_new_alone() {
    let (bench, token) = shop().await;
    let there = bench.put(PATH).token(&token).header("if-none-match", "*").send().await;
    assert_eq!((there.status, there.code().as_str()), (StatusCode::PRECONDITION_FAILED, "exists_already"));
    let body = json!({ "name": NAME }).to_string();
    let posted = post(&bench, "/v1/domains", &token).json(body).send().await;
    assert_eq!((posted.status, posted.code().as_str()), (StatusCode::CONFLICT, "domain_exists"));

    let body = json!({ "name": "Bücher.example-shops.test", "external_id": "b" }).to_string();
    let posted = post(&bench, "/v1/domains", &token).json(body).send().await;
    assert_eq!(posted.status, StatusCode::CREATED, "{}", posted.text);
    let found = bench.get(posted.header("location")).token(&token).send().await.json();
    assert_eq!((&found["external_id"], &found["id"]), (&json!("b"), &posted.json()["id"]));
    for (body, pointer) in [(json!({ "name": 1 }), "/name"), (json!({ "name": "a b" }), "/name")] {
        let answer = post(&bench, "/v1/domains", &token).json(body.to_string()).send().await;
        assert_eq!((answer.status.as_u16(), &answer.json()["errors"][0]["pointer"]), (422, &json!(pointer)));
    }
    let gone = bench
        .put("/v1/domains/new.example-shops.test")
        .token(&token)
        .header("if-match", "\"x\"")
        .send()
        .await;
    assert_eq!(gone.status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn a_paused_domain_rests_until_it_is_resumed() {
    let (bench, token) = shop().await;
    let act = async |action: &str| {
        bench.clock.advance(Duration::seconds(1));
        post(&bench, &format!("{PATH}/{action}"), &token).send().await
    };
    let paused = act("pause").await;
    assert_eq!((paused.status, &paused.json()["status"]), (StatusCode::OK, &json!("paused")));
    assert_eq!(paused.json()["next_action_at"], json!(null));
    assert_eq!(act("pause").await.json()["since"], paused.json()["since"]);
    let resumed = act("resume").await.json();
    assert_eq!(resumed["status"], "pending_dns");
    assert_eq!(resumed["next_action_at"], resumed["since"]);
    let timeline = bench.get(&format!("{PATH}/timeline")).token(&token).send().await.json();
    let types: Vec<_> =
        timeline["data"].as_array().unwrap().iter().map(|event| event["type"].clone()).collect();
    assert_eq!(types, ["domain.created", "domain.paused", "domain.resumed"]);

    let renewed = act("renew").await;
    assert_eq!((renewed.status, renewed.code().as_str()), (StatusCode::CONFLICT, "not_renewable"));
}

#[tokio::test]
async fn pausing_gives_an_order_up_and_its_worker_records_nothing_any_more() {
    let (bench, token) = shop().await;
    let order = bench.place_order(NAME, "token-1").await;
    post(&bench, &format!("{PATH}/pause"), &token).send().await;
    let domain = bench.get(PATH).token(&token).send().await.json();
    assert_eq!(
        domain["latest_order"],
        json!({ "id": order.to_string(), "status": "cancelled", "attempt": 1 })
    );
    let name = Hostname::parse(NAME).unwrap();
    let mut tx = bench.api.platform().await.unwrap();
    let id = tx.find_domain(&name).await.unwrap().unwrap().domain_id;
    assert!(bench.engine.claim_domain(id, bench.now()).await.unwrap().is_none(), "nothing is due");
}

#[tokio::test]
async fn an_active_domain_is_renewed_when_somebody_asks_and_goes_on_after_a_pause() {
    let (bench, token) = shop().await;
    let target = bench.add_target("lb-1").await;
    let order = bench.place_order(NAME, "token-1").await;
    bench.issue(NAME, order).await;
    bench.deliver(target).await;
    let domain = bench.get(PATH).token(&token).send().await.json();
    for check in ["certificate", "deployment", "served"] {
        assert_eq!(domain["checks"][check]["result"], "pass", "{check}: {domain}");
    }
    assert_eq!(domain["checks"]["deployment"]["targets"], json!({ "ok": 1, "total": 1 }));
    let serial = &domain["certificate"]["serial_number"];
    assert_eq!(domain["checks"]["served"]["seen"], json!([serial]));

    let renewed = post(&bench, &format!("{PATH}/renew"), &token).send().await;
    assert_eq!(renewed.status, StatusCode::ACCEPTED, "{}", renewed.text);
    assert_eq!(renewed.json()["certificate"]["renew_after"], "2026-11-21T12:00:00Z");
    post(&bench, &format!("{PATH}/pause"), &token).send().await;
    let resumed = post(&bench, &format!("{PATH}/resume"), &token).send().await.json();
    assert_eq!(resumed["status"], "pending_deployment");
}

#[tokio::test]
async fn a_domain_is_found_by_its_id_and_what_is_gone_is_remembered_for_a_month() {
    let (bench, token) = shop().await;
    let (_, other) = bench.tenant("suedwind").await;
    let id = bench.get(PATH).token(&token).send().await.json()["id"].as_str().unwrap().to_owned();
    let by_id = format!("/v1/domains/{id}");
    assert_eq!(bench.get(&by_id).token(&token).send().await.json()["name"], NAME);
    for path in [by_id.clone(), format!("{by_id}/timeline"), format!("{by_id}/setup")] {
        assert_eq!(bench.get(&path).token(&other).send().await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let late = bench.delete(&by_id).token(&token).header("if-match", "\"x\"").send().await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED, "only what was read is removed");
    let read = bench.get(&by_id).token(&token).send().await;
    let removed = bench.delete(&by_id).token(&token).header("if-match", read.header("etag")).send().await;
    assert_eq!(removed.status, StatusCode::ACCEPTED);
    bench.finish_deletion(NAME).await;
    for path in [PATH, &by_id] {
        let gone = bench.get(path).token(&token).send().await;
        assert_eq!((gone.status, gone.code().as_str()), (StatusCode::GONE, "domain_gone"), "{path}");
        assert_eq!(bench.delete(path).token(&token).send().await.status, StatusCode::NO_CONTENT);
        assert_eq!(bench.get(path).token(&other).send().await.status, StatusCode::NOT_FOUND);
    }
    bench.clock.advance(Duration::days(31));
    assert_eq!(bench.get(PATH).token(&token).send().await.status, StatusCode::NOT_FOUND);
    bench.register(&token, NAME).await;
    assert_eq!(bench.get(PATH).token(&token).send().await.status, StatusCode::OK);
}

#[tokio::test]
async fn all_domains_are_exported_line_by_line() {
    let bench = Bench::new().await;
    let (tenant, token) = bench.tenant("nordwind").await;
    let (_, other) = bench.tenant("suedwind").await;
    bench.register(&other, "foreign.example-shops.test").await;
    let wish = json!({ "external_id": "shop-1", "tags": ["eu"] }).to_string();
    bench.put(PATH).token(&token).json(wish).send().await;
    for number in 0..1050 {
        let mut tx = bench.api.tenant(tenant).await.unwrap();
        let name = Hostname::parse(&format!("n{number:04}.example-shops.test")).unwrap();
        tx.put_domain(&certmill_store::DomainWish::of(name), &bench.chance, bench.now()).await.unwrap();
        tx.commit().await.unwrap();
    }
    let lines = bench.get("/v1/domains").token(&token).header("accept", "application/x-ndjson").send().await;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let names: Vec<_> = lines
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 1051);
    assert!(names.is_sorted() && names.contains(&NAME.to_owned()));

    let csv =
        bench.get("/v1/domains?external_id=shop-1").token(&token).header("accept", "text/csv").send().await;
    let rows: Vec<_> = csv.text.split("\r\n").collect();
    assert!(rows[0].starts_with("name,id,tenant,external_id,tags,status"), "{}", csv.text);
    assert!(
        rows[1].starts_with(&format!("{NAME},dom_")) && rows[1].contains(",shop-1,eu,pending_dns,"),
        "{}",
        csv.text
    );
    assert_eq!((rows.len(), rows[2]), (3, ""));
}

#[tokio::test]
async fn a_link_for_the_owner_of_a_shop_is_shown_once_and_revoked() {
    let (bench, token) = shop().await;
    let (_, other) = bench.tenant("suedwind").await;
    let path = format!("{PATH}/setup-links");
    let made = post(&bench, &path, &token).json(r#"{"language":"de","expires_in":3600}"#).send().await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let made = made.json();
    assert!(made["url"].as_str().unwrap().starts_with("http://127.0.0.1:8080/setup/certmill_"), "{made}");
    assert_eq!((&made["expires_at"], &made["language"]), (&json!("2026-11-21T13:00:00Z"), &json!("de")));
    let list = bench.get(&path).token(&token).send().await;
    assert_eq!(list.json()["data"][0]["id"], made["id"]);
    assert!(!list.text.contains("certmill_"), "{}", list.text);

    let link = format!("{path}/{}", made["id"].as_str().unwrap());
    assert_eq!(bench.delete(&link).token(&other).send().await.status, StatusCode::NOT_FOUND);
    assert_eq!(bench.delete(&link).token(&token).send().await.status, StatusCode::NO_CONTENT);
    let list = bench.get(&path).token(&token).send().await.json();
    assert_eq!(list["data"][0]["revoked_at"], "2026-11-21T12:00:00Z");
    for bad in [r#"{"language":"fr"}"#, r#"{"expires_in":59}"#, r#"{"expires_in":"1"}"#, r#"{"x":1}"#] {
        assert_eq!(post(&bench, &path, &token).json(bad).send().await.status.as_u16(), 422, "{bad}");
    }
}
