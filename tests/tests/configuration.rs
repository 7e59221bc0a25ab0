//! What nginx refuses, and nginx at the worst moment.

use std::{
    fs,
    path::{Path, PathBuf},
};

use certmill_lab::{Lab, LoadBalancer, Options, Part};
use certmill_tests::{MINUTE, SOON, Stage, files_below, has_problem, problem, until};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_nginx_rejects_harms_only_its_own_domain_and_nothing_of_it_is_ever_current() {
    let lab = Lab::up(Options::default()).await.unwrap();
    let templates = lab.directory().join("templates");
    fs::create_dir(&templates).unwrap();
    // Well-formed and allowed, and yet nginx refuses the values.
    fs::write(templates.join("unsound.shared.conf"), "gzip perhaps;\nlocation / { return 204; }\n").unwrap();
    let own = "expires whenever;\nlocation / { return 204; }\n";
    fs::write(templates.join("unsound-too.dedicated.conf"), own).unwrap();
    let directory = templates.display().to_string();
    let stage = Stage::on(lab, &[("CERTMILL_NGINX__TEMPLATE_DIRECTORY", &directory)]).await;
    let _certmill = stage.start().await;
    stage.put("good.shops.test").await;
    stage.put_with("good-too.shops.test", "storefront:dedicated").await;
    let good = stage.active("good.shops.test").await;
    stage.active("good-too.shops.test").await;
    stage.targets_in_sync().await;
    let before: Vec<_> = stage.load_balancers().iter().map(Live::of).collect();

    is_refused_with_nginxs_words(&stage, "bad.shops.test", "unsound", r#"invalid value "perhaps""#).await;
    is_refused_with_nginxs_words(
        &stage,
        "bad-too.shops.test",
        "unsound-too:dedicated",
        r#""expires" directive invalid value"#,
    )
    .await;
    let after: Vec<_> = stage.load_balancers().iter().map(Live::of).collect();
    assert_eq!(after, before, "what is live has changed");

    // An nginx that is started now reads what was tested before.
    let serial_number = good["certificate"]["serial_number"].as_str().unwrap();
    stage.lab.restart(Part::Nginx(1)).await.unwrap();
    stage.served_everywhere("good.shops.test", serial_number).await;
    for load_balancer in stage.load_balancers() {
        let page = stage.page(load_balancer, "good.shops.test", "/").await;
        assert_eq!(page, (200, String::new(), "this is the shop good.shops.test\n".to_owned()));
        stage.shown(load_balancer, "bad.shops.test").await.unwrap_err();
    }
    others_go_on(&stage).await;
    a_served_domain_keeps_what_it_has(&stage, "good.shops.test").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_another_configuration_of_nginx_claims_is_left_out_and_the_others_go_live() {
    let stage = Stage::set().await;
    let _certmill = stage.start().await;
    let foreign = |load_balancer: &LoadBalancer| {
        let listen = load_balancer.https();
        let certificate = load_balancer.directory.join("foreign.pem");
        format!(
            "    server {{\n        listen {listen} ssl;\n        server_name taken.shops.test;\n        \
             ssl_certificate {pem};\n        ssl_certificate_key {pem};\n    }}\n",
            pem = certificate.display(),
        )
    };
    // Somebody's certificate, as it would be beside a block that was there before: that of another shop.
    stage.put("other.shops.test").await;
    stage.active("other.shops.test").await;
    let mut before = Vec::new();
    for load_balancer in stage.load_balancers() {
        let pem = &files_below(&load_balancer.root.join("live"))[0];
        fs::write(load_balancer.directory.join("foreign.pem"), &pem.content).unwrap();
        let conf = fs::read_to_string(&load_balancer.nginx_conf).unwrap();
        let with = conf.replacen("    include ", &format!("{}    include ", foreign(load_balancer)), 1);
        assert_ne!(conf, with);
        fs::write(&load_balancer.nginx_conf, with).unwrap();
        before.push((load_balancer.nginx_conf.clone(), conf));
    }
    stage.put("taken.shops.test").await;
    let told = stage.told("taken.shops.test", "config_test_failed").await;
    assert!(told.contains("conflicting server name"), "{told}");
    stage.put("new.shops.test").await;
    stage.active("new.shops.test").await;

    for (path, conf) in &before {
        fs::write(path, conf).unwrap();
    }
    stage.database.execute("UPDATE placements SET next_attempt_at = now() WHERE pending").await;
    stage.active("taken.shops.test").await;

    // Somebody claims a name that is served already: that is none of the next release's doing.
    for load_balancer in stage.load_balancers() {
        let conf = fs::read_to_string(&load_balancer.nginx_conf).unwrap();
        let with = conf.replacen("    include ", &format!("{}    include ", foreign(load_balancer)), 1);
        fs::write(&load_balancer.nginx_conf, with).unwrap();
    }
    stage.put("newer.shops.test").await;
    stage.active("newer.shops.test").await;
}

async fn is_refused_with_nginxs_words(stage: &Stage, name: &str, template: &str, words: &str) {
    stage.put_with(name, template).await;
    let both = "SELECT count(*) FROM placements JOIN domains USING (domain_id)
                WHERE name = $1 AND placements.consecutive_failures > 0";
    until("both load balancers have refused it", SOON, async || {
        match stage.database.count_for(name, both).await {
            2 => Ok(()),
            fewer => Err(format!("{fewer} have; {}", stage.shops.get(name).await.unwrap())),
        }
    })
    .await;
    let domain = stage.shops.get(name).await.unwrap();
    assert_eq!(domain["status"], "pending_deployment");
    let detail = problem(&domain, "config_test_failed").unwrap()["detail"].as_str().unwrap();
    assert!(detail.contains(words) && detail.contains("[emerg]"), "{detail}");
}

/// Domains that were there before, and new ones, are delivered beside those that are refused.
async fn others_go_on(stage: &Stage) {
    stage.put("new.shops.test").await;
    let domain = stage.active("new.shops.test").await;
    assert_eq!(domain["problems"], json!([]));
    stage.put_with("good-too.shops.test", "storefront-cached").await;
    until("the change is on both", SOON, async || {
        let served = "SELECT count(*) FROM placements JOIN domains USING (domain_id)
                      WHERE name = $1 AND served_template = 'storefront-cached'";
        match stage.database.count_for("good-too.shops.test", served).await {
            2 => Ok(()),
            fewer => Err(format!("on {fewer}")),
        }
    })
    .await;
    stage.active("good-too.shops.test").await;
}

/// A served domain that is given a bad template is served as before, and says what is wrong.
async fn a_served_domain_keeps_what_it_has(stage: &Stage, name: &str) {
    stage.put_with(name, "unsound").await;
    let told = |domain: &serde_json::Value| has_problem(domain, "config_test_failed");
    let domain = stage.shops.wait_for(name, SOON, told).await.unwrap();
    assert_eq!((&domain["status"], &domain["health"]), (&json!("active"), &json!("warning")));
    for load_balancer in stage.load_balancers() {
        assert_eq!(stage.page(load_balancer, name, "/").await.0, 200);
    }
    stage.put_with(name, "storefront").await;
    stage.shops.wait_for(name, SOON, |domain| domain["health"] == "ok").await.unwrap();
}

/// What is live on a load balancer, byte for byte.
#[derive(Debug, Eq, PartialEq)]
struct Live {
    current: PathBuf,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Live {
    fn of(load_balancer: &LoadBalancer) -> Self {
        let current = fs::read_link(load_balancer.root.join("current")).unwrap();
        Self { files: all(&load_balancer.root.join(&current)), current }
    }
}

fn all(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files_below(directory).into_iter().map(|file| (file.path, file.content)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nginx_that_is_restarted_at_any_instant_of_a_delivery_always_starts() {
    const NAMES: usize = 16;
    let stage = Stage::set().await;
    let _certmill = stage.start().await;
    let here = [stage.load_balancers()[1].address];
    let names: Vec<_> = (0..NAMES).map(|number| format!("restart{number}.test")).collect();
    // The CA comes by the other load balancer.
    let addresses: Vec<_> = names.iter().map(|name| (name, here)).collect();
    stage.lab.set_addresses_of(&addresses).await.unwrap();
    let mut restarts = 0;
    for name in &names {
        stage.put(name).await;
        // As long as it takes until this one is issued and its delivery begins, restart after restart.
        while stage.database.certificates(name).await.is_empty() {
            stage.lab.restart(Part::Nginx(1)).await.unwrap();
            restarts += 1;
        }
        stage.lab.restart(Part::Nginx(1)).await.unwrap();
        restarts += 1;
    }
    eprintln!("started {restarts} of {restarts} times");
    for name in &names {
        stage.active_within(name, MINUTE + SOON).await;
    }
}
