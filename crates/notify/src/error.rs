//! What can go wrong with a mail, by what happens next.

use lettre::transport::smtp;

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The server is away: no mail goes out now.
    #[error("the mail server cannot be reached")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server asks to come again with this mail.
    #[error("the mail server does not take the mail now")]
    Later(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server will never take this mail, or its address is none: do not try again.
    #[error("the mail is refused")]
    Never(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server does not take us: an operator must mend the settings; then the mail goes out.
    #[error("the mail server does not take us")]
    Misconfigured(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl MailError {
    /// What was said, in one line: for operators.
    pub fn words(&self) -> String {
        let mut words = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            let inner = error.to_string();
            // Some errors print their source themselves.
            if !words.ends_with(&inner) {
                words = format!("{words}: {inner}");
            }
            source = error.source();
        }
        certmill_model::one_line(&words, 500)
    }

    /// What went wrong before a mail was spoken of: no other would fare better.
    pub(crate) fn of_server(error: smtp::Error) -> Self {
        let is_for_good = error.is_permanent() || error.is_tls() || error.is_client() || is_of_tls(&error);
        if is_for_good { Self::Misconfigured(error.into()) } else { Self::Away(error.into()) }
    }

    /// What went wrong with one mail. The server may hang or hang up because of it, as one does that asks the recipient's
    /// server while we wait: that says nothing of the next.
    pub(crate) fn of_mail(error: smtp::Error) -> Self {
        match error.status().map(u16::from) {
            // Refused as a user, or without the login or the encryption that the server wants from everybody
            // (RFC 4954 section 6, RFC 3207 section 4).
            Some(530 | 534 | 535 | 538) => Self::Misconfigured(error.into()),
            // It does not know a command or its parameters (RFC 5321 section 4.2.2): once it is mended, it takes the mail.
            Some(500 | 502..=504 | 555) => Self::Later(error.into()),
            Some(500..600) => Self::Never(error.into()),
            _ => Self::Later(error.into()),
        }
    }
}

/// Whether a connection came to nothing because of its encryption: the TLS library's error stands inside of others.
fn is_of_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
        || error.is::<rustls::Error>()
        || error.source().is_some_and(is_of_tls)
}
