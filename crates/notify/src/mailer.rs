//! The way to the mail server.

use std::{net::IpAddr, time::Duration};

use lettre::{
    Message,
    transport::smtp::{
        self,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
        extension::ClientId,
    },
};
use tokio::time::timeout;

use crate::MailError;

/// How long the server may take until it listens to us, and then for one mail. Together less than the caller's lease.
const CONNECTING: Duration = Duration::from_secs(30);
const MAIL: Duration = Duration::from_secs(60);

/// How long each of the server's addresses may take to let us connect: behind one that drops packets, the next has its turn.
const EACH_ADDRESS: Duration = Duration::from_secs(10);

/// How long is waited for its word to our goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Security {
    /// By STARTTLS, and not at all without (RFC 3207).
    Starttls,
    /// From the first byte on (RFC 8314).
    Tls,
    /// Not; to this machine only.
    None,
}

/// A password, which is never shown.
pub struct Password(String);

impl Password {
    /// The password `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// How a mail server is reached.
pub struct SmtpSettings {
    /// Its name, which its certificate must bear.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub security: Security,
    /// How we log in, if it wants that.
    pub credentials: Option<(String, Password)>,
    /// PEM of the roots that its certificate must lead to; `None`: the system's.
    pub trusted_roots: Option<String>,
}

/// The way to one mail server.
pub struct Mailer {
    host: String,
    port: u16,
    security: Security,
    /// `None`: without encryption.
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
}

/// One mail after the other over the same connection, as long as it holds.
pub struct Conversation<'a> {
    mailer: &'a Mailer,
    connection: Option<AsyncSmtpConnection>,
}

impl Mailer {
    /// Connects to nobody yet.
    pub fn new(settings: SmtpSettings) -> Result<Self, MailError> {
        let misconfigured = |words: &str| MailError::Misconfigured(words.into());
        if settings.security == Security::None && !is_loopback(&settings.host) {
            return Err(misconfigured("without encryption, only a mail server on this machine is used"));
        }
        Ok(Self {
            tls: tls(&settings)?,
            credentials: settings.credentials.map(|(user, password)| Credentials::new(user, password.0)),
            host: settings.host,
            port: settings.port,
            security: settings.security,
        })
    }

    /// Begins when the first mail is sent.
    pub fn conversation(&self) -> Conversation<'_> {
        Conversation { mailer: self, connection: None }
    }

    /// Sends one message; the server has it when this succeeds.
    pub async fn send_in_time(&self, message: &Message) -> Result<(), MailError> {
        let mut conversation = self.conversation();
        let sent = conversation.send(message).await;
        conversation.end().await;
        sent
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, smtp::Error> {
        let (at, name) = ((self.host.as_str(), self.port), ClientId::default());
        let (at_once, later) = match self.security {
            Security::Starttls => (None, self.tls.clone()),
            Security::Tls | Security::None => (self.tls.clone(), None),
        };
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(at, Some(EACH_ADDRESS), &name, at_once, None).await?;
        if let Some(tls) = later {
            connection.starttls(tls, &name).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

impl Conversation<'_> {
    /// Sends a message; the server has it when this succeeds. It takes a while at most: the caller has a lease.
    pub async fn send(&mut self, message: &Message) -> Result<(), MailError> {
        // Taken, and only put back when all is well: after a fault nobody knows which answer comes next.
        let mut connection = timeout(CONNECTING, self.listening())
            .await
            .unwrap_or_else(|_| Err(MailError::Away("it does not answer in time".into())))?;
        let text = message.formatted();
        match timeout(MAIL, connection.send(message.envelope(), &text)).await {
            Ok(Ok(_)) => self.connection = Some(connection),
            Ok(Err(error)) => return Err(MailError::of_mail(error)),
            Err(_) => return Err(MailError::Later("it does not answer in time".into())),
        }
        Ok(())
    }

    /// Says goodbye to the server.
    pub async fn end(mut self) {
        if let Some(mut connection) = self.connection.take() {
            // It has every mail, whatever it says.
            let _ = timeout(GOODBYE, connection.abort()).await;
        }
    }

    /// A connection on which the server waits for a mail: servers close one that they find old enough.
    async fn listening(&mut self) -> Result<AsyncSmtpConnection, MailError> {
        if let Some(mut connection) = self.connection.take()
            && connection.test_connected().await
        {
            return Ok(connection);
        }
        self.mailer.connect().await.map_err(MailError::of_server)
    }
}

fn tls(settings: &SmtpSettings) -> Result<Option<TlsParameters>, MailError> {
    if settings.security == Security::None {
        return Ok(None);
    }
    let misconfigured = |error: smtp::Error| MailError::Misconfigured(error.into());
    let mut parameters = TlsParameters::builder(settings.host.clone());
    if let Some(pem) = &settings.trusted_roots {
        parameters = parameters.certificate_store(CertificateStore::None);
        let roots = Certificate::from_pem(pem.as_bytes()).map_err(misconfigured)?;
        parameters = parameters.add_root_certificate(roots);
    }
    parameters.build().map(Some).map_err(misconfigured)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(host: &str, security: Security) -> SmtpSettings {
        SmtpSettings { host: host.into(), port: 1, security, credentials: None, trusted_roots: None }
    }

    #[tokio::test]
    async fn without_encryption_mail_goes_to_this_machine_only() {
        for host in ["127.0.0.1", "127.9.0.25", "::1", "localhost"] {
            assert!(Mailer::new(settings(host, Security::None)).is_ok(), "{host}");
        }
        for host in ["mail.example", "192.0.2.1", "localhost.example"] {
            let refused = Mailer::new(settings(host, Security::None));
            assert!(matches!(refused, Err(MailError::Misconfigured(_))), "{host}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_away() {
        let mailer = Mailer::new(settings("127.0.0.1", Security::None)).unwrap();
        let message = Message::builder()
            .from("a@example.com".parse().unwrap())
            .to("b@example.com".parse().unwrap())
            .body(String::new())
            .unwrap();
        assert!(matches!(mailer.send_in_time(&message).await, Err(MailError::Away(_))));
    }
}
