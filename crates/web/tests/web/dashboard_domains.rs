//! What people do with domains on the dashboard: add, change, remove, export.

use axum::body::Body;
use certmill_model::{DomainId, Hostname};
use certmill_store::DomainWish;
use futures_util::StreamExt;
use http::{
    Request, StatusCode,
    header::{COOKIE, HOST},
};
use serde_json::json;
use tower::ServiceExt;

use crate::support::{Bench, operator::Operator};

const NAME: &str = "shop.example-shops.test";
const HOSTILE: &str = "=cmd|' /C calc'!A0";

#[tokio::test]
async fn a_domain_is_added_by_a_form_and_its_page_says_so() {
    let bench = Bench::new().await;
    let (tenant, _) = bench.tenant("Nordwind").await;
    let operator = Operator::of(&bench).await;
    assert!(operator.page("/domains/new").await.text.contains("Nordwind"));
    let tenant = tenant.to_string();
    let form = [("name", " Shop.example-shops.test "), ("tenant", tenant.as_str()), ("tags", "eu, beta")];
    let added = operator.send("/domains", &form).await;
    assert_eq!(
        (added.status, added.header("location")),
        (StatusCode::SEE_OTHER, "/domains/shop.example-shops.test")
    );
    let cookies = format!("{}; {}", operator.cookie, added.all_cookies());
    let page = bench.get(&format!("/domains/{NAME}")).cookie(&cookies).send().await.text;
    for words in ["is registered", "Waiting for DNS", ">beta<", ">eu<", "\"tags\"", "curl http"] {
        assert!(page.contains(words) || page.contains(&words.replace('"', "&#34;")), "{words}: {page}");
    }
}

#[tokio::test]
async fn what_cannot_be_added_comes_back_with_its_reason() {
    let bench = Bench::new().await;
    let (tenant, token) = bench.tenant("Nordwind").await;
    let (other, _) = bench.tenant("Südwind").await;
    bench.register(&token, NAME).await;
    let operator = Operator::of(&bench).await;
    let (tenant, other) = (tenant.to_string(), other.to_string());
    let many = "x,".repeat(30);
    for (name, tenant, tags, words) in [
        ("no name", tenant.as_str(), "", "Domain:"),
        ("new.example-shops.test", "", "", "Tenant: choose whose domain it is"),
        (NAME, other.as_str(), "", "somebody else has this name"),
        ("new.example-shops.test", tenant.as_str(), many.as_str(), ""),
        ("new.example-shops.test", tenant.as_str(), "a\u{0}b", "Tags:"),
    ] {
        let answer = operator.send("/domains", &[("name", name), ("tenant", tenant), ("tags", tags)]).await;
        if words.is_empty() {
            // The same word many times is one.
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
            continue;
        }
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}: {}", answer.text);
        assert!(answer.text.contains(words), "{words}: {}", answer.text);
    }
}

#[tokio::test]
async fn settings_are_changed_and_a_domain_is_removed_after_a_question() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let body = json!({ "metadata": { "plan": "gold" } }).to_string();
    bench.put(&format!("/v1/domains/{NAME}")).token(&token).json(body).send().await;
    let operator = Operator::of(&bench).await;
    let path = format!("/domains/{NAME}");
    let form = [("external_id", "shop-1"), ("key_type", "rsa_2048"), ("tags", "eu")];
    let change = format!("{path}/change");
    assert_eq!(operator.fill(&change, &change, &form).await.status, StatusCode::SEE_OTHER);
    let page = operator.page(&change).await.text;
    assert!(page.contains("value=\"shop-1\"") && page.contains("value=\"rsa_2048\" selected"), "{page}");
    let seen = bench.get(&format!("/v1/domains/{NAME}")).token(&token).send().await.json();
    assert_eq!((&seen["metadata"]["plan"], &seen["key_type"]), (&json!("gold"), &json!("rsa_2048")));
    let wrong = operator.fill(&change, &change, &[("template", "none-such")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let audit = operator.page("/audit?action=domain.changed").await.text;
    assert!(audit.contains("shop-1"), "{audit}");

    assert!(operator.page(&format!("{path}/remove")).await.text.contains("Remove the domain"));
    assert_eq!(operator.send(&format!("{path}/remove"), &[]).await.status, StatusCode::SEE_OTHER);
    assert!(operator.page(&path).await.text.contains("Being removed"));
    let late = operator.send(&change, &form).await;
    assert!(late.status == StatusCode::CONFLICT && late.text.contains("is being removed"), "{}", late.text);
}

#[tokio::test]
async fn a_form_that_was_filled_in_before_somebody_elses_change_undoes_nothing() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let put = |tags: &str| json!({ "tags": [tags], "metadata": { "plan": "gold" } }).to_string();
    let api = format!("/v1/domains/{NAME}");
    bench.put(&api).token(&token).json(put("old")).send().await;
    let operator = Operator::of(&bench).await;
    let change = format!("/domains/{NAME}/change");
    let shown = operator.page(&change).await.text;
    let (_, rest) = shown.split_once("name=\"version\" value=\"").expect("the version");
    let version = rest.split('"').next().unwrap();
    bench.put(&api).token(&token).json(put("new")).send().await;
    let late = operator.send(&change, &[("tags", "old, eu"), ("version", version)]).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(
        late.text.contains("changed meanwhile")
            && late.text.contains("name=\"tags\" maxlength=\"1200\" autocomplete=\"off\" value=\"new\""),
        "{}",
        late.text
    );
}

