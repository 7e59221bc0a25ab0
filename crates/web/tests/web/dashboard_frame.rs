//! What surrounds every page: colours by choice, scripts of our own alone, words after a form.

use http::StatusCode;

use crate::support::{Bench, operator::Operator};

#[tokio::test]
async fn a_choice_is_kept_in_the_browser_and_said_once() {
    let bench = Bench::new().await;
    let operator = Operator::of(&bench).await;
    let form = [("theme", "dark"), ("keys", "off"), ("back", "/?q=shop")];
    let answer = operator.send("/preferences", &form).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/?q=shop"));
    let cookies = format!("{}; {}", operator.cookie, answer.all_cookies());

    let page = bench.get("/").cookie(&cookies).send().await;
    assert!(page.text.contains("<html lang=\"en\" data-theme=\"dark\">"), "{}", page.text);
    assert!(page.text.contains("data-keys=\"off\"") && page.text.contains("Your choice is kept"));
    assert!(page.all_cookies().contains("certmill-flash="), "the words are forgotten");
    let missing = bench.get("/nowhere").cookie(&cookies).header("accept", "text/html").send().await;
    assert!(missing.text.contains("data-theme=\"dark\""), "{}", missing.text);
}

#[tokio::test]
async fn nobody_is_led_elsewhere_by_a_choice() {
    let bench = Bench::new().await;
    let operator = Operator::of(&bench).await;
    let answer = operator.send("/preferences", &[("theme", "\"><b>"), ("back", "//evil.example")]).await;
    assert_eq!(answer.header("location"), "/");
    assert!(answer.all_cookies().contains("certmill-theme=system"));
}

#[tokio::test]
async fn words_that_we_did_not_say_are_not_shown() {
    let bench = Bench::new().await;
    let operator = Operator::of(&bench).await;
    for made_up in
        ["certmill-flash=x.aGVsbG8", "certmill-flash=", "certmill-theme=%22%3E", "certmill-flash=."]
    {
        let page = bench.get("/").cookie(&format!("{}; {made_up}", operator.cookie)).send().await;
        assert!(page.status == StatusCode::OK && !page.text.contains("class=\"flash\""), "{made_up}");
    }
}

#[tokio::test]
async fn scripts_are_our_own_files_and_nothing_else_runs() {
    let bench = Bench::new().await;
    let page = Operator::of(&bench).await.page("/").await;
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    for name in ["htmx-", "app-"] {
        let (_, rest) = page.text.split_once(&format!("src=\"/assets/{name}")).expect("a script");
        let (file, _) = rest.split_once('"').unwrap();
        let script = bench.get(&format!("/assets/{name}{file}")).send().await;
        assert_eq!(
            (script.status, script.header("content-type")),
            (StatusCode::OK, "text/javascript; charset=utf-8")
        );
    }
}
