//! A look right now, and what the domain's document says of looks.

use std::time::Instant;

use certmill_model::{CheckKind, ProblemCode};
use http::{Method, StatusCode};
use serde_json::json;
use time::Duration;

use crate::support::{
    Bench,
    exchange::Call,
    looks::{SERVER, right, wrong},
};

const NAME: &str = "shop.brand.test";
const PATH: &str = "/v1/domains/shop.brand.test";
const CHECK: &str = "/v1/domains/shop.brand.test/check";

/// A bench with a domain that was looked at ten seconds ago and pointed elsewhere.
async fn looked_at() -> (Bench, String) {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    bench.add_target("lb-1").await;
    bench.register(&token, NAME).await;
    let seen = ["shop.brand.test A 192.0.2.1"];
    let look = wrong(CheckKind::Addresses, &seen, ProblemCode::DnsWrongTarget, "It points elsewhere.");
    bench.look(NAME, vec![look]).await;
    bench.clock.advance(Duration::seconds(10));
    (bench, token)
}

#[tokio::test]
async fn a_domain_shows_what_was_seen_and_a_list_does_not() {
    let (bench, token) = looked_at().await;
    let domain = bench.get(PATH).token(&token).send().await.json();
    assert_eq!(domain["checked_at"], "2026-11-21T12:00:00Z");
    let checks = &domain["checks"];
    let docs_url = "http://127.0.0.1:8080/docs/problems/dns_wrong_target";
    assert_eq!(
        checks["dns"],
        json!({
            "result": "fail", "seen": ["shop.brand.test A 192.0.2.1"], "wanted": ["203.0.113.7"],
            "checked_at": "2026-11-21T12:00:00Z", "server": SERVER,
            "problem": {
                "code": "dns_wrong_target", "detail": "It points elsewhere.",
                "fix": ProblemCode::DnsWrongTarget.fix(), "docs_url": docs_url,
            },
        })
    );
    for check in
        ["caa", "http_reachability", "certificate", "deployment", "served", "delegation", "ownership"]
    {
        let check = checks[check].as_object().unwrap();
        assert_eq!((&check["result"], &check["checked_at"]), (&json!("unknown"), &json!(null)), "{check:?}");
        assert!(check["seen"].is_array() && check["wanted"].is_array(), "{check:?}");
    }
    let page = bench.get("/docs/problems/dns_wrong_target").send().await;
    assert_eq!(page.status, StatusCode::OK, "docs_url leads somewhere");
    let list = bench.get("/v1/domains").token(&token).send().await.json();
    let entry = list["data"][0].as_object().unwrap();
    assert!(!entry.contains_key("checks") && !entry.contains_key("checked_at"), "{list}");
}

#[tokio::test]
async fn a_look_is_asked_for_and_its_outcome_answered() {
    let (bench, token) = looked_at().await;
    let look = right(CheckKind::Addresses, &["shop.brand.test A 203.0.113.7"]);
    let call = Call::new(&bench.router, Method::POST, CHECK).token(&token).send();
    let (answer, ()) = tokio::join!(call, bench.look_when_asked(NAME, vec![look]));
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let domain = answer.json();
    assert_eq!(domain["checked_at"], "2026-11-21T12:00:10Z");
    assert_eq!(domain["checks"]["dns"]["result"], "pass");
    assert_eq!((&domain["problems"], &domain["name"]), (&json!([]), &json!(NAME)));
}

#[tokio::test]
async fn a_look_that_does_not_come_is_not_waited_for_longer_than_five_seconds() {
    let (bench, token) = looked_at().await;
    let started = Instant::now();
    let answer = Call::new(&bench.router, Method::POST, CHECK).token(&token).send().await;
    assert!((5..9).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::ACCEPTED, "2"));
    assert_eq!(answer.json()["checks"]["dns"]["result"], "fail");
    // The wish stays, for whenever the engine is back.
    assert_eq!(answer.json()["next_action_at"], "2026-11-21T12:00:10Z");
}

#[tokio::test]
async fn looks_are_five_seconds_apart() {
    let (bench, token) = looked_at().await;
    bench.clock.advance(Duration::seconds(-7));
    let check = || Call::new(&bench.router, Method::POST, CHECK).token(&token).send();
    let refused = check().await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "checked_just_now")
    );
    assert_eq!(refused.header("retry-after"), "2");
    assert_eq!(bench.get(PATH).token(&token).send().await.json()["next_action_at"], "2026-11-21T12:02:00Z");
    bench.clock.advance(Duration::seconds(2));
    let look = right(CheckKind::Addresses, &["shop.brand.test A 203.0.113.7"]);
    let (answer, ()) = tokio::join!(check(), bench.look_when_asked(NAME, vec![look]));
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

#[tokio::test]
async fn nobody_asks_for_a_look_at_anothers_name_or_at_what_is_being_removed() {
    let (bench, token) = looked_at().await;
    let (_, other) = bench.tenant("suedwind").await;
    let platform = bench.token(None).await;
    let said = async |token: &str| {
        let answer = Call::new(&bench.router, Method::POST, CHECK).token(token).send().await;
        (answer.status.as_u16(), answer.code())
    };
    assert_eq!(said(&other).await, (404, "domain_not_found".into()));
    let seen_by_platform = bench.get(PATH).token(&platform).send().await;
    assert_eq!(seen_by_platform.status, StatusCode::OK);
    assert_eq!(said("nonsense").await, (401, "token_invalid".into()));
    bench.delete(PATH).token(&token).send().await;
    assert_eq!(said(&token).await, (409, "domain_being_removed".into()));
}
