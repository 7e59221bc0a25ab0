//! Deliveries over a real sshd.

mod common;

use std::fs;
use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use certmill_delivery::{Connection, DeliveryError, SshSettings, TargetStatus, wait_until_served};
use certmill_nginx::Templates;
use common::sshd::Sshd;
use common::{Build, Place, WAIT, certificate, deliver};

#[tokio::test]
async fn a_delivery_over_ssh_is_served_and_the_next_one_is_quick() {
    let mut place = Place::new();
    let sshd = Sshd::start(&place.path("ssh"));
    let session = place.connector().open(&Connection::Ssh(sshd.settings()), place.config()).unwrap();
    let facts = session.prepare().await.unwrap();
    assert!(facts.nginx_version.starts_with("nginx/"), "{facts:?}");
    place.start_nginx();
    let shop1 = place.domain("1", "shop1.example.com", "storefront");
    let shop2 = place.domain("2", "shop2.example.com", "storefront:dedicated");
    let mut previous = None;
    for (number, domains) in [(1, vec![shop1.clone()]), (2, vec![shop1, shop2])] {
        let (files, prints): (Vec<_>, Vec<_>) = domains.iter().map(certificate).unzip();
        session.send_certificates(&files).await.unwrap();
        let build = Build::render(&place, &Templates::built_in(), number, &domains);
        let release = build.since(number, previous.as_ref().map(|(number, build)| (*number, build)));
        deliver(&session, &release).await;
        for (domain, print) in domains.iter().zip(prints) {
            wait_until_served(place.https, &domain.name, print, WAIT).await.unwrap();
        }
        assert_eq!(session.status().await.unwrap(), TargetStatus { current: Some(number), verified: true });
        previous = Some((number, build));
    }
    session.roll_back(2, Some(1)).await.unwrap();
    session.clean_up(3).await.unwrap();
}

