//! Sends what is in the outbox. A mail server that is away holds up nothing but mail: what waits goes out when it is back.

use std::{sync::Arc, time::Duration};

use certmill_model::{Letter, one_line};
use certmill_notify::{
    Conversation, Envelope, MailError, Mailer, Message, Site, Unsubscribe, compose, thread_id, write,
};
use certmill_store::{DueMail, StoreError};
use certmill_vault::{ApiToken, TokenHash};
use tokio::sync::watch;

use crate::Engine;

/// Mails that are taken at a time, one sent after the other.
const BATCH: i64 = 20;

/// How often somebody looks whether a mail is due, and for old ones.
const POLL: Duration = Duration::from_secs(2);
const CLEAN: Duration = Duration::from_secs(3_600);

/// The waits while the mail server is away, and how long one mail waits that it does not take yet: from the first to the
/// longest, doubling.
const AWAY: [time::Duration; 2] = [time::Duration::seconds(15), time::Duration::minutes(5)];
const LATER: [time::Duration; 2] = [time::Duration::minutes(1), time::Duration::hours(1)];

/// What waited longer is no news any more.
const STALE: time::Duration = time::Duration::days(5);

/// How mail goes out.
pub struct MailSettings {
    /// The way to the mail server.
    pub mailer: Mailer,
    /// The mail server, `host:port`, as it is shown.
    pub server: String,
    /// The address that mail is from.
    pub from: String,
    /// Where our pages are, and what we are called.
    pub site: Site,
}

/// Sends until `stop` turns true. What goes wrong is logged and tried again.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let server = engine.parts.mail.as_ref().map(|mail| mail.server.as_str());
    if let Err(error) = engine.parts.store.use_mail_server(server).await {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "the mail server in use could not be noted");
    }
    if server.is_none() {
        tracing::info!("no mail server is configured: alerts are shown, and mail waits");
    }
    let mut cleaned = tokio::time::Instant::now();
    while !*stop.borrow() {
        crate::measure::tick("mail", engine.now());
        let more = match send_due_mails(&engine).await {
            Ok(taken) => taken == BATCH as usize,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "cannot work on the outbox; trying again");
                false
            }
        };
        if let Err(error) = engine.parts.store.tell_owners(BATCH, &engine.parts.chance, engine.now()).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "owners of shops cannot be told that their names work; trying again");
        }
        if cleaned.elapsed() >= CLEAN {
            cleaned = tokio::time::Instant::now();
            if let Err(error) = engine.parts.store.forget_old_mails(engine.now()).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "old mails could not be deleted");
            }
        }
        if more {
            continue;
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Sends a batch of what is due; answers how many mails were taken.
pub async fn send_due_mails(engine: &Engine) -> Result<usize, StoreError> {
    let Some(settings) = &engine.parts.mail else { return Ok(0) };
    let store = &engine.parts.store;
    let due = store.take_due_mails(BATCH, engine.now()).await?;
    let taken = due.len();
    let mut conversation = settings.mailer.conversation();
    for (place, mail) in due.iter().enumerate() {
        let Err(error) = send(engine, settings, mail, &mut conversation).await? else { continue };
        let is_servers_fault = matches!(error, MailError::Away(_) | MailError::Misconfigured(_));
        let next = next_attempt(engine, mail, &error);
        tracing::warn!(mail = %mail.mail_id, error = error.words(), "a mail could not be sent");
        metrics::counter!("certmill_mail_total", "result" => "failed").increment(1);
        store.mail_not_sent(mail, &error.words(), next, is_servers_fault, engine.now()).await?;
        if is_servers_fault {
            // No other would fare better.
            store.put_mails_off(&due[place + 1..], next.unwrap_or_else(|| engine.now())).await?;
            return Ok(0);
        }
    }
    conversation.end().await;
    Ok(taken)
}

async fn send(
    engine: &Engine,
    settings: &MailSettings,
    mail: &DueMail,
    conversation: &mut Conversation<'_>,
) -> Result<Result<(), MailError>, StoreError> {
    if engine.now() - mail.created_at > STALE {
        return Ok(Err(MailError::Never("it has waited for days, and is no news any more".into())));
    }
    let Some(letter) = &mail.letter else {
        return Ok(Err(MailError::Later("another version of certmill wrote it, and sends it".into())));
    };
    let token = mail.is_subscribed.then(ApiToken::generate);
    let message = match message(engine, settings, (mail, letter), token.as_ref()) {
        Ok(message) => message,
        Err(error) => return Ok(Err(error)),
    };
    let hash = token.as_ref().map(ApiToken::hash);
    match engine.parts.store.mail_goes_out(mail, hash.as_ref().map(TokenHash::as_bytes)).await {
        // Those before it took so long that another process has it.
        Err(StoreError::LeaseLost) => return Ok(Ok(())),
        noted => noted?,
    }
    if let Err(error) = conversation.send(&message).await {
        return Ok(Err(error));
    }
    engine.parts.store.mail_sent(mail, engine.now()).await?;
    tracing::info!(mail = %mail.mail_id, "a mail was sent");
    metrics::counter!("certmill_mail_total", "result" => "sent").increment(1);
    Ok(Ok(()))
}

fn message(
    engine: &Engine,
    settings: &MailSettings,
    (mail, letter): (&DueMail, &Letter),
    token: Option<&ApiToken>,
) -> Result<Message, MailError> {
    let written = write(letter, &settings.site, &mail.language, engine.now());
    let host = settings.from.rsplit('@').next().unwrap_or("localhost");
    let own = format!("{}@{host}", mail.mail_id);
    let thread = mail.alert_id.map(|alert| thread_id(alert, &mail.recipient, host));
    let (message_id, in_reply_to) = match thread {
        Some(thread) if mail.is_reply => (own, Some(thread)),
        Some(thread) => (thread, None),
        None => (own, None),
    };
    let unsubscribe = token.map(|token| Unsubscribe {
        url: format!("{}/unsubscribe/{}", settings.site.public_url, token.expose()),
        mailto: settings.from.clone(),
    });
    let envelope = Envelope {
        to: mail.recipient.clone(),
        from: settings.from.clone(),
        from_name: sender(letter, &settings.site),
        date: engine.now(),
        message_id,
        in_reply_to,
        list_id: letter.is_subscribed().then(|| format!("alerts.{host}")),
        unsubscribe,
    };
    compose(&envelope, &written)
}

/// In whose name a letter goes out.
fn sender(letter: &Letter, site: &Site) -> String {
    match letter {
        Letter::OwnerSetUp { brand, .. } | Letter::OwnerWorks { brand, .. } => {
            one_line(&brand.sender_name, 100)
        }
        _ => site.product.clone(),
    }
}

fn next_attempt(engine: &Engine, mail: &DueMail, error: &MailError) -> Option<time::OffsetDateTime> {
    let [first, longest] = match error {
        MailError::Never(_) => return None,
        MailError::Later(_) => LATER,
        MailError::Away(_) | MailError::Misconfigured(_) => AWAY,
    };
    let wait = (first * (1_i32 << mail.attempts.min(10))).min(longest);
    Some(engine.now() + wait + wait * (engine.fraction() / 10.0))
}
