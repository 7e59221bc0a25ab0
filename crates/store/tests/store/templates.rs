//! Templates that are published: to one load balancer first, then to the others, and never past one that is just being
//! delivered to.

use std::collections::{BTreeMap, BTreeSet};

use certmill_model::{TargetId, TemplateRef, TrialId, TrialOutcome};
use certmill_store::{NewTemplateVersion, Published, Reach, ReleaseRecord, TargetChange, TemplateText};

use crate::base::{Base, now};

impl Base {
    /// Keeps a version that a trial has passed.
    async fn tried(&self, template: &TemplateRef, source: &str) -> i32 {
        let mut tx = self.api.scoped(Reach::Platform).await.unwrap();
        let new = NewTemplateVersion { template, source, note: "", author: "Ada" };
        let (version, _) = tx.save_template(new, None, now()).await.unwrap();
        let trial = TrialId::new(&self.chance, now());
        assert!(tx.ask_trial(trial, (template, version), "Ada", now()).await.unwrap());
        self.commit(tx).await;
        let outcome = TrialOutcome { passed: true, ..TrialOutcome::default() };
        self.engine.finish_trial(trial, &outcome, now()).await.unwrap();
        version
    }

    async fn publish(&self, template: &TemplateRef, version: Option<i32>) {
        let mut tx = self.api.scoped(Reach::Platform).await.unwrap();
        let done = tx.publish_template(template, version, None, "Ada", now()).await.unwrap();
        assert!(matches!(done, Published::Done(_)), "{done:?}");
        self.commit(tx).await;
    }

    /// A target as it is after a first delivery.
    async fn live_target(&self, name: &str) -> TargetId {
        let id = self.target(name, None).await;
        let live = "release_number = 1, revisit = false, state = 'in_sync'";
        self.sql(&format!("UPDATE targets SET {live} WHERE target_id = '{}' RETURNING 1::bigint", id.uuid()))
            .await;
        id
    }

    /// The version that a target is served with; 0: the file.
    async fn version_on(&self, target: TargetId) -> i32 {
        let published = self.engine.published_templates(Some(target)).await.unwrap();
        published.first().map_or(0, |text| text.version)
    }

    /// Leaves a target out.
    async fn disable(&self, target: TargetId) {
        let change = TargetChange { public_addresses: Vec::new(), group_id: None, disabled: true };
        let mut tx = self.api.scoped(Reach::Platform).await.unwrap();
        tx.change_target(target, &change, now()).await.unwrap();
        self.commit(tx).await;
    }

    async fn waits(&self, target: TargetId) -> bool {
        let waits =
            format!("SELECT revisit::integer::bigint FROM targets WHERE target_id = '{}'", target.uuid());
        self.sql(&waits).await == 1
    }
}

/// A database with a file of a template, and two load balancers.
async fn with_two_targets() -> (Base, TemplateRef, [TargetId; 2]) {
    let base = Base::new().await;
    let template = TemplateRef::parse("storefront:shared").unwrap();
    let form = template.form().unwrap();
    let file = TemplateText { name: "storefront".into(), form, version: 0, source: "gzip off;".into() };
    base.engine.keep_files(&[file], now()).await.unwrap();
    let targets = [base.live_target("lb1").await, base.live_target("lb2").await];
    (base, template, targets)
}

#[tokio::test]
async fn a_version_goes_to_one_target_first_and_to_the_others_once_that_one_serves_it() {
    let (base, template, [first, second]) = with_two_targets().await;
    let version = base.tried(&template, "gzip on;").await;
    base.publish(&template, Some(version)).await;
    assert_eq!((base.version_on(first).await, base.version_on(second).await), (version, 0));
    assert_eq!((base.waits(first).await, base.waits(second).await), (true, false));

    // What another target serves, or this one of another version, settles nothing.
    let served = base.engine.published_templates(Some(first)).await.unwrap();
    base.engine.settle_templates(second, &served, now()).await.unwrap();
    base.engine.settle_templates(first, &[], now()).await.unwrap();
    assert_eq!(base.version_on(second).await, 0);
    base.engine.settle_templates(first, &served, now()).await.unwrap();
    assert_eq!((base.version_on(first).await, base.version_on(second).await), (version, version));
    assert!(base.waits(second).await);

    base.publish(&template, None).await;
    assert_eq!((base.version_on(first).await, base.version_on(second).await), (0, 0), "back at once");
}

