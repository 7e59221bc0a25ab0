//! The ways to all targets, kept by one process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::local::Local;
use crate::ssh::{Ssh, close_connections};
use crate::staging::{STAGING, place_for_secrets, private_directory, remove_leftovers};
use crate::target::Target;
use crate::transport::Transport;
use crate::{Connection, DeliveryError, Session, TargetConfig};

/// What names of directories for ssh begin with; the id of our process follows.
const SSH: &str = "certmill-ssh-";

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
        remove_leftovers(STAGING, &secret_place);
        remove_leftovers(STAGING, data_directory);
        // Not the machine's directory for temporary files: a socket's path is short.
        let short = Path::new("/tmp");
        remove_leftovers(SSH, short);
        let directory = private_directory(SSH, short).map_err(DeliveryError::Staging)?;
        Ok(Self(Arc::new(Inner { directory, secret_place, place: data_directory.to_owned() })))
    }

    /// A session with the target at the other end of `connection`. Nothing is asked of it yet.
    pub fn open(&self, connection: &Connection, config: TargetConfig) -> Result<Session, DeliveryError> {
        config.check()?;
        let transport: Box<dyn Transport> = match connection {
            Connection::Ssh(settings) => Box::new(Ssh::new(settings, self.0.directory.path())?),
            Connection::Local => Box::new(Local),
        };
        Ok(Session::new(Target { transport, config }, self.0.clone()))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        close_connections(self.directory.path());
    }
}
