//! The zone in which certmill writes, at its two servers.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use certmill_lab::{Lab, Record, TsigKey};

use crate::support::{dig, one_load_balancer, text, wait_until};

/// Sends one update, signed with this key.
fn update(lab: &Lab, key: &TsigKey, change: &str) -> Output {
    let server = lab.description().acme_zone.primary;
    let mut nsupdate = Command::new("nsupdate");
    nsupdate.arg("-k").arg(&key.file).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut nsupdate = nsupdate.spawn().unwrap();
    let script = format!("server {} {}\nzone acme.test.\n{change}\nsend\n", server.ip(), server.port());
    nsupdate.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    nsupdate.wait_with_output().unwrap()
}

#[tokio::test]
async fn each_key_may_write_texts_and_nothing_else() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let acme = &lab.description().acme_zone;
    for key in &acme.keys {
        let written = update(&lab, key, &format!("update add {}.acme.test. 1 TXT \"its text\"", key.name));
        assert!(written.status.success(), "{written:?}");
        let refused = update(&lab, key, "update add label.acme.test. 1 A 127.0.0.1");
        assert!(text(&refused.stderr).contains("REFUSED"), "{refused:?}");
        assert_eq!(std::fs::read_to_string(&key.secret_file).unwrap(), key.secret);
    }
    let stranger = update(&lab, &acme.stranger, "update add label.acme.test. 1 TXT \"no\"");
    assert!(text(&stranger.stderr).contains("REFUSED"), "{stranger:?}");
    let unknown = update(&lab, &lab.description().dns_key, "update add label.acme.test. 1 TXT \"no\"");
    assert!(!unknown.status.success(), "{unknown:?}");

    let mut texts = lab.txt_records().await.unwrap();
    texts.sort();
    let expected = ["certmill-sha256", "certmill-sha384", "certmill"];
    assert_eq!(texts, expected.map(|name| (format!("{name}.acme.test"), "its text".to_owned())));
}

#[tokio::test]
async fn a_value_is_added_and_removed_beside_another_and_seen_through_an_owner_s_cname() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let key = lab.description().acme_zone.key();
    let name = "_acme-challenge.shop.owners.test";
    lab.set_records(&[Record::cname(name, "label.acme.test")]).await.unwrap();
    for value in ["one", "other"] {
        assert!(update(&lab, key, &format!("update add label.acme.test. 1 TXT {value}")).status.success());
    }
    let bind = lab.description().dns_server;
    assert_eq!(dig(bind, name, "TXT"), ["\"one\"", "\"other\"", "label.acme.test."]);
    assert!(update(&lab, key, "update delete label.acme.test. TXT one").status.success());
    assert_eq!(lab.txt_records().await.unwrap(), [("label.acme.test".to_owned(), "other".to_owned())]);
}

#[tokio::test]
async fn the_secondary_follows_at_once() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let acme = &lab.description().acme_zone;
    let mut waits = Vec::new();
    for number in 0..20 {
        let name = format!("label{number}.acme.test");
        assert!(update(&lab, acme.key(), &format!("update add {name}. 1 TXT text")).status.success());
        let begin = Instant::now();
        wait_until("the secondary has it", || dig(acme.secondary, &name, "TXT") == ["\"text\""]);
        waits.push(begin.elapsed());
    }
    waits.sort();
    // BIND's own notify-delay would make it 5 s.
    assert!(waits[19] < Duration::from_secs(2), "{waits:?}");
}

#[tokio::test]
async fn the_secondary_goes_stale_and_follows_again() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let acme = &lab.description().acme_zone;
    let add = |name: &str| update(&lab, acme.key(), &format!("update add {name}.acme.test. 1 TXT text"));
    assert!(add("before").status.success());
    let has = |name: &str| dig(acme.secondary, &format!("{name}.acme.test"), "TXT") == ["\"text\""];
    wait_until("the secondary has it", || has("before"));

    lab.make_secondary_stale().await.unwrap();
    assert!(has("before"), "it answers from its copy");
    assert!(add("meanwhile").status.success());
    std::thread::sleep(Duration::from_secs(3));
    assert!(has("before") && !has("meanwhile"));

    lab.make_secondary_follow().await.unwrap();
    assert!(has("meanwhile"));
    assert!(add("after").status.success());
    wait_until("the secondary has it", || has("after"));
}
