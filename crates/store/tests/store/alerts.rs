//! Alerts, rules and the outbox.

use certmill_model::{
    About, AlertId, AlertLevel, AlertState, Cause, DigestFrequency, Gathered, Label, Letter, MailId,
    ProblemCode, Rule, RuleId, TenantId,
};
use certmill_store::{AlertMail, AlertRecord, Mute, NewMail, Reach, RuleOwner, StoreError};
use time::Duration;

use crate::base::{Base, now, tenant};

fn record(base: &Base, tenant: Option<TenantId>, letters: Vec<AlertMail>) -> AlertRecord {
    let cause =
        Cause { tenant_id: tenant, code: ProblemCode::CaaForbids, about: About::Ca("ca.test".into()) };
    AlertRecord {
        alert_id: AlertId::new(&base.chance, now()),
        found: Gathered {
            cause,
            names: 3,
            level: Some(AlertLevel::Late),
            first: Vec::new(),
            since: now(),
            last_attempt_at: now(),
            next_attempt_at: None,
            detail: String::new(),
        },
        state: AlertState {
            opened_at: now(),
            level: AlertLevel::Late,
            told: Some(AlertLevel::Late),
            is_incident: false,
            quiet_since: None,
        },
        is_over: false,
        letters,
    }
}

/// Records alerts in a turn of their own.
async fn save(base: &Base, records: &[AlertRecord]) {
    let round = base.engine.take_alert_round(now()).await.unwrap().expect("nobody has the turn");
    base.engine.record_alerts(round, records, now(), now()).await.unwrap();
}

#[tokio::test]
async fn a_tenant_sees_its_own_alerts_and_neither_anothers_nor_the_platforms() {
    let base = Base::new().await;
    let mut platform = base.api.platform().await.unwrap();
    let other = platform.put_tenant(&tenant("Bella Casa", &base.chance), now()).await.unwrap();
    platform.commit().await.unwrap();
    let records = [Some(base.tenant), Some(other), None].map(|tenant| record(&base, tenant, Vec::new()));
    save(&base, &records).await;
    let mut own = base.api.read(Reach::Tenant(base.tenant)).await.unwrap();
    let seen = own.list_alerts(true, None).await.unwrap();
    assert_eq!(seen.iter().map(|alert| alert.alert_id).collect::<Vec<_>>(), [records[0].alert_id]);
    assert!(own.find_alert(records[1].alert_id).await.unwrap().is_none());
    assert!(own.find_alert(records[2].alert_id).await.unwrap().is_none());
    let mut all = base.api.read(Reach::Platform).await.unwrap();
    assert_eq!(all.list_alerts(true, None).await.unwrap().len(), 3);
    let mut changing = base.api.scoped(Reach::Tenant(base.tenant)).await.unwrap();
    let until = Some(now() + Duration::hours(4));
    let ada = Mute { by: "Ada".into(), until, reason: Some(Label::parse("we know").unwrap()) };
    assert!(!changing.mute_alert(records[1].alert_id, Some(&ada), now()).await.unwrap());
    assert!(changing.mute_alert(records[0].alert_id, Some(&ada), now()).await.unwrap());
}

