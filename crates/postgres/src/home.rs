//! The cluster's directory and what lies where in it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::ClusterError;
use crate::left_behind;
use crate::server_user::ServerUser;

/// Part of the socket's file name; nothing listens on a TCP port.
pub(crate) const PORT: u16 = 5432;

/// `sockaddr_un.sun_path` has 108 bytes, the last of them zero.
const SOCKET_PATH_LIMIT: usize = 107;

/// A cluster's directory: the socket, `data`, `log` and `lock` are in it.
#[derive(Clone)]
pub(crate) struct Home {
    directory: PathBuf,
    name: String,
}

impl Home {
    /// Makes `directory` ready for the cluster of `server_user`: there, that user's only, and reachable.
    pub(crate) fn prepare(directory: &Path, server_user: &ServerUser) -> Result<Self, ClusterError> {
        fs::create_dir_all(directory).map_err(io_error(directory))?;
        // The one name under which processes and their working directories show it in /proc.
        let home = Self::at(fs::canonicalize(directory).map_err(io_error(directory))?)?;
        home.refuse_foreign_content()?;
        server_user.give(&home.directory).map_err(io_error(&home.directory))?;
        server_user.check_access(&home.directory)?;
        Ok(home)
    }

    /// The home at an absolute path without links.
    fn at(directory: PathBuf) -> Result<Self, ClusterError> {
        let reason = match directory.to_str() {
            None => "its name is not UTF-8; choose another".to_owned(),
            Some(name) if socket_path(name).len() > SOCKET_PATH_LIMIT => format!(
                "the path of its unix socket, {}, has {} bytes and the operating system allows {SOCKET_PATH_LIMIT}; \
                 choose a directory with a shorter path",
                socket_path(name),
                socket_path(name).len()
            ),
            Some(name) => {
                return Ok(Self { name: name.to_owned(), directory });
            }
        };
        Err(ClusterError::UnusableDirectory { directory, reason })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn directory_name(&self) -> &str {
        &self.name
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Where a cluster is made before it is complete and becomes [`Self::data`].
    pub(crate) fn unfinished_data(&self) -> PathBuf {
        self.directory.join("data.new")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    pub(crate) fn is_initialised(&self) -> bool {
        self.data().join("PG_VERSION").exists()
    }

    /// The major version that wrote the data, if there are any.
    pub(crate) fn major_version(&self) -> Result<Option<u32>, ClusterError> {
        let path = self.data().join("PG_VERSION");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().split('.').next().and_then(|major| major.parse().ok())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ClusterError::Io { path, source }),
        }
    }

    /// Takes the directory for this process, until the file is closed.
    pub(crate) fn lock(&self) -> Result<File, ClusterError> {
        let path = self.directory.join("lock");
        let file =
            File::options().read(true).append(true).create(true).open(&path).map_err(io_error(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(source)) => return Err(ClusterError::Io { path, source }),
            Err(TryLockError::WouldBlock) => return Err(self.already_running(&path)),
        }
        file.set_len(0).and_then(|()| write_process_id(&file)).map_err(io_error(&path))?;
        Ok(file)
    }

    pub(crate) fn io_error(&self, source: io::Error) -> ClusterError {
        ClusterError::Io { path: self.directory.clone(), source }
    }

    fn already_running(&self, lock: &Path) -> ClusterError {
        let holder = || fs::read_to_string(lock).ok()?.trim().parse().ok();
        let process_id = left_behind::postmaster_process_id(self).or_else(holder).unwrap_or_default();
        ClusterError::AlreadyRunning { directory: self.directory.clone(), process_id }
    }

    /// Its owner and mode are about to be changed: it must be empty, or a cluster's.
    fn refuse_foreign_content(&self) -> Result<(), ClusterError> {
        let mut entries = fs::read_dir(&self.directory).map_err(io_error(&self.directory))?.peekable();
        if entries.peek().is_none() || self.directory.join("lock").exists() {
            return Ok(());
        }
        let reason =
            "it is not empty and not a cluster's; choose a directory that is not there yet".to_owned();
        Err(ClusterError::UnusableDirectory { directory: self.directory.clone(), reason })
    }
}

fn socket_path(directory: &str) -> String {
    format!("{directory}/.s.PGSQL.{PORT}")
}

fn write_process_id(mut file: &File) -> io::Result<()> {
    use std::io::Write;
    writeln!(file, "{}", std::process::id())
}

pub(crate) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ClusterError {
    move |source| ClusterError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_too_long_for_a_socket_is_refused_with_its_length() {
        let directory = PathBuf::from(format!("/{}", "d".repeat(93)));
        let error = Home::at(directory).err().unwrap().to_string();
        assert!(error.contains("has 108 bytes and the operating system allows 107"), "{error}");
        assert!(Home::at(PathBuf::from(format!("/{}", "d".repeat(92)))).is_ok());
    }

    #[test]
    fn a_directory_with_files_of_somebody_else_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("letter.txt"), "dear").unwrap();
        let error = Home::prepare(directory.path(), &ServerUser::Ourselves).err().unwrap().to_string();
        assert!(error.contains("not empty and not a cluster's"), "{error}");
    }
}
