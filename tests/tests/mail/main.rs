//! From names in trouble to the mails that arrive, on a real database, a real mail server, and a clock that is moved by hand.

mod smtp;
mod world;

use certmill_lab::Part;
use certmill_model::{Chance, Letter, MailId};
use certmill_store::{Actor, AuditEntry, AuditFilter, NewMail, Reach};
use time::Duration;

use world::{START, World, header};

#[tokio::test]
async fn a_name_that_cannot_renew_makes_one_mail_at_each_level_and_one_in_the_same_thread_when_it_is_over() {
    let world = World::new().await;
    world.add_failing_names(1).await;
    world.pass(Duration::MINUTE).await;
    assert_eq!(world.arrived().len(), 0, "there may be more of it in a moment");
    for _ in 0..31 * 4 {
        world.pass(Duration::hours(6)).await;
    }
    world.mend().await;
    for _ in 0..3 {
        world.pass(Duration::minutes(10)).await;
    }
    let mails = world.arrived();
    let marks: Vec<_> =
        mails.iter().map(|mail| header(mail, "Subject").unwrap().split(']').next().unwrap()).collect();
    assert_eq!(marks, ["[notice", "[late", "[urgent", "[page", "[expired", "[resolved"]);
    let first = header(&mails[0], "Message-ID").unwrap();
    assert_eq!(header(&mails[0], "In-Reply-To"), None);
    for mail in &mails[1..] {
        assert_eq!(header(mail, "In-Reply-To"), Some(first));
        assert_eq!(header(mail, "References"), Some(first));
        assert_ne!(header(mail, "Message-ID"), Some(first));
    }
    assert!(mails.iter().all(|mail| header(mail, "X-RcptTo") == Some("ops@platform.test")));
}

#[tokio::test]
async fn a_thousand_names_with_one_cause_make_one_mail() {
    let world = World::new().await;
    world.add_failing_names(1_000).await;
    for _ in 0..20 {
        world.pass(Duration::minutes(5)).await;
    }
    let mails = world.arrived();
    assert_eq!(mails.len(), 1);
    let subject = header(&mails[0], "Subject").unwrap();
    assert!(subject.starts_with("[notice] incident: 1,000 domains: a CAA record forbids"), "{subject}");
    assert_eq!(world.number("SELECT count(*) FROM alerts").await, 1);
}

#[tokio::test]
async fn a_mail_server_that_is_away_is_shown_and_gets_each_mail_once_when_it_is_back() {
    let world = World::new().await;
    world.add_failing_names(30).await;
    world.lab.stop(Part::Mail).await.unwrap();
    for _ in 0..5 {
        world.pass(Duration::minutes(1)).await;
    }
    let state = world.api.read(Reach::Platform).await.unwrap().mail_state().await.unwrap();
    assert_eq!(state.waiting, 1);
    assert_eq!(state.failing_since, Some(START + Duration::MINUTE));
    assert!(state.last_error.unwrap().contains("cannot be reached") && state.last_success_at.is_none());
    world.lab.start(Part::Mail).await.unwrap();
    for _ in 0..10 {
        world.pass(Duration::minutes(2)).await;
    }
    assert_eq!(world.arrived().len(), 1);
    let state = world.api.read(Reach::Platform).await.unwrap().mail_state().await.unwrap();
    assert!(state.waiting == 0 && state.failing_since.is_none() && state.last_success_at.is_some());
}

#[tokio::test]
async fn a_recipient_who_does_not_exist_holds_up_nobody() {
    let world = World::new().await;
    world.add_user("nobody@platform.test").await;
    world.add_failing_names(30).await;
    world.pass(Duration::MINUTE).await;
    assert_eq!(world.arrived().len(), 1);
    assert_eq!(world.number("SELECT count(*) FROM mails WHERE status = 'refused'").await, 1);
    let state = world.api.read(Reach::Platform).await.unwrap().mail_state().await.unwrap();
    assert!(state.failing_since.is_none(), "the server is well");
}

