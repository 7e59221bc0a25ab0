//! What the pages show.

use certmill_model::{CheckKind, ProblemCode};
use http::StatusCode;
use serde_json::json;
use time::Duration;

use crate::support::{Bench, looks::wrong, operator::Operator};

const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&";

#[tokio::test]
async fn the_empty_dashboard_shows_the_first_call() {
    let bench = Bench::new().await;
    let page = Operator::of(&bench).await.page("/domains").await;
    assert!(page.text.contains("curl -X PUT http://127.0.0.1:8080/v1/domains/$DOMAIN"));
}

#[tokio::test]
async fn the_overview_leads_from_a_cause_to_the_domains_that_have_it() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    bench.add_target("lb-1").await;
    for number in 1..=3 {
        bench.register(&token, &format!("shop-{number}.example-shops.test")).await;
    }
    bench.fail("shop-2.example-shops.test", ProblemCode::CaaForbids, "", None).await;
    let order = bench.place_order("shop-1.example-shops.test", "token").await;
    bench.issue("shop-1.example-shops.test", order).await;
    let operator = Operator::of(&bench).await;
    let before = operator.page("/").await.text;
    assert!(before.contains("Nobody has counted yet") && !before.contains("Nothing needs you"), "{before}");
    assert!(bench.engine.sum_up(std::time::Duration::ZERO, bench.now()).await.unwrap());

    let page = operator.page("/").await.text;
    for words in
        [ProblemCode::CaaForbids.title(), ProblemCode::CaaForbids.fix(), "lb-1", "As a table", "1 well"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    let cause = "/domains?problem=caa_forbids";
    assert!(page.contains(&format!("href=\"{cause}\"")), "{page}");
    let list = operator.page(cause).await.text;
    assert!(
        list.contains("1 domain<") && list.contains("/domains/shop-2.") && !list.contains("/domains/shop-1.")
    );
    let certificates = operator.page("/certificates").await.text;
    assert!(certificates.contains("/domains/shop-1.") && certificates.contains("Issued, not served yet"));
    assert!(operator.page("/certificates?status=revoked&after=x").await.text.contains("No certificate here"));
    let orders = operator.page("/orders?status=valid").await.text;
    assert!(orders.contains("/domains/shop-1.") && orders.contains("ca.example"), "{orders}");
    assert!(operator.page("/alerts").await.text.contains("No alert is open"));
    assert!(operator.page("/alerts?show=over").await.text.contains("No alert is over yet"));
}

#[tokio::test]
async fn a_domain_is_shown_from_its_problem_to_its_certificate() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let target = bench.add_target("lb-1").await;
    let operator = Operator::of(&bench).await;
    let name = "m%C3%BCnchen.example-shops.test";
    let (canonical, path) =
        ("xn--mnchen-3ya.example-shops.test", "/domains/xn--mnchen-3ya.example-shops.test");
    bench.register(&token, name).await;
    bench.fail(canonical, ProblemCode::DnsWrongTarget, "it points at 192.0.2.1", None).await;

    let list = operator.page("/domains").await.text;
    for words in [
        "münchen.example-shops.test",
        "Nordwind",
        "Waiting for DNS",
        "Needs action",
        ProblemCode::DnsWrongTarget.title(),
    ] {
        assert!(list.contains(words), "{words}");
    }
    let page = operator.page(path).await.text;
    for words in ["it points at 192.0.2.1", "load balancers&#39; addresses", "in 10 minutes", "Registered"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let lives = |page: &str| {
        let with_scripts = page.contains("hx-trigger=\"every 5s\"");
        assert_eq!(page.contains("<noscript><meta http-equiv=\"refresh\""), with_scripts);
        with_scripts
    };
    assert!(lives(&page));
    assert!(!lives(&operator.page(&format!("{path}?refresh=off")).await.text));

    bench.clock.advance(Duration::minutes(10));
    let order = bench.place_order(canonical, "token").await;
    bench.issue(canonical, order).await;
    bench.deliver(target).await;
    let page = operator.page(path).await.text;
    for words in [
        "Active on every load balancer",
        "19 Feb 2027, 12:10 UTC",
        "in 60 days",
        "CN=Example Intermediate R3",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!lives(&page));
}

