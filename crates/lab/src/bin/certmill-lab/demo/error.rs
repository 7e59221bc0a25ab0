use std::fs;
use std::path::PathBuf;
use std::process::ExitStatus;

use certmill_lab::service::ServiceError;
use certmill_lab::shopper::NotServed;
use certmill_lab::{Lab, LabError};

use super::kept_log;

/// Why the demo does not show what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The lab.
    #[error(transparent)]
    Lab(#[from] LabError),

    /// certmill.
    #[error(transparent)]
    Service(#[from] ServiceError),

    /// Some shops were not active in time; each with its status and problems.
    #[error("{} of the shops are not active after {seconds} s:\n{}", waiting.len(), waiting.join("\n"))]
    NotActive {
        /// A paragraph for each.
        waiting: Vec<String>,
        /// The deadline.
        seconds: u64,
    },

    /// A load balancer does not serve a shop.
    #[error("a shop is active and not served")]
    NotServed(#[from] NotServed),

    /// A load balancer serves something else.
    #[error("{0}")]
    WrongPage(String),

    /// The roots of the lab's CA.
    #[error("the root certificate of the lab cannot be used")]
    Roots(#[from] rustls::Error),

    /// The command that the demo shows does not do what it says.
    #[error("{command}\nfailed: {output}")]
    Curl {
        /// The line.
        command: String,
        /// What it wrote.
        output: String,
    },

    /// certmill ended by itself.
    #[error("certmill ended by itself with {0}")]
    Ended(ExitStatus),

    /// Any of these, with certmill's log.
    #[error("the demo failed; certmill's log is in {}", log.display())]
    WithLog {
        /// A copy that stays.
        log: PathBuf,
        /// What failed.
        #[source]
        source: Box<DemoError>,
    },
}

impl DemoError {
    /// The same with a copy of certmill's log, which goes with the lab.
    pub(super) fn with_log(self, lab: &Lab) -> Self {
        let log = kept_log();
        match fs::copy(lab.directory().join("logs/certmill.log"), &log) {
            Ok(_) => Self::WithLog { log, source: Box::new(self) },
            Err(_) => self,
        }
    }
}
