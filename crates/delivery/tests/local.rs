//! The steps of a delivery on this machine, with a real nginx.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use certmill_delivery::{
    Activation, Connection, DeliveryError, NotServed, ProbeError, TargetStatus, served_certificate,
    wait_until_served,
};
use certmill_model::Form;
use certmill_nginx::{Blame, Templates};
use common::{Build, Place, WAIT, certificate, deliver, is_root};

fn built_in() -> Templates {
    Templates::built_in()
}

#[tokio::test]
async fn a_second_release_shares_its_unchanged_files_with_the_first() {
    let mut place = Place::new();
    let session = place.local();
    let facts = session.prepare().await.unwrap();
    assert!(facts.nginx_version.starts_with("nginx/"), "{facts:?}");
    assert!(!facts.rsync_version.is_empty() && facts.free_bytes > 0 && facts.current.is_none(), "{facts:?}");
    place.start_nginx();
    let shop1 = place.domain("1", "shop1.example.com", "storefront");
    let shop2 = place.domain("2", "shop2.example.com", "storefront:dedicated");
    let shop3 = place.domain("3", "shop3.example.com", "storefront");

    let first = Build::render(&place, &built_in(), 1, &[shop1.clone(), shop2.clone()]);
    let (file1, print1) = certificate(&shop1);
    let (file2, print2) = certificate(&shop2);
    session.send_certificates(&[file1, file2]).await.unwrap();
    deliver(&session, &first.whole(1)).await;
    wait_until_served(place.https, &shop1.name, print1, WAIT).await.unwrap();
    wait_until_served(place.https, &shop2.name, print2, WAIT).await.unwrap();
    assert_eq!(session.status().await.unwrap(), TargetStatus { current: Some(1), verified: true });

    // shop2 goes, shop3 comes.
    let second = Build::render(&place, &built_in(), 2, &[shop1.clone(), shop3.clone()]);
    let release = second.since(2, Some((1, &first)));
    assert!(!release.changed.contains_key("names/storefront/01.conf"));
    assert!(release.removed.contains("blocks/storefront/02.conf"));
    let (file3, print3) = certificate(&shop3);
    session.send_certificates(&[file3]).await.unwrap();
    deliver(&session, &release).await;
    session.remove_certificates(&[shop2.domain]).await.unwrap();
    wait_until_served(place.https, &shop3.name, print3, WAIT).await.unwrap();
    wait_until_served(place.https, &shop1.name, print1, WAIT).await.unwrap();
    // An old worker may take a last connection after the first of a new one.
    let mut gone = served_certificate(place.https, &shop2.name, WAIT).await;
    while gone.is_ok() {
        gone = served_certificate(place.https, &shop2.name, WAIT).await;
    }
    assert!(matches!(gone, Err(ProbeError::Refused { .. })), "{gone:?}");

    let inode = |path: &str| fs::metadata(place.root().join("releases").join(path)).unwrap().ino();
    assert_eq!(inode("1/names/storefront/01.conf"), inode("2/names/storefront/01.conf"));
    assert_ne!(inode("1/certmill.conf"), inode("2/certmill.conf"));
    assert_eq!(session.status().await.unwrap(), TargetStatus { current: Some(2), verified: true });
    assert!(!place.root().join("live/02").join(format!("{}.pem", shop2.domain)).exists());
}

#[tokio::test]
async fn certificates_are_readable_for_nginx_alone_and_staged_nowhere_afterwards() {
    let place = Place::new();
    let session = place.local();
    session.prepare().await.unwrap();
    // Of the same shard as the others' domains, and no other test's.
    let domain = place.domain("701", "shop1.example.com", "storefront");
    session.send_certificates(&[certificate(&domain).0]).await.unwrap();
    let mode = |path: &str| fs::metadata(place.root().join(path)).unwrap().permissions().mode() & 0o7777;
    let (directory, file) = if is_root() { (0o750, 0o640) } else { (0o700, 0o600) };
    assert_eq!((mode("live"), mode("live/01")), (directory, directory));
    assert_eq!(mode(&format!("live/01/{}.pem", domain.domain)), file);
    let prefix = format!("certmill-staging-{}-", std::process::id());
    for place in [std::path::PathBuf::from("/dev/shm"), place.path("data")] {
        let mut names = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name());
        // Other tests of this process may be staging theirs, but not that of this domain.
        let secret = names.find(|name| {
            let name = name.to_string_lossy().into_owned();
            let staged =
                std::path::Path::new("/dev/shm").join(&name).join(format!("01/{}.pem", domain.domain));
            name.starts_with(&prefix) && staged.exists() && {
                std::thread::sleep(Duration::from_secs(1));
                staged.exists()
            }
        });
        assert_eq!(secret, None);
    }
}