#[tokio::test]
async fn a_version_that_is_published_once_more_goes_to_another_target_first_and_to_no_more() {
    let (base, template, [first, second]) = with_two_targets().await;
    let version = base.tried(&template, "gzip on;").await;
    base.publish(&template, Some(version)).await;
    base.publish(&template, Some(version)).await;
    assert_eq!((base.version_on(first).await, base.version_on(second).await), (0, version));
    assert!(base.waits(first).await && base.waits(second).await, "the first goes back to what it had");
}

#[tokio::test]
async fn the_way_back_leads_to_what_all_targets_served_and_never_to_what_one_was_tried_with() {
    let (base, template, [first, second]) = with_two_targets().await;
    let settled = base.tried(&template, "gzip on;").await;
    base.publish(&template, Some(settled)).await;
    let served = base.engine.published_templates(Some(first)).await.unwrap();
    base.engine.settle_templates(first, &served, now()).await.unwrap();
    let unproved = base.tried(&template, "gzip off;").await;
    let last = base.tried(&template, "gzip_vary on;").await;
    base.publish(&template, Some(unproved)).await;
    base.publish(&template, Some(last)).await;
    let mut tx = base.api.scoped(Reach::Platform).await.unwrap();
    assert_eq!(tx.template_way_back(&template).await.unwrap(), Some(Some(settled)));
    drop(tx);
    base.publish(&template, Some(unproved)).await;
    let versions = [base.version_on(first).await, base.version_on(second).await];
    assert!(versions.contains(&unproved) && versions.contains(&settled), "{versions:?}");
    base.publish(&template, Some(settled)).await;
    assert_eq!((base.version_on(first).await, base.version_on(second).await), (settled, settled));
}

#[tokio::test]
async fn what_the_first_target_refuses_is_taken_back_and_has_to_be_tried_anew() {
    let (base, template, [first, second]) = with_two_targets().await;
    let version = base.tried(&template, "gzip on;").await;
    base.publish(&template, Some(version)).await;
    let refused = base.engine.published_templates(Some(first)).await.unwrap();
    base.engine.refuse_templates(first, &refused, "lb1: [emerg]", now()).await.unwrap();
    assert_eq!((base.version_on(first).await, base.version_on(second).await), (0, 0));
    let mut tx = base.api.scoped(Reach::Platform).await.unwrap();
    let last = tx.template_publications(&template, 1).await.unwrap().remove(0);
    assert_eq!(
        (last.version, last.previous_version, last.refused.as_deref()),
        (None, Some(version), Some("lb1: [emerg]"))
    );
    let again = tx.publish_template(&template, Some(version), None, "Ada", now()).await.unwrap();
    assert_eq!(again, Published::NotTried);
}

#[tokio::test]
async fn what_is_published_during_a_delivery_is_looked_at_behind_it() {
    let (base, template, [first, _]) = with_two_targets().await;
    let version = base.tried(&template, "gzip on;").await;
    let held = base.engine.claim_target(first, now()).await.unwrap().expect("nobody has it");
    base.publish(&template, Some(version)).await;
    base.engine.release_target(&held).await.unwrap();
    assert!(base.waits(first).await);
    let held = base.engine.claim_target(first, now()).await.unwrap().expect("it waits");
    base.engine.release_target(&held).await.unwrap();
    assert!(!base.waits(first).await, "nothing has changed since");
}

#[tokio::test]
async fn a_version_goes_first_to_a_target_that_serves_a_shop_with_it() {
    let (base, template, [first, second]) = with_two_targets().await;
    base.issue("shop.example.com").await;
    base.deliver(first).await;
    base.deliver(second).await;
    let shown = |target: TargetId, by: &str| {
        let target = target.uuid();
        format!(
            "UPDATE placements SET served_template = '{by}' WHERE target_id = '{target}' RETURNING 1::bigint"
        )
    };
    base.sql(&shown(first, "redirect")).await;
    base.sql(&shown(second, "storefront")).await;
    let version = base.tried(&template, "gzip on;").await;
    base.publish(&template, Some(version)).await;
    assert_eq!((base.version_on(first).await, base.version_on(second).await), (0, version));
    base.publish(&template, Some(version)).await;
    assert_eq!(base.version_on(second).await, version, "the other one would prove nothing");
}

