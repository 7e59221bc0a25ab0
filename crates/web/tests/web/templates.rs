//! Templates over the API and on pages.

use http::StatusCode;
use serde_json::{Value, json};

use certmill_model::TrialOutcome;
use sqlx::{Connection, PgConnection};

use crate::support::{Bench, exchange::Answer, operator::Operator};

const TEXT: &str = "location / {\n    proxy_pass http://$certmill_upstream;\n}\n";

/// The platform's templates.
struct Templates {
    bench: Bench,
    token: String,
}

impl Templates {
    async fn new() -> Self {
        let bench = Bench::new().await;
        let token = bench.token(None).await;
        Self { bench, token }
    }

    async fn post(&self, path: &str, tag: Option<&str>, body: Value) -> Answer {
        let call = self.bench.post(path).token(&self.token).json(body.to_string());
        match tag {
            Some(tag) => call.header("if-match", tag).send().await,
            None => call.send().await,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.bench.get(path).token(&self.token).send().await
    }

    async fn make(&self) -> Answer {
        self.post("/v1/templates", None, json!({ "name": "mine", "form": "shared", "source": TEXT })).await
    }

    async fn tag(&self) -> String {
        self.get("/v1/templates/mine").await.header("etag").to_owned()
    }

    /// Does the engine's part of a test that was asked for.
    async fn pass(&self, passed: bool) {
        let trial = self.bench.engine.take_trial().await.unwrap().expect("one was asked for");
        let words = (!passed).then(|| "[emerg] unknown directive".to_owned());
        let outcome = TrialOutcome {
            passed,
            words,
            tested_on: Some("lb1".into()),
            samples: vec!["shop.example".into()],
            ..TrialOutcome::default()
        };
        self.bench.engine.finish_trial(trial.trial_id, &outcome, self.bench.now()).await.unwrap();
    }
}

impl Bench {
    /// Publishes a template that no file has.
    async fn publish(&self, name: &str) {
        let mut connection = PgConnection::connect(&self.database).await.unwrap();
        sqlx::query(
            "WITH made AS (
                 INSERT INTO templates (name, form, published_version, created_at, updated_at)
                 VALUES ($1, 'shared', 1, now(), now())
             )
             INSERT INTO template_versions (name, form, version, source, note, author, created_at)
             VALUES ($1, 'shared', 1, 'return 204;', '', 'Ada', now())",
        )
        .bind(name)
        .execute(&mut connection)
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_template_is_made_tested_published_and_rolled_back() {
    let templates = Templates::new().await;
    let made = templates.make().await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.header("location"), "/v1/templates/mine:shared");
    assert_eq!((&made.json()["published_version"], &made.json()["source"]), (&Value::Null, &Value::Null));
    assert_eq!(templates.make().await.status, StatusCode::CONFLICT);

