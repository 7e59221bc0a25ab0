//! The database: the one that is configured, or a private one in the data directory.

use certmill_postgres::{Cluster, ClusterError};

use crate::{config::Config, trouble::Trouble};

/// A database to work with; a private one runs as long as this lives, unless another process of ours runs it.
pub(crate) struct Database {
    /// Where it is.
    pub(crate) url: String,
    cluster: Option<Cluster>,
}

impl Database {
    /// Connects to nothing yet; starts the private database if none is configured.
    pub(crate) async fn open(config: &Config) -> Result<Self, Trouble> {
        if !config.database_url.is_empty() {
            return Ok(Self { url: config.database_url.clone(), cluster: None });
        }
        let directory = config.data_directory.join("postgres");
        std::fs::create_dir_all(&config.data_directory).map_err(|error| {
            let what = format!("the data directory {} cannot be made", config.data_directory.display());
            Trouble::new(what, &error, "Set data_directory to a place that certmill may write to.")
        })?;
        match Cluster::start(&directory).await {
            Ok(cluster) => Ok(Self { url: cluster.url(), cluster: Some(cluster) }),
            // A server of ours runs it: a command beside it uses the same one.
            Err(ClusterError::AlreadyRunning { .. }) => {
                let url = Cluster::url_of_running(&directory).map_err(|error| {
                    Trouble::new("the private database cannot be found", &error, "Start certmill again.")
                })?;
                Ok(Self { url, cluster: None })
            }
            Err(error) => Err(Trouble::new(
                "the private database cannot be started",
                &error,
                "Do as the reason says, or set database_url to a PostgreSQL of your own.",
            )),
        }
    }

    /// Stops a private database in order.
    pub(crate) async fn close(self) {
        if let Some(cluster) = self.cluster {
            cluster.stop().await;
        }
    }
}
