//! Where PostgreSQL's programs are.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::ClusterError;
use crate::home::Home;

/// Debian keeps each major version's programs in `<here>/<major>/bin`, none of them on PATH.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The programs of one major version.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Binaries {
    directory: PathBuf,
    major: u32,
}

impl Binaries {
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// The newest programs installed, or those that fit `data`, the major version that wrote the cluster's data.
pub(crate) fn find(data: Option<u32>, home: &Home) -> Result<Binaries, ClusterError> {
    let path = env::var_os("PATH").unwrap_or_default();
    choose(installed(Path::new(DEBIAN), &path), data, home.directory())
}

fn choose(installed: Vec<Binaries>, data: Option<u32>, directory: &Path) -> Result<Binaries, ClusterError> {
    let newest = installed.first().ok_or(ClusterError::BinariesMissing)?.major;
    let wanted = data.unwrap_or(newest);
    installed.into_iter().find(|binaries| binaries.major == wanted).ok_or_else(|| {
        ClusterError::OtherVersion { directory: directory.to_owned(), data: wanted, installed: newest }
    })
}

/// All programs found, the newest of Debian's first, that of PATH last.
fn installed(debian: &Path, path: &OsStr) -> Vec<Binaries> {
    let mut found: Vec<Binaries> = fs::read_dir(debian)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let major = entry.file_name().to_str()?.parse().ok()?;
            Some(Binaries { directory: entry.path().join("bin"), major })
        })
        .filter(|binaries| is_complete(&binaries.directory))
        .collect();
    found.sort_by_key(|binaries| std::cmp::Reverse(binaries.major));
    found.extend(env::split_paths(path).find(|directory| is_complete(directory)).and_then(|directory| {
        // The programs find their libraries beside themselves, not beside a link to them.
        let directory = fs::canonicalize(directory.join("postgres")).ok()?.parent()?.to_owned();
        Some(Binaries { major: major_version(&directory)?, directory })
    }));
    found
}

fn is_complete(directory: &Path) -> bool {
    directory.join("postgres").is_file() && directory.join("initdb").is_file()
}

/// `15` of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major_version(directory: &Path) -> Option<u32> {
    let output = Command::new(directory.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.split_once(") ")?.1;
    version.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_newest_of_debian_comes_first_and_that_of_the_path_last() {
        let root = tempfile::tempdir().unwrap();
        let debian = root.path().join("debian");
        install(&debian.join("9/bin"), "9.6.1");
        install(&debian.join("15/bin"), "15.3");
        fs::create_dir_all(debian.join("17/lib")).unwrap();
        let elsewhere = root.path().join("elsewhere");
        install(&elsewhere, "18.1 (Debian)");

        let majors: Vec<u32> =
            installed(&debian, elsewhere.as_os_str()).iter().map(|binaries| binaries.major).collect();

        assert_eq!(majors, [15, 9, 18]);
    }

    #[test]
    fn the_version_that_wrote_the_data_is_preferred() {
        let chosen = choose(vec![binaries(17), binaries(15)], Some(15), Path::new("/data")).unwrap();
        assert_eq!(chosen.major, 15);
    }

    #[test]
    fn data_of_a_version_that_is_not_installed_are_refused() {
        let error = choose(vec![binaries(17)], Some(15), Path::new("/data")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the data in /data were written by PostgreSQL 15, and the newest server here is 17; \
             install PostgreSQL 15, or upgrade the data with pg_upgrade"
        );
    }

    #[test]
    fn without_a_server_the_error_names_the_package() {
        let error = choose(Vec::new(), None, Path::new("/data")).unwrap_err();
        assert!(error.to_string().contains("apt-get install postgresql"), "{error}");
    }

    fn binaries(major: u32) -> Binaries {
        Binaries { directory: PathBuf::from("/nowhere"), major }
    }

    fn install(directory: &Path, version: &str) {
        fs::create_dir_all(directory).unwrap();
        for program in ["postgres", "initdb"] {
            let path = directory.join(program);
            fs::write(&path, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}
