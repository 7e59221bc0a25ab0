//! A private PostgreSQL cluster in a directory of our own.
//!
//! It is the database of an installation that names none, and of the laboratory. Nobody else reaches it: it
//! listens on a unix socket only, in a directory that only the server's user may enter.

mod binaries;
mod error;
mod home;
mod initialise;
mod left_behind;
mod postmaster;
mod process;
mod server_user;

use std::fs::File;
use std::path::Path;

use tokio::task::spawn_blocking;

pub use crate::error::ClusterError;
use crate::home::Home;
use crate::postmaster::Postmaster;
use crate::server_user::ServerUser;

/// The database that [`Cluster::url`] names.
const DATABASE: &str = "certmill";
/// The role that [`Cluster::url`] names: the cluster's superuser.
const SUPERUSER: &str = "postgres";

/// A running PostgreSQL server. It ends when this value is dropped, and with this process however it ends.
pub struct Cluster {
    // Before the lock: fields are dropped in this order, and the directory is free when its server has ended.
    postmaster: Postmaster,
    home: Home,
    _lock: File,
}

impl Cluster {
    /// Starts the server of `directory` and returns when it accepts connections.
    ///
    /// The directory belongs to the cluster alone. It is made when it is not there, and so are the cluster and
    /// its database `certmill`. A server that an earlier, killed process left there is ended first.
    ///
    /// As root the server runs as the user `postgres` and the directory is made that user's.
    pub async fn start(directory: &Path) -> Result<Self, ClusterError> {
        Self::start_with(directory, &[]).await
    }

    /// The same with settings of the server, as `name=value`, in place of those that a small one runs with.
    pub async fn start_with(directory: &Path, settings: &[&str]) -> Result<Self, ClusterError> {
        let directory = directory.to_owned();
        let settings: Vec<_> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let (home, lock, command) = spawn_blocking(move || {
            let server_user = ServerUser::current()?;
            let home = Home::prepare(&directory, &server_user)?;
            let lock = home.lock()?;
            left_behind::end(&home)?;
            let binaries = binaries::find(home.major_version()?, &home)?;
            if !home.is_initialised() {
                initialise::initialise(&home, &binaries, &server_user)?;
            }
            let command = postmaster::command(&home, &binaries, &server_user, &settings)?;
            Ok((home, lock, command))
        })
        .await
        .expect("preparing a cluster does not panic")?;

        let postmaster = Postmaster::spawn(command).await.map_err(|source| home.io_error(source))?;
        let cluster = Self { postmaster, home, _lock: lock };
        cluster.postmaster.wait_until_ready(&cluster.home).await?;
        tracing::debug!(directory = %cluster.home.directory().display(), "PostgreSQL accepts connections");
        Ok(cluster)
    }

    /// The connection URL of the database `certmill`, as the cluster's superuser over the unix socket.
    pub fn url(&self) -> String {
        url_in(self.home.directory_name())
    }

    /// The same of a cluster that another process runs in `directory`, after [`ClusterError::AlreadyRunning`].
    pub fn url_of_running(directory: &Path) -> std::io::Result<String> {
        Ok(url_in(&directory.canonicalize()?.to_string_lossy()))
    }

    /// The process id of the postmaster.
    pub fn process_id(&self) -> u32 {
        self.postmaster.process_id()
    }

    /// Ends the server in order ("fast": sessions are ended, nothing is lost) and returns when it is gone.
    pub async fn stop(self) {
        spawn_blocking(move || drop(self)).await.expect("stopping a cluster does not panic");
    }
}

fn url_in(directory_name: &str) -> String {
    let host = percent_encode(directory_name);
    format!("postgres:///{DATABASE}?host={host}&port={}&user={SUPERUSER}", home::PORT)
}

/// `text` as a value in a URL's query.
fn percent_encode(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => write!(encoded, "%{byte:02X}").expect("a String takes all that is written to it"),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::percent_encode;

    #[test]
    fn a_path_with_blanks_and_ampersands_survives_in_a_url() {
        assert_eq!(percent_encode("/srv/my data&more"), "/srv/my%20data%26more");
    }
}
