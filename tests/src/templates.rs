//! Templates, as the platform's people write, try and publish them.

use certmill_model::{Chance, Clock, SystemClock, TemplateRef, TrialId, TrialOutcome};
use certmill_store::{Actor, Api, AuditEntry, NewTemplateVersion, Published, Reach, ScopedTx};

use crate::{SOON, Stage, until};

/// A template, as the platform's people reach it.
pub struct Template {
    store: Api,
    reference: TemplateRef,
}

impl Template {
    /// The template of this name and form, `storefront:shared`, whether it is there or not.
    pub async fn of(stage: &Stage, reference: &str) -> Self {
        let url = stage.lab.description().postgres_url.clone();
        let store = certmill_store::connect_api(&url, 2).await.unwrap();
        Self { store, reference: TemplateRef::parse(reference).unwrap() }
    }

    /// A transaction of the platform.
    pub async fn tx(&self) -> ScopedTx {
        self.store.scoped(Reach::Platform).await.unwrap()
    }

    /// Its name and form.
    pub fn reference(&self) -> &TemplateRef {
        &self.reference
    }

    /// Keeps a version, and has it tried.
    pub async fn tried(&self, source: &str, note: &str) -> (i32, TrialOutcome) {
        let now = SystemClock.now();
        let mut tx = self.tx().await;
        let new = NewTemplateVersion { template: &self.reference, source, note, author: "Ada Lovelace" };
        let (version, _) = tx.save_template(new, None, now).await.unwrap();
        let trial = TrialId::new(&Chance::from_system(), now);
        let asked = tx.ask_trial(trial, (&self.reference, version), "Ada Lovelace", now).await.unwrap();
        assert!(asked, "the version is there");
        self.commit(tx).await;
        let outcome = until("the trial is over", SOON, async || {
            let trial = self.tx().await.read_trial((&self.reference, version), trial).await.unwrap().unwrap();
            trial.outcome.ok_or_else(|| "it is under way".to_owned())
        })
        .await;
        (version, outcome)
    }

    /// Publishes a version, or the file.
    pub async fn publish(&self, version: Option<i32>) -> Published {
        let mut tx = self.tx().await;
        let now = SystemClock.now();
        let done = tx.publish_template(&self.reference, version, None, "Ada Lovelace", now).await.unwrap();
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
            object_name: self.reference.to_string(),
            tenant: None,
            detail: serde_json::Value::Null,
        };
        tx.commit(&entry, &Chance::from_system(), SystemClock.now()).await.unwrap();
    }
}
