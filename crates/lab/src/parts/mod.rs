//! The parts: each writes its configuration once and says how it is started.

pub(crate) mod bind;
pub(crate) mod mail;
pub(crate) mod nginx;
pub(crate) mod pebble;
pub(crate) mod secondary;
pub(crate) mod sshd;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::error::{LabError, doing};

/// Makes a directory that everyone may go through, whatever the umask: servers run as users of their own.
pub(crate) fn make_directory(path: &Path) -> Result<(), LabError> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
        .map_err(doing(format!("make {}", path.display())))
}

pub(crate) fn write(path: &Path, content: &str) -> Result<(), LabError> {
    fs::write(path, content).map_err(doing(format!("write {}", path.display())))
}

pub(crate) fn as_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
