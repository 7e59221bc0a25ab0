//! The platform's own DNS zone: set up wrong, by hooks written for certbot, and its secret.

use std::{fs, os::unix::fs::PermissionsExt};

use certmill_tests::{CaLog, SOON, Stage, has_problem, until};
use serde_json::Value;

/// Adds the lab's zone anew, with these options changed; the answer or the complaint of the command.
async fn add_zone(stage: &Stage, changed: &[(&str, &str)]) -> Result<String, String> {
    let zone = &stage.lab.description().acme_zone;
    let key = zone.key();
    let (primary, secondary) = (zone.primary.to_string(), zone.secondary.to_string());
    let secret_file = key.secret_file.display().to_string();
    let mut options = vec![
        ("--provider", "rfc2136"),
        ("--server", primary.as_str()),
        ("--key-name", key.name.as_str()),
        ("--algorithm", key.algorithm.as_str()),
        ("--secret-file", secret_file.as_str()),
        ("--timeout-seconds", "2"),
        ("--name-server", primary.as_str()),
        ("--name-server", secondary.as_str()),
    ];
    for (name, value) in changed {
        options.retain(|(option, _)| option != name);
        if !value.is_empty() {
            options.push((name, value));
        }
    }
    let options = options.into_iter().flat_map(|(name, value)| [name, value]);
    let arguments: Vec<_> = ["zone", "add", zone.name.as_str()].into_iter().chain(options).collect();
    stage.service.run(&arguments).await.map_err(|error| error.to_string())
}