    let publish = "/v1/templates/mine/publish";
    let tag = templates.tag().await;
    assert_eq!(templates.post(publish, None, json!({ "version": 1 })).await.code(), "version_missing");
    let refused = templates.post(publish, Some(&tag), json!({ "version": 1 })).await;
    assert_eq!(refused.code(), "template_not_tested");
    let unsaid = templates.post(publish, Some(&tag), json!({})).await;
    assert_eq!(unsaid.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", unsaid.text);

    for passed in [false, true] {
        let asked = templates.post("/v1/templates/mine/versions/1/test", None, json!({})).await;
        assert_eq!((asked.status, &asked.json()["status"]), (StatusCode::ACCEPTED, &json!("running")));
        templates.pass(passed).await;
        let done = templates.get(asked.header("location")).await.json();
        assert_eq!(done["status"], if passed { "passed" } else { "refused" });
        assert_eq!(done["detail"].is_null(), passed, "{done}");
    }
    let published = templates.post(publish, Some(&tag), json!({ "version": 1 })).await;
    assert_eq!(published.status, StatusCode::ACCEPTED, "{}", published.text);
    assert_eq!(published.json()["source"], TEXT);
    let stale = templates.post(publish, Some(&tag), json!({ "version": 1 })).await;
    assert_eq!(stale.code(), "changed_meanwhile");

    // There was nothing before it.
    let roll_back = "/v1/templates/mine/rollback";
    let refused = templates.post(roll_back, Some(&templates.tag().await), json!({})).await;
    assert_eq!(refused.code(), "nothing_before");
    let body = json!({ "source": format!("{TEXT}gzip on;\n"), "note": "smaller" });
    let kept = templates.post("/v1/templates/mine/versions", Some(&templates.tag().await), body).await;
    assert_eq!(kept.header("location"), "/v1/templates/mine:shared/versions/2", "{}", kept.text);
    templates.post("/v1/templates/mine/versions/2/test", None, json!({})).await;
    templates.pass(true).await;
    templates.post(publish, Some(&templates.tag().await), json!({ "version": 2 })).await;
    let back = templates.post(roll_back, Some(&templates.tag().await), json!({})).await;
    assert_eq!((back.status, &back.json()["published_version"]), (StatusCode::ACCEPTED, &json!(1)));

    let entries = templates.get("/v1/audit").await.json();
    let actions: Vec<_> =
        entries["data"].as_array().unwrap().iter().map(|one| one["action"].clone()).collect();
    for action in ["template.saved", "template.tested", "template.published", "template.rolled_back"] {
        assert!(actions.contains(&json!(action)), "{action}: {actions:?}");
    }
}

#[tokio::test]
async fn a_text_that_no_template_may_be_is_refused_with_its_line_and_column() {
    let templates = Templates::new().await;
    templates.make().await;
    let body = json!({ "source": "gzip on;\n  include /etc/passwd;\n" });
    let shown = templates.post("/v1/templates/mine/render", None, body.clone()).await;
    let mistake = &shown.json()["mistake"];
    assert_eq!((shown.status, &mistake["line"], &mistake["column"]), (StatusCode::OK, &json!(2), &json!(3)));
    let refused = templates.post("/v1/templates/mine/versions", Some(&templates.tag().await), body).await;
    assert_eq!(refused.code(), "template_invalid");
    assert!(refused.text.contains("line 2, column 3"), "{}", refused.text);
}

#[tokio::test]
async fn a_text_is_shown_on_domains_that_have_the_template() {
    let templates = Templates::new().await;
    let (_, tenant) = templates.bench.tenant("Nordwind").await;
    templates.make().await;
    for name in ["a.example-shops.test", "b.example-shops.test"] {
        templates.bench.register(&tenant, name).await;
    }
    let show = async |domains: Value| {
        let body = json!({ "source": TEXT, "domains": domains });
        templates.post("/v1/templates/mine/render", None, body).await
    };
    let shown = show(json!([])).await.json();
    let names: Vec<_> = shown["domains"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["a.example-shops.test", "b.example-shops.test"]);
    let chosen = show(json!(["B.example-shops.test"])).await.json();
    let block = chosen["domains"][0]["server_block"].as_str().unwrap();
    assert!(
        block.contains("server_name b.example-shops.test;") && block.contains("127.0.0.1:9000"),
        "{block}"
    );
    assert_eq!(show(json!(["nobody.example-shops.test"])).await.code(), "unknown_domain");
}

#[tokio::test]
async fn a_template_in_use_stays_and_another_can_go() {
    let templates = Templates::new().await;
    let (_, tenant) = templates.bench.tenant("Nordwind").await;
    templates.make().await;
    templates.post("/v1/templates/mine/versions/1/test", None, json!({})).await;
    templates.pass(true).await;
    let publish = "/v1/templates/mine/publish";
    templates.post(publish, Some(&templates.tag().await), json!({ "version": 1 })).await;
    let shop = "/v1/domains/a.example-shops.test";
    let put = templates.bench.put(shop).token(&tenant).json(r#"{"template":"mine"}"#).send().await;
    assert_eq!(put.status, StatusCode::CREATED, "what is published exists: {}", put.text);
    let remove = async || {
        let call = templates.bench.delete("/v1/templates/mine").token(&templates.token);
        call.header("if-match", &templates.tag().await).send().await
    };
    assert_eq!(remove().await.code(), "template_in_use");
    let put = templates.bench.put(shop).token(&tenant).json("{}").send().await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text);
    assert_eq!(remove().await.status, StatusCode::NO_CONTENT);
    assert_eq!(templates.get("/v1/templates/mine").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_pages_lead_from_a_text_to_its_publication_and_back() {
    let templates = Templates::new().await;
    let (_, tenant) = templates.bench.tenant("Nordwind").await;
    templates.bench.register(&tenant, "a.example-shops.test").await;
    let operator = Operator::of(&templates.bench).await;
    assert!(operator.page("/templates").await.text.contains("No template yet"));
    let made = operator.send("/templates", &[("name", "mine"), ("form", "shared")]).await;
    assert_eq!(made.header("location"), "/templates/mine:shared", "{}", made.text);
    let page = operator.page("/templates/mine:shared").await;
    assert!(page.text.contains("server_name a.example-shops.test;"), "{}", page.text);

    // Lines come with CR LF from browsers.
    let wrong = [("source", "gzip on;\r\nroot /etc;\r\n"), ("revision", "1")];
    let shown = operator.send("/templates/mine:shared/preview", &wrong).await;
    assert!(shown.status == StatusCode::OK && shown.text.contains("Line 2, character 1"), "{}", shown.text);
    let refused = operator.send("/templates/mine:shared", &wrong).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("root /etc;"), "what was typed stays");
    let right = [("source", "gzip on;\r\n"), ("revision", "1"), ("note", "smaller")];
    let kept = operator.send("/templates/mine:shared", &right).await;
    assert_eq!(kept.header("location"), "/templates/mine:shared/versions/2", "{}", kept.text);
    let stale = operator.send("/templates/mine:shared", &right).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);

    let version = "/templates/mine:shared/versions/2";
    assert!(!operator.page(version).await.text.contains(">Publish</button>"));
    operator.send(&format!("{version}/test"), &[]).await;
    assert!(operator.page(version).await.text.contains("Under way"));
    templates.pass(true).await;
    let page = operator.page(version).await;
    assert!(page.text.contains("nginx takes it") && page.text.contains(">Publish</button>"), "{}", page.text);
    let published = operator.send(&format!("{version}/publish"), &[("revision", "2")]).await;
    assert_eq!(published.header("location"), "/templates/mine:shared", "{}", published.text);
    assert!(operator.page("/templates/mine:shared").await.text.contains("A published version"));
    let page = operator.page("/templates").await;
    assert!(page.text.contains("A published version"), "{}", page.text);
}

#[tokio::test]
async fn no_change_holds_a_row_while_it_waits_for_a_second_connection() {
    let bench = Bench::with_one_connection().await;
    let platform = bench.token(None).await;
    let (tenant, token) = bench.tenant("Nordwind").await;
    bench.publish("special").await;
    bench.register(&token, "a.brand.test").await;
    let domain = "/v1/domains/a.brand.test";
    let template = r#"{"template":"special"}"#;
    let put = bench.put("/v1/domains/b.brand.test").token(&token).json(template).send().await;
    assert_eq!(put.status, StatusCode::CREATED, "{}", put.text);
    // The second time nothing changes.
    for _ in 0..2 {
        let changed = bench.patch(domain).token(&token).json(template).send().await;
        assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
        let path = format!("/v1/tenants/{tenant}");
        let changed = bench.patch(&path).token(&platform).json(template).send().await;
        assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    }
    for action in ["pause", "pause", "resume", "resume"] {
        let done = bench.post(&format!("{domain}/{action}")).token(&token).send().await;
        assert_eq!(done.status, StatusCode::OK, "{action}: {}", done.text);
    }
    // A form that is refused is shown again.
    bench.add_target("lb-1").await;
    let operator = Operator::of(&bench).await;
    let change = "/domains/a.brand.test/change";
    for (page, fields) in
        [(change, [("template", "none-such")]), ("/targets/lb-1", [("addresses", "nowhere")])]
    {
        let unusable = operator.fill(page, page, &fields).await;
        assert_eq!(unusable.status, StatusCode::UNPROCESSABLE_ENTITY, "{page}: {}", unusable.text);
        let late = operator.send(page, &fields).await;
        assert_eq!(late.status, StatusCode::CONFLICT, "{page}: {}", late.text);
    }
    let new = r#"{"name":"Bella Casa","upstream":"10.0.0.5:8080","template":"special"}"#;
    let added = bench.post("/v1/tenants").token(&platform).json(new).send().await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
}

#[tokio::test]
async fn what_is_published_can_be_chosen_as_the_template_of_a_tenant() {
    let bench = Bench::new().await;
    let (tenant, _) = bench.tenant("Nordwind").await;
    bench.publish("special").await;
    let operator = Operator::of(&bench).await;
    for path in ["/tenants/new".to_owned(), format!("/tenants/{tenant}")] {
        let page = operator.page(&path).await.text;
        assert!(page.contains("value=\"special\""), "{path}: {page}");
    }
}
