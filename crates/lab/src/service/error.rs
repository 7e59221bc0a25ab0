use std::path::PathBuf;

use serde_json::Value;

use crate::error::LabError;

/// Why certmill does not do on the lab what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Build it.
    #[error("the program {} is not built; run cargo build -p certmill", looked_for.display())]
    ProgramMissing {
        /// Where it was looked for last.
        looked_for: PathBuf,
    },

    /// Read what it said.
    #[error("certmill {command} failed: {output}")]
    CommandFailed {
        /// The arguments.
        command: String,
        /// The exit code; none after a signal.
        code: Option<i32>,
        /// What it wrote on standard error.
        output: String,
    },

    /// Read the log.
    #[error("certmill {role} {what}; the end of {}:\n{tail}", log.display())]
    NotRunning {
        /// The role.
        role: &'static str,
        /// That it ended, or that it took too long.
        what: String,
        /// The log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// The API was not reached, or broke off.
    #[error("no answer to {request}")]
    NoAnswer {
        /// Method and path.
        request: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The API answered, but refused.
    #[error("{request} was answered {status}: {body}")]
    Refused {
        /// Method and path.
        request: String,
        /// The status code.
        status: u16,
        /// The body.
        body: Value,
    },

    /// What was waited for did not come.
    #[error("{name} did not get there in time; at last it was {last:#}")]
    TooLate {
        /// The domain's name, or what else was waited for.
        name: String,
        /// Its last document.
        last: Value,
    },

    /// The lab's own trouble.
    #[error(transparent)]
    Lab(#[from] LabError),
}
