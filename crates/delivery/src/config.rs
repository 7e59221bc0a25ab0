//! How a target is reached, and what is where on it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::DeliveryError;

/// How a target is reached.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Connection {
    /// Over ssh.
    Ssh(SshSettings),
    /// It is this machine.
    Local,
}

/// A host reached over ssh.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SshSettings {
    /// Its address or name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who to log in as.
    pub user: String,
    /// The file of our private key.
    pub identity_file: PathBuf,
    /// The pinned public key of the host, as in `ssh-ed25519 AAAA…`.
    pub host_key: String,
}

/// What is where on a target.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// The directory of certmill there: absolute, of letters, digits and `._-`.
    pub root: String,
    /// The words of the command that is nginx there, as in `["sudo", "-n", "nginx"]`.
    pub nginx: Vec<String>,
    /// nginx's main configuration there, which includes `<root>/current/*.conf`.
    pub nginx_conf: String,
    /// The group of nginx's workers, who read the certificates; without one only the owner reads them.
    pub certificate_group: Option<String>,
}

impl SshSettings {
    /// Checks what is written into ssh's configuration, where one line is one option.
    pub(crate) fn check(&self) -> Result<(), DeliveryError> {
        let host = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
        let user = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let key = |c: char| c.is_ascii_alphanumeric() || "+/=@.- ".contains(c);
        check_word("ssh host", &self.host, host)?;
        check_word("ssh user", &self.user, user)?;
        check_word("host key", &self.host_key, key)?;
        if self.host_key.split(' ').count() != 2 {
            return Err(invalid("host key", &self.host_key));
        }
        let identity = self.identity_file.to_str().filter(|path| path.starts_with('/'));
        let identity = identity.filter(|path| !path.contains(['"', '\\', '\n', '\r']));
        identity.map(drop).ok_or_else(|| invalid("identity file", &self.identity_file.to_string_lossy()))
    }
}

impl TargetConfig {
    /// Checks what becomes part of paths and commands.
    pub(crate) fn check(&self) -> Result<(), DeliveryError> {
        let path = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        for (what, text) in [("root", &self.root), ("nginx_conf", &self.nginx_conf)] {
            check_word(what, text, path)?;
            let is_plain = text.len() > 1 && text.starts_with('/') && !text.ends_with('/');
            if !is_plain || text.contains("//") || text.split('/').any(|part| part == "." || part == "..") {
                return Err(invalid(what, text));
            }
        }
        if self.nginx.first().is_none_or(String::is_empty) {
            return Err(invalid("nginx command", ""));
        }
        let group = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        self.certificate_group.iter().try_for_each(|name| check_word("certificate_group", name, group))
    }
}

fn check_word(what: &str, text: &str, allowed: impl Fn(char) -> bool) -> Result<(), DeliveryError> {
    let valid = !text.is_empty() && text.len() <= 4096 && !text.starts_with('-') && text.chars().all(allowed);
    valid.then_some(()).ok_or_else(|| invalid(what, text))
}

fn invalid(what: &str, text: &str) -> DeliveryError {
    DeliveryError::NotPrepared {
        what: format!("the {what} {text:?} of the target is not usable"),
        fix: "correct it with `certmill target add`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> TargetConfig {
        TargetConfig {
            root: "/srv/certmill".into(),
            nginx: vec!["nginx".into()],
            nginx_conf: "/etc/nginx/nginx.conf".into(),
            certificate_group: Some("www-data".into()),
        }
    }

    #[test]
    fn a_root_is_one_plain_directory() {
        assert!(target().check().is_ok());
        for bad in ["", "/", "srv", "/a b", "/a/../b", "/a'", "/a\n", "-x", "/a/", "/a//b"] {
            let config = TargetConfig { root: bad.into(), ..target() };
            assert!(config.check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ssh_settings_cannot_carry_another_option() {
        let good = SshSettings {
            host: "127.0.0.1".into(),
            port: 22,
            user: "deploy".into(),
            identity_file: "/k/my id".into(),
            host_key: "ssh-ed25519 AAAA".into(),
        };
        assert!(good.check().is_ok());
        for (host, user, key, file) in [
            ("-oProxyCommand=x", "u", "a b", "/k"),
            ("h\nProxyCommand x", "u", "a b", "/k"),
            ("h", "u v", "a b", "/k"),
            ("h", "u", "a b\n* a b", "/k"),
            ("h", "u", "a", "/k"),
            ("h", "u", "a b", "k"),
            ("h", "u", "a b", "/k\"\nProxyCommand x"),
        ] {
            let bad = SshSettings {
                host: host.into(),
                user: user.into(),
                host_key: key.into(),
                identity_file: file.into(),
                ..good.clone()
            };
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_unknown_field_of_a_connection_is_refused() {
        let parse = |text| serde_json::from_str::<Connection>(text);
        assert_eq!(parse(r#"{"kind":"local"}"#).unwrap(), Connection::Local);
        assert!(parse(r#"{"kind":"ssh","host":"h","port":22,"user":"u","identity_file":"/k","host_key":"a b","x":1}"#).is_err());
    }
}
