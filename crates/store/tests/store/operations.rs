//! Long operations: each line once, whoever dies meanwhile.

use certmill_model::{
    Hostname, KEPT_LINES, NamePolicy, OPEN_OPERATIONS, OpenOrderRole, OperationId, OperationStatus, RawLine,
    STORED_BYTES, STORED_LINES, TenantId,
};
use certmill_store::{Expendable, NewLine, OperationRow, Reach, StoreError};

use crate::base::{Base, now, tenant};

impl Base {
    async fn operation(&self, lines: &[&str]) -> OperationId {
        self.operation_of(self.tenant, lines).await
    }

    async fn operation_of(&self, tenant: TenantId, lines: &[&str]) -> OperationId {
        let mut tx = self.api.tenant(tenant).await.unwrap();
        let id = tx.create_operation("import", &self.chance, now()).await.unwrap();
        let policy = NamePolicy::allowing_special_use(["example.com".to_owned()]);
        let line = |(number, text): (usize, &&str)| NewLine {
            line: number as i32 + 1,
            reference: Some(format!("row-{number}")),
            asks: RawLine::read(text).and_then(|raw| raw.check(&policy, |_| true)),
        };
        let lines: Vec<_> = lines.iter().enumerate().map(line).collect();
        assert!(tx.add_lines(id, &lines, now()).await.unwrap());
        assert!(tx.complete_operation(id, now()).await.unwrap());
        tx.commit().await.unwrap();
        id
    }

    async fn work_off(&self) {
        while let Some(lease) = self.engine.claim_operation(now()).await.unwrap() {
            while self.engine.work_on_operation(&lease, &self.chance, now()).await.unwrap() {}
        }
    }

    async fn sweep(&self) {
        self.engine.delete_expendable(Expendable::Operations, now(), async || ()).await.unwrap();
    }

    async fn stands(&self, id: OperationId) -> OperationRow {
        let mut tx = self.api.read(Reach::Tenant(self.tenant)).await.unwrap();
        tx.operation(id).await.unwrap().unwrap()
    }

    async fn results(&self, id: OperationId) -> Vec<(Option<i16>, Option<String>)> {
        let mut tx = self.api.read(Reach::Tenant(self.tenant)).await.unwrap();
        let lines = tx.operation_lines(id, false, 0, 1_000).await.unwrap();
        lines.into_iter().map(|line| (line.result, line.code)).collect()
    }
}