#[tokio::test]
async fn a_release_that_nginx_refuses_leaves_everything_as_it_was() {
    let mut place = Place::new();
    let session = place.local();
    session.prepare().await.unwrap();
    place.start_nginx();
    let good = place.domain("1", "shop1.example.com", "storefront");
    let (file, print) = certificate(&good);
    session.send_certificates(&[file]).await.unwrap();
    let first = Build::render(&place, &built_in(), 1, std::slice::from_ref(&good));
    deliver(&session, &first.whole(1)).await;
    wait_until_served(place.https, &good.name, print, WAIT).await.unwrap();
    let before = place.tree();

    // Whole directives, each of a template; that nginx knows no such time is nginx's to say.
    fs::create_dir(place.path("templates")).unwrap();
    fs::write(place.path("templates/broken.shared.conf"), "server_tokens off;\nexpires nonsense;\n").unwrap();
    let templates = Templates::with_directory(&place.path("templates")).unwrap();
    let bad = place.domain("2", "shop2.example.com", "broken");
    assert_eq!(templates.resolve(&bad.template), Ok(Form::Shared));
    let second = Build::render(&place, &templates, 2, &[good.clone(), bad]);
    session.send_release(&second.since(2, Some((1, &first)))).await.unwrap();
    let Err(DeliveryError::TestFailed { output }) = session.test(2).await else {
        panic!("nginx took a broken template");
    };
    let blame = Blame::find(&output, &place.config().root).unwrap();
    assert_eq!((blame.template(), blame.line), (Some("broken"), 2), "{output}");
    assert!(session.activate(2).await.is_err(), "an untested release went live");

    // nginx may restart at any instant: it reads what passed its test.
    place.kill_nginx();
    place.start_nginx();
    wait_until_served(place.https, &good.name, print, WAIT).await.unwrap();
    let mut after = place.tree();
    after.retain(|path, _| !path.starts_with(place.root().join("releases/2")));
    assert_eq!(before, after);
    let left = fs::read_dir(place.path("conf")).unwrap().count();
    assert_eq!(left, 1, "a candidate was left behind");
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_reload() {
    let mut place = Place::new();
    let session = place.local();
    session.prepare().await.unwrap();
    let domain = place.domain("1", "shop1.example.com", "storefront");
    let (file, print) = certificate(&domain);
    session.send_certificates(&[file]).await.unwrap();
    let build = Build::render(&place, &built_in(), 1, std::slice::from_ref(&domain));
    session.send_release(&build.whole(1)).await.unwrap();
    session.test(1).await.unwrap();
    session.activate(1).await.unwrap();
    place.start_nginx();
    wait_until_served(place.https, &domain.name, print, WAIT).await.unwrap();

    let (renewed, new_print) = certificate(&domain);
    session.send_certificates(&[renewed]).await.unwrap();
    let served = served_certificate(place.https, &domain.name, WAIT).await.unwrap();
    assert_eq!(served.fingerprint(), new_print);
    assert_ne!(print, new_print);
}

#[tokio::test]
async fn nginx_that_starts_between_activation_and_reload_serves_the_new_release() {
    let mut place = Place::new();
    let session = place.local();
    session.prepare().await.unwrap();
    place.start_nginx();
    let domain = place.domain("1", "shop1.example.com", "storefront:dedicated");
    let (file, print) = certificate(&domain);
    session.send_certificates(&[file]).await.unwrap();
    let build = Build::render(&place, &built_in(), 1, std::slice::from_ref(&domain));
    session.send_release(&build.whole(1)).await.unwrap();
    session.test(1).await.unwrap();
    session.activate(1).await.unwrap();
    place.kill_nginx();
    let error = session.reload().await.unwrap_err();
    assert!(matches!(error, DeliveryError::ReloadFailed { .. }), "{error}");
    place.start_nginx();
    wait_until_served(place.https, &domain.name, print, WAIT).await.unwrap();
}

#[tokio::test]
async fn every_step_can_be_repeated_and_an_older_deployer_is_refused() {
    let mut place = Place::new();
    let session = place.local();
    session.prepare().await.unwrap();
    place.start_nginx();
    let builds: Vec<_> = (1..=3).map(|number| Build::render(&place, &built_in(), number, &[])).collect();
    for number in [1, 3] {
        let release = builds[number - 1].whole(number as i64);
        for _ in 0..2 {
            session.send_release(&release).await.unwrap();
            session.test(release.number).await.unwrap();
        }
        let previous = (number == 3).then_some(1);
        assert_eq!(session.activate(release.number).await.unwrap(), Activation::Flipped { previous });
        assert_eq!(session.activate(release.number).await.unwrap(), Activation::AlreadyCurrent);
        session.send_release(&release).await.unwrap();
        session.reload().await.unwrap();
    }
    let error = session.send_release(&builds[1].whole(2)).await.unwrap_err();
    assert!(matches!(error, DeliveryError::OlderRelease { current: 3 }), "{error}");
    let error = session.activate(2).await.unwrap_err();
    assert!(matches!(error, DeliveryError::OlderRelease { current: 3 }), "{error}");
    // The same number with something else in it is not the same release.
    let error = session.send_release(&builds[1].whole(3)).await.unwrap_err();
    assert!(matches!(error, DeliveryError::OlderRelease { current: 3 }), "{error}");
}

#[tokio::test]
async fn a_rollback_brings_the_previous_release_back_or_none() {
    let mut place = Place::new();
    let session = place.local();
    session.prepare().await.unwrap();
    place.start_nginx();
    let domain = place.domain("1", "shop1.example.com", "storefront");
    let (file, print) = certificate(&domain);
    session.send_certificates(&[file]).await.unwrap();
    deliver(&session, &Build::render(&place, &built_in(), 1, std::slice::from_ref(&domain)).whole(1)).await;
    wait_until_served(place.https, &domain.name, print, WAIT).await.unwrap();
    deliver(&session, &Build::render(&place, &built_in(), 2, &[]).whole(2)).await;

    for _ in 0..2 {
        session.roll_back(2, Some(1)).await.unwrap();
        assert_eq!(session.status().await.unwrap(), TargetStatus { current: Some(1), verified: true });
    }
    wait_until_served(place.https, &domain.name, print, WAIT).await.unwrap();
    let error = session.roll_back(2, None).await.unwrap_err();
    assert!(matches!(error, DeliveryError::OlderRelease { current: 1 }), "{error}");
    session.roll_back(1, None).await.unwrap();
    assert_eq!(session.status().await.unwrap().current, None);
}

#[tokio::test]
async fn a_target_whose_files_were_touched_is_drifted_until_it_gets_everything() {
    let place = Place::new();
    let session = place.local();
    session.prepare().await.unwrap();
    let builds: Vec<_> = (1..=4).map(|number| Build::render(&place, &built_in(), number, &[])).collect();
    session.send_release(&builds[0].whole(1)).await.unwrap();
    session.test(1).await.unwrap();
    session.activate(1).await.unwrap();

    let release = place.root().join("releases/1");
    let next = |number: i64| builds[number as usize - 1].since(number, Some((1, &builds[0])));
    fs::write(release.join("extra.conf"), "# mine").unwrap();
    assert!(!session.status().await.unwrap().verified);
    let error = session.send_release(&next(2)).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Drifted { .. }), "{error}");
    fs::remove_file(release.join("extra.conf")).unwrap();

    fs::write(release.join("upstreams/all.conf"), "# mine").unwrap();
    let error = session.send_release(&next(2)).await.unwrap_err();
    assert!(error.to_string().contains("upstreams/all.conf"), "{error}");
    fs::remove_dir_all(&release).unwrap();
    let error = session.send_release(&next(3)).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Drifted { .. }), "{error}");
    assert!(!place.root().join("releases/2").exists());

    session.send_release(&builds[3].whole(4)).await.unwrap();
    session.test(4).await.unwrap();
    session.activate(4).await.unwrap();
    assert_eq!(session.status().await.unwrap(), TargetStatus { current: Some(4), verified: true });
}

