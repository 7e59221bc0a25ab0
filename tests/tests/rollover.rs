//! Accounts at CAs: a new key, one that is lost, and several CAs side by side.

use std::time::Instant;

use certmill_lab::{
    Part, PebbleOptions,
    fault_ca::{Action, Endpoint, When},
    service::{Role, ServiceError},
};
use certmill_tests::{
    FaultStage, SOON, Stage, events, fault_lab, has_problem, instant, problem, recovered, until,
};
use serde_json::{Value, json};

const ROLL_OVER: [&str; 3] = ["authority", "roll-over", "default"];

/// The URL of the only account, as the database has it.
async fn account_url(stage: &Stage) -> String {
    let dump = stage.service.run(&["authority", "list"]).await.unwrap();
    let line = dump.lines().next().expect("a line for each authority");
    let url = line.split_whitespace().last().unwrap().to_owned();
    assert!(url.contains("/my-account/"), "{line}");
    url
}

/// Accounts that the CA was asked to make, not to find.
fn registrations(stage: &FaultStage) -> usize {
    let made = |asked: &&Value| asked["onlyReturnExisting"] != json!(true);
    stage.ca.payloads(Endpoint::NewAccount).iter().filter(made).count()
}

/// Runs the command so that it ends at a checkpoint, as by `kill -9`.
async fn roll_over_killed_at(stage: &Stage, checkpoint: &str) {
    let file = stage.service.configuration_file();
    let mut command = stage.service.command();
    command.arg("--config").arg(file).args(ROLL_OVER).env("CERTMILL_DIE_AT", checkpoint);
    let output = command.output().await.unwrap();
    assert_eq!(output.status.code(), None, "{checkpoint}: {}", String::from_utf8_lossy(&output.stderr));
}

async fn next_keys(stage: &Stage) -> i64 {
    stage.database.count("SELECT count(*) FROM accounts WHERE sealed_next_key IS NOT NULL").await
}