fn put(name: &str) -> String {
    format!(r#"{{"op":"put","name":"{name}.example.com"}}"#)
}

#[tokio::test]
async fn each_line_is_answered_like_a_request_of_its_own() {
    let base = Base::new().await;
    let mut platform = base.api.platform().await.unwrap();
    let other = platform.put_tenant(&tenant("Suedwind", &base.chance), now()).await.unwrap();
    platform.commit().await.unwrap();
    base.put_for(other, "taken.example.com").await;
    base.put("old.example.com").await;
    let id = base
        .operation(&[
            &put("new"),
            &put("old"),
            &put("taken"),
            "{nonsense",
            r#"{"op":"put","name":"tagged.example.com","external_id":"7","tags":["eu"]}"#,
            r#"{"op":"put","name":"new.example.com","external_id":"9"}"#,
            r#"{"op":"pause","name":"new.example.com"}"#,
            r#"{"op":"resume","name":"new.example.com"}"#,
            r#"{"op":"resume","name":"new.example.com"}"#,
            r#"{"op":"check","name":"new.example.com"}"#,
            r#"{"op":"renew","name":"new.example.com"}"#,
            r#"{"op":"delete","name":"new.example.com"}"#,
            r#"{"op":"delete","name":"taken.example.com"}"#,
        ])
        .await;
    base.work_off().await;
    let numbers: Vec<_> = base.results(id).await.into_iter().map(|(result, _)| result.unwrap()).collect();
    assert_eq!(numbers, [201, 200, 409, 422, 201, 200, 200, 200, 200, 202, 409, 202, 404]);
    let row = base.stands(id).await;
    assert_eq!((row.status, row.total, row.done, row.failed), (OperationStatus::Succeeded, 13, 13, 4));
    assert_eq!(base.sql("SELECT count(*) FROM domain_tags").await, 1);
    assert_eq!(base.sql("SELECT count(*) FROM domains WHERE status = 'pending_deletion'").await, 1);
    let mut stranger = base.api.read(Reach::Tenant(other)).await.unwrap();
    assert!(stranger.operation(id).await.unwrap().is_none());
    assert!(stranger.operation_lines(id, false, 0, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn whoever_goes_on_after_a_crash_begins_behind_the_last_line_with_a_result() {
    let base = Base::new().await;
    let lines: Vec<_> = (0..600).map(|number| put(&format!("s{number}"))).collect();
    let id = base.operation(&lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let dead = base.engine.claim_operation(now()).await.unwrap().unwrap();
    assert!(base.engine.claim_operation(now()).await.unwrap().is_none(), "it is under way");
    assert!(base.engine.work_on_operation(&dead, &base.chance, now()).await.unwrap());
    assert_eq!(base.stands(id).await.done, 500);
    base.sql("UPDATE operations SET lease_until = now() - interval '1 second' RETURNING 1::bigint").await;
    let next = base.engine.claim_operation(now()).await.unwrap().unwrap();
    let late = base.engine.work_on_operation(&dead, &base.chance, now()).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)));
    while base.engine.work_on_operation(&next, &base.chance, now()).await.unwrap() {}
    assert_eq!(base.stands(id).await.done, 600);
    assert_eq!(base.sql("SELECT count(*) FROM events WHERE kind = 'domain_created'").await, 600);
}

#[tokio::test]
async fn operations_take_turns_and_so_do_the_tenants_that_have_some() {
    let base = Base::new().await;
    let mut platform = base.api.platform().await.unwrap();
    let other = platform.put_tenant(&tenant("Suedwind", &base.chance), now()).await.unwrap();
    platform.commit().await.unwrap();
    let claim = async || base.engine.claim_operation(now()).await.unwrap();
    let turn = async || {
        let lease = claim().await.unwrap();
        base.engine.release_operation(&lease).await.unwrap();
        lease.operation_id
    };
    let long = [base.operation(&[&put("one")]).await, base.operation(&[&put("two")]).await];
    let first = turn().await;
    let second = if first == long[0] { long[1] } else { long[0] };
    let short = base.operation_of(other, &[&put("three")]).await;
    for expected in [short, second, short, first, short, second] {
        assert_eq!(turn().await, expected);
    }

    let (held, beside) = (claim().await.unwrap(), claim().await.unwrap());
    assert_eq!((held.operation_id, beside.operation_id), (short, first));
    base.engine.release_operation(&held).await.unwrap();
    assert_eq!(claim().await.unwrap().operation_id, short, "its tenant's last turn is longer ago");
    assert_eq!(claim().await.unwrap().operation_id, second);
    base.engine.release_operation(&held).await.unwrap();
    assert!(claim().await.is_none(), "who has lost the lease lets nothing go");
}

#[tokio::test]
async fn a_cancelled_operation_waits_for_no_turn() {
    let base = Base::new().await;
    base.operation(&[&put("one")]).await;
    let id = base.operation(&[&put("two")]).await;
    let mut tx = base.api.scoped(Reach::Tenant(base.tenant)).await.unwrap();
    assert!(tx.cancel_operation(id, now()).await.unwrap());
    base.commit(tx).await;
    assert_eq!(base.engine.claim_operation(now()).await.unwrap().map(|lease| lease.operation_id), Some(id));
}

#[tokio::test]
async fn a_cancelled_operation_leaves_the_other_lines() {
    let base = Base::new().await;
    let lines: Vec<_> = (0..600).map(|number| put(&format!("s{number}"))).collect();
    let id = base.operation(&lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let lease = base.engine.claim_operation(now()).await.unwrap().unwrap();
    assert!(base.engine.work_on_operation(&lease, &base.chance, now()).await.unwrap());
    let mut tx = base.api.scoped(Reach::Tenant(base.tenant)).await.unwrap();
    assert!(tx.cancel_operation(id, now()).await.unwrap());
    base.commit(tx).await;
    assert!(!base.engine.work_on_operation(&lease, &base.chance, now()).await.unwrap());
    assert_eq!((base.stands(id).await.status, base.stands(id).await.done), (OperationStatus::Cancelled, 500));
}

/// What is told of a name that is paused and resumed: the kind, and from what to what.
const TOLD: &str = "SELECT count(*) FROM events e JOIN domains d USING (domain_id) WHERE d.name = 'shop.example.com'
                    AND (e.kind, e.previous_status, e.status) IN (('domain_paused', 'pending_issuance', 'paused'),
                                                                  ('domain_resumed', 'paused', 'pending_dns'))";

#[tokio::test]
async fn names_that_many_lines_pause_and_resume_end_their_order_and_tell_of_it_like_a_single_one() {
    let base = Base::new().await;
    let (shop, www) = (base.put("shop.example.com").await, base.put("www.shop.example.com").await);
    let leader = base.claim(shop).await.unwrap();
    base.start_order_with(&leader, Some((www, "www.shop.example.com"))).await.unwrap();
    base.operation(&[r#"{"op":"pause","name":"shop.example.com"}"#]).await;
    base.work_off().await;
    assert_eq!(base.sql("SELECT count(*) FROM orders WHERE status = 'cancelled'").await, 1);
    assert_eq!(base.sql("SELECT count(*) FROM domains WHERE order_id IS NOT NULL").await, 0);
    let alone = base.claim(www).await.expect("it is due at once");
    assert_eq!(alone.situation.order, OpenOrderRole::None);
    assert!(matches!(base.engine.rest(&leader.lease, None).await, Err(StoreError::LeaseLost)));
    base.operation(&[r#"{"op":"resume","name":"shop.example.com"}"#]).await;
    base.work_off().await;
    assert_eq!(base.sql(TOLD).await, 2);
    assert_eq!(base.sql("SELECT count(*) FROM events WHERE kind = 'domain_changed'").await, 0);
}

#[tokio::test]
async fn a_name_that_is_paused_in_bulk_while_anothers_order_includes_it_stays_paused_when_that_is_issued() {
    let base = Base::new().await;
    let names = ["shop.example.com", "www.shop.example.com"];
    let (shop, www) = (base.put(names[0]).await, base.put(names[1]).await);
    let leader = base.claim(shop).await.unwrap();
    let order = base.start_order_with(&leader, Some((www, names[1]))).await.unwrap();
    base.operation(&[r#"{"op":"pause","name":"www.shop.example.com"}"#]).await;
    base.work_off().await;
    base.issued_for(&leader, order, &names.map(|name| Hostname::parse(name).unwrap())).await.unwrap();
    let paused = "SELECT count(*) FROM domains WHERE name LIKE 'www%' AND status = 'paused' AND next_action_at IS NULL";
    assert_eq!(base.sql(paused).await, 1);
    assert_eq!(base.sql("SELECT count(*) FROM domains WHERE status = 'pending_deployment'").await, 1);
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_leaves_the_rest() {
    let base = Base::new().await;
    let id = base
        .operation(&[
            r#"{"op":"put","name":"a.example.com","external_id":"7","tags":["eu"],"metadata":{"plan":"gold"}}"#,
            r#"{"op":"patch","name":"a.example.com","tags":["us"],"metadata":{"since":"1"}}"#,
            r#"{"op":"patch","name":"nobody.example.com","tags":["us"]}"#,
            r#"{"op":"patch","name":"b.example.com","tags":7}"#,
        ])
        .await;
    base.work_off().await;
    let results = base.results(id).await;
    let numbers: Vec<_> = results.iter().map(|(result, _)| result.unwrap()).collect();
    assert_eq!(numbers, [201, 200, 404, 422]);
    let mut tx = base.api.read(Reach::Tenant(base.tenant)).await.unwrap();
    let domain = tx.find_domain(&Hostname::parse("a.example.com").unwrap()).await.unwrap().unwrap();
    assert_eq!((domain.external_id.as_deref(), domain.tags), (Some("7"), vec!["us".to_owned()]));
    assert_eq!(domain.metadata, serde_json::json!({ "plan": "gold", "since": "1" }));
}

#[tokio::test]
async fn lines_beyond_the_quota_are_refused_and_the_others_done() {
    let base = Base::new().await;
    base.put("old.example.com").await;
    base.sql("UPDATE tenants SET quota_domains = 3 RETURNING 1::bigint").await;
    let lines = [put("one"), put("old"), put("two"), put("three"), put("four")];
    let id = base.operation(&lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
    base.work_off().await;
    let results = base.results(id).await;
    let numbers: Vec<_> = results.iter().map(|(result, _)| result.unwrap()).collect();
    assert_eq!(numbers, [201, 200, 201, 403, 403]);
    assert_eq!(results[4].1.as_deref(), Some("quota_reached"));
    assert_eq!(base.sql("SELECT domains::bigint FROM tenant_usage").await, 3);
    assert_eq!(base.stands(id).await.status, OperationStatus::Succeeded);

    base.sql("UPDATE tenants SET status = 'suspended' RETURNING 1::bigint").await;
    let id = base.operation(&[&put("five"), &put("old")]).await;
    base.work_off().await;
    let codes: Vec<_> = base.results(id).await.into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, [Some("tenant_suspended".to_owned()), None]);
}

#[tokio::test]
async fn the_end_of_an_operation_is_told_once() {
    let base = Base::new().await;
    let id = base.operation(&[&put("one"), "{nonsense"]).await;
    base.work_off().await;
    let told = format!(
        "SELECT count(*) FROM events WHERE kind = 'operation_completed' AND subject = '{id}' AND tenant_id IS NOT NULL
         AND detail = '2 of 2 lines done, 1 of them failed'"
    );
    assert_eq!(base.sql(&told).await, 1);
}

#[tokio::test]
async fn old_operations_go_and_those_whose_lines_stopped_coming_end() {
    let base = Base::new().await;
    let old = base.operation(&[&put("one"), &put("two")]).await;
    base.work_off().await;
    let mut tx = base.api.tenant(base.tenant).await.unwrap();
    let open = tx.create_operation("left", &base.chance, now()).await.unwrap();
    tx.commit().await.unwrap();
    let later = now() + time::Duration::days(31);
    for _ in 0..2 {
        base.engine.delete_expendable(Expendable::Operations, later, async || ()).await.unwrap();
    }
    let mut tx = base.api.read(Reach::Tenant(base.tenant)).await.unwrap();
    assert!(tx.operation(old).await.unwrap().is_none());
    assert!(tx.operation(open).await.unwrap().is_none(), "it ended, and is as old");
    assert_eq!(base.sql("SELECT count(*) FROM operation_lines").await, 0);
}

#[tokio::test]
async fn no_more_operations_begin_than_may_be_under_way() {
    let base = Base::new().await;
    let mut others = base.api.platform().await.unwrap();
    let other = others.put_tenant(&tenant("Suedwind", &base.chance), now()).await.unwrap();
    others.commit().await.unwrap();
    for _ in 0..OPEN_OPERATIONS {
        base.operation(&[&put("one")]).await;
    }
    let begin = async |tenant| {
        let mut tx = base.api.tenant(tenant).await.unwrap();
        let begun = tx.create_operation("one more", &base.chance, now()).await;
        tx.commit().await.unwrap();
        begun
    };
    assert!(matches!(begin(base.tenant).await, Err(StoreError::TooManyOperations)));
    assert!(begin(other).await.is_ok(), "another tenant's are not counted");
    base.work_off().await;
    assert!(begin(base.tenant).await.is_ok(), "the others have ended");
}

#[tokio::test]
async fn lines_beyond_what_may_be_stored_are_not_taken_until_the_oldest_have_gone() {
    let base = Base::new().await;
    let old = base.operation(&[&put("one"), "{nonsense"]).await;
    base.work_off().await;
    let recent = base.operation(&[&put("two")]).await;
    base.work_off().await;
    let (stored, kept) = (STORED_LINES - 2, KEPT_LINES);
    base.sql(&format!("UPDATE operations SET total = {stored} WHERE total = 2 RETURNING 1::bigint")).await;
    base.operation(&[&put("three")]).await;
    let mut tx = base.api.tenant(base.tenant).await.unwrap();
    let id = tx.create_operation("one more", &base.chance, now()).await.unwrap();
    let refused = RawLine::read("{nonsense").unwrap_err();
    let line = NewLine { line: 1, reference: None, asks: Err(refused) };
    let taken = tx.add_lines(id, std::slice::from_ref(&line), now()).await;
    assert!(matches!(taken, Err(StoreError::TooManyLines)));
    assert_eq!(base.sql(&format!("SELECT count(*) FROM operations WHERE total > {kept}")).await, 1);

    base.sweep().await;
    let mut kept = base.api.read(Reach::Tenant(base.tenant)).await.unwrap();
    assert!(kept.operation(old).await.unwrap().is_none());
    assert!(kept.operation(recent).await.unwrap().is_some());
    assert_eq!(base.sql("SELECT count(*) FROM operation_lines").await, 2);
    assert!(tx.add_lines(id, &[line], now()).await.unwrap());
}

#[tokio::test]
async fn what_a_line_wished_is_forgotten_with_its_result_and_counts_no_more() {
    let base = Base::new().await;
    let tagged = r#"{"op":"put","name":"a.example.com","tags":["eu"],"metadata":{"plan":"gold"}}"#;
    let id = base
        .operation(&[tagged, r#"{"op":"patch","name":"a.example.com","tags":["us"]}"#, "{nonsense"])
        .await;
    let results = "SELECT sum(octet_length(concat(name, ref, detail)))::bigint FROM operation_lines";
    let bytes = "SELECT bytes FROM operations";
    let kept = base.sql(results).await;
    assert!(base.sql(bytes).await > kept);

    let lease = base.engine.claim_operation(now()).await.unwrap().unwrap();
    assert!(base.engine.work_on_operation(&lease, &base.chance, now()).await.unwrap());
    let left = "SELECT count(*) FROM operation_lines WHERE wish IS NOT NULL";
    assert_eq!(base.sql(left).await, 1, "the second line waits for what the first one comes to");
    base.sql("UPDATE operations SET lease_until = now() - interval '1 second' RETURNING 1::bigint").await;
    base.work_off().await;
    assert_eq!((base.sql(left).await, base.sql(bytes).await), (0, kept));
    assert_eq!(base.results(id).await.len(), 3);
    assert_eq!(base.sql("SELECT count(*) FROM domain_tags WHERE tag = 'us'").await, 1);
    assert_eq!(base.sql("SELECT count(*) FROM domain_metadata").await, 1);
}

#[tokio::test]
async fn bytes_beyond_what_may_be_stored_are_not_taken_until_the_oldest_have_gone() {
    let base = Base::new().await;
    let old = base.operation(&[&put("one")]).await;
    base.work_off().await;
    base.sql(&format!("UPDATE operations SET bytes = {STORED_BYTES} RETURNING 1::bigint")).await;
    let mut tx = base.api.tenant(base.tenant).await.unwrap();
    let id = tx.create_operation("one more", &base.chance, now()).await.unwrap();
    let line = NewLine { line: 1, reference: None, asks: Err(RawLine::read("{nonsense").unwrap_err()) };
    let taken = tx.add_lines(id, std::slice::from_ref(&line), now()).await;
    assert!(matches!(taken, Err(StoreError::TooManyLines)));
    base.sweep().await;
    assert!(base.api.read(Reach::Tenant(base.tenant)).await.unwrap().operation(old).await.unwrap().is_none());
    assert!(tx.add_lines(id, &[line], now()).await.unwrap());
}
