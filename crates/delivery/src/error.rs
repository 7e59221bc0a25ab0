//! What can go wrong with a delivery, by what happens next.

use std::io;

/// Why a step of a delivery did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The target does not answer: try again later.
    #[error("the target cannot be reached: {detail}")]
    Unreachable {
        /// ssh's own words.
        detail: String,
    },
    /// Somebody else answers in the target's place, or its key was changed: a person must look.
    #[error("the target shows another host key than the pinned one: {detail}")]
    HostKeyMismatch {
        /// ssh's own words.
        detail: String,
    },
    /// The target, or this machine, is not set up for deliveries: a person must do what `fix` says.
    #[error("{what}; {fix}")]
    NotPrepared {
        /// What is missing.
        what: String,
        /// What to do.
        fix: String,
    },
    /// The files on the target are not what was delivered: send everything.
    #[error("the files on the target differ from what was delivered: {detail}")]
    Drifted {
        /// What differs.
        detail: String,
    },
    /// nginx does not take the release, which is not live: find the bad part.
    #[error("nginx refuses the release: {output}")]
    TestFailed {
        /// nginx's own words.
        output: String,
    },
    /// nginx could not be told to take up the release, which is current on disk.
    #[error("nginx cannot be reloaded: {output}")]
    ReloadFailed {
        /// nginx's own words.
        output: String,
    },
    /// A newer release is live: this deployer is behind, and must not go on.
    #[error("release {current} is already live")]
    OlderRelease {
        /// The number of the live release.
        current: i64,
    },
    /// Another deployer is at this target: try again later.
    #[error("another delivery to this target is under way")]
    Busy,
    /// A step failed in a way that is not known: try again later.
    #[error("{step} failed: {detail}")]
    StepFailed {
        /// The step.
        step: &'static str,
        /// The words of whatever failed.
        detail: String,
    },
    /// Files could not be laid out on this machine: try again later.
    #[error("cannot stage files for delivery")]
    Staging(#[source] io::Error),
}

impl DeliveryError {
    /// Whether the same may succeed later without anybody doing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy | Self::StepFailed { .. } | Self::Staging(_))
    }
}