async fn test_zone(stage: &Stage) -> Result<String, String> {
    let name = &stage.lab.description().acme_zone.name;
    stage.service.run(&["zone", "test", name]).await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_setting_that_is_wrong_is_named_and_the_secret_is_nowhere() {
    let stage = Stage::set().await;
    let running = stage.start().await;
    let ready = test_zone(&stage).await.unwrap();
    assert!(ready.ends_with("acme.test is ready"), "{ready}");

    // What cannot work is refused before it is stored.
    let secret = stage.lab.directory().join("wrong-secret");
    fs::write(&secret, "not base64!").unwrap();
    let not_base64 = secret.display().to_string();
    for (option, value, named) in [
        ("--algorithm", "hmac-md5", "algorithm"),
        ("--server", "nonsense", "server"),
        ("--protocol", "carrier-pigeon", "protocol"),
        ("--key-name", "", "key_name"),
        ("--secret-file", &not_base64, "secret"),
        ("--timeout-seconds", "0", "timeout_seconds"),
        ("--hosted-zone-id", "Z1", "hosted_zone_id"),
    ] {
        let complaint = add_zone(&stage, &[(option, value)]).await.unwrap_err();
        assert!(complaint.contains(named), "{option} {value}: {complaint}");
        assert!(!complaint.contains("not base64!"), "{complaint}");
    }

    // What only the server knows is named by the test.
    let canary = "Y2FuYXJ5LWluLWEtY29hbC1taW5lLWNhbmFyeS1pbi1hLWNvYWwtbWluZQ==";
    fs::write(&secret, canary).unwrap();
    let other_secret = secret.display().to_string();
    for (option, value, named) in [
        ("--secret-file", other_secret.as_str(), "secret"),
        ("--key-name", "nobody", "key_name"),
        ("--server", "127.0.0.1:1", "127.0.0.1:1"),
    ] {
        add_zone(&stage, &[(option, value)]).await.unwrap();
        let complaint = test_zone(&stage).await.unwrap_err();
        assert!(complaint.contains(named), "{option} {value}: {complaint}");
    }

    // A shop that needs it meanwhile is told, its owner is not blamed, and it goes on when it is mended.
    add_zone(&stage, &[("--secret-file", &other_secret)]).await.unwrap();
    stage.put_delegated("*.waiting.test").await;
    let told = stage.told("*.waiting.test", "dns_zone_unavailable").await;
    assert!(told.contains("secret"), "{told}");
    let listed = stage.service.run(&["zone", "list"]).await.unwrap();
    let document = stage.shops.get("*.waiting.test").await.unwrap().to_string();
    let timeline = Value::from(stage.shops.timeline("*.waiting.test").await.unwrap()).to_string();
    let log = fs::read_to_string(stage.service.log()).unwrap();
    let dump = stage.database.dump().await;
    let right = fs::read_to_string(&stage.lab.description().acme_zone.key().secret_file).unwrap();
    for (place, text) in
        [("list", listed), ("answer", document), ("timeline", timeline), ("log", log), ("database", dump)]
    {
        for secret in [canary, right.trim()] {
            assert!(text.len() > 1 && !text.contains(secret), "a secret is in the {place}");
        }
    }
    add_zone(&stage, &[]).await.unwrap();
    stage.shops.wait_for_status("*.waiting.test", "active", SOON).await.unwrap();
    stage.no_records_left().await;
    running.stop().await.unwrap();
}

/// As thousands of them are in use: nothing in it knows of certmill.
const HOOK: &str = r#"#!/bin/sh
printf 'server %s %s\nzone acme.test\nupdate %s _acme-challenge.%s. 60 TXT "%s"\nsend\n' \
    "$SERVER" "$PORT" "$ACTION" "$CERTBOT_DOMAIN" "$CERTBOT_VALIDATION" | nsupdate -k "$KEY"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn hooks_written_for_certbot_write_and_remove_the_records() {
    let stage = Stage::set().await;
    let zone = &stage.lab.description().acme_zone;
    let hook = |action: &str| {
        let path = stage.lab.directory().join(format!("hook-{action}"));
        let settings = [
            ("$SERVER", zone.primary.ip().to_string()),
            ("$PORT", zone.primary.port().to_string()),
            ("$ACTION", action.to_owned()),
            ("$KEY", zone.key().file.display().to_string()),
        ];
        let script = settings.iter().fold(HOOK.to_owned(), |text, (name, value)| text.replace(name, value));
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    };
    // The lab's own zone would be the older one; names belong to the one that was added last.
    stage.service.run(&["zone", "remove", "acme.test"]).await.unwrap();
    let (auth, cleanup) = (hook("add"), hook("delete"));
    let (primary, secondary) = (zone.primary.to_string(), zone.secondary.to_string());
    let options = ["--provider", "exec", "--auth-program", &auth, "--cleanup-program", &cleanup];
    let servers = ["--name-server", &primary, "--name-server", &secondary];
    stage.service.run(&[&["zone", "add", "acme.test"], &options[..], &servers].concat()).await.unwrap();
    assert!(test_zone(&stage).await.unwrap().ends_with("acme.test is ready"));
    let _running = stage.start().await;
    stage.put_delegated("*.hooked.test").await;
    assert!(stage.database.delegation("*.hooked.test").await.starts_with("_acme-challenge."));
    stage.becomes("*.hooked.test", "active").await;
    stage.no_records_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_kept_from_vanishing_where_that_is_wanted_and_goes_with_its_domain() {
    let stage = Stage::set().await;
    let zone = &stage.lab.description().acme_zone;
    add_zone(&stage, &[]).await.unwrap();
    let keep = ["zone", "add", &zone.name, "--provider", "rfc2136", "--server"];
    let (primary, key) = (zone.primary.to_string(), zone.key());
    let rest = [primary.as_str(), "--key-name", &key.name, "--algorithm", &key.algorithm, "--keep-empty"];
    let servers = ["--name-server", primary.as_str()];
    // Without --secret-file: a zone that is there keeps its secret.
    stage.service.run(&[&keep[..], &rest, &servers].concat()).await.unwrap();
    let _running = stage.start().await;
    stage.put_delegated("*.kept.test").await;
    stage.becomes("*.kept.test", "active").await;
    let name = stage.database.delegation("*.kept.test").await;
    until("only what keeps the name is left", SOON, async || {
        match stage.lab.txt_records().await.unwrap().as_slice() {
            [(at, value)] if *at == name && value == ".empty" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    stage.shops.delete("*.kept.test").await.unwrap();
    stage.no_records_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_zone_a_wildcard_waits_and_no_ca_is_asked_even_if_an_operator_says_so() {
    let stage = Stage::set().await;
    stage.service.run(&["zone", "remove", "acme.test"]).await.unwrap();
    let _running = stage.start().await;
    stage.put("*.zoneless.test").await;
    stage.told("*.zoneless.test", "dns_zone_unavailable").await;
    stage.service.run(&["domain", "override", "*.zoneless.test", "--checks", "ignore"]).await.unwrap();
    let looked = "SELECT count(*) FROM checks JOIN domains d USING (domain_id)
                  WHERE d.name = $1 AND d.checks_overridden AND d.next_action_at > now() + interval '1 minute'";
    until("it was looked at again", SOON, async || {
        match stage.database.count_for("*.zoneless.test", looked).await {
            1 => Ok(()),
            _ => Err("not yet".to_owned()),
        }
    })
    .await;
    assert_eq!(CaLog::read(&stage.lab).orders, 0);

    // The zone that comes takes the name that waited for it.
    stage.service.add_zone().await.unwrap();
    stage.delegate("*.zoneless.test").await;
    stage.becomes("*.zoneless.test", "active").await;
    stage.no_records_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_a_person_asks_for_is_made_now_and_answered_with_what_was_seen() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    stage.lab.set_addresses("asked.test", &["192.0.2.8".parse().unwrap()]).await.unwrap();
    stage.put("asked.test").await;
    stage.told("asked.test", "dns_wrong_target").await;
    let setup = stage.shops.send("GET", "/v1/domains/asked.test/setup", None).await.unwrap();
    let text = setup.body.to_string();
    assert!(text.contains("192.0.2.8"), "{text}");
    assert!(text.contains(&stage.lab.description().dns_server.to_string()), "it says who said so: {text}");

    let ours = stage.lab.description().load_balancer_addresses();
    stage.lab.set_addresses("asked.test", &ours).await.unwrap();
    // One look in five seconds: the first one may have been a moment ago.
    let looked = until("the look is answered", SOON, async || {
        let answer = stage.shops.send("POST", "/v1/domains/asked.test/check", None).await.unwrap();
        if answer.status == 200 { Ok(answer.body) } else { Err(format!("{} {}", answer.status, answer.body)) }
    })
    .await;
    assert_eq!(looked["checks"]["dns"]["result"], "pass", "{looked}");
    let domain = stage.active("asked.test").await;
    assert!(!has_problem(&domain, "dns_wrong_target"));
}
