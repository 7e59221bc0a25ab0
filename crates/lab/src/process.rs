//! A part's process: started with a log, waited for, ended.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::error::{LabError, doing};
use crate::part::Part;
use crate::sweep;

/// Generous: other tests may have the processors.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How much of a log an error carries, in lines.
const LOG_TAIL: usize = 15;

/// How a part is started and when it counts as running.
pub(crate) struct Launch {
    pub(crate) part: Part,
    pub(crate) command: Command,
    pub(crate) ready: Ready,
    pub(crate) log: PathBuf,
}

/// What shows that a part runs.
pub(crate) enum Ready {
    /// It takes connections at all of these.
    Listens(Vec<SocketAddr>),
    /// It wrote its process id into this file.
    WritesProcessId(PathBuf),
    /// It answers this command with something.
    Answers(Command),
}

/// A part that was started; it may not be ready yet.
pub(crate) struct Starting {
    part: Part,
    ready: Ready,
    log: PathBuf,
    child: Child,
}

impl Launch {
    pub(crate) fn spawn(mut self) -> Result<Starting, LabError> {
        let log = File::options().append(true).create(true).open(&self.log);
        let log = log.map_err(doing(format!("open {}", self.log.display())))?;
        let copy = log.try_clone().map_err(doing("copy a file handle"))?;
        // A group of its own: a terminal's Ctrl-C is for the lab, which ends its parts in order.
        let spawned = self.command.process_group(0).stdin(Stdio::null()).stdout(copy).stderr(log).spawn();
        let child = spawned.map_err(doing(format!("start {}", self.part)))?;
        Ok(Starting { part: self.part, ready: self.ready, log: self.log, child })
    }
}

impl Starting {
    /// Waits until the part shows that it runs.
    pub(crate) async fn wait_until_ready(mut self) -> Result<Child, LabError> {
        let deadline = Instant::now() + START_LIMIT;
        while !is_ready(&mut self.ready, self.child.id()) {
            let exit = self.child.try_wait().map_err(doing(format!("wait for {}", self.part)))?;
            if let Some(status) = exit {
                return Err(self.not_ready(format!("ended with {status}")));
            }
            if Instant::now() > deadline {
                end(self.child.id());
                let _ = self.child.wait();
                return Err(self.not_ready(format!("was not ready after {START_LIMIT:?}")));
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(self.child)
    }

    fn not_ready(&self, what: String) -> LabError {
        LabError::NotReady { part: self.part, what, log: tail(&self.log) }
    }
}

/// Ends a process and all that descend from it. Blocks.
pub(crate) fn end(process_id: u32) {
    let still_there = sweep::end_processes(|processes| processes.with_descendants([process_id].into()));
    if !still_there.is_empty() {
        tracing::error!(?still_there, "processes did not end when they were killed");
    }
}

/// Runs a program to its end and returns what it wrote on standard output.
pub(crate) fn run(name: &'static str, command: &mut Command) -> Result<String, LabError> {
    let output = command.stdin(Stdio::null()).output().map_err(doing(format!("run {name}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::ProgramFailed { program: name, output })
}

fn is_ready(ready: &mut Ready, process_id: u32) -> bool {
    match ready {
        Ready::Listens(addresses) => addresses.iter().all(accepts),
        Ready::WritesProcessId(path) => {
            fs::read_to_string(path).is_ok_and(|text| text.trim() == process_id.to_string())
        }
        Ready::Answers(command) => answers(command).unwrap_or(false),
    }
}

fn accepts(address: &SocketAddr) -> bool {
    TcpStream::connect_timeout(address, Duration::from_millis(200)).is_ok()
}

fn answers(command: &mut Command) -> io::Result<bool> {
    let output = command.stdin(Stdio::null()).output()?;
    Ok(output.status.success() && !output.stdout.is_empty())
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
}
