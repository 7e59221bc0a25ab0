//! The watch over what names are served with, and mail by the installed program.

use std::{fs, path::PathBuf};

use certmill_lab::{LoadBalancer, Part, service::Role};
use certmill_tests::{SOON, Stage, files_below, has_problem, until};

const NAME: &str = "shop1.shops.test";
const LOOK_NOW: &str =
    "UPDATE watches SET due_at = now() WHERE domain_id = (SELECT domain_id FROM domains WHERE name = $1)";
const LAST_LOOK: &str = "SELECT COALESCE(extract(epoch FROM looked_at) * 1000000, 0)::bigint FROM watches
    JOIN domains d USING (domain_id) WHERE d.name = $1";
const IS_RIGHT: &str =
    "SELECT count(*) FROM watches JOIN domains d USING (domain_id) WHERE d.name = $1 AND seen = 'right'";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_load_balancer_serves_in_the_place_of_a_shops_certificate_is_found_by_the_second_look() {
    let stage = Stage::set().await;
    let _certmill = stage.start().await;
    let mut ids = Vec::new();
    for name in [NAME, "shop2.shops.test"] {
        stage.put(name).await;
        ids.push(stage.active(name).await["id"].as_str().unwrap().to_owned());
    }
    assert!(looks_right(&stage).await);
    // Somebody puts another certificate where the load balancer finds the shop's.
    let load_balancer = &stage.load_balancers()[0];
    let (own, other) = (file(load_balancer, &ids[0]), file(load_balancer, &ids[1]));
    let kept = fs::read(&own).unwrap();
    fs::copy(other, &own).unwrap();
    assert!(!looks_right(&stage).await);
    let shop = stage.shops.get(NAME).await.unwrap();
    assert!(!has_problem(&shop, "served_wrong_certificate"), "one look may fall into a reload: {shop}");
    assert!(!looks_right(&stage).await);
    let told = stage.told(NAME, "served_wrong_certificate").await;
    assert!(told.contains(&load_balancer.https().to_string()), "{told}");
    fs::write(&own, kept).unwrap();
    assert!(looks_right(&stage).await);
    let shop = stage.shops.get(NAME).await.unwrap();
    assert!(!has_problem(&shop, "served_wrong_certificate"), "{shop}");
}

/// Lets the shop be looked at now, and waits until it was.
async fn looks_right(stage: &Stage) -> bool {
    let before = stage.database.count_for(NAME, LAST_LOOK).await;
    stage.database.execute_for(NAME, LOOK_NOW).await;
    until("the shop was looked at", SOON, async || match stage.database.count_for(NAME, LAST_LOOK).await {
        last if last > before => Ok(()),
        last => Err(format!("last at {last}")),
    })
    .await;
    stage.database.count_for(NAME, IS_RIGHT).await == 1
}

/// Where a load balancer has the certificate of a domain.
fn file(load_balancer: &LoadBalancer, id: &str) -> PathBuf {
    let live = load_balancer.root.join("live");
    let found = files_below(&live).into_iter().find(|found| found.path.to_string_lossy().contains(id));
    live.join(found.expect("it is delivered").path)
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_tested_and_its_state_shown_from_the_command_line() {
    let stage = Stage::set().await;
    let status = stage.service.run(&["mail", "status"]).await.unwrap();
    assert!(status.contains("none: mail waits"), "no worker has run yet: {status}");
    let _certmill = stage.service.start(Role::All, &[]).await.unwrap();
    let sent = stage.service.run(&["mail", "test", "ops@platform.test"]).await.unwrap();
    assert!(sent.contains("has taken a mail to ops@platform.test"), "{sent}");
    let arrived = fs::read_dir(stage.lab.description().mail_directory.join("new")).unwrap();
    assert_eq!(arrived.count(), 1);
    until("the server in use is shown", SOON, async || {
        let status = stage.service.run(&["mail", "status"]).await.unwrap();
        let server = stage.lab.description().smtp.to_string();
        if status.contains(&server) { Ok(()) } else { Err(status) }
    })
    .await;
    let refused = stage.service.run(&["mail", "test", "nobody@platform.test"]).await.unwrap_err().to_string();
    assert!(refused.contains("no such user"), "{refused}");
    stage.lab.stop(Part::Mail).await.unwrap();
    let away = stage.service.run(&["mail", "test", "ops@platform.test"]).await.unwrap_err().to_string();
    assert!(away.contains("cannot be reached"), "{away}");
}
