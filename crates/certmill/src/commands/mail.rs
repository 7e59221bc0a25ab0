//! Mail: a test, and how it fares.

use certmill_model::{Chance, Clock, EmailAddress, Letter, MailId, SystemClock};
use certmill_notify::{Envelope, MailError, compose, write};
use certmill_store::{Api, Reach};

use super::say;
use crate::{
    cli::MailCommand,
    config::{self, Config},
    trouble::Trouble,
};

pub(super) async fn run(store: &Api, config: &Config, command: MailCommand) -> Result<(), Trouble> {
    match command {
        MailCommand::Test { address } => test(config, &address).await,
        MailCommand::Status => status(store).await,
    }
}

/// Past the outbox: whoever tests wants the server's answer, not a place in a queue.
async fn test(config: &Config, address: &str) -> Result<(), Trouble> {
    let address = EmailAddress::parse(address).map_err(|error| {
        Trouble::new(
            format!("{address:?} cannot be mailed to"),
            &error,
            "Give an address like ops@example.com.",
        )
    })?;
    let Some(mail) = config::mail(config)? else {
        let fix = "Set mail.host, mail.port and mail.from; docs/mail.md says how.";
        return Err(Trouble::plain("no mail server is configured".to_owned(), fix));
    };
    let now = SystemClock.now();
    let host = mail.from.rsplit('@').next().unwrap_or_default();
    let envelope = Envelope {
        to: address.to_string(),
        from: mail.from.clone(),
        from_name: mail.site.product.clone(),
        date: now,
        message_id: format!("{}@{host}", MailId::new(&Chance::from_system(), now)),
        in_reply_to: None,
        list_id: None,
        unsubscribe: None,
    };
    let written = write(&Letter::Test, &mail.site, "en", now);
    let sent = async { mail.mailer.send_in_time(&compose(&envelope, &written)?).await };
    sent.await.map_err(|error| trouble(&mail.server, &error))?;
    say(format!("{} has taken a mail to {address}", mail.server));
    Ok(())
}

fn trouble(server: &str, error: &MailError) -> Trouble {
    let fix = match error {
        MailError::Away(_) => "See whether the server runs there, and whether a firewall is in between.",
        MailError::Later(_) => "Try again in some minutes: the server asks for that.",
        MailError::Never(_) => "See whether the address is right, and whether the server may send to it.",
        MailError::Misconfigured(_) => "Mend [mail]: security, user, password_file, trust_file and from.",
    };
    Trouble::plain(format!("{server}: {}", error.words()), fix)
}

async fn status(store: &Api) -> Result<(), Trouble> {
    let state = store.read(Reach::Platform).await?.mail_state().await?;
    say(format!("server:        {}", state.server.as_deref().unwrap_or("none: mail waits")));
    let instant =
        |at: Option<time::OffsetDateTime>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    say(format!("last success:  {}", instant(state.last_success_at)));
    if let (Some(since), Some(error)) = (state.failing_since, state.last_error) {
        say(format!("failing since: {since}: {error}"));
    }
    say(format!("waiting mails: {}", state.waiting));
    say(format!("last look for alerts: {}", instant(state.looked_at)));
    Ok(())
}
