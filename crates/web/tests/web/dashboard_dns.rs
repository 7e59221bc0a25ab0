//! What the page of a domain says of its DNS, and the button for a look now.

use certmill_model::{CheckKind, DomainStatus, ProblemCode};
use http::{Method, StatusCode};
use time::Duration;

use crate::support::{
    Bench,
    exchange::Call,
    looks::{SERVER, right, wrong},
    operator::Operator,
};

#[tokio::test]
async fn each_wanted_record_stands_beside_what_was_seen() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    bench.add_target("lb-1").await;
    bench.add_zone().await;
    let (name, path) = ("shop.brand.test", "/domains/shop.brand.test");
    bench.register(&token, name).await;
    let operator = Operator::of(&bench).await;
    let page = operator.page(path).await.text;
    for words in
        ["Not looked at yet", "next look is about to begin", "<code class=\"copy\">203.0.113.7</code>"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }

    let seen = ["shop.brand.test A 192.0.2.1"];
    let look =
        wrong(CheckKind::Addresses, &seen, ProblemCode::DnsWrongTarget, "Set shop.brand.test A 203.0.113.7.");
    let cname = wrong(CheckKind::Delegation, &[], ProblemCode::DnsDelegationMissing, "No CNAME record.");
    bench.look(name, vec![look, cname]).await;
    let page = operator.page(path).await.text;
    for words in [
        "Not right",
        seen[0],
        SERVER,
        "Not set",
        "<code class=\"copy\">_acme-challenge.shop</code>",
        "<code class=\"copy\">_acme-challenge.shop.brand.test</code>",
        ".acme.platform.test</code>",
        "<form method=\"post\" action=\"/domains/shop.brand.test/check\">",
        "Last looked at <time datetime=\"2026-11-21T12:00:00Z\">",
        "in 2 minutes",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let exact = "<p class=\"words\">Set shop.brand.test A 203.0.113.7.</p>";
    assert_eq!(page.matches(exact).count(), 1, "said once: {page}");

    bench.clock.advance(Duration::minutes(2));
    bench.look(name, vec![right(CheckKind::Addresses, &["shop.brand.test A 203.0.113.7"])]).await;
    let page = operator.page(path).await.text;
    assert!(page.contains("Right") && page.contains("Not needed") && page.contains("<details"), "{page}");
}

#[tokio::test]
async fn a_wildcard_without_a_zone_asks_for_an_operator_and_a_plain_name_does_not() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    bench.add_target("lb-1").await;
    let operator = Operator::of(&bench).await;
    for name in ["*.brand.test", "shop.brand.test"] {
        bench.register(&token, name).await;
    }
    let wildcard = operator.page("/domains/*.brand.test").await.text;
    assert!(wildcard.contains("no DNS zone") && wildcard.contains("An operator must look"), "{wildcard}");
    assert!(wildcard.contains("action=\"/domains/*.brand.test/check\""), "{wildcard}");
    assert!(!operator.page("/domains/shop.brand.test").await.text.contains("_acme-challenge"));
}

#[tokio::test]
async fn moved_and_failed_say_what_happens_next() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let operator = Operator::of(&bench).await;
    bench.register(&token, "shop.brand.test").await;
    let look = || wrong(CheckKind::Addresses, &[], ProblemCode::DnsNotFound, "It does not exist.");
    for (status, words) in
        [(DomainStatus::Moved, "We look again every hour."), (DomainStatus::Failed, "once a week")]
    {
        bench.look_and_become("shop.brand.test", status, vec![look()]).await;
        let page = operator.page("/domains/shop.brand.test").await.text;
        assert!(page.contains(words), "{status}: {page}");
        bench.clock.advance(Duration::minutes(2));
    }
}

#[tokio::test]
async fn a_button_looks_now_and_only_on_our_own_page() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    bench.add_target("lb-1").await;
    let name = "shop.brand.test";
    bench.register(&token, name).await;
    bench
        .look(name, vec![wrong(CheckKind::Addresses, &[], ProblemCode::DnsNotFound, "It does not exist.")])
        .await;
    bench.clock.advance(Duration::seconds(10));
    let operator = Operator::of(&bench).await;

    let path = "/domains/shop.brand.test/check";
    assert_eq!(bench.post(path).send().await.status, StatusCode::SEE_OTHER);
    let foreign = Call::new(&bench.router, Method::POST, path).cookie(&operator.cookie);
    let foreign = foreign.header("origin", "https://evil.example").send().await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let listed = bench.get("/v1/domains").token(&token).send().await.json();
    assert_eq!(listed["data"][0]["next_action_at"], "2026-11-21T12:02:00Z");

    let look = right(CheckKind::Addresses, &["shop.brand.test A 203.0.113.7"]);
    let call = operator.send(path, &[]);
    let (answer, ()) = tokio::join!(call, bench.look_when_asked(name, vec![look]));
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, "/domains/shop.brand.test#dns")
    );
    assert!(operator.page("/domains/shop.brand.test").await.text.contains("Right"));
    let at_once = operator.send(path, &[]).await;
    assert_eq!(at_once.status, StatusCode::SEE_OTHER);
    let nowhere = operator.send("/domains/none.brand.test/check", &[]).await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
}
