//! Single parts, their faults and restarts.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use certmill_lab::{Lab, LabError, Part, PebbleOptions};

use crate::support::{one_load_balancer, release, wait_until};

#[tokio::test]
async fn the_mail_sink_takes_a_mail() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let smtp = lab.description().smtp;
    let script = format!(
        "import smtplib; smtplib.SMTP('{}', {}).sendmail('a@shops.test', 'b@shops.test', 'Subject: hello\\n\\nyou')",
        smtp.ip(),
        smtp.port()
    );
    let sent = Command::new("/usr/bin/python3").args(["-c", &script]).output().unwrap();
    assert!(sent.status.success(), "{sent:?}");

    let mail = fs::read_dir(lab.description().mail_directory.join("new")).unwrap().next().unwrap().unwrap();
    let mail = fs::read_to_string(mail.path()).unwrap();
    assert!(mail.contains("Subject: hello") && mail.contains("X-RcptTo: b@shops.test"), "{mail}");
}

#[tokio::test]
async fn each_part_stops_and_starts_alone() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let description = lab.description();
    release(&description.load_balancers[0], description.shop);
    lab.restart(Part::Nginx(1)).await.unwrap();
    let pebble = description.acme_directory_url.strip_prefix("https://").unwrap();
    let pebble: SocketAddr = pebble.strip_suffix("/dir").unwrap().parse().unwrap();
    let nginx =
        SocketAddr::new(description.load_balancers[0].address, description.load_balancers[0].http_port);
    let ssh = description.load_balancers[0].ssh();
    for (part, address) in [
        (Part::Pebble, pebble),
        (Part::Bind, description.dns_server),
        (Part::Secondary, description.acme_zone.secondary),
        (Part::Nginx(1), nginx),
        (Part::Sshd(1), ssh),
        (Part::Shop, description.shop),
        (Part::Mail, description.smtp),
    ] {
        wait_until(&format!("{part} listens"), || TcpStream::connect(address).is_ok());
        lab.stop(part).await.unwrap();
        assert!(TcpStream::connect(address).is_err(), "{part} still listens");
        lab.start(part).await.unwrap();
        wait_until(&format!("{part} listens again"), || TcpStream::connect(address).is_ok());
    }
    let socket = description.directory.join("postgres/.s.PGSQL.5432");
    lab.stop(Part::Postgres).await.unwrap();
    assert!(!socket.exists());
    lab.start(Part::Postgres).await.unwrap();
    assert!(socket.exists());
    assert!(matches!(lab.stop(Part::Sshd(2)).await, Err(LabError::NoSuchPart(_))));
}

#[tokio::test]
async fn a_restarted_pebble_has_other_options_and_another_root() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let before = lab.issuing_roots_pem().await.unwrap();
    lab.restart_pebble(PebbleOptions { nonce_reject: 0, ..PebbleOptions::default() }).await.unwrap();
    assert_ne!(lab.issuing_roots_pem().await.unwrap(), before);
    let log = fs::read_to_string(lab.description().log(Part::Pebble)).unwrap();
    assert!(log.contains("reject 5%") && log.contains("reject 0%"), "{log}");
}

#[tokio::test]
async fn a_part_that_does_not_start_is_named_with_the_end_of_its_log() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let load_balancer = &lab.description().load_balancers[0];
    lab.stop(Part::Nginx(1)).await.unwrap();
    fs::write(&load_balancer.nginx_conf, "nonsense;").unwrap();

    let error = lab.start(Part::Nginx(1)).await.unwrap_err().to_string();

    assert!(error.starts_with("lb1-nginx ended with exit status: 1"), "{error}");
    assert!(error.contains("unknown directive \"nonsense\""), "{error}");
}