#[tokio::test]
async fn hostile_words_are_shown_as_words() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant(HOSTILE).await;
    bench.add_target(HOSTILE).await;
    let path = "/v1/domains/shop.example-shops.test";
    bench.put(path).token(&token).json(json!({ "external_id": HOSTILE }).to_string()).send().await;
    bench.fail("shop.example-shops.test", ProblemCode::HttpWrongResponse, HOSTILE, None).await;
    bench.register(&token, "seen.example-shops.test").await;
    let looks = [CheckKind::Addresses, CheckKind::Delegation, CheckKind::Caa];
    let looks = looks.map(|kind| wrong(kind, &[HOSTILE], ProblemCode::DnsDelegationWrong, HOSTILE));
    bench.look("seen.example-shops.test", looks.to_vec()).await;
    let operator = Operator::of(&bench).await;
    let query = "/domains?q=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%22&show=%22%3E%3Cb%3E&after=%22%3E%3Cb%3E&refresh=%22%3E%3Cb%3E";
    for path in ["/domains", "/domains/shop.example-shops.test", "/domains/seen.example-shops.test", query] {
        let page = operator.page(path).await.text;
        assert!(!page.contains("<img src=x") && !page.contains("\"><b>"), "{path}: {page}");
        assert!(page.contains("&#60;img src=x onerror=alert(1)&#62;"), "{path}: {page}");
    }
}

#[tokio::test]
async fn the_list_is_searched_filtered_and_turned_over() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    for number in 0..60 {
        bench.register(&token, &format!("shop-{number:02}.example-shops.test")).await;
    }
    bench.register(&token, "b%C3%BCcher.example-shops.test").await;
    bench.fail("shop-07.example-shops.test", ProblemCode::DnsNotFound, "", None).await;
    let operator = Operator::of(&bench).await;

    let first = operator.page("/domains").await.text;
    assert!(first.contains("shop-49.") && !first.contains("shop-50."));
    assert!(first.contains("href=\"/domains?after=nshop-49.example-shops.test\""));
    let second = operator.page("/domains?after=nshop-49.example-shops.test").await.text;
    assert!(second.contains("shop-50.") && second.contains("First page") && !second.contains("Next page"));

    let found = operator.page("/domains?q=SHOP-1").await.text;
    assert!(found.contains("shop-10.") && found.contains("shop-19.") && !found.contains("shop-20."));
    assert!(
        operator
            .page("/domains?q=b%C3%BCcher.example-shops.test")
            .await
            .text
            .contains("href=\"/domains/xn--bcher-kva.")
    );
    let attention = operator.page("/domains?show=attention").await.text;
    assert!(attention.contains("/domains/shop-07.") && !attention.contains("/domains/shop-08."));
    assert!(operator.page("/domains?show=active").await.text.contains("No domain suits this selection"));
    for odd in
        ["/domains?q=%00&after=%00", "/domains?q=%25_'", "/domains?show=nothing", "/domains?q=%F0%9F%98%80"]
    {
        operator.page(odd).await;
    }
}

#[tokio::test]
async fn a_domain_that_is_not_there_is_a_page_not_found() {
    let bench = Bench::new().await;
    let operator = Operator::of(&bench).await;
    for path in ["/domains/none.example-shops.test", "/domains/%3Cscript%3E", "/domains/%ff"] {
        let answer = bench.get(path).cookie(&operator.cookie).send().await;
        assert!(
            answer.status.is_client_error() && answer.header("content-type").starts_with("text/html"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_style_sheet_is_kept_for_ever_under_a_name_of_its_content() {
    let bench = Bench::new().await;
    let page = bench.get("/login").send().await.text;
    let (_, rest) = page.split_once("href=\"/assets/style-").expect("a style sheet");
    let (name, _) = rest.split_once('"').unwrap();
    let style = bench.get(&format!("/assets/style-{name}")).send().await;
    assert_eq!((style.status, style.header("content-type")), (StatusCode::OK, "text/css; charset=utf-8"));
    assert_eq!(style.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(bench.get("/assets/style-0.css").send().await.status, StatusCode::NOT_FOUND);
}
