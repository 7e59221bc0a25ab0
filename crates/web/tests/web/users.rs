//! `/v1/users`.

use certmill_model::Role;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use time::Duration;

use crate::support::{
    Bench,
    exchange::{Answer, Call},
    operator::Operator,
};

const PASSWORD: &str = "correct horse battery";

async fn invite(bench: &Bench, token: &str, body: &Value) -> Answer {
    bench.post("/v1/users").token(token).json(body.to_string()).send().await
}

/// Invites somebody, and gives the id.
async fn invited(bench: &Bench, token: &str, email: &str, role: &str) -> String {
    let answer = invite(bench, token, &json!({ "email": email, "name": "Ada", "role": role })).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn change(bench: &Bench, token: &str, id: &str, body: &Value) -> Answer {
    bench.patch(&format!("/v1/users/{id}")).token(token).json(body.to_string()).send().await
}

async fn actions(bench: &Bench, token: &str) -> Vec<String> {
    let audit = bench.get("/v1/audit").token(token).send().await.json();
    let entries = audit["data"].as_array().unwrap().iter();
    entries.map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_invited_user_sets_a_password_and_logs_in() {
    let bench = Bench::new().await;
    let (tenant, token) = bench.tenant("Nordwind").await;
    let body = json!({ "email": "Ada@Example.com", "name": "Ada", "role": "operator", "language": "de" });
    let answer = invite(&bench, &token, &body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    let user = answer.json();
    assert_eq!(answer.header("location"), format!("/v1/users/{}", user["id"].as_str().unwrap()));
    assert_eq!(
        (&user["email"], &user["tenant"], &user["status"], &user["language"]),
        (&json!("ada@example.com"), &json!(tenant.to_string()), &json!("invited"), &json!("de"))
    );
    let link = user["invitation"]["link"].as_str().unwrap();
    let path = link.strip_prefix("http://127.0.0.1:8080").unwrap();
    bench.post(path).form(&[("password", PASSWORD)]).send().await;
    let read = bench.get(answer.header("location")).token(&token).send().await;
    assert_eq!(read.json()["status"], "active");
    assert!(!read.text.contains("argon2") && !read.text.contains("password"), "{}", read.text);
    assert_eq!(actions(&bench, &token).await, ["user.password_set", "user.invited"]);
}

#[tokio::test]
async fn what_an_invitation_says_wrongly_is_named() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    invited(&bench, &token, "ada@example.com", "viewer").await;
    let good = json!({ "email": "eve@example.com", "name": "Eve", "role": "viewer" });
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    for (body, pointer, status) in [
        (with("email", json!("eve")), "/email", 422),
        (with("email", json!("a\r\nBcc: x@example.com")), "/email", 422),
        (with("email", json!("ada@example.com")), "/email", 409),
        (with("name", json!("")), "/name", 422),
        (with("name", json!("a\u{202e}b")), "/name", 422),
        (with("name", json!(1)), "/name", 422),
        (with("role", json!("platform_admin")), "/role", 422),
        (with("language", json!("tlh")), "/language", 422),
        (with("password", json!("x")), "/password", 422),
    ] {
        let answer = invite(&bench, &token, &body).await;
        let problem = answer.json();
        assert_eq!(
            (answer.status.as_u16(), &problem["errors"][0]["pointer"]),
            (status, &json!(pointer)),
            "{body}"
        );
    }
    let list = bench.get("/v1/users").token(&token).send().await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn another_tenants_user_is_not_there_by_path_or_body() {
    let bench = Bench::new().await;
    let (_, ours) = bench.tenant("Nordwind").await;
    let (foreign, theirs) = bench.tenant("Suedwind").await;
    let user = invited(&bench, &theirs, "ada@example.com", "viewer").await;
    let path = format!("/v1/users/{user}");
    for answer in [
        bench.get(&path).token(&ours).send().await,
        change(&bench, &ours, &user, &json!({ "name": "Eve" })).await,
        bench.delete(&path).token(&ours).send().await,
        bench.post(&format!("{path}/invite")).token(&ours).send().await,
        bench.get("/v1/users/usr_nonsense").token(&ours).send().await,
    ] {
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, "not_found"));
    }
    for tenant in [foreign.to_string(), "Suedwind".into()] {
        let body = json!({ "tenant": tenant, "email": "eve@example.com", "name": "Eve", "role": "viewer" });
        let answer = invite(&bench, &ours, &body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "not_found"));
    }
    let list = bench.get(&format!("/v1/users?tenant={foreign}")).token(&ours).send().await.json();
    assert_eq!(list["data"], json!([]));
    let platform = bench.token(None).await;
    let list = bench.get(&format!("/v1/users?tenant={foreign}")).token(&platform).send().await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_change_that_comes_late_is_refused() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let user = invited(&bench, &token, "ada@example.com", "viewer").await;
    let path = format!("/v1/users/{user}");
    let tag = bench.get(&path).token(&token).send().await.header("etag").to_owned();
    let change = |tag: &str| bench.patch(&path).token(&token).header("if-match", tag);
    let first = change(&tag).json("{\"role\":\"operator\"}").send().await;
    assert_eq!((first.status, first.json()["role"].as_str()), (StatusCode::OK, Some("operator")));
    assert_ne!(first.header("etag"), tag);
    let late = change(&tag).json("{\"role\":\"tenant_admin\"}").send().await;
    assert_eq!((late.status, late.code().as_str()), (StatusCode::PRECONDITION_FAILED, "changed_meanwhile"));
    let late = bench.delete(&path).token(&token).header("if-match", &tag).send().await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
    for (body, pointer) in [("{\"name\":null}", "/name"), ("{\"email\":\"x@y.zz\"}", "/email")] {
        let answer = bench.patch(&path).token(&token).json(body).send().await;
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{}", answer.text);
    }
}

