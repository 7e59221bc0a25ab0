//! Programs that write the records, called as certbot calls its manual hooks.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use futures_util::future::BoxFuture;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time,
};

use super::{
    DnsProvider, InvalidProvider, ProviderError, TxtRecord, error::printable, settings::timeout, zone::Zone,
};

/// What is kept of what a program wrote on standard error: its end, in bytes.
const KEPT: usize = 4_096;

/// How long a program's children may keep standard error open when the program itself has ended.
const AFTERWARDS: Duration = Duration::from_millis(500);

const CHALLENGE_LABEL: &str = "_acme-challenge.";

/// The settings of programs that write the records. They run as certmill's user, without a shell, in `/`, with certbot's
/// variables for manual hooks: `_acme-challenge.$CERTBOT_DOMAIN` is the record, `$CERTBOT_VALIDATION` the value. Beside
/// these: `$CERTMILL_RECORD`, the record's whole name, and `$CERTMILL_ZONE`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExecSettings {
    /// The program that adds a value beside whatever is there; an absolute path.
    pub auth_program: PathBuf,
    /// The program that removes one value; an absolute path. It may be the same: only for it `$CERTBOT_AUTH_OUTPUT` is
    /// set (and empty).
    pub cleanup_program: PathBuf,
    /// How long a program may run, in seconds; then it is killed, with its children.
    #[serde(default = "a_minute")]
    pub timeout_seconds: u16,
}

pub(super) struct Exec {
    settings: ExecSettings,
    zone: Zone,
    timeout: Duration,
}

impl Exec {
    pub(super) fn new(settings: &ExecSettings, zone: Zone) -> Result<Self, InvalidProvider> {
        let programs =
            [("auth_program", &settings.auth_program), ("cleanup_program", &settings.cleanup_program)];
        for (setting, program) in programs {
            if !program.is_absolute() {
                return Err(InvalidProvider::new(setting, "it is not an absolute path"));
            }
        }
        Ok(Self { settings: settings.clone(), zone, timeout: timeout(settings.timeout_seconds)? })
    }

    async fn run(
        &self,
        setting: &'static str,
        program: &Path,
        record: TxtRecord<'_>,
        variables: &[(&str, &str)],
    ) -> Result<(), ProviderError> {
        self.zone.relative(record.name)?;
        let domain = record.name.strip_prefix(CHALLENGE_LABEL).unwrap_or(record.name);
        let mut command = command(program);
        command.envs([
            ("CERTBOT_DOMAIN", domain),
            ("CERTBOT_ALL_DOMAINS", domain),
            ("CERTBOT_VALIDATION", record.value),
            ("CERTBOT_REMAINING_CHALLENGES", "0"),
            ("CERTMILL_RECORD", record.name),
            ("CERTMILL_ZONE", self.zone.name()),
        ]);
        command.envs(variables.iter().copied());
        let what = format!("{setting} {}", program.display());
        let child = command.spawn().map_err(|error| not_started(setting, &what, &error))?;
        let ended = time::timeout(self.timeout, Group(child).wait()).await;
        let ended = ended.map_err(|_| {
            ProviderError::retry(format!(
                "{what} did not end within {} s and was killed",
                self.timeout.as_secs()
            ))
        })?;
        let lost = |error| ProviderError::retry(format!("{what} could not be waited for: {error}"));
        let (status, complaint) = ended.map_err(lost)?;
        if status.success() { Ok(()) } else { Err(failed(&what, status, &complaint)) }
    }
}

impl DnsProvider for Exec {
    fn present<'a>(&'a self, record: TxtRecord<'a>) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(self.run("auth_program", &self.settings.auth_program, record, &[]))
    }

    fn remove<'a>(&'a self, record: TxtRecord<'a>) -> BoxFuture<'a, Result<(), ProviderError>> {
        // What the other program wrote is not kept: it may have been another process of certmill that ran it.
        let output = &[("CERTBOT_AUTH_OUTPUT", "")];
        Box::pin(self.run("cleanup_program", &self.settings.cleanup_program, record, output))
    }
}

/// A program and its children. They end when this is dropped before the program ended.
struct Group(Child);

impl Group {
    /// Waits for the end of the program; what it wrote on standard error comes with it.
    async fn wait(mut self) -> io::Result<(ExitStatus, Vec<u8>)> {
        let mut stderr = self.0.stderr.take().expect("standard error is a pipe");
        let mut kept = Vec::new();
        let status = tokio::select! {
            biased;
            () = keep_the_end(&mut stderr, &mut kept) => self.0.wait().await?,
            status = self.0.wait() => status?,
        };
        // A child that it left behind may hold the pipe open for ever.
        let _ = time::timeout(AFTERWARDS, keep_the_end(&mut stderr, &mut kept)).await;
        Ok((status, kept))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // No id: it has ended and was waited for, so the id may be another's by now.
        let id = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(id) = id {
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

fn a_minute() -> u16 {
    60
}

/// Nothing of ours goes to the program but what it cannot do without.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in ["PATH", "HOME", "LANG"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command.current_dir("/").process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Reads to the end, or to an error, which is one.
async fn keep_the_end(from: &mut (impl AsyncRead + Unpin), kept: &mut Vec<u8>) {
    let mut buffer = [0; KEPT];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..length]);
        kept.drain(..kept.len().saturating_sub(KEPT));
    }
}

fn not_started(setting: &'static str, what: &str, error: &io::Error) -> ProviderError {
    let detail = format!("{what} cannot be run: {error}");
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => ProviderError::settings(setting, detail),
        _ => ProviderError::retry(detail),
    }
}

fn failed(what: &str, status: ExitStatus, complaint: &[u8]) -> ProviderError {
    let complaint = printable(&String::from_utf8_lossy(complaint));
    let words = if complaint.is_empty() { "it said nothing on standard error".to_owned() } else { complaint };
    ProviderError::retry(format!("{what} ended with {status}: {words}"))
}
