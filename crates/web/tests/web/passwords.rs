//! Logging in by a password, and getting one.

use certmill_model::Role;
use futures_util::future::join_all;
use http::StatusCode;
use time::Duration;

use crate::support::{Bench, exchange::Answer};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";

async fn log_in(bench: &Bench, email: &str, password: &str) -> Answer {
    bench.post("/login").form(&[("email", email), ("password", password), ("next", "/domains")]).send().await
}

/// A user with a password.
async fn invited(bench: &Bench) {
    let link = bench.invite(None, Role::PlatformAdmin, EMAIL).await;
    let set = bench.post(&link).form(&[("password", PASSWORD)]).send().await;
    assert_eq!((set.status, set.header("location")), (StatusCode::SEE_OTHER, "/login"), "{}", set.text);
}

#[tokio::test]
async fn an_invitation_sets_a_password_once_and_the_password_opens_a_session() {
    let bench = Bench::new().await;
    let link = bench.invite(None, Role::PlatformAdmin, EMAIL).await;
    let page = bench.get(&link).send().await;
    assert!(page.status == StatusCode::OK && page.text.contains("Welcome, ada@example.com"), "{}", page.text);
    let short = bench.post(&link).form(&[("password", "short")]).send().await;
    assert!(
        short.status == StatusCode::UNPROCESSABLE_ENTITY && short.text.contains("fewer than 12 characters")
    );
    assert_eq!(bench.post(&link).form(&[("password", PASSWORD)]).send().await.status, StatusCode::SEE_OTHER);
    for again in
        [bench.get(&link).send().await, bench.post(&link).form(&[("password", PASSWORD)]).send().await]
    {
        assert_eq!(again.status, StatusCode::GONE);
    }
    let opened = log_in(&bench, "Ada@Example.com", PASSWORD).await;
    assert_eq!((opened.status, opened.header("location")), (StatusCode::SEE_OTHER, "/domains"));
    let page = bench.get("/").cookie(&opened.set_cookie()).send().await;
    assert!(page.status == StatusCode::OK && page.text.contains(EMAIL));
}

#[tokio::test]
async fn an_invitation_expires() {
    let bench = Bench::new().await;
    let link = bench.invite(None, Role::Viewer, EMAIL).await;
    bench.clock.advance(Duration::days(3));
    assert_eq!(bench.post(&link).form(&[("password", PASSWORD)]).send().await.status, StatusCode::GONE);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_are_told_apart_by_nothing() {
    let bench = Bench::new().await;
    invited(&bench).await;
    let wrong = log_in(&bench, EMAIL, "wrong horse battery").await;
    let unknown = log_in(&bench, "eve@example.com", PASSWORD).await;
    for answer in [&wrong, &unknown] {
        assert_eq!((answer.status, answer.header("set-cookie")), (StatusCode::UNPROCESSABLE_ENTITY, ""));
    }
    assert_eq!(wrong.text.replace(EMAIL, "eve@example.com"), unknown.text);
}

#[tokio::test]
async fn guessing_is_slowed_down_and_a_wait_lets_the_right_password_in() {
    let bench = Bench::new().await;
    invited(&bench).await;
    let mut refused = 0;
    for guess in 0..30 {
        let answer = log_in(&bench, EMAIL, &format!("guess number {guess}")).await;
        refused += i32::from(answer.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(refused, 25);
    let right = log_in(&bench, EMAIL, PASSWORD).await;
    assert_eq!(right.status, StatusCode::TOO_MANY_REQUESTS);
    bench.clock.advance(Duration::minutes(15));
    assert_eq!(log_in(&bench, EMAIL, PASSWORD).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn guesses_at_the_same_time_do_not_pass_each_other() {
    let bench = Bench::new().await;
    invited(&bench).await;
    let guesses: Vec<_> = (0..40).map(|guess| format!("guess number {guess}")).collect();
    let answers = join_all(guesses.iter().map(|guess| log_in(&bench, EMAIL, guess))).await;
    let compared = answers.iter().filter(|answer| answer.status == StatusCode::UNPROCESSABLE_ENTITY).count();
    let refused = answers.iter().filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS).count();
    assert_eq!((compared, refused), (5, 35));
}

#[tokio::test]
async fn who_knows_the_password_uses_up_no_attempts_of_others_at_the_same_address() {
    let bench = Bench::new().await;
    invited(&bench).await;
    let from_office = |email: &'static str, password: &'static str| {
        bench.post("/login").from("203.0.113.9").form(&[("email", email), ("password", password)]).send()
    };
    for _ in 0..8 {
        assert_eq!(from_office(EMAIL, PASSWORD).await.status, StatusCode::SEE_OTHER);
    }
    for (email, status) in [
        ("b@example.com", StatusCode::UNPROCESSABLE_ENTITY),
        ("c@example.com", StatusCode::UNPROCESSABLE_ENTITY),
        ("d@example.com", StatusCode::UNPROCESSABLE_ENTITY),
        ("e@example.com", StatusCode::UNPROCESSABLE_ENTITY),
        (EMAIL, StatusCode::SEE_OTHER),
        ("f@example.com", StatusCode::UNPROCESSABLE_ENTITY),
        (EMAIL, StatusCode::TOO_MANY_REQUESTS),
    ] {
        assert_eq!(from_office(email, PASSWORD).await.status, status, "{email}");
    }
    assert_eq!(log_in(&bench, EMAIL, PASSWORD).await.status, StatusCode::SEE_OTHER, "from elsewhere");
}

#[tokio::test]
async fn a_log_in_that_succeeds_makes_nobody_wait_who_had_waited() {
    let bench = Bench::new().await;
    invited(&bench).await;
    let from_office = |password: &'static str| {
        bench.post("/login").from("203.0.113.9").form(&[("email", EMAIL), ("password", password)]).send()
    };
    for _ in 0..5 {
        assert_eq!(from_office("wrong horse battery").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    bench.clock.advance(Duration::SECOND);
    for _ in 0..3 {
        assert_eq!(from_office(PASSWORD).await.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test]
async fn a_new_password_lets_in_whom_a_stranger_kept_out() {
    let bench = Bench::new().await;
    invited(&bench).await;
    for guess in 0..6 {
        log_in(&bench, EMAIL, &format!("guess number {guess}")).await;
    }
    assert_eq!(log_in(&bench, EMAIL, PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    let reset = bench.reset(EMAIL).await;
    bench.post(&reset).form(&[("password", "another horse battery")]).send().await;
    assert_eq!(log_in(&bench, EMAIL, "another horse battery").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_new_password_ends_every_session() {
    let bench = Bench::new().await;
    let tenant = bench.tenant("Nordwind").await.0;
    let link = bench.invite(Some(tenant), Role::TenantAdmin, EMAIL).await;
    bench.post(&link).form(&[("password", PASSWORD)]).send().await;
    let cookie = log_in(&bench, EMAIL, PASSWORD).await.set_cookie();
    assert_eq!(bench.get("/").cookie(&cookie).send().await.status, StatusCode::OK);
    let reset = bench.reset(EMAIL).await;
    assert_eq!(bench.get("/").cookie(&cookie).send().await.status, StatusCode::OK, "asking changes nothing");
    bench.post(&reset).form(&[("password", "another horse battery")]).send().await;
    assert_eq!(bench.get("/").cookie(&cookie).send().await.status, StatusCode::SEE_OTHER);
    assert_eq!(log_in(&bench, EMAIL, PASSWORD).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(log_in(&bench, EMAIL, "another horse battery").await.status, StatusCode::SEE_OTHER);
}