#[tokio::test]
async fn a_mail_that_the_server_chokes_on_and_one_that_cannot_be_read_hold_up_no_other() {
    let world = World::new().await;
    world
        .sql(
            r#"INSERT INTO mails (mail_id, key, recipient, language, kind, letter, next_attempt_at, created_at)
               SELECT gen_random_uuid(), recipient, recipient, 'en', 'test', letter::jsonb, '2027-01-01Z', '2027-01-06Z'
               FROM (VALUES ('reader@shops.test', '{"kind":"of_the_next_version"}'),
                            ('busy@shops.test', '{"kind":"test"}')) AS mail (recipient, letter);
               INSERT INTO mails (mail_id, key, recipient, language, kind, letter, next_attempt_at, created_at)
               SELECT gen_random_uuid(), 'test', 'ops@platform.test', 'en', 'test', '{"kind":"test"}', '2027-01-02Z', '2027-01-06Z'"#,
        )
        .await;
    world.pass(Duration::SECOND).await;
    assert_eq!(world.arrived().len(), 1);
    assert_eq!(
        world.number("SELECT count(*) FROM mails WHERE status = 'waiting' AND error IS NOT NULL").await,
        2
    );
    let state = world.api.read(Reach::Platform).await.unwrap().mail_state().await.unwrap();
    assert!(state.failing_since.is_none(), "the server is well");
}

#[tokio::test]
async fn who_unsubscribes_gets_no_more_until_that_is_taken_back() {
    let world = World::new().await;
    world.add_failing_names(30).await;
    world.pass(Duration::MINUTE).await;
    let mails = world.arrived();
    let link = header(&mails[0], "List-Unsubscribe").unwrap();
    let token = link.split_once("/unsubscribe/").unwrap().1.split_once('>').unwrap().0;
    assert_eq!(header(&mails[0], "List-Unsubscribe-Post"), Some("List-Unsubscribe=One-Click"));
    let looked_at = world.api.subscription(token).await.unwrap().unwrap();
    assert_eq!((looked_at.email.as_str(), looked_at.unsubscribed_at), ("ops@platform.test", None));
    let chance = Chance::from_system();
    for (token, is_out) in [(token, true), (token, true), ("certmill_x", true)] {
        world.api.set_unsubscribed(token, is_out, None, &chance, START).await.unwrap();
    }
    world.pass(Duration::days(10)).await;
    assert_eq!(world.arrived().len(), 1, "late, and nobody is told");
    world.api.set_unsubscribed(token, false, None, &chance, START).await.unwrap();
    let mut tx = world.api.read(Reach::Platform).await.unwrap();
    let entries = tx.audit_entries(&AuditFilter::default(), None, 10).await.unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["notification_rule.resubscribed", "notification_rule.unsubscribed"]);
    drop(tx);
    world.pass(Duration::days(9)).await;
    assert_eq!(world.arrived().len(), 2);
}

#[tokio::test]
async fn a_link_that_lets_somebody_in_is_gone_from_the_database_once_it_is_sent() {
    let world = World::new().await;
    let letter = Letter::PasswordReset {
        link: "https://certmill.platform.test/reset/OPEN-SESAME".into(),
        expires_at: START + Duration::HOUR,
    };
    let mail = |key: &str| NewMail {
        mail_id: MailId::new(&Chance::from_system(), START),
        key: key.to_owned(),
        tenant_id: None,
        recipient: "ada@platform.test",
        language: "en",
        letter: &letter,
    };
    let mut tx = world.api.scoped(Reach::Platform).await.unwrap();
    assert!(tx.enqueue_mail(&mail("reset/1"), START).await.unwrap());
    assert!(!tx.enqueue_mail(&mail("reset/1"), START).await.unwrap(), "the same is not sent twice");
    let actor = Actor::command_line();
    let entry = AuditEntry {
        actor: &actor,
        action: "user.reset",
        object_kind: "user",
        object_id: None,
        object_name: "ada@platform.test".into(),
        tenant: None,
        detail: serde_json::json!({}),
    };
    tx.commit(&entry, &Chance::from_system(), START).await.unwrap();
    world.pass(Duration::SECOND).await;
    let mails = world.arrived();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("OPEN-SESAME") && header(&mails[0], "List-Unsubscribe").is_none());
    assert_eq!(world.number("SELECT count(*) FROM mails m WHERE m::text LIKE '%OPEN-SESAME%'").await, 0);
}

#[tokio::test]
async fn a_digest_comes_once_a_day_and_says_that_we_are_alive() {
    let world = World::new().await;
    world.sql("UPDATE notification_rules SET digest = 'daily', least_level = NULL").await;
    world.add_failing_names(3).await;
    for _ in 0..12 * 2 {
        world.pass(Duration::hours(2)).await;
    }
    let mails = world.arrived();
    // This morning's, which is not too old, and those of the two mornings behind it.
    assert_eq!(mails.len(), 3);
    let subject = header(&mails[1], "Subject").unwrap();
    assert_eq!(subject, "Daily digest: certmill: 3 active, 1 open alert");
    assert!(mails[1].contains("We are alive: 3 domains are active"), "{}", mails[1]);
}