#[tokio::test]
async fn cleaning_up_keeps_the_live_release_and_the_newest() {
    let place = Place::new();
    let session = place.local();
    session.prepare().await.unwrap();
    for number in 1..=12 {
        session.send_release(&Build::render(&place, &built_in(), number, &[]).whole(number)).await.unwrap();
        session.test(number).await.unwrap();
        if number <= 11 {
            session.activate(number).await.unwrap();
        }
    }
    fs::create_dir(place.root().join("releases/5.partial")).unwrap();
    fs::create_dir(place.root().join("releases/13.partial")).unwrap();
    session.clean_up(3).await.unwrap();
    let entries = fs::read_dir(place.root().join("releases")).unwrap();
    let mut left: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.retain(|name| !name.ends_with(".tested"));
    left.sort();
    assert_eq!(left, ["10", "11", "12", "13.partial", "9"]);
}

#[tokio::test]
async fn only_one_deployer_at_a_time_changes_what_is_live() {
    let place = Place::new();
    let session = place.local();
    session.prepare().await.unwrap();
    session.send_release(&Build::render(&place, &built_in(), 1, &[]).whole(1)).await.unwrap();
    session.test(1).await.unwrap();
    let lock = place.root().join("lock");
    let mut other = std::process::Command::new("flock").arg(&lock).args(["sleep", "60"]).spawn().unwrap();
    let children = || fs::read_to_string(format!("/proc/{0}/task/{0}/children", other.id())).unwrap();
    // flock starts its child when it has the lock.
    common::wait_until("the lock is taken", || !children().is_empty());
    let error = session.activate(1).await.unwrap_err();
    // The child has the lock as well, and ends with its pipe.
    for child in children().split_whitespace() {
        std::process::Command::new("kill").arg(child).status().unwrap();
    }
    other.wait().unwrap();
    assert!(matches!(error, DeliveryError::Busy), "{error}");
    session.activate(1).await.unwrap();
}

