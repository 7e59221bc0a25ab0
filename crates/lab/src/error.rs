use std::io;
use std::path::PathBuf;

use certmill_postgres::ClusterError;

use crate::part::Part;

/// Why the lab does not do what was asked, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Install it.
    #[error("{program} is not installed; it is in Debian's package {package}: run scripts/install-parts")]
    ProgramMissing {
        /// The program, or the module of Python.
        program: &'static str,
        /// Debian's package.
        package: &'static str,
    },

    /// Fetch it.
    #[error("the pebble of Debian sid is not at {}: run scripts/fetch-pebble", looked_for.display())]
    PebbleNotFetched {
        /// Where it belongs.
        looked_for: PathBuf,
    },

    /// Build it.
    #[error("the guard {} is not built; run cargo build -p certmill-lab", looked_for.display())]
    GuardMissing {
        /// Where it was looked for last.
        looked_for: PathBuf,
    },

    /// End other labs: every network is in use.
    #[error("none of the networks 127.64.0.0/24 to 127.95.255.0/24 is free")]
    NoFreeNetwork,

    /// Read the part's own words.
    #[error("{part} {what}; the end of its log:\n{log}")]
    NotReady {
        /// The part.
        part: Part,
        /// That it ended, or that it took too long.
        what: String,
        /// The last lines of its log.
        log: String,
    },

    /// PostgreSQL did not start.
    #[error("the lab's database does not run")]
    Postgres(#[source] ClusterError),

    /// A program that the lab runs to the end failed.
    #[error("{program} failed: {output}")]
    ProgramFailed {
        /// The program.
        program: &'static str,
        /// What it wrote.
        output: String,
    },

    /// The lab's own certificates could not be made.
    #[error("cannot make a certificate for the lab")]
    Certificate(#[from] rcgen::Error),

    /// A load balancer with this number is not in the lab.
    #[error("the lab has no part {0}")]
    NoSuchPart(Part),

    /// The directory given to the guard is none that a lab made.
    #[error("{} is not a lab's directory", .0.display())]
    NotALab(PathBuf),

    /// Look at the processes: they did not end when they were killed.
    #[error("processes of the lab in {} are still there: {process_ids:?}", directory.display())]
    StillRunning {
        /// The lab's directory.
        directory: PathBuf,
        /// The processes.
        process_ids: Vec<u32>,
    },

    /// The operating system refused something.
    #[error("cannot {doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
}

/// `error.map_err(doing("read …"))`
pub(crate) fn doing(what: impl Into<String>) -> impl FnOnce(io::Error) -> LabError {
    move |source| LabError::Io { doing: what.into(), source }
}
