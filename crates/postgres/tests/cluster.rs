//! A cluster on the real PostgreSQL.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use certmill_postgres::{Cluster, ClusterError};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

#[tokio::test]
async fn a_new_cluster_accepts_connections_and_ends_without_a_trace() {
    let root = reachable_directory();
    let directory = root.path().join("cluster");
    let cluster = Cluster::start(&directory).await.unwrap();
    connect(&cluster.url()).await.ping().await.unwrap();

    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    let process_id = cluster.process_id();
    cluster.stop().await;

    assert!(!is_running(process_id));
    assert!(!directory.join("data/postmaster.pid").exists(), "the shutdown was in order");
}

#[tokio::test]
async fn what_was_committed_outlives_a_kill_of_the_server() {
    let root = reachable_directory();
    let directory = root.path().join("cluster");
    let cluster = Cluster::start(&directory).await.unwrap();
    let _busy = connect(&cluster.url()).await;
    create_database(&directory, "kept");
    kill(cluster.process_id(), "KILL");
    wait_until(|| !is_running(cluster.process_id())).await;
    drop(cluster);

    let cluster = Cluster::start(&directory).await.unwrap();

    connect(&cluster.url().replace("/certmill?", "/kept?")).await.ping().await.unwrap();
}

#[tokio::test]
async fn a_directory_in_use_is_refused_with_the_server_process() {
    let root = reachable_directory();
    let directory = root.path().join("cluster");
    let cluster = Cluster::start(&directory).await.unwrap();

    match Cluster::start(&directory).await {
        Err(ClusterError::AlreadyRunning { process_id, .. }) => assert_eq!(process_id, cluster.process_id()),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("two servers in one directory"),
    }
    connect(&cluster.url()).await.ping().await.unwrap();
}

#[tokio::test]
async fn a_server_left_behind_is_ended_and_its_directory_used_again() {
    let root = reachable_directory();
    let directory = root.path().join("cluster");
    Cluster::start(&directory).await.unwrap().stop().await;
    let orphan = start_orphan(&directory);
    wait_until(|| ready(&directory)).await;

    let cluster = Cluster::start(&directory).await.unwrap();

    assert!(!is_running(orphan));
    assert_ne!(cluster.process_id(), orphan);
    connect(&cluster.url()).await.ping().await.unwrap();
}

#[tokio::test]
async fn a_pid_file_that_names_somebody_elses_process_is_not_believed() {
    let root = reachable_directory();
    let directory = root.path().join("cluster");
    Cluster::start(&directory).await.unwrap().stop().await;
    let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
    let text = format!("{}\n{}\n", stranger.id(), directory.join("data").display());
    fs::write(directory.join("data/postmaster.pid"), text).unwrap();

    let cluster = Cluster::start(&directory).await.unwrap();

    connect(&cluster.url()).await.ping().await.unwrap();
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger still runs");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn data_of_another_major_version_are_refused() {
    let root = reachable_directory();
    let directory = root.path().join("cluster");
    Cluster::start(&directory).await.unwrap().stop().await;
    fs::write(directory.join("data/PG_VERSION"), "9\n").unwrap();

    let error = Cluster::start(&directory).await.err().unwrap();

    assert!(matches!(error, ClusterError::OtherVersion { data: 9, .. }), "{error}");
}

#[tokio::test]
async fn a_cluster_half_made_by_a_killed_process_is_made_anew() {
    let root = reachable_directory();
    let directory = root.path().join("cluster");
    fs::create_dir_all(directory.join("data.new")).unwrap();
    fs::write(directory.join("lock"), "").unwrap();
    fs::write(directory.join("data.new/PG_VERSION"), "15\n").unwrap();

    let cluster = Cluster::start(&directory).await.unwrap();

    connect(&cluster.url()).await.ping().await.unwrap();
}

#[tokio::test]
async fn root_is_told_when_the_server_user_cannot_get_to_the_directory() {
    if !as_root() {
        return check_that_a_plain_user_is_told_by_the_system().await;
    }
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let error = Cluster::start(&root.path().join("cluster")).await.err().unwrap();
    assert!(matches!(error, ClusterError::NotAccessible { .. }), "{error}");
}

#[tokio::test]
async fn the_server_ends_with_the_process_that_started_it() {
    let root = reachable_directory();
    let directory = root.path().join("cluster");
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["holds_a_cluster_until_it_is_killed", "--exact", "--nocapture"])
        .env("CLUSTER_TO_HOLD", &directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(holder.stdout.take().unwrap());
    let server: u32 = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.rsplit_once("server ")?.1.parse().ok())
        .unwrap();
    assert!(is_running(server));

    holder.kill().unwrap();
    holder.wait().unwrap();

    wait_until(|| !is_running(server)).await;
    assert!(!directory.join("data/postmaster.pid").exists(), "the shutdown was in order");
}

/// The process that the test above starts and kills; on its own it has nothing to hold.
#[tokio::test]
#[expect(clippy::print_stdout, reason = "the parent reads it")]
async fn holds_a_cluster_until_it_is_killed() {
    let Some(directory) = std::env::var_os("CLUSTER_TO_HOLD") else {
        return;
    };
    let cluster = Cluster::start(Path::new(&directory)).await.unwrap();
    println!("server {}", cluster.process_id());
    tokio::time::sleep(Duration::from_secs(60)).await;
}

async fn check_that_a_plain_user_is_told_by_the_system() {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let error = Cluster::start(&root.path().join("cluster")).await.err().unwrap();
    assert!(matches!(error, ClusterError::Io { .. }), "{error}");
}

/// A temporary directory that the user `postgres` can go through.
fn reachable_directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

fn create_database(directory: &Path, name: &str) {
    let status = Command::new(server_programs().join("createdb"))
        .arg("--host")
        .arg(directory)
        .args(["--username", "postgres", name])
        .status()
        .unwrap();
    assert!(status.success());
}

/// A server of `directory` that nobody waits for, as one whose parent was killed at a bad moment.
fn start_orphan(directory: &Path) -> u32 {
    let data = directory.join("data");
    let mut command = Command::new("setpriv");
    if as_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    command.arg("--").arg(server_programs().join("postgres")).arg("-D").arg(&data);
    command.args(["-c", "listen_addresses=", "-c"]);
    command.arg(format!("unix_socket_directories={}", directory.display()));
    command.current_dir(directory).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let process_id = child.id();
    std::thread::spawn(move || child.wait());
    process_id
}

fn ready(directory: &Path) -> bool {
    fs::read_to_string(directory.join("data/postmaster.pid")).is_ok_and(|text| text.contains("ready"))
}

fn server_programs() -> PathBuf {
    let mut versions: Vec<PathBuf> =
        fs::read_dir("/usr/lib/postgresql").unwrap().map(|entry| entry.unwrap().path()).collect();
    versions.sort();
    versions.pop().unwrap().join("bin")
}

fn as_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn kill(process_id: u32, signal: &str) {
    let script = format!("kill -{signal} {process_id}");
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
}

fn is_running(process_id: u32) -> bool {
    fs::read(format!("/proc/{process_id}/cmdline")).is_ok_and(|command_line| !command_line.is_empty())
}

async fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
