//! A target that is this machine.

use std::path::Path;

use tokio::process::Command;

use crate::DeliveryError;
use crate::process::Finished;
use crate::transport::{Transport, contents_of, rsync_command};

pub(crate) struct Local;

impl Transport for Local {
    fn shell(&self, script: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script, "certmill"]).args(arguments);
        command
    }

    fn rsync(&self, options: &[&str], source: &Path, destination: &str) -> Command {
        let mut command = rsync_command(options);
        command.arg("--").arg(contents_of(source)).arg(format!("{destination}/"));
        command
    }

    fn failure(&self, _: &Finished) -> Option<DeliveryError> {
        None
    }
}
