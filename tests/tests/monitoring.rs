//! Monitoring: the rules are right, and what they and the dashboard ask for is really there.

use std::{collections::BTreeSet, net::SocketAddr, process::Command};

use certmill_lab::{Lab, Options};
use certmill_tests::{MINUTE, Stage, until};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/monitoring");

fn promtool(arguments: &[&str]) {
    let ran = Command::new("promtool").args(arguments).current_dir(FOLDER).output();
    let ran = ran.expect("promtool is one of the parts: scripts/install-parts");
    let words = [ran.stdout, ran.stderr].concat();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&words));
}

#[test]
fn the_rules_hold_and_fire_when_they_should() {
    promtool(&["check", "rules", "alerts.yml"]);
    promtool(&["test", "rules", "alerts_test.yml"]);
}

#[test]
fn every_rule_is_tested_and_has_its_section_in_the_runbook() {
    let rules = read("alerts.yml");
    let (tests, runbook) = (read("alerts_test.yml"), read("README.md"));
    let names: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(names.len(), 12);
    for name in names {
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} is not tested");
        assert!(runbook.contains(&format!("\n### {name}\n")), "{name} has no section");
        assert!(rules.contains(&format!("README.md#{}\n", name.to_lowercase())), "{name} leads elsewhere");
    }
}

fn read(file: &str) -> String {
    std::fs::read_to_string(format!("{FOLDER}/{file}")).unwrap()
}

/// Every series that a text names.
fn series(text: &str) -> BTreeSet<String> {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = text.split(|character| !is_word(character));
    words.filter(|word| word.starts_with("certmill_")).map(str::to_owned).collect()
}

async fn metrics(address: SocketAddr) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// What the lines about certificates that were issued belong to.
fn spans_of_issued(stage: &Stage) -> Vec<Value> {
    let log = std::fs::read_to_string(stage.service.log()).unwrap();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_issued = lines.filter(|line| line["fields"]["message"] == "a certificate was issued");
    of_issued.map(|line| line["span"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_the_log_says_whose_domain_and_which_order_it_is_about() {
    let stage =
        Stage::on(Lab::up(Options { load_balancers: 1, ..Options::default() }).await.unwrap(), &[]).await;
    let _certmill = stage.start().await;
    stage.put("logged.shops.test").await;
    let domain = stage.active("logged.shops.test").await;
    let spans = spans_of_issued(&stage);
    assert_eq!(spans.len(), 1);
    let span = &spans[0];
    assert_eq!((&span["domain"], &span["tenant_id"]), (&domain["name"], &domain["tenant"]));
    assert!(span["order_id"].as_str().unwrap().starts_with("ord_"), "{span}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rules_and_the_dashboard_ask_for_is_exported() {
    let lab = Lab::up(Options { load_balancers: 1, ..Options::default() }).await.unwrap();
    // The address is the lab's own, so that nobody else listens there.
    let free = SocketAddr::new(lab.description().responder.ip(), 9464);
    let listen = free.to_string();
    let environment =
        [("CERTMILL_METRICS__LISTEN", listen.as_str()), ("CERTMILL_ACME__LIMITS", r#""letsencrypt""#)];
    let stage = Stage::on(lab, &environment).await;
    let certmill = stage.start().await;
    stage.put("measured.shops.test").await;
    stage.active("measured.shops.test").await;
    let wanted = &series(&read("alerts.yml")) | &series(&read("grafana.json"));
    assert!(wanted.len() >= 20, "{wanted:?}");
    let due = "UPDATE domains SET renew_after = now(), next_action_at = now() WHERE name = $1";
    stage.database.execute_for("measured.shops.test", due).await;
    // What only a process that has ordered knows.
    let of_orders = ["certmill_ca_rate_limit_remaining", "certmill_renewal_lateness_seconds_bucket"];
    let mut exported = until("the orders are counted", MINUTE, async || {
        let (status, text) = metrics(free).await;
        assert_eq!(status, 200);
        let exported = series(&text);
        let counted = text.lines().find(|line| line.contains("result=\"valid\"")).unwrap_or_default();
        let is_all = of_orders.iter().all(|name| exported.contains(*name)) && counted.ends_with(" 2");
        if is_all { Ok(exported) } else { Err(counted.to_owned()) }
    })
    .await;
    assert_eq!(
        metrics(stage.lab.description().responder).await.0,
        401,
        "on the listener of web by token alone"
    );
    // What is measured of certificates is measured every few minutes, and when a process begins.
    assert!(certmill.stop().await.unwrap().success());
    let _certmill = stage.start().await;
    until("everything is exported", MINUTE, async || {
        let (_, text) = metrics(free).await;
        exported.extend(series(&text));
        let missing: Vec<_> = wanted.difference(&exported).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?}")) }
    })
    .await;
    let (_, text) = metrics(free).await;
    assert!(!text.contains("measured.shops.test"), "no series for each domain");
}