/// Prints its figures: `cargo test --release -p certmill-delivery --test ssh figures -- --nocapture`.
#[tokio::test]
async fn figures_of_first_deliveries_and_of_renewals() {
    let mut place = Place::new();
    let sshd = Sshd::start(&place.path("ssh"));
    let session = place.connector().open(&Connection::Ssh(sshd.settings()), place.config()).unwrap();
    session.prepare().await.unwrap();
    place.start_nginx();
    let domain = |number: u32| {
        let name = format!("shop{number}.example.com");
        place.domain(&number.to_string(), &name, "storefront")
    };
    let (mut domains, mut previous, mut known) = (Vec::new(), None, 0);
    for (number, count) in [(1, 1), (2, 100), (3, 1)] {
        let fresh: Vec<_> = (known..known + count).map(domain).collect();
        known += count;
        domains.extend(fresh.iter().cloned());
        let (files, prints): (Vec<_>, Vec<_>) = fresh.iter().map(certificate).unzip();
        let build = Build::render(&place, &Templates::built_in(), number, &domains);
        let release = build.since(number, previous.as_ref().map(|(number, build)| (*number, build)));
        let start = Instant::now();
        session.send_certificates(&files).await.unwrap();
        deliver(&session, &release).await;
        for (domain, print) in fresh.iter().zip(prints) {
            wait_until_served(place.https, &domain.name, print, WAIT).await.unwrap();
        }
        eprintln!("{count} new domains, {} files, proved: {:?}", release.changed.len(), start.elapsed());
        previous = Some((number, build));

        let (files, prints): (Vec<_>, Vec<_>) = fresh.iter().map(certificate).unzip();
        let start = Instant::now();
        session.send_certificates(&files).await.unwrap();
        for (domain, print) in fresh.iter().zip(prints) {
            wait_until_served(place.https, &domain.name, print, WAIT).await.unwrap();
        }
        eprintln!("{count} renewals, proved: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn another_host_key_stops_everything_before_anything_is_sent() {
    let place = Place::new();
    let mut sshd = Sshd::start(&place.path("ssh"));
    let settings = Connection::Ssh(sshd.settings());
    place.connector().open(&settings, place.config()).unwrap().prepare().await.unwrap();
    sshd.stop();
    sshd.run("other_host");
    let before = place.tree();
    let session = place.connector().open(&settings, place.config()).unwrap();
    let domain = place.domain("1", "shop1.example.com", "storefront");
    let error = session.prepare().await.unwrap_err();
    assert!(matches!(error, DeliveryError::HostKeyMismatch { .. }), "{error}");
    let error = session.send_certificates(&[certificate(&domain).0]).await.unwrap_err();
    assert!(matches!(error, DeliveryError::HostKeyMismatch { .. }), "{error}");
    assert!(!error.is_retryable());
    assert_eq!(before, place.tree());
}

#[tokio::test]
async fn a_refused_login_says_what_to_do() {
    let place = Place::new();
    let sshd = Sshd::start(&place.path("ssh"));
    let settings = SshSettings { identity_file: place.path("ssh/stranger"), ..sshd.settings() };
    let session = place.connector().open(&Connection::Ssh(settings), place.config()).unwrap();
    let error = session.prepare().await.unwrap_err();
    assert!(
        matches!(&error, DeliveryError::NotPrepared { fix, .. } if fix.contains("authorized_keys")),
        "{error}"
    );
}

#[tokio::test]
async fn a_target_that_is_away_is_unreachable_and_heals_by_itself() {
    let place = Place::new();
    let mut sshd = Sshd::start(&place.path("ssh"));
    let session = place.connector().open(&Connection::Ssh(sshd.settings()), place.config()).unwrap();
    session.prepare().await.unwrap();
    // The shared connection dies with it.
    sshd.stop();
    let start = Instant::now();
    let error = session.status().await.unwrap_err();
    assert!(matches!(error, DeliveryError::Unreachable { .. }), "{error}");
    let domain = place.domain("1", "shop1.example.com", "storefront");
    let error = session.send_certificates(&[certificate(&domain).0]).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Unreachable { .. }), "{error}");
    assert!(error.is_retryable() && start.elapsed() < Duration::from_secs(20));
    sshd.run("host");
    session.status().await.unwrap();
}

#[tokio::test]
async fn a_target_that_takes_the_connection_and_says_nothing_is_unreachable_in_time() {
    let place = Place::new();
    let sshd = Sshd::start(&place.path("ssh"));
    let silent = TcpListener::bind((sshd.address.ip(), 0)).unwrap();
    let settings = SshSettings { port: silent.local_addr().unwrap().port(), ..sshd.settings() };
    let session = place.connector().open(&Connection::Ssh(settings), place.config()).unwrap();
    let start = Instant::now();
    let error = session.status().await.unwrap_err();
    assert!(matches!(error, DeliveryError::Unreachable { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    silent.set_nonblocking(true).unwrap();
    silent.accept().expect("somebody has connected");
}

#[tokio::test]
async fn a_stale_socket_of_a_dead_connection_does_no_harm() {
    let place = Place::new();
    let sshd = Sshd::start(&place.path("ssh"));
    let session = place.connector().open(&Connection::Ssh(sshd.settings()), place.config()).unwrap();
    session.status().await.unwrap();
    let master = master_of(sshd.address.ip());
    std::process::Command::new("kill").args(["-9", &master.to_string()]).status().unwrap();
    session.status().await.unwrap();
}

/// The process that holds the shared connection: its command line names its socket, and its socket's configuration the
/// address, which no other test has.
fn master_of(address: IpAddr) -> u32 {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_master = |pid: &u32| {
        let command_line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let socket = command_line.strip_prefix("ssh: ").and_then(|rest| rest.split(' ').next());
        let config = socket.map(|socket| PathBuf::from(socket).with_extension("conf"));
        let config = config.and_then(|config| fs::read_to_string(config).ok()).unwrap_or_default();
        config.contains(&format!("HostName {address}\n"))
    };
    pids.find(is_master).expect("a shared connection is open")
}
