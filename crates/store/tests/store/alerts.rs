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
             INSERT INTO users (user_id, email, name, role, password_hash, created_at, updated_at)
             VALUES (gen_random_uuid(), 'ops@platform.test', 'Ops', 'operator', 'x', now(), now()) RETURNING user_id)
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

/// A mail to be sent.
async fn write_down(base: &Base, key: &str) {
    let mail = NewMail {
        mail_id: MailId::new(&base.chance, now()),
        key: key.into(),
        tenant_id: None,
        recipient: "ops@platform.test",
        language: "en",
        letter: &Letter::Test,
    };
    let mut tx = base.api.scoped(Reach::Platform).await.unwrap();
    assert!(tx.enqueue_mail(&mail, now()).await.unwrap());
    base.commit(tx).await;
}

#[tokio::test]
async fn who_never_took_the_invitation_and_who_belongs_to_a_tenant_that_is_gone_is_told_nothing() {
    let base = Base::new().await;
    base.sql(
        "WITH people AS (
             INSERT INTO users (user_id, tenant_id, email, name, role, created_at, updated_at)
             SELECT gen_random_uuid(), tenant_id, 'ada@shops.test', 'Ada', 'operator', now(), now() FROM tenants
             RETURNING user_id, tenant_id)
         , rules AS (
             INSERT INTO notification_rules (rule_id, user_id, tenant_id, least_level, digest, created_at, updated_at)
             SELECT gen_random_uuid(), user_id, tenant_id, 'notice', 'weekly', now(), now() FROM people RETURNING 1)
         , strangers AS (
             INSERT INTO users (user_id, tenant_id, email, name, role, created_at, updated_at)
             SELECT gen_random_uuid(), tenant_id, 'stranger@shops.test', 'X', 'operator', now(), now() FROM tenants
             RETURNING 1)
         SELECT count(*) FROM rules, strangers",
    )
    .await;
    assert!(base.engine.rule_owners(now()).await.unwrap().is_empty());
    assert_eq!(base.sql("SELECT count(*) FROM notification_rules").await, 1);
    let accept =
        "WITH taken AS (UPDATE users SET password_hash = 'x' RETURNING 1) SELECT count(*) FROM taken";
    base.sql(accept).await;
    assert_eq!(base.engine.rule_owners(now()).await.unwrap().len(), 2);
    let end = "WITH ended AS (UPDATE tenants SET status = 'deleted' RETURNING 1) SELECT count(*) FROM ended";
    base.sql(end).await;
    assert!(base.engine.rule_owners(now()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_mail_is_its_senders_from_the_moment_that_it_goes_out_however_long_others_took() {
    let base = Base::new().await;
    write_down(&base, "test/1").await;
    let soon = now() + Duration::SECOND;
    let mail = base.engine.take_due_mails(9, soon).await.unwrap().pop().unwrap();
    base.sql("WITH late AS (UPDATE mails SET lease_until = now() - interval '1 second' RETURNING 1) SELECT count(*) FROM late")
        .await;
    base.engine.mail_goes_out(&mail, None).await.unwrap();
    assert!(base.engine.take_due_mails(9, soon).await.unwrap().is_empty(), "nobody else sends it too");
    base.engine.mail_sent(&mail, now()).await.unwrap();
    let twice = base.engine.mail_goes_out(&mail, None).await;
    assert!(matches!(twice, Err(StoreError::LeaseLost)));
}

#[tokio::test]
async fn a_letter_that_cannot_be_read_holds_up_no_other() {
    let base = Base::new().await;
    write_down(&base, "test/1").await;
    base.sql(
        r#"WITH newer AS (UPDATE mails SET letter = '{"kind":"of_the_next_version","link":"OPEN-SESAME"}' RETURNING 1)
           SELECT count(*) FROM newer"#,
    )
    .await;
    write_down(&base, "test/2").await;
    let soon = now() + Duration::SECOND;
    let due = base.engine.take_due_mails(9, soon).await.unwrap();
    assert_eq!(due.len(), 2);
    let (readable, other): (Vec<_>, Vec<_>) = due.iter().partition(|mail| mail.letter.is_some());
    assert_eq!((readable.len(), other.len()), (1, 1));
    // As long as it may be sent by a version that can read it, it is kept; then nothing of it stays that may let somebody in.
    base.engine.mail_not_sent(other[0], "cannot be read", Some(soon), false, now()).await.unwrap();
    assert_eq!(base.sql("SELECT count(*) FROM mails WHERE letter::text LIKE '%OPEN-SESAME%'").await, 1);
    let again = base.engine.take_due_mails(9, soon).await.unwrap().pop().unwrap();
    base.engine.mail_not_sent(&again, "cannot be read", None, false, now()).await.unwrap();
    assert_eq!(base.sql("SELECT count(*) FROM mails WHERE letter IS NULL AND status = 'refused'").await, 1);
}

#[tokio::test]
async fn a_mail_is_sent_by_one_worker_and_one_that_wakes_late_changes_nothing() {
    let base = Base::new().await;
    write_down(&base, "test/1").await;
    let soon = now() + Duration::SECOND;
    let (one, other) = tokio::join!(base.engine.take_due_mails(9, soon), base.engine.take_due_mails(9, soon));
    let (mut one, mut other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.len() + other.len(), 1);
    let late = one.pop().or_else(|| other.pop()).unwrap();
    base.sql("WITH late AS (UPDATE mails SET lease_until = now() - interval '1 second' RETURNING 1) SELECT count(*) FROM late")
        .await;
    let again = base.engine.take_due_mails(9, soon).await.unwrap().pop().unwrap();
    let put_off = base.engine.mail_goes_out(&late, None).await;
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
