//! The pages about people and programs.

use certmill_model::Role;
use http::StatusCode;

use crate::support::{Bench, operator::Operator};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";

/// A user with a password, logged in.
async fn user(bench: &Bench, role: Role) -> Operator<'_> {
    let tenant = if role == Role::PlatformAdmin { None } else { Some(bench.tenant("Nordwind").await.0) };
    let link = bench.invite(tenant, role, EMAIL).await;
    bench.post(&link).form(&[("password", PASSWORD)]).send().await;
    Operator::known_by(bench, EMAIL, PASSWORD).await
}

#[tokio::test]
async fn an_administrator_invites_somebody_and_hands_the_link_over() {
    let bench = Bench::new().await;
    let ada = user(&bench, Role::TenantAdmin).await;
    let fields = [("email", "eve@example.com"), ("name", "Eve"), ("role", "operator"), ("language", "en")];
    let wrong = ada
        .send(
            "/users",
            &[("email", "eve"), ("name", "Eve <img onerror=x>"), ("role", "operator"), ("language", "en")],
        )
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("role=\"alert\"") && !wrong.text.contains("<img onerror"), "{}", wrong.text);
    let invited = ada.send("/users", &fields).await;
    let link = invited.shown_once().strip_prefix("http://127.0.0.1:8080").expect("a link").to_owned();
    assert_eq!(bench.get(&link).send().await.status, StatusCode::OK);
    let again = ada.send("/users", &fields).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let list = ada.page("/users").await;
    assert!(list.text.contains("eve@example.com") && list.text.contains("Invited"));
    assert!(!list.text.contains("Platform administrator"));
}

