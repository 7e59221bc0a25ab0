//! The way to the mail server.

use std::{net::IpAddr, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    transport::smtp::{
        PoolConfig,
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
    },
};

use crate::MailError;

/// How long one command may take.
const COMMAND: Duration = Duration::from_secs(20);

/// How long a whole mail may take, with the connection.
const MAIL: Duration = Duration::from_secs(60);

/// Connections to the server at a time, and how long one that is not used is kept.
const CONNECTIONS: u32 = 4;
const IDLE: Duration = Duration::from_secs(30);

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

/// A pool of connections to one mail server.
pub struct Mailer(AsyncSmtpTransport<Tokio1Executor>);

impl Mailer {
    /// Connects to nobody yet; inside a runtime, which closes connections that are not used.
    pub fn new(settings: SmtpSettings) -> Result<Self, MailError> {
        let misconfigured = |words: &str| MailError::Misconfigured(words.into());
        if settings.security == Security::None && !is_loopback(&settings.host) {
            return Err(misconfigured("without encryption, only a mail server on this machine is used"));
        }
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port)
            .tls(tls(&settings)?)
            .timeout(Some(COMMAND))
            .pool_config(PoolConfig::new().max_size(CONNECTIONS).idle_timeout(IDLE));
        if let Some((user, password)) = settings.credentials {
            builder = builder.credentials(Credentials::new(user, password.0));
        }
        Ok(Self(builder.build()))
    }

    /// Sends a message; the server has it when this succeeds.
    pub async fn send(&self, message: &Message) -> Result<(), MailError> {
        let sending = self.0.send_raw(message.envelope(), &message.formatted()).await;
        sending.map(drop).map_err(MailError::of)
    }

    /// The same, for a while at most: the caller has a lease.
    pub async fn send_in_time(&self, message: &Message) -> Result<(), MailError> {
        let late = || MailError::Away("it does not answer in time".into());
        tokio::time::timeout(MAIL, self.send(message)).await.unwrap_or_else(|_| Err(late()))
    }
}

fn tls(settings: &SmtpSettings) -> Result<Tls, MailError> {
    if settings.security == Security::None {
        return Ok(Tls::None);
    }
    let misconfigured = |error: lettre::transport::smtp::Error| MailError::Misconfigured(error.into());
    let mut parameters = TlsParameters::builder(settings.host.clone());
    if let Some(pem) = &settings.trusted_roots {
        parameters = parameters.certificate_store(CertificateStore::None);
        let roots = Certificate::from_pem(pem.as_bytes()).map_err(misconfigured)?;
        parameters = parameters.add_root_certificate(roots);
    }
    let parameters = parameters.build().map_err(misconfigured)?;
    Ok(match settings.security {
        Security::Tls => Tls::Wrapper(parameters),
        _ => Tls::Required(parameters),
    })
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
