//! The guard of a lab: a process that cleans up when the process that holds the lab is killed.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::error::{LabError, doing};
use crate::lab::DIRECTORY_PREFIX;
use crate::programs::find_beside;
use crate::sweep;

const PROGRAM: &str = "certmill-lab";

/// Waits for the end of standard input, a pipe that the holder of the lab keeps open, then ends every process
/// of the lab in `directory` and removes the directory. Blocks.
pub fn run(directory: &Path) -> Result<(), LabError> {
    let is_lab = directory
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.len() > DIRECTORY_PREFIX.len() && name.starts_with(DIRECTORY_PREFIX));
    if !is_lab || !directory.is_absolute() {
        return Err(LabError::NotALab(directory.to_owned()));
    }
    io::copy(&mut io::stdin(), &mut io::sink()).map_err(doing("read standard input"))?;
    sweep::sweep(directory, None)
}

/// A running guard.
pub(crate) struct Guard(Child);

impl Guard {
    pub(crate) fn spawn(directory: &Path) -> Result<Self, LabError> {
        let program = find_beside(PROGRAM).map_err(|looked_for| LabError::GuardMissing { looked_for })?;
        let mut command = Command::new(program);
        // Nothing of ours may be held open by it: whoever reads our output would wait for the guard.
        command.arg("guard").arg(directory).current_dir("/");
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn().map_err(doing("start the guard"))?))
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Guard {
    /// Lets it go: it finds nothing left to do.
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
