//! Certificates and configuration to load balancers: send, test, activate, prove.
//!
//! A [`Session`] is one target; each of its steps can be repeated after a crash. Nothing but ssh, rsync, nginx and a
//! POSIX shell is expected there. [`served_certificate`] proves by a handshake what a load balancer serves.

mod certificates;
mod config;
mod connector;
mod error;
mod local;
mod probe;
mod process;
mod release;
mod session;
mod ssh;
mod staging;
mod target;
mod transport;

pub use certificates::CertificateFile;
pub use config::{Connection, SshSettings, TargetConfig};
pub use connector::Connector;
pub use error::DeliveryError;
pub use probe::{NotServed, ProbeError, ServedCertificate, served_certificate, wait_until_served};
pub use release::Release;
pub use session::{Activation, Session, TargetFacts, TargetStatus};
