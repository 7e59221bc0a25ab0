//! Mails to a real SMTP server.

use std::fs;

use certmill_lab::{Lab, Options, Part};
use certmill_model::Letter;
use certmill_notify::{
    Envelope, MailError, Mailer, Message, Password, Security, Site, SmtpSettings, compose, write,
};
use time::macros::datetime;

fn message(to: &str) -> Message {
    let site = Site { public_url: "https://certmill.example.com".into(), product: "certmill".into() };
    let now = datetime!(2026-11-22 06:00 UTC);
    let envelope = Envelope {
        to: to.into(),
        from: "certmill@platform.test".into(),
        from_name: "certmill".into(),
        date: now,
        message_id: "1@platform.test".into(),
        in_reply_to: None,
        list_id: None,
        unsubscribe: None,
    };
    compose(&envelope, &write(&Letter::Test, &site, "en", now)).unwrap()
}

async fn lab() -> Lab {
    Lab::up(Options { load_balancers: 1, ..Options::default() }).await.unwrap()
}

/// The lab's server with the encryption and password that are given.
fn mailer(lab: &Lab, security: Security, password: Option<&str>) -> Mailer {
    let lab = lab.description();
    let at = match security {
        Security::Starttls => lab.smtp_starttls,
        Security::Tls => lab.smtp_tls,
        Security::None => lab.smtp,
    };
    let settings = SmtpSettings {
        host: at.ip().to_string(),
        port: at.port(),
        security,
        credentials: password.map(|password| (lab.smtp_user.clone(), Password::new(password))),
        trusted_roots: Some(fs::read_to_string(&lab.acme_ca_file).unwrap()),
    };
    Mailer::new(settings).unwrap()
}

fn password(lab: &Lab) -> String {
    fs::read_to_string(&lab.description().smtp_password_file).unwrap().trim().to_owned()
}

fn arrived(lab: &Lab) -> Vec<String> {
    let mails = fs::read_dir(lab.description().mail_directory.join("new")).unwrap();
    mails.map(|mail| fs::read_to_string(mail.unwrap().path()).unwrap()).collect()
}

#[tokio::test]
async fn a_mail_arrives_over_starttls_over_tls_and_without_encryption() {
    let lab = lab().await;
    let password = password(&lab);
    for (security, password) in [
        (Security::Starttls, Some(password.as_str())),
        (Security::Tls, Some(password.as_str())),
        (Security::None, None),
    ] {
        mailer(&lab, security, password).send_in_time(&message("ops@shops.test")).await.unwrap();
    }
    let arrived = arrived(&lab);
    assert_eq!(arrived.len(), 3);
    assert!(arrived.iter().all(|mail| mail.contains("Auto-Submitted: auto-generated")), "{arrived:?}");
}

#[tokio::test]
async fn a_wrong_password_none_at_all_and_a_foreign_root_are_for_an_operator_to_mend() {
    let lab = lab().await;
    for password in [Some("wrong"), None] {
        let sent = mailer(&lab, Security::Tls, password).send_in_time(&message("ops@shops.test")).await;
        assert!(matches!(sent, Err(MailError::Misconfigured(_))), "{password:?}: {sent:?}");
    }
    let at = lab.description().smtp_tls;
    let unknown = SmtpSettings {
        host: at.ip().to_string(),
        port: at.port(),
        security: Security::Tls,
        credentials: None,
        trusted_roots: Some(lab.issuing_roots_pem().await.unwrap()),
    };
    let sent = Mailer::new(unknown).unwrap().send_in_time(&message("ops@shops.test")).await;
    assert!(matches!(sent, Err(MailError::Misconfigured(_))), "{sent:?}");
    assert!(fs::read_dir(lab.description().mail_directory.join("new")).map_or(0, Iterator::count) == 0);
}

#[tokio::test]
async fn an_unknown_recipient_is_never_tried_again_and_a_busy_one_later() {
    let lab = lab().await;
    let mailer = mailer(&lab, Security::None, None);
    let never = mailer.send_in_time(&message("nobody@shops.test")).await.unwrap_err();
    assert!(matches!(never, MailError::Never(_)), "{never:?}");
    assert!(never.words().contains("no such user"), "{}", never.words());
    let later = mailer.send_in_time(&message("later@shops.test")).await.unwrap_err();
    assert!(matches!(later, MailError::Later(_)), "{later:?}");
    mailer.send_in_time(&message("ops@shops.test")).await.expect("the connection is good for the next mail");
}

#[tokio::test]
async fn a_server_that_comes_back_gets_the_next_mail() {
    let lab = lab().await;
    let mailer = mailer(&lab, Security::None, None);
    mailer.send_in_time(&message("ops@shops.test")).await.unwrap();
    lab.stop(Part::Mail).await.unwrap();
    let away = mailer.send_in_time(&message("ops@shops.test")).await;
    assert!(matches!(away, Err(MailError::Away(_))), "{away:?}");
    lab.start(Part::Mail).await.unwrap();
    mailer.send_in_time(&message("ops@shops.test")).await.unwrap();
    assert_eq!(arrived(&lab).len(), 2);
}
