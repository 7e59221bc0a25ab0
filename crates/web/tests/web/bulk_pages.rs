//! What people do with many domains at once, and with one by a button.

use certmill_model::Role;
use http::StatusCode;
use serde_json::Value;
use time::Duration;

use crate::support::{Bench, operator::Operator};

const PASSWORD: &str = "correct horse battery";

/// The ids of domains that are registered for the holder of `token`.
async fn registered(bench: &Bench, token: &str, names: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for name in names {
        let put = bench.put(&format!("/v1/domains/{name}")).token(token).send().await;
        ids.push(put.json()["id"].as_str().unwrap().to_owned());
    }
    ids
}

async fn status(bench: &Bench, token: &str, name: &str) -> Value {
    bench.get(&format!("/v1/domains/{name}")).token(token).send().await.json()["status"].clone()
}

#[tokio::test]
async fn chosen_domains_are_paused_after_a_question_and_resumed() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let names = ["a.brand.test", "b.brand.test", "c.brand.test"];
    let ids = registered(&bench, &token, &names).await;
    bench.post("/v1/domains/b.brand.test/pause").token(&token).send().await;
    let operator = Operator::of(&bench).await;
    let list = operator.page("/domains").await.text;
    assert!(list.contains(&format!("name=\"pick\" value=\"{}\"", ids[0])), "{list}");
    assert!(list.contains("All that suit: 3 domains"), "{list}");

    let question = format!("/domains/bulk?action=pause&pick={}&pick={}", ids[0], ids[1]);
    let page = operator.page(&question).await.text;
    for words in
        ["Pause 2 domains?", "What is served stays served", "It is paused already.", "1 of them is left"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert_eq!(status(&bench, &token, names[0]).await, "pending_dns", "nothing is done by a question");

    let form = [("action", "pause"), ("pick", &ids[0]), ("pick", &ids[1])];
    let begun = operator.send("/domains/bulk", &form).await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.text);
    bench.work_off().await;
    let page = operator.page(begun.header("location")).await.text;
    // What is so already is no failure, of a line as little as of a request of its own.
    for words in ["Pause domains", "2 of 2 lines done", "Nordwind"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("of them failed"), "{page}");
    assert_eq!(status(&bench, &token, names[0]).await, "paused");
    assert_eq!(status(&bench, &token, names[2]).await, "pending_dns", "nobody chose it");

    let begun = operator.send("/domains/bulk", &[("action", "resume"), ("pick", &ids[0])]).await;
    bench.work_off().await;
    assert!(operator.page(begun.header("location")).await.text.contains("1 of 1 lines done."));
    assert_eq!(status(&bench, &token, names[0]).await, "pending_dns");
    let audit = operator.page("/audit?action=operation.created").await.text;
    assert!(audit.contains("Pause domains") && audit.contains("Resume domains"), "{audit}");
}

#[tokio::test]
async fn all_that_suit_a_list_are_worked_on_and_nothing_of_another_tenant() {
    let bench = Bench::new().await;
    let (tenant, token) = bench.tenant("Nordwind").await;
    let (_, other) = bench.tenant("Bella Casa").await;
    registered(&bench, &token, &["shoes-1.brand.test", "shoes-2.brand.test", "hats.brand.test"]).await;
    let foreign = registered(&bench, &other, &["shoes-3.brand.test"]).await;
    let link = bench.invite(Some(tenant), Role::Operator, "ada@example.com").await;
    bench.post(&link).form(&[("password", PASSWORD)]).send().await;
    let ada = Operator::known_by(&bench, "ada@example.com", PASSWORD).await;

    let page = ada.page("/domains/bulk?action=pause&all=yes&q=shoes").await.text;
    assert!(page.contains("Pause 2 domains?") && page.contains("name=\"q\" value=\"shoes\""), "{page}");
    let begun = ada.send("/domains/bulk", &[("action", "pause"), ("all", "yes"), ("q", "shoes")]).await;
    let place = begun.header("location").to_owned();
    assert!(place.starts_with("/operations/opn_"), "{place}");
    // The lines come in behind the answer.
    while !ada.page(&place).await.text.contains("2 of 2 lines done.") {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        bench.work_off().await;
    }
    assert_eq!(status(&bench, &token, "hats.brand.test").await, "pending_dns");
    assert_eq!(status(&bench, &other, "shoes-3.brand.test").await, "pending_dns");

    let form = [("action", "pause"), ("pick", foreign[0].as_str())];
    assert_eq!(ada.send("/domains/bulk", &form).await.status, StatusCode::NOT_FOUND);
    // The platform's people act for each tenant by an operation of its own.
    let operator = Operator::of(&bench).await;
    let begun = operator.send("/domains/bulk", &[("action", "resume"), ("all", "yes")]).await;
    assert_eq!(begun.header("location"), "/operations");
    while operator.page("/operations").await.text.matches("Finished").count() < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        bench.work_off().await;
    }
    assert_eq!(status(&bench, &token, "shoes-1.brand.test").await, "pending_dns");
}

#[tokio::test]
async fn a_choice_that_makes_no_sense_is_refused_with_the_way_back() {
    let bench = Bench::new().await;
    bench.tenant("Nordwind").await;
    let operator = Operator::of(&bench).await;
    for (form, status, words) in [
        (&[("action", "pause")][..], StatusCode::UNPROCESSABLE_ENTITY, "No domain was chosen"),
        (&[("action", "put"), ("all", "yes")], StatusCode::UNPROCESSABLE_ENTITY, "choose one of the buttons"),
        (&[], StatusCode::UNPROCESSABLE_ENTITY, "choose one of the buttons"),
        (&[("action", "pause"), ("pick", "\0")], StatusCode::NOT_FOUND, "reload the list"),
    ] {
        let answer = operator.send("/domains/bulk", form).await;
        assert_eq!(answer.status, status, "{form:?}: {}", answer.text);
        assert!(answer.text.contains(words), "{form:?}: {}", answer.text);
    }
}

#[tokio::test]
async fn one_domain_is_renewed_paused_and_resumed_by_buttons_that_say_when_they_cannot() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let (name, path) = ("shop.brand.test", "/domains/shop.brand.test");
    bench.register(&token, name).await;
    let operator = Operator::of(&bench).await;
    let page = operator.page(path).await.text;
    assert!(
        page.contains("It has no certificate yet that could be renewed.") && page.contains(">Pause<"),
        "{page}"
    );
    let refused = operator.send(&format!("{path}/renew"), &[]).await;
    assert_eq!((refused.status, refused.text.contains("Nothing to renew")), (StatusCode::CONFLICT, true));

    let order = bench.place_order(name, "challenge").await;
    bench.issue(name, order).await;
    let page = operator.page(path).await.text;
    assert!(!page.contains("It has no certificate yet that could be renewed."), "{page}");
    bench.clock.advance(Duration::minutes(1));
    let renewed = operator.send(&format!("{path}/renew"), &[]).await;
    assert_eq!((renewed.status, renewed.header("location")), (StatusCode::SEE_OTHER, path));

    operator.send(&format!("{path}/pause"), &[]).await;
    let page = operator.page(path).await.text;
    for words in ["It is paused.", "Nothing is looked at now", ">Resume<"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    operator.send(&format!("{path}/resume"), &[]).await;
    assert_eq!(status(&bench, &token, name).await, "pending_deployment");
    let audit = operator.page("/audit").await.text;
    for action in ["domain.renewal_requested", "domain.paused", "domain.resumed"] {
        assert!(audit.contains(action), "{action}: {audit}");
    }
}
