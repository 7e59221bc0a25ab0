//! The programs of the parts, and the Debian packages that have them.

use std::env;
use std::path::{Path, PathBuf};

use crate::error::LabError;

/// Where servers are; not on a plain user's PATH on Debian.
const SYSTEM: [&str; 6] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

/// Debian's Python, not a newer one that may come first on PATH: the module is installed for this one.
pub(crate) const PYTHON: &str = "/usr/bin/python3";
const AIOSMTPD: &str = "/usr/lib/python3/dist-packages/aiosmtpd";

/// Paths of the programs of all parts.
#[derive(Clone)]
pub(crate) struct Programs {
    pub(crate) pebble: PathBuf,
    pub(crate) named: PathBuf,
    pub(crate) nsupdate: PathBuf,
    pub(crate) dig: PathBuf,
    pub(crate) tsig_keygen: PathBuf,
    pub(crate) nginx: PathBuf,
    pub(crate) sshd: PathBuf,
    pub(crate) ssh_keygen: PathBuf,
    pub(crate) curl: PathBuf,
}

impl Programs {
    /// Finds them all: what is missing is said before anything starts.
    pub(crate) fn find() -> Result<Self, LabError> {
        // Not run by the lab itself, but a load balancer is none without them.
        find("ssh", "openssh-client")?;
        find("rsync", "rsync")?;
        if !Path::new(AIOSMTPD).is_dir() || !Path::new(PYTHON).exists() {
            return Err(LabError::ProgramMissing { program: "aiosmtpd", package: "python3-aiosmtpd" });
        }
        Ok(Self {
            pebble: find("pebble", "pebble")?,
            named: find("named", "bind9")?,
            nsupdate: find("nsupdate", "bind9-dnsutils")?,
            dig: find("dig", "bind9-dnsutils")?,
            tsig_keygen: find("tsig-keygen", "bind9")?,
            nginx: find("nginx", "nginx")?,
            sshd: find("sshd", "openssh-server")?,
            ssh_keygen: find("ssh-keygen", "openssh-client")?,
            curl: find("curl", "curl")?,
        })
    }
}

/// A program of this workspace: beside the running one, or one directory up, as tests are in `target/debug/deps`.
/// The error is where it was looked for last.
pub(crate) fn find_beside(program: &str) -> Result<PathBuf, PathBuf> {
    let own = env::current_exe().unwrap_or_default();
    let candidates = || own.ancestors().skip(1).take(2).map(|directory| directory.join(program));
    let found = candidates().find(|candidate| candidate.is_file());
    found.ok_or_else(|| candidates().last().unwrap_or_else(|| PathBuf::from(program)))
}

/// The newer pebble, in the target folder that the running program is of.
pub(crate) fn fetched_pebble() -> Result<PathBuf, LabError> {
    let own = env::current_exe().unwrap_or_default();
    let candidates =
        || own.ancestors().skip(1).take(4).map(|directory| directory.join("parts/pebble/pebble"));
    candidates().find(|candidate| candidate.is_file()).ok_or_else(|| LabError::PebbleNotFetched {
        looked_for: candidates().nth(1).unwrap_or_else(|| PathBuf::from("parts/pebble/pebble")),
    })
}

fn find(program: &'static str, package: &'static str) -> Result<PathBuf, LabError> {
    let path = env::var_os("PATH").unwrap_or_default();
    SYSTEM
        .into_iter()
        .map(PathBuf::from)
        .chain(env::split_paths(&path))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or(LabError::ProgramMissing { program, package })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package_and_the_script() {
        let error = find("no-such-program", "some-package").unwrap_err();
        assert_eq!(
            error.to_string(),
            "no-such-program is not installed; it is in Debian's package some-package: run scripts/install-parts"
        );
    }
}
