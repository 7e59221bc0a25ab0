//! A process of certmill.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::{Api, ServiceError};
use crate::error::doing;
use crate::{process, sweep};

/// Generous: a debug build on a busy machine, with a database of its own to make.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Steps under way are finished first.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// Which parts of certmill a process runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Everything.
    All,
    /// API, dashboard and responder.
    Serve,
    /// The workers.
    Work,
}

impl Role {
    /// The command.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Serve => "serve",
            Self::Work => "work",
        }
    }
}

/// A process of certmill; it is killed when this value is dropped.
pub struct Running {
    child: Child,
    role: Role,
    log: PathBuf,
}

impl Running {
    pub(super) fn spawn(mut command: Command, role: Role, log: PathBuf) -> Result<Self, ServiceError> {
        let file = File::options().append(true).create(true).open(&log);
        let file = file.map_err(doing(format!("open {}", log.display())))?;
        // A group of its own: a terminal's Ctrl-C is for the lab, which ends its parts in order.
        command.process_group(0).stdout(file.try_clone().map_err(doing("copy a file handle"))?).stderr(file);
        let child = command.spawn().map_err(doing(format!("start certmill {}", role.as_str())))?;
        Ok(Self { child, role, log })
    }

    /// Waits until `/readyz` says so.
    pub async fn wait_until_ready(&mut self, api: &Api) -> Result<(), ServiceError> {
        let deadline = Instant::now() + START_LIMIT;
        while !api.send("GET", "/readyz", None).await.is_ok_and(|answer| answer.status == 200) {
            if let Some(status) = self.try_wait()? {
                return Err(self.not_running(format!("ended with {status}")));
            }
            if Instant::now() > deadline {
                return Err(self.not_running(format!("was not ready after {START_LIMIT:?}")));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Ends it in order, by SIGTERM.
    pub async fn stop(mut self) -> Result<ExitStatus, ServiceError> {
        if let Some(process_id) = self.process_id() {
            let send = move || sweep::send("TERM", [process_id].iter());
            spawn_blocking(send).await.expect("sending a signal does not panic");
        }
        self.wait(STOP_LIMIT).await
    }

    /// Ends it by SIGKILL, and returns when it is gone.
    pub async fn kill(mut self) -> Result<(), ServiceError> {
        Ok(self.child.kill().await.map_err(doing("kill certmill"))?)
    }

    /// Waits until it ends by itself.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus, ServiceError> {
        match timeout(limit, self.child.wait()).await {
            Ok(status) => Ok(status.map_err(doing("wait for certmill"))?),
            Err(_) => Err(self.not_running(format!("did not end within {limit:?}"))),
        }
    }

    /// How it ended, if it did.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>, ServiceError> {
        Ok(self.child.try_wait().map_err(doing("wait for certmill"))?)
    }

    /// Its process id; none after its end.
    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    fn not_running(&self, what: String) -> ServiceError {
        let tail = process::tail(&self.log);
        ServiceError::NotRunning { role: self.role.as_str(), what, log: self.log.clone(), tail }
    }
}
