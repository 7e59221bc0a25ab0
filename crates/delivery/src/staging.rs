//! Files laid out on this machine for a transfer.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::DeliveryError;

/// What names of staged directories begin with; the id of our process follows.
pub(crate) const STAGING: &str = "certmill-staging-";

/// Lays `files` (path and content) out below a new directory in `place` that only we can enter, and that is removed
/// with its value.
pub(crate) async fn lay_out<C>(place: PathBuf, files: Vec<(String, C)>) -> Result<TempDir, DeliveryError>
where
    C: AsRef<[u8]> + Send + 'static,
{
    let write = move || -> io::Result<TempDir> {
        let directory = private_directory(STAGING, &place)?;
        for (path, content) in files {
            write_file(&directory.path().join(path), content.as_ref())?;
        }
        Ok(directory)
    };
    tokio::task::spawn_blocking(write)
        .await
        .map_err(io::Error::other)
        .and_then(|result| result)
        .map_err(DeliveryError::Staging)
}

/// A new directory in `place` that only we can enter.
pub(crate) fn private_directory(prefix: &str, place: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new()
        .prefix(&format!("{prefix}{}-", std::process::id()))
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(place)
}

/// The place for secrets: memory, where there is a file system for that, so that no disk ever sees them.
pub(crate) fn place_for_secrets(data_directory: &Path) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let probe = private_directory(STAGING, memory);
    match probe {
        Ok(_) => memory.to_owned(),
        Err(_) => data_directory.to_owned(),
    }
}

/// Removes what processes that are no more left behind in `place`.
pub(crate) fn remove_leftovers(prefix: &str, place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner =
            name.to_str().and_then(|name| name.strip_prefix(prefix)?.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Somebody else's stays: it cannot be removed.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn staged_files_are_for_us_alone_and_go_with_their_value() {
        let place = tempfile::tempdir().unwrap();
        let files = vec![("a/b.pem".to_owned(), b"secret".to_vec())];
        let staged = lay_out(place.path().to_owned(), files).await.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(staged.path()), 0o700);
        assert_eq!(mode(&staged.path().join("a/b.pem")), 0o600);
        drop(staged);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_dead_process_left_is_removed_and_what_a_living_one_has_is_not() {
        let place = tempfile::tempdir().unwrap();
        let dead = place.path().join(format!("{STAGING}4294967295-x"));
        let living = place.path().join(format!("{STAGING}{}-x", std::process::id()));
        fs::create_dir(&dead).unwrap();
        fs::create_dir(&living).unwrap();
        remove_leftovers(STAGING, place.path());
        assert!(!dead.exists() && living.exists());
    }
}