#[tokio::test]
async fn a_user_is_changed_on_the_page_that_was_read_and_removed_after_a_question() {
    let bench = Bench::new().await;
    let ada = user(&bench, Role::TenantAdmin).await;
    let fields = [("email", "eve@example.com"), ("name", "Eve"), ("role", "viewer"), ("language", "en")];
    ada.send("/users", &fields).await;
    let list = ada.page("/users").await.text;
    let path = list
        .split("href=\"")
        .filter_map(|rest| rest.split('"').next())
        .filter(|path| path.starts_with("/users/usr_"))
        .nth(1);
    let path = path.unwrap().to_owned();
    let change = [("name", "Eve"), ("role", "operator"), ("language", "de"), ("revision", "1")];
    assert_eq!(ada.send(&path, &change).await.header("location"), path);
    let late = ada.send(&path, &change).await;
    assert!(late.status == StatusCode::CONFLICT && late.text.contains("changed meanwhile"), "{}", late.text);
    assert!(ada.page(&format!("{path}/remove")).await.text.contains("Remove Eve?"));
    assert_eq!(ada.send(&format!("{path}/remove"), &[]).await.header("location"), "/users");
    assert!(!ada.page("/users").await.text.contains("eve@example.com"));
    let own = list
        .split("href=\"")
        .filter_map(|rest| rest.split('"').next())
        .find(|path| path.starts_with("/users/usr_"))
        .unwrap();
    let refused = ada.send(&format!("{own}/remove"), &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_token_is_made_shown_once_and_revoked() {
    let bench = Bench::new().await;
    let ada = user(&bench, Role::TenantAdmin).await;
    let without = ada.send("/tokens", &[("name", "shop"), ("days", "30")]).await;
    assert!(
        without.status == StatusCode::UNPROCESSABLE_ENTITY && without.text.contains("choose one at least")
    );
    let fields = [("name", "shop"), ("scope", "domains:read"), ("scope", "webhooks:write"), ("days", "30")];
    let made = ada.send("/tokens", &fields).await;
    let token = made.shown_once().to_owned();
    assert!(made.text.contains("curl http://127.0.0.1:8080/v1/domains"));
    assert_eq!(bench.get("/v1/domains").token(&token).send().await.status, StatusCode::OK);
    let list = ada.page("/tokens").await.text;
    assert!(
        !list.contains(&token) && list.contains("domains:read, webhooks:write") && list.contains("made by")
    );
    let path = list
        .split("href=\"")
        .filter_map(|rest| rest.split('"').next())
        .find(|path| path.ends_with("/revoke"));
    let path = path.unwrap();
    assert!(ada.page(path).await.text.contains("Revoke shop?"));
    assert_eq!(ada.send(path, &[]).await.header("location"), "/tokens");
    assert_eq!(bench.get("/v1/domains").token(&token).send().await.status, StatusCode::UNAUTHORIZED);
    let audit = ada.page("/audit?action=token.revoked").await.text;
    assert!(audit.contains("token.revoked") && !audit.contains("<code>token.created"), "{audit}");
}

#[tokio::test]
async fn who_removes_or_locks_somebody_out_is_shown_what_their_tokens_open_and_may_revoke_them() {
    let bench = Bench::new().await;
    let ada = user(&bench, Role::PlatformAdmin).await;
    let mut made = Vec::new();
    for email in ["eve@example.com", "mia@example.com"] {
        let link = bench.invite(None, Role::PlatformAdmin, email).await;
        bench.post(&link).form(&[("password", PASSWORD)]).send().await;
        let person = Operator::known_by(&bench, email, PASSWORD).await;
        let fields = [("name", "shop"), ("scope", "admin"), ("days", "30")];
        let token = person.send("/tokens", &fields).await.shown_once().to_owned();
        let users = bench.get("/v1/users").token(&token).send().await.json();
        let found = users["data"].as_array().unwrap().iter().find(|user| user["email"] == email).unwrap();
        made.push((token, format!("/users/{}", found["id"].as_str().unwrap())));
    }
    let opens = async |token: &str| bench.get("/v1/domains").token(token).send().await.status;

    let (token, path) = &made[0];
    let page = ada.page(path).await.text;
    assert!(
        page.contains("1 token of this user's making") && page.contains("name=\"revoke_tokens\""),
        "{page}"
    );
    let change = [("name", "Eve"), ("role", "viewer"), ("language", "en"), ("revision", "1")];
    let out = [&change[..], &[("disabled", "on"), ("revoke_tokens", "on")]].concat();
    assert_eq!(ada.send(path, &out).await.header("location"), path.as_str());
    assert_eq!(opens(token).await, StatusCode::UNAUTHORIZED);
    let page = ada.page(path).await.text;
    assert!(!page.contains("name=\"revoke_tokens\""), "nothing is left to revoke: {page}");
    assert!(!ada.page(&format!("{path}/remove")).await.text.contains("name=\"revoke_tokens\""));

    let (token, path) = &made[1];
    let question = ada.page(&format!("{path}/remove")).await.text;
    assert!(question.contains("1 token") && question.contains("name=\"revoke_tokens\""), "{question}");
    let gone = ada.send(&format!("{path}/remove"), &[("revoke_tokens", "on")]).await;
    assert_eq!((gone.header("location"), opens(token).await), ("/users", StatusCode::UNAUTHORIZED));
}

#[tokio::test]
async fn a_new_password_asks_for_the_old_one_and_ends_other_sessions() {
    let bench = Bench::new().await;
    let ada = user(&bench, Role::Viewer).await;
    let other = Operator::known_by(&bench, EMAIL, PASSWORD).await;
    let change = |current, password| [("current", current), ("password", password)];
    let wrong = ada.send("/account/password", &change("wrong horse battery", "another horse battery")).await;
    assert!(
        wrong.status == StatusCode::UNPROCESSABLE_ENTITY
            && wrong.text.contains("current password is not right")
    );
    let short = ada.send("/account/password", &change(PASSWORD, "short")).await;
    assert!(short.text.contains("fewer than 12 characters"));
    let set = ada.send("/account/password", &change(PASSWORD, "another horse battery")).await;
    assert_eq!(set.header("location"), "/account");
    let platform = bench.token(None).await;
    let log = bench.get("/v1/audit?action=user.password_set").token(&platform).send().await.json();
    assert_eq!(log["data"].as_array().map(Vec::len), Some(2), "by the invitation, and now: {log}");
    assert!(ada.page("/account").await.text.contains("this one"));
    assert_eq!(bench.get("/account").cookie(&other.cookie).send().await.status, StatusCode::SEE_OTHER);
    Operator::known_by(&bench, EMAIL, "another horse battery").await.page("/account").await;
    ada.send("/account/sessions", &[]).await;
    assert_eq!(ada.page("/account").await.text.matches("data-label=\"Opened\"").count(), 1);
    let keys = ada.send("/account/notifications", &[("least_level", "urgent"), ("digest", "weekly")]).await;
    assert_eq!(keys.header("location"), "/account/notifications");
    let page = ada.page("/account/notifications").await.text;
    assert!(page.contains("value=\"urgent\" selected") && page.contains("value=\"weekly\" selected"));
}

#[tokio::test]
async fn a_forgotten_password_tells_nobody_who_has_an_account() {
    let bench = Bench::new().await;
    user(&bench, Role::Viewer).await;
    let known = bench.post("/forgot").form(&[("email", EMAIL)]).send().await;
    let unknown = bench.post("/forgot").form(&[("email", "eve@example.com")]).send().await;
    assert_eq!((known.status, unknown.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(known.text.replace(EMAIL, "eve@example.com"), unknown.text);
    let mut last = StatusCode::OK;
    for _ in 0..8 {
        last = bench.post("/forgot").form(&[("email", EMAIL)]).send().await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}
