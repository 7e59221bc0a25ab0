//! What came of a delivery.

use certmill_delivery::DeliveryError;
use certmill_model::{DeploymentStatus, ProblemCode, TargetState};
use certmill_store::{Delivered, ReleaseRecord, StoreError, Undelivered};

use super::failed;
use crate::EngineError;

/// A delivery that reached its target.
pub(super) struct Proved {
    /// What is live there now.
    pub(super) release: ReleaseRecord,
    /// What a handshake has shown, and what was taken off.
    pub(super) delivered: Vec<Delivered>,
    /// What harms only itself.
    pub(super) undelivered: Vec<Undelivered>,
}

/// A delivery that did not.
pub(super) enum Failed {
    /// The reason is the target's, or concerns everything on it.
    Target { status: DeploymentStatus, state: TargetState, code: ProblemCode, detail: String },
    /// The database is away, or the lease is another's: nothing can be recorded.
    Unrecorded(EngineError),
}

impl Failed {
    /// Why the target does not take what it was to be configured with, if that is the reason.
    pub(super) fn of_configuration(&self) -> Option<&str> {
        let Self::Target { status, code, detail, .. } = self else { return None };
        let codes = [ProblemCode::ConfigTestFailed, ProblemCode::ReloadFailed, ProblemCode::TemplateUnusable];
        (codes.contains(code) || *status == DeploymentStatus::RolledBack).then_some(detail)
    }

    pub(super) fn into_unrecorded(self) -> EngineError {
        match self {
            Self::Unrecorded(error) => error,
            Self::Target { .. } => StoreError::LeaseLost.into(),
        }
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Unrecorded(error.into())
    }
}

impl From<DeliveryError> for Failed {
    fn from(error: DeliveryError) -> Self {
        let (state, code) = match &error {
            DeliveryError::Unreachable { .. }
            | DeliveryError::HostKeyMismatch { .. }
            | DeliveryError::NotPrepared { .. } => (TargetState::Unreachable, ProblemCode::TargetUnreachable),
            DeliveryError::TestFailed { .. } => (TargetState::Behind, ProblemCode::ConfigTestFailed),
            DeliveryError::ReloadFailed { .. } => (TargetState::Behind, ProblemCode::ReloadFailed),
            DeliveryError::Drifted { .. } => (TargetState::Drifted, ProblemCode::TargetUnreachable),
            _ => (TargetState::Behind, ProblemCode::TargetUnreachable),
        };
        let detail = match &error {
            DeliveryError::TestFailed { output } | DeliveryError::ReloadFailed { output } => {
                format!("{error}: {}", output.trim())
            }
            _ => error.to_string(),
        };
        failed(state, code, detail)
    }
}
