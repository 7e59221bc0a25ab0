//! The ways to all targets, kept by one process.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::local::Local;
use crate::ssh::{Ssh, close_connections};
use crate::staging::{place_for_secrets, remove_leftovers};
use crate::transport::Transport;
use crate::{Connection, DeliveryError, Session, TargetConfig};

/// Opens sessions. One for a process: sessions of the same target share a connection, which stays open for a minute.
#[derive(Clone)]
pub struct Connector(Arc<Inner>);

pub(crate) struct Inner {
    /// ssh's configuration and sockets.
    directory: TempDir,
    /// Where certificates with their keys are staged.
    pub(crate) secret_place: PathBuf,
    /// Where configuration is staged.
    pub(crate) place: PathBuf,
}

impl Connector {
    /// Takes a directory of ours for files on their way; those of an ended process are removed from it.
    pub fn new(data_directory: &Path) -> Result<Self, DeliveryError> {
        fs::create_dir_all(data_directory).map_err(DeliveryError::Staging)?;
        let secret_place = place_for_secrets(data_directory);
        remove_leftovers(&secret_place);
        remove_leftovers(data_directory);
        // Not the machine's directory for temporary files: a socket's path is short.
        let directory = tempfile::Builder::new()
            .prefix("certmill-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in("/tmp")
            .map_err(DeliveryError::Staging)?;
        Ok(Self(Arc::new(Inner { directory, secret_place, place: data_directory.to_owned() })))
    }

    /// A session with the target at the other end of `connection`. Nothing is asked of it yet.
    pub fn open(&self, connection: &Connection, config: TargetConfig) -> Result<Session, DeliveryError> {
        config.check()?;
        let transport: Box<dyn Transport> = match connection {
            Connection::Ssh(settings) => Box::new(Ssh::new(settings, self.0.directory.path())?),
            Connection::Local => Box::new(Local),
        };
        Ok(Session::new(transport, config, self.0.clone()))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        close_connections(self.directory.path());
    }
}
