//! How certmill starts, and what it refuses to start with.

use std::{fs, io::Write as _};

use certmill_lab::{
    Lab, Options,
    service::{Role, Service, ServiceError},
};
use certmill_tests::{MINUTE, Stage};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_url_certmill_brings_its_own_database_and_outlives_a_kill() {
    let lab = Lab::up(Options::default()).await.unwrap();
    let service = Service::prepare(&lab, &[("CERTMILL_DATABASE_URL", "")]).await.unwrap();
    let certmill = service.start(Role::All, &[]).await.unwrap();
    // Commands beside it find the same database.
    for load_balancer in &lab.description().load_balancers {
        service.add_target(load_balancer).await.unwrap();
    }
    let shops = service.add_tenant("Nordwind").await.unwrap();
    shops.put("own.shops.test", &Value::Null).await.unwrap();
    shops.wait_for_status("own.shops.test", "active", MINUTE).await.unwrap();
    certmill.kill().await.unwrap();
    let certmill = service.start(Role::All, &[]).await.unwrap();
    assert_eq!(shops.get("own.shops.test").await.unwrap()["status"], "active");
    shops.put("second.shops.test", &Value::Null).await.unwrap();
    shops.wait_for_status("second.shops.test", "active", MINUTE).await.unwrap();
    assert!(certmill.stop().await.unwrap().success());
    // And alone, when nothing else runs.
    let listed = service.run(&["domain", "list"]).await.unwrap();
    assert!(listed.contains("own.shops.test") && listed.contains("second.shops.test"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certmill_starts_with_its_own_master_key_and_no_other() {
    let stage = Stage::set().await;
    let certmill = stage.start().await;
    stage.put("sealed.shops.test").await;
    stage.active("sealed.shops.test").await;
    assert!(certmill.stop().await.unwrap().success());
    let key = stage.service.data_directory().join("master.key");
    let own = fs::read_to_string(&key).unwrap();

    fs::remove_file(&key).unwrap();
    for role in [Role::All, Role::Work] {
        let words = refusal(&stage.service, role).await;
        assert!(words.contains("there is no master key") && words.contains(key.to_str().unwrap()), "{words}");
    }
    let other = stage.lab.directory().join("another");
    stage.service.run(&["init", other.to_str().unwrap()]).await.unwrap();
    fs::copy(other.join("master.key"), &key).unwrap();
    let words = refusal(&stage.service, Role::All).await;
    assert!(words.contains("master key cannot be used") && words.contains("master_key_file"), "{words}");
    fs::write(&key, "not a key\n").unwrap();
    assert!(refusal(&stage.service, Role::All).await.contains("no key file"));

    fs::write(&key, own).unwrap();
    let _certmill = stage.start().await;
    stage.active("sealed.shops.test").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_or_a_variable_that_does_not_exist_is_named_and_refused() {
    let lab = Lab::up(Options { load_balancers: 1, ..Options::default() }).await.unwrap();
    let service = Service::prepare(&lab, &[("CERTMILL_WEB__LISTEM", "127.0.0.1:1")]).await.unwrap();
    let words = refusal(&service, Role::All).await;
    assert!(words.contains("CERTMILL_WEB__LISTEM") && words.contains("web.listem"), "{words}");
    assert!(command_refusal(&service, &["config", "show"]).await.contains("CERTMILL_WEB__LISTEM"));

    fs::remove_dir_all(service.data_directory()).unwrap();
    let service = Service::prepare(&lab, &[]).await.unwrap();
    service.run(&["config", "show"]).await.unwrap();
    let mut file = fs::File::options().append(true).open(service.configuration_file()).unwrap();
    file.write_all(b"\n[acmee]\ndirectory_url = \"https://ca.test\"\n").unwrap();
    let words = refusal(&service, Role::All).await;
    assert!(words.contains("acmee.directory_url") && words.contains("certmill.toml"), "{words}");
}

/// What a process says that refuses to start: what, perhaps why, and what to do.
async fn refusal(service: &Service, role: Role) -> String {
    let before = fs::read_to_string(service.log()).unwrap_or_default().len();
    let status = service.spawn(role, &[]).unwrap().wait(MINUTE).await.unwrap();
    let words = fs::read_to_string(service.log()).unwrap()[before..].to_owned();
    assert_eq!(status.code(), Some(1), "{words}");
    assert!(words.contains("certmill: ") && words.contains("  do:  "), "{words}");
    words
}

async fn command_refusal(service: &Service, arguments: &[&str]) -> String {
    match service.run(arguments).await {
        Err(ServiceError::CommandFailed { output, code: Some(1), .. }) => output,
        other => panic!("{other:?}"),
    }
}
