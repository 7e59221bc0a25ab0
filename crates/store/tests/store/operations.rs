//! Long operations: each line once, whoever dies meanwhile.

use certmill_model::{NamePolicy, OperationId, OperationStatus, RawLine};
use certmill_store::{NewLine, OperationRow, Reach, StoreError};

use crate::base::{Base, now, tenant};

impl Base {
    async fn operation(&self, lines: &[&str]) -> OperationId {
        let mut tx = self.api.tenant(self.tenant).await.unwrap();
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
    assert_eq!(numbers, [201, 200, 409, 422, 201, 200, 202, 202, 409, 202, 409, 202, 404]);
    let row = base.stands(id).await;
    assert_eq!((row.status, row.total, row.done, row.failed), (OperationStatus::Succeeded, 13, 13, 5));
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
async fn a_cancelled_operation_leaves_the_other_lines() {
    let base = Base::new().await;
    let lines: Vec<_> = (0..600).map(|number| put(&format!("s{number}"))).collect();
    let id = base.operation(&lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let lease = base.engine.claim_operation(now()).await.unwrap().unwrap();
    assert!(base.engine.work_on_operation(&lease, &base.chance, now()).await.unwrap());
    let mut tx = base.api.scoped(Reach::Tenant(base.tenant)).await.unwrap();
    assert!(tx.cancel_operation(id, now()).await.unwrap());
    let actor = certmill_store::Actor::command_line();
    tx.commit(
        &certmill_store::AuditEntry {
            actor: &actor,
            action: "operation.cancelled",
            object_kind: "operation",
            object_id: None,
            object_name: String::new(),
            tenant: Some(base.tenant),
            detail: serde_json::json!({}),
        },
        &base.chance,
        now(),
    )
    .await
    .unwrap();
    assert!(!base.engine.work_on_operation(&lease, &base.chance, now()).await.unwrap());
    assert_eq!((base.stands(id).await.status, base.stands(id).await.done), (OperationStatus::Cancelled, 500));
}
