//! Tenants: how they are added and changed, what a tenant may do itself, what it means to be suspended, and the brand.

use certmill_model::{Role, TenantId};
use data_encoding::BASE64;
use http::StatusCode;
use serde_json::{Value, json};
use time::Duration;

use crate::support::{Bench, exchange::Answer, operator::Operator};

/// The smallest picture: a PNG of one pixel.
pub(crate) const PICTURE: [u8; 33] =
    *b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

async fn patch(bench: &Bench, tenant: TenantId, token: &str, body: Value) -> Answer {
    bench.patch(&format!("/v1/tenants/{tenant}")).token(token).json(body.to_string()).send().await
}

async fn act(bench: &Bench, tenant: TenantId, token: &str, action: &str) -> Answer {
    bench.post(&format!("/v1/tenants/{tenant}/{action}")).token(token).send().await
}

async fn audited(bench: &Bench, token: &str, action: &str) -> Value {
    let log = bench.get(&format!("/v1/audit?action={action}")).token(token).send().await.json();
    log["data"][0].clone()
}

#[tokio::test]
async fn a_tenant_is_added_changed_and_found_again() {
    let bench = Bench::new().await;
    let platform = bench.token(None).await;
    let new = json!({ "name": "Nordwind", "upstream": "10.0.0.5:8080", "quota_domains": 100, "key_type": "rsa_2048" });
    let added = bench.post("/v1/tenants").token(&platform).json(new.to_string()).send().await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    let path = added.header("location").to_owned();
    let read = bench.get(&path).token(&platform).send().await;
    assert_eq!(read.json(), added.json());
    assert_eq!((&read.json()["template"], &read.json()["status"]), (&"storefront".into(), &"active".into()));

    let again = bench.post("/v1/tenants").token(&platform).json(new.to_string()).send().await;
    assert_eq!((again.status, again.code().as_str()), (StatusCode::CONFLICT, "taken"));

    let change =
        json!({ "name": "Nordwind GmbH", "quota_domains": null, "authorities": ["other", "letsencrypt"] });
    let call = || bench.patch(&path).token(&platform).json(change.to_string());
    let stale = call().header("if-match", "\"9\"").send().await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    let changed = call().header("if-match", read.header("etag")).send().await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    let changed = changed.json();
    assert_eq!(changed["name"], "Nordwind GmbH");
    assert_eq!(changed["quota_domains"], Value::Null);
    assert_eq!(changed["authorities"], json!(["other", "letsencrypt"]));
    let entry = audited(&bench, &platform, "tenant.changed").await;
    assert_eq!(entry["detail"]["quota_domains"], json!({ "from": 100, "to": null }), "{entry}");
    assert_eq!(entry["detail"]["name"]["to"], "Nordwind GmbH");
    let listed = bench.get("/v1/tenants").token(&platform).send().await.json();
    assert_eq!(listed["data"], json!([changed]));
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_its_place() {
    let bench = Bench::new().await;
    let platform = bench.token(None).await;
    let (tenant, _) = bench.tenant("Nordwind").await;
    let svg = BASE64.encode(b"<svg onload=alert(1)>");
    for (body, pointer) in [
        (json!({ "name": " " }), "/name"),
        (json!({ "upstream": "10.0.0.5" }), "/upstream"),
        (json!({ "template": "nonsense" }), "/template"),
        (json!({ "key_type": "rsa_512" }), "/key_type"),
        (json!({ "authorities": ["other", "nobody"] }), "/authorities/1"),
        (json!({ "authorities": [] }), "/authorities"),
        (json!({ "quota_domains": -1 }), "/quota_domains"),
        (json!({ "quota_requests": 0 }), "/quota_requests"),
        (json!({ "branding": { "accent": "#ffcc00" } }), "/branding/accent"),
        (json!({ "branding": { "accent": "red;}" } }), "/branding/accent"),
        (json!({ "branding": { "support_url": "javascript:alert(1)" } }), "/branding/support_url"),
        (json!({ "branding": { "product_name": "a\r\nb" } }), "/branding/product_name"),
        (json!({ "branding": { "logo": svg } }), "/branding/logo"),
        (json!({ "branding": { "logo": "%%%" } }), "/branding/logo"),
    ] {
        let refused = patch(&bench, tenant, &platform, body.clone()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", refused.text);
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    let light = patch(&bench, tenant, &platform, json!({ "branding": { "accent": "#ffcc00" } })).await;
    assert!(light.text.contains("WCAG 2.2 AA") && light.text.contains("Try #"), "{}", light.text);
    let group = json!({ "target_group": "grp_01jd4z6k3m8q2v5w7x9y0a1b2c" });
    assert_eq!(patch(&bench, tenant, &platform, group).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_tenant_changes_its_brand_and_defaults_and_nothing_else_of_itself() {
    let bench = Bench::new().await;
    let (tenant, token) = bench.tenant("Nordwind").await;
    let change =
        json!({ "branding": { "product_name": "Nord TLS" }, "template": "redirect", "key_type": "rsa_2048" });
    let changed = patch(&bench, tenant, &token, change).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    assert_eq!(changed.json()["branding"]["product_name"], "Nord TLS");
    assert_eq!(changed.json()["upstream"], Value::Null, "where shops' requests go is the platform's");
    for body in [
        json!({ "quota_domains": 1_000 }),
        json!({ "quota_requests": null }),
        json!({ "name": "x" }),
        json!({ "upstream": "127.0.0.1:1" }),
        json!({ "target_group": null }),
    ] {
        let refused = patch(&bench, tenant, &token, body.clone()).await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "forbidden"), "{body}");
    }
}

#[tokio::test]
async fn a_suspended_tenant_only_reads_until_it_is_resumed() {
    let bench = Bench::new().await;
    let (platform, (tenant, token)) = (bench.token(None).await, bench.tenant("Nordwind").await);
    bench.register(&token, "shop.example-shops.test").await;
    let suspended = act(&bench, tenant, &platform, "suspend").await;
    assert_eq!((suspended.status, &suspended.json()["status"]), (StatusCode::OK, &"suspended".into()));

    for path in ["/v1/domains/new.example-shops.test", "/v1/domains/shop.example-shops.test"] {
        let refused = bench.put(path).token(&token).json("{}").send().await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "tenant_suspended"));
    }
    let refused = bench.delete("/v1/domains/shop.example-shops.test").token(&token).send().await;
    assert_eq!(refused.code(), "tenant_suspended");
    let refused = patch(&bench, tenant, &token, json!({ "branding": {} })).await;
    assert_eq!(refused.code(), "tenant_suspended");
    let read = bench.get("/v1/domains/shop.example-shops.test").token(&token).send().await;
    assert_eq!(read.status, StatusCode::OK, "it reads");
    let new = json!({ "name": "new.example-shops.test", "tenant": tenant.to_string() }).to_string();
    let refused = bench.post("/v1/domains").token(&platform).json(new.clone()).send().await;
    assert_eq!(refused.code(), "tenant_suspended", "nobody adds names to it");

    assert_eq!(act(&bench, tenant, &platform, "suspend").await.status, StatusCode::OK, "again is as good");
    assert_eq!(act(&bench, tenant, &platform, "resume").await.json()["status"], "active");
    bench.register(&token, "new.example-shops.test").await;
    assert_eq!(audited(&bench, &platform, "tenant.resumed").await["object"]["name"], "Nordwind");
}

#[tokio::test]
async fn a_deleted_tenant_can_be_taken_back_until_its_grace_is_over() {
    let bench = Bench::new().await;
    let (platform, (tenant, token)) = (bench.token(None).await, bench.tenant("Nordwind").await);
    bench.register(&token, "shop.example-shops.test").await;
    let path = format!("/v1/tenants/{tenant}");
    let deleted = bench.delete(&path).token(&platform).send().await;
    assert_eq!(deleted.status, StatusCode::ACCEPTED, "{}", deleted.text);
    assert_eq!(deleted.json()["delete_after"], "2026-12-05T12:00:00Z");
    assert_eq!(act(&bench, tenant, &platform, "suspend").await.code(), "tenant_being_deleted");
    let refused = bench.put("/v1/domains/new.example-shops.test").token(&token).json("{}").send().await;
    assert_eq!(refused.code(), "tenant_suspended");
    assert_eq!(act(&bench, tenant, &platform, "resume").await.json()["delete_after"], Value::Null);

    bench.delete(&path).token(&platform).send().await;
    bench.clock.advance(Duration::days(14));
    let later = bench.token(None).await;
    assert_eq!(act(&bench, tenant, &later, "resume").await.code(), "tenant_being_deleted");
    bench.engine.end_tenants(&bench.chance, bench.now()).await.unwrap();
    bench.finish_deletion("shop.example-shops.test").await;
    bench.engine.end_tenants(&bench.chance, bench.now()).await.unwrap();
    assert_eq!(bench.get(&path).token(&later).send().await.status, StatusCode::NOT_FOUND);
    let refused = bench.get("/v1/domains").token(&token).send().await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "its tokens open nothing");
    let new = json!({ "name": "Nordwind", "upstream": "10.0.0.5:8080" }).to_string();
    let added = bench.post("/v1/tenants").token(&later).json(new).send().await;
    assert_eq!(added.status, StatusCode::CREATED, "its name is free again: {}", added.text);
}

