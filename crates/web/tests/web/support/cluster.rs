//! One Postgres for all tests that run at the same time, and a database of its own for each.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use certmill_postgres::Cluster;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// A running Postgres; it ends, and its directory goes, with its last user.
pub(crate) struct Server {
    pub(crate) cluster: Cluster,
    // Behind the cluster: its directory goes when it has ended.
    _directory: TempDir,
    databases: AtomicU32,
}

static RUNNING: Mutex<Weak<Server>> = Mutex::const_new(Weak::new());

/// The server, and the URL of a new database in it that has the schema.
pub(crate) async fn new_database() -> (Arc<Server>, String) {
    let mut running = RUNNING.lock().await;
    let server = match running.upgrade() {
        Some(server) => server,
        None => Arc::new(Server::start().await),
    };
    *running = Arc::downgrade(&server);
    let name = format!("test_{}", server.databases.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect(&server.url("postgres")).await.unwrap();
    let copy = format!("CREATE DATABASE {name} TEMPLATE certmill");
    connection.execute(AssertSqlSafe(copy)).await.unwrap();
    connection.close().await.unwrap();
    let url = server.url(&name);
    (server, url)
}

impl Server {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // The server's user must be able to go through it.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let cluster = Cluster::start(&directory.path().join("cluster")).await.unwrap();
        certmill_store::migrate(&cluster.url()).await.unwrap();
        Self { cluster, _directory: directory, databases: AtomicU32::new(0) }
    }

    fn url(&self, database: &str) -> String {
        self.cluster.url().replacen("/certmill?", &format!("/{database}?"), 1)
    }
}