#[tokio::test]
async fn a_domain_that_is_added_once_more_stays_as_it_is() {
    let bench = Bench::new().await;
    let (tenant, token) = bench.tenant("Nordwind").await;
    let body = json!({ "metadata": { "plan": "gold" }, "tags": ["vip"], "key_type": "rsa_2048" }).to_string();
    let api = format!("/v1/domains/{NAME}");
    bench.put(&api).token(&token).json(body).send().await;
    let before = bench.get(&api).token(&token).send().await;
    let operator = Operator::of(&bench).await;
    let form = [("name", NAME), ("tenant", &tenant.to_string()), ("tags", "eu")];
    let again = operator.send("/domains", &form).await;
    assert_eq!(again.header("location"), format!("/domains/{NAME}"), "{}", again.text);
    let after = bench.get(&api).token(&token).send().await;
    assert_eq!(after.header("etag"), before.header("etag"));
    assert!(!operator.page("/audit?action=domain.changed").await.text.contains(NAME));
}

#[tokio::test]
async fn what_is_listed_is_exported_whole_and_no_cell_is_a_formula() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    bench.register(&token, NAME).await;
    let body = json!({ "external_id": HOSTILE }).to_string();
    bench.put("/v1/domains/other.example-shops.test").token(&token).json(body).send().await;
    let operator = Operator::of(&bench).await;
    let whole = bench.get("/exports/domains.csv").cookie(&operator.cookie).send().await;
    assert_eq!(whole.header("content-disposition"), "attachment; filename=\"domains.csv\"");
    assert_eq!(whole.text.lines().count(), 3, "{}", whole.text);
    assert!(whole.text.contains(&format!(",'{HOSTILE},")), "{}", whole.text);
    let part = bench.get("/exports/domains.ndjson?q=other").cookie(&operator.cookie).send().await;
    let line: serde_json::Value = serde_json::from_str(part.text.trim()).unwrap();
    assert_eq!((&line["name"], &line["external_id"]), (&json!("other.example-shops.test"), &json!(HOSTILE)));
    assert_eq!(bench.get("/exports/x").cookie(&operator.cookie).send().await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_place_in_a_list_that_no_date_has_is_the_beginning() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    bench.register(&token, NAME).await;
    let operator = Operator::of(&bench).await;
    let id = DomainId::new(&bench.chance, bench.now());
    let page = operator.page(&format!("/domains?sort=changed&after=t-300000000000000000000:{id}")).await.text;
    assert!(page.contains(NAME), "{page}");
}

#[tokio::test]
async fn an_export_breaks_off_when_the_session_ends() {
    let bench = Bench::new().await;
    let (tenant, _) = bench.tenant("Nordwind").await;
    let mut tx = bench.api.tenant(tenant).await.unwrap();
    for number in 0..1_001 {
        let name = Hostname::parse(&format!("shop-{number}.example-shops.test")).unwrap();
        tx.put_domain(&DomainWish::of(name), &bench.chance, bench.now()).await.unwrap();
    }
    tx.commit().await.unwrap();
    let operator = Operator::of(&bench).await;
    let request =
        Request::get("/exports/domains.csv").header(HOST, "127.0.0.1:8080").header(COOKIE, &operator.cookie);
    let answer = bench.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let mut pieces = answer.into_body().into_data_stream();
    let first = pieces.next().await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&first).lines().count(), 1_001, "the heads, and a thousand domains");
    operator.send("/logout", &[]).await;
    assert!(pieces.next().await.unwrap().is_err(), "nobody is there any more to read the last one");
}
