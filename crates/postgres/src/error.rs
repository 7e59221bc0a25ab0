use std::io;
use std::path::PathBuf;

/// Why a cluster does not run, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Install PostgreSQL.
    #[error("no PostgreSQL server is installed; on Debian: apt-get install postgresql postgresql-contrib")]
    BinariesMissing,

    /// Install the version that wrote the data, or move the data over with `pg_upgrade`.
    #[error(
        "the data in {} were written by PostgreSQL {data}, and the newest server here is {installed}; \
         install PostgreSQL {data}, or upgrade the data with pg_upgrade",
        directory.display()
    )]
    OtherVersion {
        /// The cluster's directory.
        directory: PathBuf,
        /// Major version in the data directory's `PG_VERSION`.
        data: u32,
        /// Major version of the newest server found.
        installed: u32,
    },

    /// Only as root: PostgreSQL refuses to run as root, and its user is not there.
    #[error(
        "as root, PostgreSQL runs as the user postgres, and /etc/passwd has none; install Debian's package postgresql"
    )]
    ServerUserMissing,

    /// Install it: the server ends with this process by its help.
    #[error("setpriv is missing, or knows no --pdeathsig; install util-linux")]
    SetprivMissing,

    /// Put the cluster elsewhere, or open the way to it.
    #[error(
        "the user {user} cannot reach {}: every directory above it must let that user through (chmod a+x)",
        directory.display()
    )]
    NotAccessible {
        /// The cluster's directory.
        directory: PathBuf,
        /// The user as whom the server would run.
        user: String,
    },

    /// Choose another directory.
    #[error("{} cannot hold a cluster: {reason}", directory.display())]
    UnusableDirectory {
        /// The cluster's directory.
        directory: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },

    /// Stop the other process, or choose another directory.
    #[error("a PostgreSQL server already runs in {} (process {process_id})", directory.display())]
    AlreadyRunning {
        /// The cluster's directory.
        directory: PathBuf,
        /// The process to look at: the server's, or that of the program that is starting it.
        process_id: u32,
    },

    /// Read the program's own words.
    #[error("{program} failed: {output}")]
    Failed {
        /// The program of PostgreSQL that failed.
        program: &'static str,
        /// What it wrote last.
        output: String,
    },

    /// The operating system refused something in the directory.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
}
