//! A lab comes and goes, and leaves nothing behind.

use std::fs;
use std::io::{BufReader, Read};
use std::net::{IpAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use certmill_lab::{Description, Lab, Options};

use crate::support::{
    addresses, command_lines_with, one_load_balancer, processes_naming, resolve, ssh_command, text,
    wait_until,
};

#[tokio::test]
async fn a_lab_with_two_load_balancers_is_up_and_goes_without_a_trace() {
    let lab = Lab::up(Options::default()).await.unwrap();
    let description = lab.description().clone();
    assert_eq!(description.load_balancers.len(), 2);
    assert!(lab.issuing_roots_pem().await.unwrap().contains("BEGIN CERTIFICATE"));
    assert!(TcpStream::connect(description.responder).is_err(), "nobody else listens there");
    let written = fs::read_to_string(description.directory.join("lab.json")).unwrap();
    assert_eq!(written, description.to_json());

    lab.down().await.unwrap();

    assert!(!description.directory.exists());
    assert_eq!(processes_naming(&description.directory), Vec::<String>::new());
    assert!(TcpStream::connect(description.smtp).is_err());
}

#[tokio::test]
async fn two_labs_stand_side_by_side_and_share_nothing() {
    let (one, other) = tokio::join!(Lab::up(one_load_balancer()), Lab::up(one_load_balancer()));
    let (one, other) = (one.unwrap(), other.unwrap());
    one.set_addresses("only-here.test", &["127.0.0.9".parse().unwrap()]).await.unwrap();

    assert_ne!(one.directory(), other.directory());
    assert_eq!(resolve(&one, "only-here.test"), addresses(&["127.0.0.9"]));
    assert_eq!(resolve(&other, "only-here.test"), Vec::<IpAddr>::new());
    one.down().await.unwrap();
    assert!(TcpStream::connect(other.description().smtp).is_ok(), "the other goes on");
}

#[tokio::test]
async fn a_session_that_is_open_does_not_outlive_the_lab() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let directory = lab.directory().to_owned();
    let description = lab.description();
    let mut command = ssh_command(description, &description.load_balancers[0], "exec sleep 987654");
    let mut session = command.stdin(Stdio::piped()).spawn().unwrap();
    wait_until("the session is there", || !command_lines_with("sleep\0987654").is_empty());

    lab.down().await.unwrap();

    assert_eq!(processes_naming(&directory), Vec::<String>::new());
    assert_eq!(command_lines_with("sleep\0987654"), Vec::<String>::new());
    session.wait().unwrap();
}

#[test]
fn nothing_is_left_when_the_holder_of_a_lab_is_killed() {
    let (mut holder, description) = start_holder();
    let directory = description.directory;
    assert!(processes_naming(&directory).len() >= 8);

    holder.kill().unwrap();
    holder.wait().unwrap();

    wait_until("the directory is gone", || !directory.exists());
    wait_until("every process is gone", || processes_naming(&directory).is_empty());
}

#[test]
fn a_held_lab_goes_down_at_the_end_of_standard_input() {
    let (mut holder, description) = start_holder();
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    assert!(!description.directory.exists());
}

#[test]
fn the_guard_touches_no_directory_but_a_labs() {
    let directory = tempfile::tempdir().unwrap();
    let mut guard = Command::new(env!("CARGO_BIN_EXE_certmill-lab"));
    let output = guard.arg("guard").arg(directory.path()).stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("is not a lab's directory"), "{output:?}");
    assert!(directory.path().exists());
}

/// `certmill-lab up` and what it printed.
fn start_holder() -> (Child, Description) {
    let mut holder = Command::new(env!("CARGO_BIN_EXE_certmill-lab"));
    holder.arg("up").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut output = BufReader::new(holder.stdout.take().unwrap());
    let mut json = String::new();
    while !json.ends_with("\n}\n") {
        let mut byte = [0];
        output.read_exact(&mut byte).expect("the lab comes up");
        json.push(char::from(byte[0]));
    }
    (holder, serde_json::from_str(&json).unwrap())
}