#[tokio::test]
async fn what_is_missing_on_a_target_is_said_with_what_to_do() {
    let place = Place::new();
    let connector = place.connector();
    let said = |config| {
        let session = connector.open(&Connection::Local, config).unwrap();
        async move { session.prepare().await.unwrap_err().to_string() }
    };
    let mut config = place.config();
    config.nginx = vec!["no-such-nginx".into()];
    assert!(said(config).await.contains("no-such-nginx is not on the target"));
    let mut config = place.config();
    config.nginx_conf = "/no/such/nginx.conf".into();
    assert!(said(config).await.contains("/no/such/nginx.conf cannot be read"));
    let mut config = place.config();
    config.root = place.path("other").to_str().unwrap().into();
    assert!(said(config).await.contains("put this line into its http block"));
    let mut config = place.config();
    config.certificate_group = Some("no-such-group".into());
    assert!(said(config).await.contains("usermod -aG no-such-group"));
}

#[tokio::test]
async fn a_probe_tells_what_was_seen_instead() {
    let mut place = Place::new();
    let session = place.local();
    session.prepare().await.unwrap();
    let domain = place.domain("1", "shop1.example.com", "storefront");
    let (file, print) = certificate(&domain);
    let within = Duration::from_millis(300);
    let seen = wait_until_served(place.https, &domain.name, print, within).await;
    assert!(matches!(seen, Err(NotServed::Probe(ProbeError::Unreachable(_)))), "{seen:?}");

    session.send_certificates(&[file]).await.unwrap();
    let build = Build::render(&place, &built_in(), 1, std::slice::from_ref(&domain));
    session.send_release(&build.whole(1)).await.unwrap();
    session.test(1).await.unwrap();
    session.activate(1).await.unwrap();
    place.start_nginx();
    wait_until_served(place.https, &domain.name, print, WAIT).await.unwrap();
    let seen = wait_until_served(place.https, &domain.name, [0; 32], within).await;
    assert!(matches!(seen, Err(NotServed::Other(served)) if served.fingerprint() == print));

    // Somebody who takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = served_certificate(silent.local_addr().unwrap(), &domain.name, within).await.unwrap_err();
    assert!(matches!(error, ProbeError::TimedOut), "{error}");
}

#[tokio::test]
async fn what_a_probe_saw_last_counts_and_not_that_the_time_was_over_while_it_looked() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The first who comes is told something else than TLS; all others hear nothing.
    std::thread::spawn(move || {
        let (mut first, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut first, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        listener.incoming().collect::<Vec<_>>()
    });
    let name = "shop1.example.com".parse().unwrap();
    let seen = wait_until_served(address, &name, [0; 32], Duration::from_millis(1_500)).await;
    assert!(matches!(seen, Err(NotServed::Probe(ProbeError::Refused { .. }))), "{seen:?}");
}