#[tokio::test]
async fn who_is_locked_out_or_removed_is_out_at_once() {
    let bench = Bench::new().await;
    let (tenant, token) = bench.tenant("Nordwind").await;
    let link = bench.invite(Some(tenant), Role::Viewer, "ada@example.com").await;
    bench.post(&link).form(&[("password", PASSWORD)]).send().await;
    let log_in = || bench.post("/login").form(&[("email", "ada@example.com"), ("password", PASSWORD)]);
    let id = bench.get("/v1/users").token(&token).send().await.json()["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();

    let cookie = log_in().send().await.set_cookie();
    assert_eq!(bench.get("/").cookie(&cookie).send().await.status, StatusCode::OK);
    assert_eq!(change(&bench, &token, &id, &json!({ "disabled": true })).await.json()["status"], "disabled");
    assert_eq!(bench.get("/").cookie(&cookie).send().await.status, StatusCode::SEE_OTHER);
    assert_eq!(log_in().send().await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let again = bench.post(&format!("/v1/users/{id}/invite")).token(&token).send().await;
    assert_eq!((again.status, again.code().as_str()), (StatusCode::CONFLICT, "user_disabled"));

    change(&bench, &token, &id, &json!({ "disabled": false })).await;
    let cookie = log_in().send().await.set_cookie();
    let gone = bench.delete(&format!("/v1/users/{id}")).token(&token).send().await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(bench.get("/").cookie(&cookie).send().await.status, StatusCode::SEE_OTHER);
    let gone = bench.delete(&format!("/v1/users/{id}")).token(&token).send().await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn one_platform_admin_stays_even_if_two_remove_each_other_at_once() {
    let bench = Bench::new().await;
    let token = bench.token(None).await;
    let mut ids = Vec::new();
    for email in ["ada@example.com", "eve@example.com"] {
        let answer =
            invite(&bench, &token, &json!({ "email": email, "name": "A", "role": "platform_admin" })).await;
        let link = answer.json()["invitation"]["link"].as_str().unwrap().to_owned();
        bench
            .post(link.strip_prefix("http://127.0.0.1:8080").unwrap())
            .form(&[("password", PASSWORD)])
            .send()
            .await;
        ids.push(answer.json()["id"].as_str().unwrap().to_owned());
    }
    let delete = |id: &str| bench.delete(&format!("/v1/users/{id}")).token(&token).send();
    let (one, other) = tokio::join!(delete(&ids[0]), delete(&ids[1]));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409]);
    let left = bench.get("/v1/users").token(&token).send().await.json()["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for body in [json!({ "role": "viewer" }), json!({ "disabled": true })] {
        let answer = change(&bench, &token, &left, &body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::CONFLICT, "last_platform_admin"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn users_are_listed_by_address_page_by_page() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    for email in ["c@example.com", "a@example.com", "b@example.com"] {
        invited(&bench, &token, email, "viewer").await;
    }
    let mut path = "/v1/users?limit=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let answer = bench.get(&path).token(&token).send().await;
        let page = answer.json();
        seen.extend(
            page["data"].as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap().to_owned()),
        );
        let Some((next, _)) = answer.header("link").strip_prefix('<').and_then(|link| link.split_once('>'))
        else {
            break;
        };
        path = next.to_owned();
    }
    assert_eq!(seen, ["a@example.com", "b@example.com", "c@example.com"]);
    let unknown = bench.get("/v1/users?role=viewer").token(&token).send().await;
    assert_eq!((unknown.status, unknown.code().as_str()), (StatusCode::BAD_REQUEST, "invalid_query"));
}

#[tokio::test]
async fn what_a_user_is_mailed_is_read_and_changed() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let (_, stranger) = bench.tenant("Suedwind").await;
    let id = invited(&bench, &token, "ada@example.com", "operator").await;
    let path = format!("/v1/users/{id}/notification-rule");
    let usual = bench.get(&path).token(&token).send().await;
    let expected = json!({ "least_level": "notice", "digest": "weekly", "unsubscribed_at": null });
    assert_eq!((usual.json(), usual.header("etag")), (expected, "\"0\""), "what operators of tenants get");
    let put = async |body: Value, version: &str| {
        let call = Call::new(&bench.router, Method::PUT, &path).token(&token).header("if-match", version);
        call.json(body.to_string()).send().await
    };
    let wanted = json!({ "least_level": null, "digest": "daily" });
    let changed = put(wanted.clone(), "\"0\"").await;
    assert_eq!((changed.status, &changed.json()["digest"]), (StatusCode::OK, &"daily".into()));
    assert_eq!(put(wanted.clone(), "\"0\"").await.code(), "changed_meanwhile");
    assert_eq!(put(wanted, changed.header("etag")).await.status, StatusCode::OK);
    let read = bench.get(&path).token(&token).send().await.json();
    assert_eq!((&read["least_level"], &read["digest"]), (&Value::Null, &"daily".into()));
    for body in [
        json!({ "digest": "daily" }),
        json!({ "least_level": "loud", "digest": "daily" }),
        json!({ "least_level": "late", "digest": "hourly" }),
    ] {
        let refused = put(body, "*").await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    }
    assert_eq!(bench.get(&path).token(&stranger).send().await.code(), "not_found");
    assert_eq!(actions(&bench, &token).await[0], "notification_rule.changed");
}