#[tokio::test]
async fn a_tenants_people_see_its_brand_and_no_word_of_ours() {
    let bench = Bench::new().await;
    let (tenant, token) = bench.tenant("Nordwind").await;
    let page = signed_in(&bench, tenant, "/domains").await;
    assert!(
        page.text.contains("Nordwind") && !page.text.to_lowercase().contains(">certmill"),
        "{}",
        page.text
    );

    let logo = BASE64.encode(&PICTURE);
    let brand = json!({ "product_name": "Nord TLS", "support_url": "https://help.nordwind.example", "accent": "#8a1538",
                        "logo": logo });
    let set = patch(&bench, tenant, &token, json!({ "branding": brand })).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.text);
    let page = signed_in(&bench, tenant, "/domains").await.text;
    let (style, logo) = (format!("/brand/{tenant}.css?v="), format!("/brand/{tenant}/logo?v="));
    for words in ["Nord TLS", "https://help.nordwind.example/", &style, &logo] {
        assert!(page.contains(words), "{words}: {page}");
    }

    let link = bench.invite(Some(tenant), Role::Viewer, "new@example.com").await;
    let welcome = bench.get(&link).send().await.text;
    let cookie = somebody(&bench, tenant).await.cookie;
    let refused = bench.get("/targets").cookie(&cookie).header("accept", "text/html").send().await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    for page in [welcome, refused.text] {
        assert!(page.contains("Nord TLS") && !page.to_lowercase().contains("certmill<"), "{page}");
    }
    let link = bench.invite(None, Role::Viewer, "ours@example.com").await;
    assert!(bench.get(&link).send().await.text.contains("certmill</a>"), "nobody's brand");

    let style = bench.get(&format!("/brand/{tenant}.css")).send().await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert!(style.text.starts_with(":root{--accent:light-dark(#8a1538,#"), "{}", style.text);
    let logo = bench.get(&format!("/brand/{tenant}/logo")).send().await;
    assert_eq!(
        (logo.header("content-type"), logo.header("x-content-type-options")),
        ("image/png", "nosniff")
    );
    let removed =
        patch(&bench, tenant, &token, json!({ "branding": { "logo": null, "accent": null } })).await;
    assert_eq!(removed.json()["branding"]["logo"], Value::Null);
    for path in [format!("/brand/{tenant}/logo"), format!("/brand/{tenant}.css"), "/brand/x.css".to_owned()] {
        assert_eq!(bench.get(&path).send().await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

async fn signed_in(bench: &Bench, tenant: TenantId, path: &str) -> Answer {
    somebody(bench, tenant).await.page(path).await
}

async fn somebody(bench: &Bench, tenant: TenantId) -> Operator<'_> {
    let email = format!("somebody-{}@example.com", bench.chance.fraction());
    let link = bench.invite(Some(tenant), Role::TenantAdmin, &email).await;
    let password = "correct horse battery";
    bench.post(&link).form(&[("password", password)]).send().await;
    Operator::known_by(bench, &email, password).await
}
