//! The server's first process: started, waited for, ended.

use std::fs::{self, File};
use std::io;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use crate::binaries::Binaries;
use crate::error::ClusterError;
use crate::home::{self, Home, io_error};
use crate::process::{signal, wait_until};
use crate::server_user::ServerUser;

/// After a crash the server first repeats its log.
const START_LIMIT: Duration = Duration::from_secs(120);
/// A fast shutdown ends with a checkpoint.
const FAST_SHUTDOWN: Duration = Duration::from_secs(60);
/// An immediate one writes nothing.
const IMMEDIATE_SHUTDOWN: Duration = Duration::from_secs(5);
/// Beyond this size the log is put aside at the next start, in bytes.
const LOG_LIMIT: u64 = 16 << 20;
/// How much of the log an error carries, in lines.
const LOG_TAIL: usize = 12;

/// Given on the command line, so that a cluster of any age runs with those of this program.
const SETTINGS: [&str; 9] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "shared_buffers=64MB",
    "max_wal_size=512MB",
    "log_checkpoints=off",
    "timezone=UTC",
];

/// The command that runs the server of `home`, writing to its log. The last setting of a name counts.
pub(crate) fn command(
    home: &Home,
    binaries: &Binaries,
    server_user: &ServerUser,
    settings: &[String],
) -> Result<Command, ClusterError> {
    let log = open_log(home).map_err(io_error(&home.log()))?;
    let mut command = server_user.command(binaries.program("postgres"), home.directory());
    command.arg("-D").arg(home.data());
    let quoted = home.directory_name().replace('"', "\"\"");
    let own = [format!("port={}", home::PORT), format!("unix_socket_directories=\"{quoted}\"")];
    for setting in SETTINGS.into_iter().chain(settings.iter().chain(&own).map(String::as_str)) {
        command.args(["-c", setting]);
    }
    command.stdout(log.try_clone().map_err(io_error(&home.log()))?).stderr(log);
    Ok(command)
}

/// A running postmaster, our child.
pub(crate) struct Postmaster {
    process_id: u32,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Postmaster {
    /// Spawns `command` from a thread that lives as long as the child: the kernel's signal at a parent's death
    /// is one at the death of the thread that spawned.
    pub(crate) async fn spawn(mut command: Command) -> io::Result<Self> {
        let (started, start) = oneshot::channel();
        let (ended, exit) = watch::channel(None);
        thread::Builder::new().name("postgres".to_owned()).spawn(move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(started.send(Err(error))),
            };
            if started.send(Ok(child.id())).is_err() {
                // The start was given up meanwhile: nobody is left to end the server.
                signal(child.id(), "INT");
            }
            if let Ok(status) = child.wait() {
                ended.send_replace(Some(status));
            }
        })?;
        let process_id = start.await.expect("the thread answers before it ends")?;
        Ok(Self { process_id, exit })
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process_id
    }

    /// Waits until the server says in its pid file that it accepts connections.
    pub(crate) async fn wait_until_ready(&self, home: &Home) -> Result<(), ClusterError> {
        let deadline = Instant::now() + START_LIMIT;
        while !self.is_ready(home) {
            if self.has_exited() || Instant::now() > deadline {
                return Err(ClusterError::Failed { program: "postgres", output: log_tail(home) });
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    fn is_ready(&self, home: &Home) -> bool {
        let text = fs::read_to_string(home.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines().map(str::trim);
        // The pid file's eighth line is the server's state (PostgreSQL, miscadmin.h, LOCK_FILE_LINE_PM_STATUS).
        lines.next() == Some(&self.process_id.to_string()) && lines.nth(6) == Some("ready")
    }

    fn has_exited(&self) -> bool {
        // The channel closes without a status when the child could not be waited for.
        self.exit.borrow().is_some() || self.exit.has_changed().is_err()
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        for (name, limit) in
            [("INT", FAST_SHUTDOWN), ("QUIT", IMMEDIATE_SHUTDOWN), ("KILL", IMMEDIATE_SHUTDOWN)]
        {
            if self.has_exited() {
                return;
            }
            signal(self.process_id, name);
            wait_until(limit, || self.has_exited());
        }
    }
}

fn open_log(home: &Home) -> io::Result<File> {
    let path = home.log();
    if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_LIMIT) {
        fs::rename(&path, home.directory().join("log.1"))?;
    }
    File::options().append(true).create(true).open(path)
}

fn log_tail(home: &Home) -> String {
    let log = fs::read(home.log()).unwrap_or_default();
    let text = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
}
