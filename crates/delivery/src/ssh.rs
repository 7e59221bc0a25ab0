//! A target over the system's ssh: one connection for all commands and transfers, a pinned host key, no questions.

use std::path::{Path, PathBuf};
use std::{fs, io};

use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::process::Finished;
use crate::release::hex;
use crate::transport::{Transport, contents_of, rsync_command};
use crate::{DeliveryError, SshSettings};

/// What the one host of a configuration file is called.
const HOST: &str = "target";

/// rsync's exit codes for a connection that broke (rsync(1), EXIT VALUES), beside ssh's own 255.
const RSYNC_CONNECTION: [i32; 4] = [10, 12, 30, 35];

pub(crate) struct Ssh {
    config_file: PathBuf,
    user: String,
}

impl Ssh {
    /// Writes the files for `settings` into `directory`, which only we can enter; its path must be short, because a
    /// socket's name is at most 107 bytes.
    pub(crate) fn new(settings: &SshSettings, directory: &Path) -> Result<Self, DeliveryError> {
        settings.check()?;
        let key = format!("{settings:?}");
        let id = hex(&Sha256::digest(key.as_bytes())[..8]);
        let base = directory.join(id);
        let known_hosts = base.with_extension("known_hosts");
        let config_file = base.with_extension("conf");
        let write = || -> io::Result<()> {
            fs::write(&known_hosts, known_hosts_line(settings))?;
            fs::write(&config_file, config(settings, &known_hosts, &base.with_extension("s")))
        };
        write().map_err(DeliveryError::Staging)?;
        Ok(Self { config_file, user: settings.user.clone() })
    }
}

impl Transport for Ssh {
    fn shell(&self, script: &str, arguments: &[&str]) -> Command {
        let words = ["sh", "-c", script, "certmill"].into_iter();
        let quoted: Vec<_> = words.chain(arguments.iter().copied()).map(quote).collect();
        let mut command = Command::new("ssh");
        command.arg("-F").arg(&self.config_file).args(["-T", "--", HOST]);
        command.arg(quoted.join(" "));
        command
    }

    fn rsync(&self, options: &[&str], source: &Path, destination: &str) -> Command {
        let mut command = rsync_command(options);
        // The path has no blanks or quotes: it is of our own making.
        command.arg("-e").arg(format!("ssh -F {}", self.config_file.display()));
        command.arg("--").arg(contents_of(source)).arg(format!("{HOST}:{destination}/"));
        command
    }

    fn failure(&self, finished: &Finished) -> Option<DeliveryError> {
        let code = finished.code?;
        if code != 255 && !RSYNC_CONNECTION.contains(&code) {
            return None;
        }
        let detail = finished.stderr.trim().to_owned();
        let said = |words: &str| detail.contains(words);
        if said("Host key verification failed") || said("HOST IDENTIFICATION HAS CHANGED") {
            return Some(DeliveryError::HostKeyMismatch { detail });
        }
        if said("Permission denied (") {
            return Some(DeliveryError::NotPrepared {
                what: format!("the target refuses the login: {detail}"),
                fix: format!("put certmill's public key into the authorized_keys of {:?} there", self.user),
            });
        }
        Some(DeliveryError::Unreachable { detail })
    }
}

/// Ends the shared connections whose files are in `directory`.
pub(crate) fn close_connections(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for socket in entries.map(|entry| entry.path()) {
        if socket.extension().is_some_and(|extension| extension == "s") {
            // An idle connection ends by itself after a minute; this only makes it sooner.
            let _ = std::process::Command::new("ssh")
                .arg("-F")
                .arg(socket.with_extension("conf"))
                .args(["-O", "exit", HOST])
                .output();
        }
    }
}

fn known_hosts_line(settings: &SshSettings) -> String {
    let SshSettings { host, port, host_key, .. } = settings;
    match port {
        22 => format!("{host} {host_key}\n"),
        _ => format!("[{host}]:{port} {host_key}\n"),
    }
}

fn config(settings: &SshSettings, known_hosts: &Path, socket: &Path) -> String {
    let identity = settings.identity_file.to_string_lossy().replace('%', "%%");
    format!(
        "Host {HOST}\n\
         HostName {host}\nPort {port}\nUser {user}\n\
         IdentityFile \"{identity}\"\nIdentitiesOnly yes\nIdentityAgent none\n\
         UserKnownHostsFile {known_hosts}\nGlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\n\
         UpdateHostKeys no\nCheckHostIP no\n\
         BatchMode yes\nPreferredAuthentications publickey\n\
         ForwardAgent no\nForwardX11 no\nPermitLocalCommand no\nProxyCommand none\n\
         ConnectTimeout 10\nConnectionAttempts 1\nServerAliveInterval 5\nServerAliveCountMax 3\n\
         ControlMaster auto\nControlPath {socket}\nControlPersist 60\n\
         LogLevel ERROR\n",
        host = settings.host,
        port = settings.port,
        user = settings.user,
        known_hosts = known_hosts.display(),
        socket = socket.display(),
    )
}

/// `word` as one word of a POSIX shell, whatever is in it.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_is_one_word_whatever_is_in_it() {
        for word in ["", "a b", "it's", "$(id)", "`id`", "\\", "\"", "a\nb", "-x", "*", "!"] {
            let script = format!("printf %s {}", quote(word));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }
}
