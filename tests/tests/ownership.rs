//! Whose a name is, when two tenants have to do with it.

use certmill_lab::{
    Record,
    service::{Api, Running, domain_path},
};
use certmill_tests::{CaLog, SOON, Stage, events, has_problem, problem, until};
use serde_json::{Value, json};

/// A stage that runs, and a second tenant on it.
async fn two() -> (Stage, Api, Running) {
    let stage = Stage::set().await;
    let other = stage.service.add_tenant("Suedwind").await.unwrap();
    let running = stage.start().await;
    (stage, other, running)
}

/// Registers a name that points at the load balancers.
async fn put(stage: &Stage, tenant: &Api, name: &str) {
    stage.lab.set_addresses(name, &stage.lab.description().load_balancer_addresses()).await.unwrap();
    tenant.put(name, &Value::Null).await.unwrap();
}

async fn is_gone(tenant: &Api, name: &str) {
    until(&format!("{name} is gone"), SOON, async || {
        match tenant.send("GET", &domain_path(name), None).await.unwrap().status {
            404 | 410 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
}

/// Waits until the domain shows the problem, and answers what is said of it.
async fn told(tenant: &Api, name: &str, code: &str) -> String {
    let domain = tenant.wait_for(name, SOON, |domain| has_problem(domain, code)).await.unwrap();
    problem(&domain, code).unwrap()["detail"].as_str().unwrap().to_owned()
}

/// The value that the owner of a name is to set, as the tenant is told.
async fn wanted_value(tenant: &Api, name: &str) -> String {
    let setup = tenant.expect("GET", &format!("{}/setup", domain_path(name)), None).await.unwrap();
    let records = setup["records"].as_array().unwrap();
    let record = records.iter().find(|record| record["purpose"] == "ownership").expect("the record is told");
    assert_eq!((&record["type"], &record["rank"]), (&json!("TXT"), &json!(1)));
    record["value"].as_str().unwrap().to_owned()
}

async fn say(stage: &Stage, name: &str, values: &[&str]) {
    let at = format!("_certmill-verify.{name}");
    stage.lab.remove_name(&at).await.unwrap();
    let records: Vec<_> = values.iter().map(|value| Record::txt(&at, value)).collect();
    stage.lab.set_records(&records).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_led_here_for_another_tenant_waits_for_the_word_of_its_owner() {
    let (stage, other, _running) = two().await;
    put(&stage, &stage.shops, "dangling.test").await;
    stage.active("dangling.test").await;
    stage.shops.delete("dangling.test").await.unwrap();
    is_gone(&stage.shops, "dangling.test").await;

    // Its DNS still points here, so that any CA would be convinced.
    let before = CaLog::read(&stage.lab);
    other.put("dangling.test", &Value::Null).await.unwrap();
    let detail = told(&other, "dangling.test", "ownership_missing").await;
    let value = wanted_value(&other, "dangling.test").await;
    assert!(detail.contains(&format!("_certmill-verify.dangling.test TXT \"{value}\"")), "{detail}");
    // What names another tenant, or nobody, is of no use.
    say(&stage, "dangling.test", &["somebody else's"]).await;
    stage.database.hasten("dangling.test").await;
    let seen = other
        .wait_for("dangling.test", SOON, |domain| domain["checks"]["ownership"]["seen"] != json!([]))
        .await
        .unwrap();
    assert_eq!(
        (&seen["status"], &seen["checks"]["ownership"]["result"]),
        (&json!("pending_dns"), &json!("fail"))
    );
    assert_eq!(CaLog::read(&stage.lab).since(before).orders, 0, "no CA was asked");

    say(&stage, "dangling.test", &["somebody else's", &value]).await;
    stage.database.hasten("dangling.test").await;
    let active = other.wait_for_status("dangling.test", "active", SOON).await.unwrap();
    assert_eq!(active["problems"], json!([]));
    let timeline = other.timeline("dangling.test").await.unwrap();
    assert_eq!(events(&timeline, "ownership_verified"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn relatives_of_a_proved_name_need_a_word_too_and_the_delegation_is_one() {
    let (stage, other, _running) = two().await;
    put(&stage, &stage.shops, "brand.test").await;
    stage.active("brand.test").await;
    let before = CaLog::read(&stage.lab);
    put(&stage, &other, "evil.brand.test").await;
    told(&other, "evil.brand.test", "ownership_missing").await;
    assert_eq!(CaLog::read(&stage.lab).since(before).orders, 0, "no CA was asked");
    // The tenant that has the name above has those below for the asking.
    put(&stage, &stage.shops, "own.brand.test").await;
    stage.active("own.brand.test").await;

    stage.delegate("evil.brand.test").await;
    other.wait_for_status("evil.brand.test", "active", SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_nobody_proves_is_given_up_after_a_week() {
    let (stage, other, _running) = two().await;
    put(&stage, &stage.shops, "brand.test").await;
    stage.active("brand.test").await;
    put(&stage, &other, "squatted.brand.test").await;
    told(&other, "squatted.brand.test", "ownership_missing").await;
    let week = "UPDATE domains SET status_since = status_since - interval '7 days' WHERE name = $1";
    stage.database.execute_for("squatted.brand.test", week).await;
    stage.database.hasten("squatted.brand.test").await;
    is_gone(&other, "squatted.brand.test").await;
    let given_up = "SELECT count(*) FROM events JOIN domains USING (domain_id)
                    WHERE name = $1 AND kind = 'ownership_given_up'";
    assert_eq!(stage.database.count_for("squatted.brand.test", given_up).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_goes_to_the_tenant_that_its_owner_names_unless_the_holder_is_named_as_well() {
    let (stage, other, _running) = two().await;
    put(&stage, &stage.shops, "moving.test").await;
    stage.active("moving.test").await;
    let body = json!({ "external_id": "shop-7" });
    let refused = other.send("PUT", &domain_path("moving.test"), Some(&body)).await.unwrap();
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("domain_taken")));
    let record = &refused.body["ownership"];
    assert_eq!((&record["type"], &record["name"]), (&json!("TXT"), &json!("_certmill-verify.moving.test")));
    let value = record["value"].as_str().unwrap();
    let look_again = "UPDATE ownership_claims SET next_look_at = now()";

    // A CA was convinced by its holder a minute ago: the holder is warned, and may say that it stays.
    say(&stage, "moving.test", &[value]).await;
    stage.database.execute(look_again).await;
    told(&stage.shops, "moving.test", "ownership_conflict").await;
    let own = wanted_value(&stage.shops, "moving.test").await;
    assert_ne!(own, value);
    say(&stage, "moving.test", &[value, &own]).await;
    stage.database.execute(look_again).await;
    let settled = |domain: &Value| !has_problem(domain, "ownership_conflict");
    let kept = stage.shops.wait_for("moving.test", SOON, settled).await.unwrap();
    assert_eq!(kept["status"], "active");

    // Its owner takes that back, and leads shoppers elsewhere.
    say(&stage, "moving.test", &[value]).await;
    stage.lab.set_addresses("moving.test", &["192.0.2.1".parse().unwrap()]).await.unwrap();
    stage.database.execute(look_again).await;
    is_gone(&stage.shops, "moving.test").await;
    let lost = "SELECT count(*) FROM events JOIN domains USING (domain_id)
                WHERE name = $1 AND kind = 'ownership_lost'";
    assert_eq!(stage.database.count_for("moving.test", lost).await, 1);
    until("the domain is the other's", SOON, async || {
        match other.send("GET", &domain_path("moving.test"), None).await.unwrap() {
            answer if answer.status == 200 && answer.body["external_id"] == "shop-7" => Ok(()),
            answer => Err(answer.body.to_string()),
        }
    })
    .await;
    stage.lab.set_addresses("moving.test", &stage.lab.description().load_balancer_addresses()).await.unwrap();
    let hasten = "UPDATE domains SET next_action_at = now() WHERE name = $1 AND status <> 'deleted'";
    stage.database.execute_for("moving.test", hasten).await;
    other.wait_for_status("moving.test", "active", SOON).await.unwrap();
}