#[tokio::test]
async fn another_target_has_a_version_first_when_the_one_before_is_left_out_removed_or_unreachable() {
    let (base, template, [first, second]) = with_two_targets().await;
    let version = base.tried(&template, "gzip on;").await;
    base.publish(&template, Some(version)).await;
    base.engine.replace_canaries(now()).await.unwrap();
    assert_eq!(base.version_on(first).await, version, "that one is well");

    base.disable(first).await;
    base.engine.replace_canaries(now()).await.unwrap();
    assert_eq!((base.version_on(first).await, base.version_on(second).await), (0, version));
    assert!(base.waits(second).await);

    // Nobody is left to prove it: it waits, and does not count for all.
    base.disable(second).await;
    let mut tx = base.api.scoped(Reach::Platform).await.unwrap();
    assert!(tx.remove_target(second).await.unwrap());
    base.commit(tx).await;
    base.engine.replace_canaries(now()).await.unwrap();
    assert!(base.engine.published_templates(None).await.unwrap().is_empty());
    let third = base.live_target("lb3").await;
    base.engine.replace_canaries(now()).await.unwrap();
    assert_eq!((base.version_on(third).await, base.version_on(first).await), (version, 0));

    let fourth = base.live_target("lb4").await;
    let lost = "UPDATE targets SET state = 'unreachable' WHERE name = 'lb3' RETURNING 1::bigint";
    base.sql(lost).await;
    base.engine.replace_canaries(now()).await.unwrap();
    assert_eq!((base.version_on(third).await, base.version_on(fourth).await), (0, version));
}

#[tokio::test]
async fn a_target_that_has_a_version_first_is_looked_at_again_until_the_version_is_settled() {
    let (base, template, [first, second]) = with_two_targets().await;
    let version = base.tried(&template, "gzip on;").await;
    base.publish(&template, Some(version)).await;
    let held = base.engine.claim_target(first, now()).await.unwrap().expect("it waits");
    let deployment = base.engine.begin_deployment(&held.lease, 0, &base.chance, now()).await.unwrap();
    let release = ReleaseRecord {
        number: 2,
        manifest: BTreeMap::new(),
        rendered_from: String::new(),
        upstreams: BTreeSet::new(),
    };
    let done = base.engine.finish_deployment(&held, deployment, &release, &[], &[], &base.chance, now());
    done.await.unwrap();
    // The worker is killed here.
    assert!(base.waits(first).await && !base.waits(second).await);
}

#[tokio::test]
async fn a_tenant_that_is_deleted_uses_no_template() {
    let (base, template, _) = with_two_targets().await;
    let mut tx = base.api.scoped(Reach::Platform).await.unwrap();
    assert_eq!(tx.template_use(&template).await.unwrap().tenants, ["Nordwind"]);
    base.sql("UPDATE tenants SET status = 'deleted' RETURNING 1::bigint").await;
    assert!(tx.template_use(&template).await.unwrap().tenants.is_empty());
}

#[tokio::test]
async fn the_first_domains_of_a_template_are_listed_by_name_whatever_way_they_name_it() {
    let (base, template, _) = with_two_targets().await;
    for (name, named) in
        [("c.example.com", "storefront"), ("a.example.com", "storefront:shared"), ("b.example.com", "")]
    {
        base.put(name).await;
        let name_it = "UPDATE domains SET template = NULLIF";
        base.sql(&format!("{name_it}('{named}', '') WHERE name = '{name}' RETURNING 1::bigint")).await;
    }
    let mut tx = base.api.scoped(Reach::Platform).await.unwrap();
    let used = tx.template_use(&template).await.unwrap();
    assert_eq!((used.domains, used.count), (vec!["a.example.com".to_owned(), "c.example.com".to_owned()], 3));
}