/// Keeps the account's key of now, as a backup does.
async fn back_up_the_key(stage: &Stage) {
    let copy = "CREATE TABLE backup AS SELECT account_id, sealed_key, sealed_credentials FROM accounts";
    stage.database.execute(copy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_gets_a_new_key_while_workers_run_and_their_orders_go_on() {
    let stage = FaultStage::set().await;
    stage.stage.put("before.shops.test").await;
    stage.stage.active("before.shops.test").await;
    let url = account_url(&stage.stage).await;

    let said = stage.stage.service.run(&ROLL_OVER).await.unwrap();
    assert_eq!(said, format!("{url} has a new key"));
    let told = "SELECT count(*) FROM audit_entries WHERE action = 'ca_account.key_changed'
                AND actor_kind = 'command_line' AND object_name = 'default'";
    assert_eq!(stage.stage.database.count(told).await, 1);
    stage.recovers("a new account key", "after.shops.test", SOON).await;
    // And once more, with orders in flight.
    let names: Vec<_> = (0..20).map(|number| format!("flight{number}.shops.test")).collect();
    for name in &names {
        stage.stage.put(name).await;
    }
    let begin = Instant::now();
    stage.stage.service.run(&ROLL_OVER).await.unwrap();
    for name in &names {
        stage.stage.active(name).await;
        let timeline = stage.stage.shops.timeline(name).await.unwrap();
        assert_eq!(events(&timeline, "problem_opened"), 0, "{timeline:#?}");
    }
    recovered("a new account key with 20 orders in flight", begin);
    assert_eq!(account_url(&stage.stage).await, url);
    assert_eq!((stage.ca.requests(Endpoint::KeyChange), registrations(&stage)), (2, 1));
    assert_eq!(next_keys(&stage.stage).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_over_that_is_killed_at_any_step_is_ended_by_the_next_and_no_account_is_lost() {
    let stage = FaultStage::set().await;
    stage.stage.put("before.shops.test").await;
    stage.stage.active("before.shops.test").await;
    let url = account_url(&stage.stage).await;
    for (number, checkpoint) in ["account_key_stored", "account_key_taken"].into_iter().enumerate() {
        back_up_the_key(&stage.stage).await;
        roll_over_killed_at(&stage.stage, checkpoint).await;
        assert_eq!(next_keys(&stage.stage).await, 1, "{checkpoint}");
        let said = stage.stage.service.run(&ROLL_OVER).await.unwrap();
        assert_eq!(said, format!("{url} has a new key"), "{checkpoint}");
        assert_eq!(next_keys(&stage.stage).await, 0, "{checkpoint}");
        assert_eq!(stage.ca.requests(Endpoint::KeyChange), number + 1, "{checkpoint}");
        the_new_key_works_and_the_old_one_does_not(&stage, checkpoint).await;
    }
    assert_eq!((account_url(&stage.stage).await, registrations(&stage)), (url, 1));
}

async fn the_new_key_works_and_the_old_one_does_not(stage: &FaultStage, checkpoint: &str) {
    let test = ["authority", "test", "default"];
    stage.stage.service.run(&test).await.unwrap();
    let name = format!("{}.shops.test", checkpoint.replace('_', "-"));
    stage.stage.put(&name).await;
    stage.stage.active(&name).await;

    let swap = "UPDATE accounts a SET sealed_key = b.sealed_key, sealed_credentials = b.sealed_credentials
                FROM backup b WHERE a.account_id = b.account_id";
    let (keep, forget) = (
        "CREATE TABLE current AS SELECT account_id, sealed_key, sealed_credentials FROM accounts",
        "DROP TABLE backup",
    );
    stage.stage.database.execute(keep).await;
    stage.stage.database.execute(swap).await;
    let refused = stage.stage.service.run(&test).await;
    assert!(matches!(refused, Err(ServiceError::CommandFailed { code: Some(1), .. })), "{refused:?}");
    stage.stage.database.execute(forget).await;
    stage.stage.database.execute("ALTER TABLE current RENAME TO backup").await;
    stage.stage.database.execute(swap).await;
    stage.stage.database.execute(forget).await;
    stage.stage.service.run(&test).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_over_whose_answer_is_lost_or_never_sent_is_ended_by_the_next() {
    let stage = FaultStage::set().await;
    stage.stage.put("before.shops.test").await;
    stage.stage.active("before.shops.test").await;
    let url = account_url(&stage.stage).await;
    for (fault, requests) in [(Action::CutAfterwards, 1), (Action::Cut, 2)] {
        let before = stage.ca.requests(Endpoint::KeyChange);
        let words = format!("{fault:?}");
        // More often than it is tried by itself.
        let rule = stage.ca.add(When::of(Endpoint::KeyChange), fault);
        let refused = stage.stage.service.run(&ROLL_OVER).await;
        stage.ca.remove(rule);
        match refused {
            Err(ServiceError::CommandFailed { code: Some(1), output, .. }) => {
                assert!(output.contains("Repeat the command"), "{output}");
            }
            other => panic!("{words}: {other:?}"),
        }
        // A process that starts meanwhile ends it as well.
        let said = stage.stage.service.run(&ROLL_OVER).await.unwrap();
        assert_eq!(said, format!("{url} has a new key"), "{words}");
        eprintln!("{words}: {} requests for a new key", stage.ca.requests(Endpoint::KeyChange) - before);
        assert!(stage.ca.requests(Endpoint::KeyChange) - before >= requests, "{words}");
        stage.stage.service.run(&["authority", "test", "default"]).await.unwrap();
    }
    stage.stage.put("after.shops.test").await;
    stage.stage.active("after.shops.test").await;
    assert_eq!((account_url(&stage.stage).await, registrations(&stage)), (url, 1));
    assert_eq!(next_keys(&stage.stage).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_its_ca_has_forgotten_is_an_operators_matter_and_no_second_one_is_made() {
    let stage = FaultStage::set().await;
    stage.stage.put("before.shops.test").await;
    let before = stage.stage.active("before.shops.test").await;
    let url = account_url(&stage.stage).await;
    stage.stage.lab.restart(Part::Pebble).await.unwrap();

    stage.stage.put("after.shops.test").await;
    stage.stage.told("after.shops.test", "ca_account").await;
    stage.renew("before.shops.test").await;
    stage.stage.told("before.shops.test", "ca_account").await;
    let domain = stage.stage.shops.get("before.shops.test").await.unwrap();
    assert_eq!(domain["status"], "active");
    assert_eq!(domain["certificate"]["id"], before["certificate"]["id"]);

    // Not by a command, and not by a new start.
    let refused = stage.stage.service.run(&ROLL_OVER).await;
    assert!(matches!(refused, Err(ServiceError::CommandFailed { .. })), "{refused:?}");
    let FaultStage { certmill, ca, stage } = stage;
    certmill.stop().await.unwrap();
    let stopped = ca.now();
    let certmill = stage.service.start(Role::All, &[]).await.unwrap();
    stage.database.hasten("after.shops.test").await;
    until("it is tried again", SOON, async || {
        let domain = stage.shops.get("after.shops.test").await.unwrap();
        let problem = problem(&domain, "ca_account").unwrap();
        let last = instant(&problem["last_attempt_at"]);
        if last > stopped { Ok(()) } else { Err(format!("{last}")) }
    })
    .await;
    let again = FaultStage { certmill, ca, stage };
    again.stage.told("after.shops.test", "ca_account").await;
    assert_eq!((account_url(&again.stage).await, registrations(&again)), (url.clone(), 1));
    assert_eq!(again.stage.database.count("SELECT count(*) FROM accounts").await, 1);
    an_operator_may_register_another(&again, &url).await;
}

async fn an_operator_may_register_another(stage: &FaultStage, url: &str) {
    let replace = |url| ["authority", "replace-account", "default", "--account", url];
    let wrong = stage.stage.service.run(&replace("https://ca.example/account/1")).await;
    assert!(matches!(wrong, Err(ServiceError::CommandFailed { .. })), "{wrong:?}");
    stage.stage.service.run(&replace(url)).await.unwrap();
    let told = "SELECT count(*) FROM audit_entries WHERE action = 'ca_account.given_up'";
    assert_eq!(stage.stage.database.count(told).await, 1);
    assert_ne!(account_url(&stage.stage).await, url);
    stage.stage.database.hasten("after.shops.test").await;
    // The new account is served; what it gets comes from another root, which Pebble forgot with everything else.
    stage.stage.told("after.shops.test", "ca_wrong_certificate").await;
    assert_eq!(registrations(stage), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tenant_goes_to_its_own_ca_and_operators_see_all_of_them_but_no_secret() {
    let lab = fault_lab(PebbleOptions::with_renewal_info(90)).await;
    let (first, second) = (lab.fault_ca(1).await.unwrap(), lab.fault_ca(2).await.unwrap());
    let secret = "c2VjcmV0LWtleS1vZi10aGUtZXh0ZXJuYWwtYWNjb3VudA";
    let key_file = lab.directory().join("external-account.key");
    std::fs::write(&key_file, secret).unwrap();
    let trust = lab.description().acme_ca_file.display().to_string();
    let block = |name: &str, directory: &str, more: &str| {
        format!("{{ name = \"{name}\", directory_url = \"{directory}\", trust_file = \"{trust}\"{more} }}")
    };
    let roots = lab.directory().join("certmill/issuing-roots.pem").display().to_string();
    let more = format!(", issuing_roots_file = \"{roots}\", limits = {{ orders_per_account = \"300/3h\" }}");
    let third = format!(
        ", external_account_key_id = \"kid-1\", external_account_key_file = \"{}\"",
        key_file.display()
    );
    let blocks = [
        block("second", &second.directory_url(), &more),
        block("third", "https://ca.test/directory", &third),
    ];
    let blocks = format!("[{}]", blocks.join(", "));
    let stage = FaultStage::on(lab, first, &[("CERTMILL_ACME__AUTHORITIES", &blocks)]).await;
    let service = &stage.stage.service;
    let shop = stage.stage.lab.description().shop.to_string();
    let add = |name: &'static str, authority: &'static str| {
        let shop = shop.clone();
        async move { service.run(&["tenant", "add", name, "--upstream", &shop, "--authority", authority]).await }
    };
    add("Südwind", "second").await.unwrap();
    let token = service.run(&["token", "create", "--name", "backend", "--tenant", "Südwind"]).await.unwrap();
    let other = service.api(&token);
    let unknown = add("Westwind", "fourth").await.unwrap_err().to_string();
    assert!(unknown.contains("there is no certificate authority \"fourth\""), "{unknown}");
    assert!(unknown.contains("default, second, third"), "{unknown}");

    stage.stage.put("north.shops.test").await;
    other.put("south.example-shops.test", &Value::Null).await.unwrap();
    let begin = Instant::now();
    let north = stage.stage.active("north.shops.test").await;
    let south = other.wait_for_status("south.example-shops.test", "active", SOON).await.unwrap();
    recovered("two tenants, each at its CA", begin);
    assert_eq!(north["certificate"]["authority"], stage.ca.directory_url());
    assert_eq!(south["certificate"]["authority"], second.directory_url());
    for (ca, name) in [(&stage.ca, "north.shops.test"), (&second, "south.example-shops.test")] {
        let orders = ca.payloads(Endpoint::NewOrder);
        assert_eq!(orders.len(), 1);
        assert_eq!(orders[0]["identifiers"][0]["value"], name);
    }

    let list = service.run(&["authority", "list"]).await.unwrap();
    let lines: Vec<_> = list.lines().collect();
    assert!(lines[0].starts_with("default ") && lines[0].contains("/my-account/"), "{list}");
    assert!(lines[1].starts_with("second ") && lines[1].contains(&second.directory_url()), "{list}");
    assert_eq!(lines[2].trim(), "orders_per_account: 300/3h");
    assert!(lines[3].starts_with("third ") && lines[3].ends_with("no account yet"), "{list}");
    let test = service.run(&["authority", "test", "second"]).await.unwrap();
    let lines: Vec<_> = test.lines().collect();
    assert!(lines[0].starts_with(&format!("account: https://{}/my-account/", second.address())), "{test}");
    assert_eq!(lines[2..], ["tells when to renew: yes", "profiles: default"]);
    let failed = service.run(&["authority", "test", "third"]).await.unwrap_err().to_string();
    assert!(failed.contains("third cannot be used"), "{failed}");
    for said in [&list, &test, &failed] {
        let long = |word: &str| word.len() > 60 && !word.contains("://") && !word.contains('/');
        assert!(!said.contains(secret) && !said.contains("PRIVATE"), "{said}");
        assert!(!said.split_whitespace().any(long), "{said}");
    }
    match service.run(&["authority", "test", "fourth"]).await {
        Err(ServiceError::CommandFailed { code, .. }) => assert_eq!(code, Some(3)),
        other => panic!("{other:?}"),
    }
    assert!(!has_problem(&north, "ca_account"));
}
