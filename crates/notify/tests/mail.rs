//! What a mail server does with one mail, and what that means for the next.

use std::sync::Arc;

use certmill_model::Letter;
use certmill_notify::{Envelope, MailError, Mailer, Message, Security, Site, SmtpSettings, compose, write};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// A server whose greeting is given. It takes mail, but hangs up on `gone@…`, is too busy for `busy@…`, knows no words for
/// `odd@…`, and says nothing any more to whoever writes to `slow@…`.
async fn server(greeting: &'static str) -> (Mailer, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, hangs) = (listener.local_addr().unwrap().port(), Arc::new(Notify::new()));
    let told = hangs.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, greeting, told.clone()));
        }
    });
    let settings = SmtpSettings {
        host: "127.0.0.1".into(),
        port,
        security: Security::None,
        credentials: None,
        trusted_roots: None,
    };
    (Mailer::new(settings).unwrap(), hangs)
}

async fn talk(stream: TcpStream, greeting: &str, hangs: Arc<Notify>) -> Option<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(format!("{greeting}\r\n").as_bytes()).await.ok()?;
    let mut is_data = false;
    while let Some(line) = lines.next_line().await.ok()? {
        let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match word.as_str() {
            _ if is_data && line != "." => continue,
            _ if is_data => {
                is_data = false;
                "250 kept"
            }
            "DATA" => {
                is_data = true;
                "354 go on"
            }
            "RCPT" if line.contains("gone@") => return None,
            "RCPT" if line.contains("busy@") => "421 4.3.2 too busy",
            "RCPT" if line.contains("odd@") => "504 5.5.2 not so",
            "RCPT" if line.contains("slow@") => {
                hangs.notify_one();
                std::future::pending().await
            }
            "QUIT" => return None,
            _ => "250 mail.example.com",
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
    None
}

fn message(to: &str) -> Message {
    let site = Site { public_url: "https://certmill.example.com".into(), product: "certmill".into() };
    let envelope = Envelope {
        to: to.into(),
        from: "certmill@platform.test".into(),
        from_name: "certmill".into(),
        date: NOW,
        message_id: "1@platform.test".into(),
        in_reply_to: None,
        list_id: None,
        unsubscribe: None,
    };
    compose(&envelope, &write(&Letter::Test, &site, "en", NOW)).unwrap()
}

#[tokio::test]
async fn what_a_server_does_because_of_one_mail_says_nothing_of_the_next() {
    let (mailer, _) = server("220 mail.example.com").await;
    let mut conversation = mailer.conversation();
    for to in ["gone@shops.test", "busy@shops.test", "odd@shops.test"] {
        let sent = conversation.send(&message(to)).await;
        assert!(matches!(sent, Err(MailError::Later(_))), "{to}: {sent:?}");
        conversation.send(&message("ops@shops.test")).await.expect(to);
        conversation.send(&message("ops@shops.test")).await.expect("over the same connection");
    }
    conversation.end().await;
}

#[tokio::test]
async fn a_server_that_says_nothing_any_more_to_one_mail_takes_the_next() {
    let (mailer, hangs) = server("220 mail.example.com").await;
    let mut conversation = mailer.conversation();
    let late = message("slow@shops.test");
    let hanging = async {
        hangs.notified().await;
        // From here on nobody says anything: time flies.
        tokio::time::pause();
    };
    let (sent, ()) = tokio::join!(conversation.send(&late), hanging);
    tokio::time::resume();
    assert!(matches!(sent, Err(MailError::Later(_))), "{sent:?}");
    conversation.send(&message("ops@shops.test")).await.unwrap();
}

#[tokio::test]
async fn a_server_that_listens_to_nobody_is_away_and_one_that_never_will_is_for_an_operator_to_mend() {
    for greeting in ["421 4.3.2 closing down", "450 come again"] {
        let sent = server(greeting).await.0.send_in_time(&message("ops@shops.test")).await;
        assert!(matches!(sent, Err(MailError::Away(_))), "{greeting}: {sent:?}");
    }
    let sent = server("554 5.3.2 no mail here").await.0.send_in_time(&message("ops@shops.test")).await;
    assert!(matches!(sent, Err(MailError::Misconfigured(_))), "{sent:?}");
}