/// Logs in as who has this link, and makes a token there.
async fn token_made_by(bench: &Bench, link: &str, email: &str) -> String {
    bench.post(link).form(&[("password", PASSWORD)]).send().await;
    let person = Operator::known_by(bench, email, PASSWORD).await;
    let made = person.send("/tokens", &[("name", "shop"), ("scope", "admin"), ("days", "365")]).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    made.shown_once().to_owned()
}

async fn status_with(bench: &Bench, token: &str) -> StatusCode {
    bench.get("/v1/domains").token(token).send().await.status
}

#[tokio::test]
async fn what_somebodys_tokens_open_is_counted_and_ends_with_the_account_when_asked() {
    let bench = Bench::new().await;
    let (tenant, admin) = bench.tenant("Nordwind").await;
    let link = bench.invite(Some(tenant), Role::TenantAdmin, "ada@example.com").await;
    let own = token_made_by(&bench, &link, "ada@example.com").await;
    // A token of hers makes another one, which is hers as well.
    let body = json!({ "name": "heir", "scopes": ["domains:read"] }).to_string();
    let made = bench.post("/v1/tokens").token(&own).json(body).send().await.json();
    let heir = made["token"].as_str().unwrap().to_owned();
    let users = bench.get("/v1/users").token(&admin).send().await.json();
    assert_eq!(users["data"][0]["open_tokens"], 2, "{users}");
    let id = users["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(made["created_by_user"].as_str(), Some(id.as_str()));

    let out = change(&bench, &admin, &id, &json!({ "disabled": true })).await.json();
    assert_eq!(
        (&out["status"], &out["open_tokens"]),
        (&json!("disabled"), &json!(2)),
        "they go on, and are told"
    );
    assert_eq!(
        (status_with(&bench, &own).await, status_with(&bench, &heir).await),
        (StatusCode::OK, StatusCode::OK)
    );
    let out = change(&bench, &admin, &id, &json!({ "role": "viewer", "revoke_tokens": true })).await.json();
    assert_eq!((&out["role"], &out["open_tokens"]), (&json!("viewer"), &json!(0)));
    for ended in [&own, &heir] {
        assert_eq!(status_with(&bench, ended).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(status_with(&bench, &admin).await, StatusCode::OK, "of somebody else");
    let log = bench.get("/v1/audit?action=user.changed").token(&admin).send().await.json();
    assert_eq!(log["data"][0]["detail"]["tokens_revoked"].as_array().map(Vec::len), Some(2), "{log}");
    assert_eq!(log["data"][1]["detail"]["tokens_revoked"], Value::Null, "{log}");
}

#[tokio::test]
async fn tokens_go_on_when_their_maker_is_removed_and_end_with_it_when_asked() {
    let bench = Bench::new().await;
    let (tenant, admin) = bench.tenant("Nordwind").await;
    let mut tokens = Vec::new();
    for email in ["ada@example.com", "eve@example.com"] {
        let link = bench.invite(Some(tenant), Role::TenantAdmin, email).await;
        tokens.push(token_made_by(&bench, &link, email).await);
    }
    let users = bench.get("/v1/users").token(&admin).send().await.json();
    let ids: Vec<_> = users["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["id"].as_str().unwrap().to_owned())
        .collect();
    let delete = async |path: String| bench.delete(&path).token(&admin).send().await;
    let unclear = delete(format!("/v1/users/{}?revoke_tokens=1", ids[0])).await;
    assert_eq!((unclear.status, unclear.code().as_str()), (StatusCode::BAD_REQUEST, "invalid_query"));
    assert_eq!(delete(format!("/v1/users/{}", ids[0])).await.status, StatusCode::NO_CONTENT);
    assert_eq!(status_with(&bench, &tokens[0]).await, StatusCode::OK);
    assert_eq!(
        delete(format!("/v1/users/{}?revoke_tokens=true", ids[1])).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(status_with(&bench, &tokens[1]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status_with(&bench, &tokens[0]).await, StatusCode::OK);
    let log = bench.get("/v1/audit?action=user.deleted").token(&admin).send().await.json();
    assert_eq!(log["data"][0]["detail"]["tokens_revoked"].as_array().map(Vec::len), Some(1), "{log}");
}

#[tokio::test]
async fn an_invitation_that_nobody_took_keeps_no_other_tenant_from_inviting_the_same_person() {
    let bench = Bench::new().await;
    let (_, first) = bench.tenant("Nordwind").await;
    let (_, second) = bench.tenant("Suedwind").await;
    let body = json!({ "email": "ada@example.com", "name": "Ada", "role": "viewer" });
    let old = invited(&bench, &first, "ada@example.com", "viewer").await;
    assert_eq!(invite(&bench, &second, &body).await.code(), "taken", "it can still be taken");
    bench.clock.advance(Duration::days(3));
    assert_eq!(invite(&bench, &first, &body).await.code(), "taken", "one's own is invited again instead");
    let taken_over = invite(&bench, &second, &body).await;
    assert_eq!(taken_over.status, StatusCode::CREATED, "{}", taken_over.text);
    assert_eq!(bench.get(&format!("/v1/users/{old}")).token(&first).send().await.code(), "not_found");
    let log = bench.get("/v1/audit").token(&first).send().await.json();
    let entry = &log["data"][0];
    assert_eq!(
        (&entry["action"], &entry["actor"]["kind"]),
        (&json!("user.invitation_lapsed"), &json!("certmill")),
        "{log}"
    );
    assert!(!log.to_string().contains("Suedwind"), "{log}");
    bench.clock.advance(Duration::days(3));
    let platform = bench.token(None).await;
    let taken_over = invite(&bench, &platform, &body).await;
    assert_eq!(taken_over.status, StatusCode::CREATED, "{}", taken_over.text);
    bench.clock.advance(Duration::days(3));
    assert_eq!(invite(&bench, &first, &body).await.code(), "taken", "the platform's own people keep theirs");
}

#[tokio::test]
async fn an_account_that_somebody_took_keeps_its_address() {
    let bench = Bench::new().await;
    let (tenant, _) = bench.tenant("Nordwind").await;
    let link = bench.invite(Some(tenant), Role::Viewer, "ada@example.com").await;
    bench.post(&link).form(&[("password", PASSWORD)]).send().await;
    bench.clock.advance(Duration::days(30));
    let (_, second) = bench.tenant("Suedwind").await;
    let body = json!({ "email": "ada@example.com", "name": "Ada", "role": "viewer" });
    assert_eq!(invite(&bench, &second, &body).await.code(), "taken");
}
