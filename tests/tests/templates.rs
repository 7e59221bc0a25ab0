//! Templates that are written, tried, published and taken back.

use certmill_model::{Chance, Clock, Form, SystemClock, TemplateRef, TrialId, TrialOutcome};
use certmill_store::{Actor, Api, AuditEntry, NewTemplateVersion, Published, Reach, ScopedTx};
use certmill_tests::{SOON, Stage, until};

/// The templates as the platform's people reach them.
struct Templates {
    store: Api,
    storefront: TemplateRef,
}

impl Templates {
    async fn of(stage: &Stage) -> Self {
        let url = stage.lab.description().postgres_url.clone();
        let store = certmill_store::connect_api(&url, 2).await.unwrap();
        Self { store, storefront: TemplateRef::parse("storefront:shared").unwrap() }
    }

    /// Keeps a version, and has it tried.
    async fn tried(&self, source: &str) -> (i32, TrialOutcome) {
        let now = SystemClock.now();
        let mut tx = self.store.scoped(Reach::Platform).await.unwrap();
        let new = NewTemplateVersion { template: &self.storefront, source, note: "", author: "ops" };
        let (version, _) = tx.save_template(new, None, now).await.unwrap();
        let trial = TrialId::new(&Chance::from_system(), now);
        assert!(tx.ask_trial(trial, (&self.storefront, version), &[], "ops", now).await.unwrap());
        self.commit(tx).await;
        let outcome = until("the trial is over", SOON, async || {
            let mut tx = self.store.scoped(Reach::Platform).await.unwrap();
            let trial = tx.read_trial(trial).await.unwrap().unwrap();
            trial.outcome.ok_or_else(|| "it is under way".to_owned())
        })
        .await;
        (version, outcome)
    }

    async fn publish(&self, version: Option<i32>) -> Published {
        let mut tx = self.store.scoped(Reach::Platform).await.unwrap();
        let now = SystemClock.now();
        let done = tx.publish_template(&self.storefront, version, None, "ops", now).await.unwrap();
        self.commit(tx).await;
        done
    }

    async fn commit(&self, tx: ScopedTx) {
        let actor = Actor::command_line();
        let entry = AuditEntry {
            actor: &actor,
            action: "template.changed",
            object_kind: "template",
            object_id: None,
            object_name: self.storefront.to_string(),
            tenant: None,
            detail: serde_json::Value::Null,
        };
        tx.commit(&entry, &Chance::from_system(), SystemClock.now()).await.unwrap();
    }
}

/// What a load balancer is configured with for the template.
fn served(stage: &Stage) -> Vec<String> {
    let place = |load_balancer: &certmill_lab::LoadBalancer| {
        let path = std::path::Path::new(&load_balancer.root).join("current/servers/storefront.conf");
        std::fs::read_to_string(path).unwrap_or_default()
    };
    stage.load_balancers().iter().map(place).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_tried_before_it_is_published_and_taken_back_byte_for_byte() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let addresses = stage.lab.description().load_balancer_addresses();
    stage.lab.set_addresses("shop.test", &addresses).await.unwrap();
    stage.put("shop.test").await;
    stage.active("shop.test").await;
    let before = served(&stage);
    assert!(before.iter().all(|text| text.contains("proxy_pass")), "{before:?}");
    let templates = Templates::of(&stage).await;
    let file = {
        let mut tx = templates.store.scoped(Reach::Platform).await.unwrap();
        assert_eq!(tx.find_template(&templates.storefront).await.unwrap().unwrap().form, Form::Shared);
        tx.template_file(&templates.storefront).await.unwrap().expect("the built-in one is known")
    };

    // A broken one is refused, in the words of nginx, and cannot be published.
    let broken = format!("{file}\nadd_header X-Broken \"a\" never nonsense;\n");
    let (version, outcome) = templates.tried(&broken).await;
    assert!(!outcome.passed, "{outcome:?}");
    let words = outcome.words.unwrap();
    assert!(words.contains("[emerg]"), "{words}");
    let place = outcome.place.expect("nginx names the line");
    assert!(place.path == "servers/storefront.conf" && place.text.contains("X-Broken"), "{place:?}");
    assert_eq!(templates.publish(Some(version)).await, Published::NotTried);
    // So is one that no template may be.
    let (_, outcome) = templates.tried(&format!("{file}\ninclude /etc/passwd;\n")).await;
    assert!(!outcome.passed && outcome.words.unwrap().contains("include"));
    assert_eq!(served(&stage), before, "nothing that is live was touched");

    let changed = format!("{file}\nadd_header X-Brand \"new\";\n");
    let (version, outcome) = templates.tried(&changed).await;
    assert!(outcome.passed, "{outcome:?}");
    assert_eq!(outcome.samples, ["shop.test"]);
    assert!(outcome.tested_on.is_some() && outcome.diff.contains("+add_header X-Brand"), "{}", outcome.diff);
    assert!(matches!(templates.publish(Some(version)).await, Published::Done(_)));
    until("every load balancer is configured with it", SOON, async || {
        let now = served(&stage);
        if now.iter().all(|text| text.contains("X-Brand")) { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    stage.active("shop.test").await;

    assert!(matches!(templates.publish(None).await, Published::Done(_)));
    until("it is as before", SOON, async || {
        let now = served(&stage);
        if now == before { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    let mut tx = templates.store.scoped(Reach::Platform).await.unwrap();
    let published = tx.template_publications(&templates.storefront).await.unwrap();
    assert!(published[0].is_roll_back && !published[1].is_roll_back);
}
