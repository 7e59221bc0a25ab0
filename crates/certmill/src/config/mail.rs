//! The mail server: where it is, and how it is used.

use std::path::{Path, PathBuf};

use certmill_engine::MailSettings;
use certmill_notify::{Mailer, Password, Security, Site, SmtpSettings};
use serde::Deserialize;

use super::Config;
use crate::trouble::Trouble;

/// The `[mail]` section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mail {
    /// The mail server's name, as in its certificate; empty: no mail goes out.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// `starttls`, `tls` or, for a server on this machine, `none`.
    pub(crate) security: String,
    /// Who logs in; empty: nobody.
    pub(crate) user: String,
    /// The file with the password.
    pub(crate) password_file: PathBuf,
    /// PEM file with the root of a mail server of one's own; empty: the system's roots.
    pub(crate) trust_file: PathBuf,
    /// The address that mail is from.
    pub(crate) from: String,
}

/// How mail goes out; `None`: no server is configured. To be called inside a runtime.
pub(crate) fn mail(config: &Config) -> Result<Option<MailSettings>, Trouble> {
    let mail = &config.mail;
    if mail.host.is_empty() {
        return Ok(None);
    }
    let wrong = |what: &str, fix: &str| Trouble::plain(format!("mail.{what}"), fix);
    let security = match mail.security.as_str() {
        "starttls" => Security::Starttls,
        "tls" => Security::Tls,
        "none" => Security::None,
        other => {
            let what = format!("security {other:?} makes no sense");
            return Err(wrong(&what, "Set it to starttls, tls or none."));
        }
    };
    if certmill_model::EmailAddress::parse(&mail.from).is_err() {
        let what = format!("from {:?} is no address", mail.from);
        return Err(wrong(&what, "Set it to the address that mail is from, as in certmill@example.com."));
    }
    let smtp = SmtpSettings {
        host: mail.host.clone(),
        port: mail.port,
        security,
        credentials: credentials(mail)?,
        trusted_roots: file(&mail.trust_file, "mail.trust_file")?,
    };
    let mailer = Mailer::new(smtp).map_err(|error| {
        Trouble::plain(
            format!("[mail] makes no sense: {}", error.words()),
            "Mend that section; docs/mail.md shows one.",
        )
    })?;
    let site = Site {
        public_url: config.web.public_url.trim_end_matches('/').to_owned(),
        product: "certmill".to_owned(),
    };
    Ok(Some(MailSettings {
        mailer,
        server: format!("{}:{}", mail.host, mail.port),
        from: mail.from.clone(),
        site,
    }))
}

fn credentials(mail: &Mail) -> Result<Option<(String, Password)>, Trouble> {
    let password = file(&mail.password_file, "mail.password_file")?;
    match (mail.user.is_empty(), password) {
        (true, None) => Ok(None),
        (false, Some(password)) => {
            Ok(Some((mail.user.clone(), Password::new(password.trim_end_matches(['\r', '\n'])))))
        }
        _ => {
            let what = "mail: of user and password_file only one is set";
            Err(Trouble::plain(what.to_owned(), "Set both, or neither for a server that wants no login."))
        }
    }
}

fn file(path: &Path, key: &str) -> Result<Option<String>, Trouble> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        let fix = "Set it to a file that certmill may read, or leave it out.";
        Trouble::new(format!("{key} {} cannot be read", path.display()), &error, fix)
    })?;
    Ok(Some(text))
}