#[tokio::test]
async fn whoever_lost_the_turn_records_neither_alerts_nor_mails() {
    let base = Base::new().await;
    let late = base.engine.take_alert_round(now()).await.unwrap().unwrap();
    assert!(base.engine.take_alert_round(now()).await.unwrap().is_none(), "one at a time");
    base.sql("WITH late AS (UPDATE alert_rounds SET lease_until = now() - interval '1 second' RETURNING 1) SELECT count(*) FROM late")
        .await;
    let next = base.engine.take_alert_round(now()).await.unwrap().unwrap();
    let lost = base.engine.record_alerts(late, &[record(&base, None, Vec::new())], now(), now()).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)));
    assert!(base.engine.open_alerts(now()).await.unwrap().is_empty());
    base.engine.record_alerts(next, &[record(&base, None, Vec::new())], now(), now()).await.unwrap();
    assert_eq!(base.engine.open_alerts(now()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_letter_is_written_down_once_however_often_its_alert_is_recorded() {
    let base = Base::new().await;
    let rule_id = RuleId::new(&base.chance, now());
    let letter = || AlertMail {
        mail_id: MailId::new(&base.chance, now()),
        key: "late",
        recipient: RuleOwner {
            rule_id,
            rule: Rule { tenant_id: None, least_level: None, digest: DigestFrequency::Off },
            email: "ops@platform.test".into(),
            language: "en".into(),
            created_at: now(),
        },
        letter: Letter::Test,
    };
    base.sql(
        "WITH person AS (
             INSERT INTO users (user_id, email, name, role, created_at, updated_at)
             VALUES (gen_random_uuid(), 'ops@platform.test', 'Ops', 'operator', now(), now()) RETURNING user_id)
         SELECT count(*) FROM person",
    )
    .await;
    let owners = base.engine.rule_owners(now()).await.unwrap();
    assert_eq!(owners.len(), 1, "who was never asked gets what is usual");
    let mut first = record(&base, None, vec![letter(), letter()]);
    for mail in &mut first.letters {
        mail.recipient = owners[0].clone();
    }
    save(&base, std::slice::from_ref(&first)).await;
    save(&base, std::slice::from_ref(&first)).await;
    assert_eq!(base.sql("SELECT count(*) FROM mails").await, 1);
    assert_eq!(base.sql("SELECT count(*) FROM alerts").await, 1);
}

#[tokio::test]
async fn a_mail_is_sent_by_one_worker_and_one_that_wakes_late_changes_nothing() {
    let base = Base::new().await;
    let mail = NewMail {
        mail_id: MailId::new(&base.chance, now()),
        key: "test/1".into(),
        tenant_id: None,
        recipient: "ops@platform.test",
        language: "en",
        letter: &Letter::Test,
    };
    let mut tx = base.api.scoped(Reach::Platform).await.unwrap();
    assert!(tx.enqueue_mail(&mail, now()).await.unwrap());
    let actor = certmill_store::Actor::command_line();
    let entry = certmill_store::AuditEntry {
        actor: &actor,
        action: "mail.tested",
        object_kind: "mail",
        object_id: None,
        object_name: String::new(),
        tenant: None,
        detail: serde_json::Value::Null,
    };
    tx.commit(&entry, &base.chance, now()).await.unwrap();
    let soon = now() + Duration::SECOND;
    let (one, other) = tokio::join!(base.engine.take_due_mails(9, soon), base.engine.take_due_mails(9, soon));
    let (mut one, mut other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.len() + other.len(), 1);
    let late = one.pop().or_else(|| other.pop()).unwrap();
    base.sql("WITH late AS (UPDATE mails SET lease_until = now() - interval '1 second' RETURNING 1) SELECT count(*) FROM late")
        .await;
    let again = base.engine.take_due_mails(9, soon).await.unwrap().pop().unwrap();
    let put_off = base.engine.mail_goes_out(&late, &[1]).await;
    assert!(matches!(put_off, Err(StoreError::LeaseLost)));
    base.engine.mail_not_sent(&late, "too late", None, false, now()).await.unwrap();
    base.engine.mail_sent(&again, now()).await.unwrap();
    assert_eq!(base.sql("SELECT count(*) FROM mails WHERE status = 'sent' AND error IS NULL").await, 1);
}

#[tokio::test]
async fn the_names_of_a_cause_come_page_by_page_each_once_and_to_a_tenant_its_own_alone() {
    let base = Base::new().await;
    let mut platform = base.api.platform().await.unwrap();
    let other = platform.put_tenant(&tenant("Bella Casa", &base.chance), now()).await.unwrap();
    platform.commit().await.unwrap();
    for name in ["c.example.com", "a.example.com", "b.example.com"] {
        base.put(name).await;
    }
    base.put_for(other, "d.example.com").await;
    base.sql(
        "WITH made AS (
             INSERT INTO problems (domain_id, tenant_id, code, detail, since, last_attempt_at)
             SELECT domain_id, tenant_id, 'caa_forbids', name, now(), now() FROM domains RETURNING 1)
         SELECT count(*) FROM made",
    )
    .await;
    for (of, reach, names) in
        [(None, Reach::Platform, 4), (Some(base.tenant), Reach::Platform, 3), (None, Reach::Tenant(other), 1)]
    {
        let cause = Cause { tenant_id: of, code: ProblemCode::CaaForbids, about: About::Nobody };
        let mut tx = base.api.read(reach).await.unwrap();
        let (mut seen, mut after) = (std::collections::BTreeSet::new(), None);
        loop {
            let page = tx.domains_of_cause(&cause, after.as_ref(), 2).await.unwrap();
            assert!(page.iter().all(|one| seen.insert(one.name.clone())), "{seen:?} {page:?}");
            match page.into_iter().last() {
                Some(last) => after = Some(last),
                None => break,
            }
        }
        assert_eq!(seen.len(), names, "{seen:?}");
    }
}
