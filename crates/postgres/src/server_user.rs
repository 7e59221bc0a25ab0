//! As whom the server runs.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::ClusterError;

/// The user of the server's processes: our own, or `postgres` when we are root, whom PostgreSQL refuses.
pub(crate) enum ServerUser {
    Ourselves,
    Postgres { uid: u32, gid: u32 },
}

impl ServerUser {
    pub(crate) fn current() -> Result<Self, ClusterError> {
        check_setpriv()?;
        let path = Path::new("/proc/self");
        let own = fs::metadata(path).map_err(|source| ClusterError::Io { path: path.to_owned(), source })?;
        if own.uid() != 0 {
            return Ok(Self::Ourselves);
        }
        let (uid, gid) = fs::read_to_string("/etc/passwd")
            .ok()
            .and_then(|passwd| postgres_ids(&passwd))
            .ok_or(ClusterError::ServerUserMissing)?;
        Ok(Self::Postgres { uid, gid })
    }

    /// A command that runs as this user in `directory`, in a process group of its own (a terminal's Ctrl-C is
    /// for us, not for the server), with nothing of our environment, and that is interrupted when the thread
    /// that spawns it ends.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>, directory: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "INT"]);
        if let Self::Postgres { uid, gid } = self {
            command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--init-groups");
        }
        command.arg("--").arg(program).current_dir(directory).process_group(0).stdin(Stdio::null());
        // PGPORT, PGDATA, PGOPTIONS and the like would change what the programs do.
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_MESSAGES", "C");
        command
    }

    /// Makes `path` this user's, and nobody else's.
    pub(crate) fn give(&self, path: &Path) -> io::Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        match self {
            Self::Ourselves => Ok(()),
            Self::Postgres { uid, gid } => chown(path, Some(*uid), Some(*gid)),
        }
    }

    /// Fails unless this user gets to `directory`.
    pub(crate) fn check_access(&self, directory: &Path) -> Result<(), ClusterError> {
        if matches!(self, Self::Ourselves) {
            return Ok(());
        }
        // `cd` in the shell, not here: the directory must be entered after the change of user.
        let entered = self
            .command("sh", Path::new("/"))
            .args(["-c", "cd \"$1\"", "sh"])
            .arg(directory)
            .stderr(Stdio::null())
            .status()
            .map_err(|source| ClusterError::Io { path: "setpriv".into(), source })?;
        if entered.success() {
            return Ok(());
        }
        Err(ClusterError::NotAccessible { directory: directory.to_owned(), user: "postgres".to_owned() })
    }
}

fn check_setpriv() -> Result<(), ClusterError> {
    let tried = Command::new("setpriv").args(["--pdeathsig", "INT", "true"]).output();
    if tried.is_ok_and(|output| output.status.success()) { Ok(()) } else { Err(ClusterError::SetprivMissing) }
}

fn postgres_ids(passwd: &str) -> Option<(u32, u32)> {
    let mut fields = passwd.lines().find_map(|line| line.strip_prefix("postgres:"))?.split(':').skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::postgres_ids;

    #[test]
    fn the_ids_of_the_user_postgres_are_read() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\npostgres:x:101:104:PostgreSQL:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(postgres_ids(passwd), Some((101, 104)));
        assert_eq!(postgres_ids("mypostgres:x:1:1::/:/bin/sh\n"), None);
    }
}
