//! The two ways to a target.

use std::path::Path;

use tokio::process::Command;

use crate::DeliveryError;
use crate::process::Finished;

/// Makes the commands that act on a target.
pub(crate) trait Transport: Send + Sync {
    /// A POSIX shell on the target that runs `script` with `arguments` as `$1`, `$2`, …
    fn shell(&self, script: &str, arguments: &[&str]) -> Command;

    /// rsync with `options` from the directory `source` here into the directory `destination` there.
    fn rsync(&self, options: &[&str], source: &Path, destination: &str) -> Command;

    /// The error of the way itself, if that is why a command failed, rather than of what it did there.
    fn failure(&self, finished: &Finished) -> Option<DeliveryError>;
}

/// Options that every transfer has: only plain files and directories, always written anew. The times of files say
/// nothing: two certificates of one second and one size are two.
pub(crate) fn rsync_command(options: &[&str]) -> Command {
    let mut command = Command::new("rsync");
    command.args(["--recursive", "--perms", "--ignore-times", "--timeout=60"]);
    command.args(options);
    command
}

/// `source/`, so that rsync sends what is in it and not itself.
pub(crate) fn contents_of(source: &Path) -> std::ffi::OsString {
    let mut source = source.as_os_str().to_owned();
    source.push("/");
    source
}
