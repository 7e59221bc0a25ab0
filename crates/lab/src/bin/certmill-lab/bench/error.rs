use std::path::PathBuf;

use certmill_lab::LabError;
use certmill_lab::service::ServiceError;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The lab.
    #[error(transparent)]
    Lab(#[from] LabError),

    /// certmill.
    #[error(transparent)]
    Service(#[from] ServiceError),

    /// Measure again: the CA stopped answering, or some orders failed.
    #[error("{half} did not get all its certificates: {what}")]
    Stuck {
        /// Which half.
        half: &'static str,
        /// How far it came.
        what: String,
    },

    /// Build it.
    #[error("{} is not built; run cargo build --release -p certmill-acme --example bare_loop", .0.display())]
    BareLoopMissing(PathBuf),

    /// The bare loop could not be run, or said something unexpected.
    #[error("the bare loop failed: {0}")]
    BareLoop(String),

    /// No directory for a scratch database.
    #[error("no directory for a scratch database")]
    Directory(#[source] std::io::Error),

    /// No scratch database.
    #[error("the scratch database cannot be started")]
    Database(#[from] certmill_postgres::ClusterError),

    /// Build it.
    #[error("{} is not built; run cargo build --release -p certmill-engine --example bench_planner", .0.display())]
    PlannerMissing(PathBuf),

    /// The measurement failed, and said why.
    #[error("measuring the planner failed: {0}")]
    Planner(String),

    /// Build it.
    #[error("{} is not built; make bench-surface builds it", .0.display())]
    ExampleMissing(PathBuf),

    /// The measurement failed, and said why.
    #[error("{0} failed: {1}")]
    Example(String, String),

    /// A timeline without the event that everybody has.
    #[error("the timelines have no {0}")]
    NoEvent(&'static str),

    /// Told to stop.
    #[error("interrupted")]
    Interrupted,
}
