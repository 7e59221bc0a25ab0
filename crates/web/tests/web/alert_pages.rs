//! Alerts and the service itself, as people see them.

use certmill_model::{LimitKind, LimitProfile, Need};
use certmill_store::LimitScope;
use http::StatusCode;
use time::Duration;

use crate::support::{Bench, operator::Operator};

#[tokio::test]
async fn an_alert_is_silenced_for_a_while_with_a_reason() {
    let bench = Bench::new().await;
    let (tenant, _) = bench.tenant("Nordwind").await;
    let path = format!("/alerts/{}", bench.add_alert(tenant).await);
    let operator = Operator::of(&bench).await;
    assert!(operator.page("/alerts").await.text.contains(&path), "the list leads to it");

    let refused = operator.send(&format!("{path}/mute"), &[("hours", "0"), ("reason", "")]).await;
    assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.text.contains("1 to 8,760 hours"));
    let reason = "<b>the owner is on it</b>";
    let muted = operator.send(&format!("{path}/mute"), &[("hours", "4"), ("reason", reason)]).await;
    assert_eq!(muted.header("location"), path);
    let page = operator.page(&path).await.text;
    for words in ["Silent", "the owner is on it&#60;/b&#62;", "Begin mails again"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(bench.engine.open_alerts(bench.now()).await.unwrap()[0].is_muted);
    assert!(operator.page("/audit").await.text.contains("alert.muted"));

    bench.clock.advance(Duration::hours(4));
    assert!(!bench.engine.open_alerts(bench.now()).await.unwrap()[0].is_muted, "it ends by itself");
}

#[tokio::test]
async fn every_name_of_an_alert_comes_as_a_table() {
    let bench = Bench::new().await;
    let (tenant, token) = bench.tenant("Nordwind").await;
    let name = "shop.example-shops.test";
    bench.register(&token, name).await;
    bench.fail(name, certmill_model::ProblemCode::CaaForbids, "=1+1, \"other.example\"", None).await;
    let path = format!("/alerts/{}/domains.csv", bench.add_alert(tenant).await);
    let operator = Operator::of(&bench).await;
    let table = bench.get(&path).cookie(&operator.cookie).send().await;
    assert_eq!(table.header("content-type"), "text/csv; charset=utf-8");
    let lines: Vec<_> = table.text.lines().collect();
    assert_eq!(lines[0], "name,since,not_after,detail");
    assert_eq!(lines[1], format!("{name},2026-11-21T12:00:00Z,,\"'=1+1, \"\"other.example\"\"\""));
    assert_eq!(lines.len(), 2);
}

#[tokio::test]
async fn the_page_about_the_service_says_what_it_does_not_know_yet() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let operator = Operator::of(&bench).await;
    let page = operator.page("/settings").await.text;
    for words in ["none is set up: mail waits", "There is none yet", "master key <code>"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    bench.register(&token, "shop.example-shops.test").await;
    bench.place_order("shop.example-shops.test", "token").await;
    assert!(operator.page("/settings").await.text.contains("https://ca.example/directory"));
    let platform = bench.token(None).await;
    let accounts = bench.get("/v1/ca-accounts").token(&platform).send().await.json();
    assert_eq!(accounts["data"][0]["directory"], "https://ca.example/directory");
    assert_eq!(accounts["data"][0]["holds"], serde_json::json!([]));
}

#[tokio::test]
async fn what_is_used_of_a_cas_limits_is_shown() {
    let bench = Bench::new().await;
    let (tenant, token) = bench.tenant("Nordwind").await;
    bench.register(&token, "shop.example-shops.test").await;
    bench.place_order("shop.example-shops.test", "token").await;
    let (directory_url, limits) =
        ("https://ca.example/directory", LimitProfile::named("letsencrypt").unwrap());
    let account_id = bench.engine.accounts().await.unwrap()[0].account_id;
    let scope = LimitScope { account_id, directory_url, limits: &limits };
    let need = |kind, key: &str| Need { kind, key: key.to_owned(), uses: true };
    let orders = need(LimitKind::OrdersPerAccount, "");
    bench.engine.take_limits(scope, &[orders], tenant, false, bench.now()).await.unwrap();
    let until = bench.now() + Duration::hours(2);
    let kind = LimitKind::Requests;
    bench.engine.hold_limit(scope, kind, "new_order", until, bench.now()).await.unwrap();
    let platform = bench.token(None).await;
    let accounts = bench.get("/v1/ca-accounts").token(&platform).send().await.json();
    let shown = accounts["data"][0]["limits"].as_array().unwrap();
    let of = |endpoint: serde_json::Value| shown.iter().find(|limit| limit["endpoint"] == endpoint).unwrap();
    let (orders, rate) = (of(serde_json::Value::Null), limits.orders_per_account.unwrap());
    assert_eq!((&orders["used"], &orders["blocked_until"]), (&1.into(), &serde_json::Value::Null));
    assert_eq!(
        (&orders["allowed"], &orders["period"]),
        (&rate.capacity.into(), &rate.period.as_seconds_f64().into())
    );
    assert_eq!(of("new_order".into())["blocked_until"], "2026-11-21T14:00:00Z");
    assert_eq!(of("new_account".into())["used"], 0);
    let page = Operator::of(&bench).await.page("/settings").await.text;
    assert!(page.contains(&format!("1 of {rate}")) && page.contains("none until"), "{page}");
}
