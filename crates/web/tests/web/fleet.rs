//! Load balancers and their groups, over the API and on their pages.

use certmill_model::Scope;
use http::{Method, StatusCode};
use serde_json::json;

use crate::support::{
    Bench,
    exchange::{Answer, Call},
    operator::Operator,
};

async fn send(bench: &Bench, method: Method, path: &str, token: &str, body: &str) -> Answer {
    let call = Call::new(&bench.router, method, path).token(token);
    if body.is_empty() { call.send().await } else { call.json(body.to_owned()).send().await }
}

#[tokio::test]
async fn a_load_balancer_is_left_out_and_then_forgotten() {
    let bench = Bench::new().await;
    bench.add_target("lb 1").await;
    let token = bench.token_for(None, &[Scope::TargetsWrite]).await;
    let path = "/v1/targets/lb%201";

    let refused = send(&bench, Method::DELETE, path, &token, "").await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::CONFLICT, "target_in_use"));
    let out = send(&bench, Method::PATCH, path, &token, r#"{"disabled":true}"#).await;
    assert_eq!((out.status, &out.json()["state"]), (StatusCode::OK, &json!("disabled")), "{}", out.text);
    let again = send(&bench, Method::PATCH, path, &token, r#"{"disabled":false}"#).await;
    assert_eq!(again.json()["state"], "behind");
    send(&bench, Method::PATCH, path, &token, r#"{"disabled":true}"#).await;
    assert_eq!(send(&bench, Method::DELETE, path, &token, "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(send(&bench, Method::GET, path, &token, "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_cannot_be_said_of_a_load_balancer_is_refused_with_its_place() {
    let bench = Bench::new().await;
    bench.add_target("lb1").await;
    let token = bench.token(None).await;
    for (body, pointer) in [
        (r#"{"public_addresses":[]}"#, "/public_addresses"),
        (r#"{"public_addresses":["x"]}"#, "/public_addresses/0"),
        (r#"{"group":"grp_00000000000000000000000000"}"#, "/group"),
        (r#"{"group":"dom_x"}"#, "/group"),
        (r#"{"disabled":"yes"}"#, "/disabled"),
    ] {
        let answer = send(&bench, Method::PATCH, "/v1/targets/lb1", &token, body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", answer.text);
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{body}: {}", answer.text);
    }
    let unknown = send(&bench, Method::PATCH, "/v1/targets/lb1", &token, r#"{"settings":{}}"#).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_group_is_made_used_and_removed() {
    let bench = Bench::new().await;
    bench.add_target("lb1").await;
    let token = bench.token(None).await;
    let made = send(&bench, Method::POST, "/v1/target-groups", &token, r#"{"name":"Europe"}"#).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let twice = send(&bench, Method::POST, "/v1/target-groups", &token, r#"{"name":"Europe"}"#).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    let joined = json!({ "group": id }).to_string();
    let joined = send(&bench, Method::PATCH, "/v1/targets/lb1", &token, &joined).await;
    assert_eq!(joined.json()["group"], id.as_str());
    let path = format!("/v1/target-groups/{id}");
    assert_eq!(send(&bench, Method::DELETE, &path, &token, "").await.code(), "group_in_use");
    send(&bench, Method::PATCH, "/v1/targets/lb1", &token, r#"{"group":null}"#).await;
    assert_eq!(send(&bench, Method::DELETE, &path, &token, "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(send(&bench, Method::DELETE, &path, &token, "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn operators_read_and_change_load_balancers_on_their_pages() {
    let bench = Bench::new().await;
    bench.add_target("lb1").await;
    let operator = Operator::of(&bench).await;
    assert!(operator.page("/targets").await.text.contains("/targets/lb1"));
    let made = operator.send("/target-groups", &[("name", "Europe <b>")]).await;
    assert_eq!((made.status, made.header("location")), (StatusCode::SEE_OTHER, "/targets#groups"));
    let page = operator.page("/targets").await.text;
    assert!(page.contains("Europe &#60;b&#62;"), "{page}");
    let twice = operator.send("/target-groups", &[("name", "Europe <b>")]).await;
    assert!(twice.status == StatusCode::CONFLICT && twice.text.contains("already"), "{}", twice.text);

    let bad =
        operator.fill("/targets/lb1", "/targets/lb1", &[("addresses", "203.0.113.300"), ("group", "")]).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        bad.text.contains("203.0.113.300” is no IP address") && bad.text.contains("value=\"203.0.113.300\"")
    );
    let out = [("addresses", "203.0.113.8, 2001:db8::1"), ("group", ""), ("disabled", "on")];
    let changed = operator.fill("/targets/lb1", "/targets/lb1", &out).await;
    assert_eq!(changed.header("location"), "/targets/lb1");
    // Whoever had the page open from before takes it in again by nothing but an unticked box.
    let late = [("addresses", "203.0.113.9"), ("group", ""), ("shown", "203.0.113.7 |  | ")];
    let late = operator.send("/targets/lb1", &late).await;
    assert!(late.status == StatusCode::CONFLICT && late.text.contains("changed meanwhile"), "{}", late.text);
    let page = operator.page("/targets/lb1").await.text;
    assert!(page.contains("Switched off") && page.contains("203.0.113.8, 2001:db8::1"), "{page}");
    assert_eq!(operator.send("/targets/lb1/sync", &[]).await.status, StatusCode::SEE_OTHER);
    assert!(operator.page("/targets/lb1/remove").await.text.contains("Forget the load balancer"));
    assert_eq!(operator.send("/targets/lb1/remove", &[]).await.header("location"), "/targets");
    assert!(operator.page("/targets").await.text.contains("No load balancer yet"));
}
