//! Where no secret may be.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use certmill_lab::{LoadBalancer, Part};
use certmill_tests::{MINUTE, SOON, Stage, files_below, has_problem, until};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn private_keys_and_tokens_are_in_no_table_no_log_no_answer_and_no_configuration() {
    let stage = Stage::set().await;
    let certmill = stage.start().await;
    stage.put("canary.shops.test").await;
    stage.put_with("canary-too.shops.test", "storefront:dedicated").await;
    let before = [stage.active("canary.shops.test").await, stage.active("canary-too.shops.test").await];
    stage.database.execute("UPDATE domains SET renew_after = now(), next_action_at = now()").await;
    for before in before {
        let renewed = |domain: &Value| domain["certificate"]["id"] != before["certificate"]["id"];
        stage.shops.wait_for(before["name"].as_str().unwrap(), MINUTE, renewed).await.unwrap();
    }
    for load_balancer in stage.load_balancers() {
        everything_is_delivered(&stage, load_balancer).await;
    }
    trouble(&stage).await;
    let link = stage.service.run(&["login-link"]).await.unwrap();
    let link = link.rsplit_once('/').unwrap().1.to_owned();
    stage.service.api("").send("GET", &format!("/login/{link}"), None).await.unwrap();

    let mut secrets = keys(&stage);
    assert!(secrets.len() >= 2 * 2 * 4, "{} texts", secrets.len());
    secrets.push(stage.shops.token().to_owned());
    secrets.push(link);
    let master = fs::read_to_string(stage.service.data_directory().join("master.key")).unwrap();
    secrets.push(master.split_whitespace().max_by_key(|word| word.len()).unwrap().to_owned());
    for (place, text) in places(&stage).await {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "a secret is in {place}");
        }
    }
    certmill.stop().await.unwrap();
}

/// Waits until nothing is on its way to a load balancer: a file that is just being sent has no key yet.
async fn everything_is_delivered(stage: &Stage, load_balancer: &LoadBalancer) {
    let pending =
        "SELECT count(*) FROM placements JOIN targets USING (target_id) WHERE pending AND targets.name = $1";
    until("everything is delivered", MINUTE, async || {
        match stage.database.count_for(&load_balancer.name, pending).await {
            0 => Ok(()),
            pending => Err(format!("{pending} are pending on {}", load_balancer.name)),
        }
    })
    .await;
}

/// Errors say much; none may say too much.
async fn trouble(stage: &Stage) {
    let name = "trouble.shops.test";
    stage.lab.stop(Part::Sshd(1)).await.unwrap();
    stage.put(name).await;
    let told = |domain: &Value| has_problem(domain, "target_unreachable");
    stage.shops.wait_for(name, SOON, told).await.unwrap();
    // The other one is not in trouble.
    everything_is_delivered(stage, &stage.load_balancers()[1]).await;
    stage.shown(&stage.load_balancers()[1], name).await.unwrap();
}

/// The private keys that the load balancers hold, in the forms in which they could be somewhere else.
fn keys(stage: &Stage) -> Vec<String> {
    let mut texts = Vec::new();
    for load_balancer in stage.load_balancers() {
        for file in files_below(&load_balancer.root.join("live")) {
            let pem = String::from_utf8(file.content).unwrap();
            let (_, key) = pem.split_once("PRIVATE KEY-----\n").expect("every file has its key");
            let body: Vec<&str> = key.lines().take_while(|line| !line.starts_with('-')).collect();
            let der = STANDARD.decode(body.concat()).unwrap();
            // In the middle of PKCS #8 is the private number of P-256 (RFC 5915 section 3).
            let at = der.windows(3).position(|window| window == [0x02, 0x01, 0x01]).unwrap() + 5;
            let number = hexadecimal(&der[at..at + 32]);
            texts.extend([body[1].to_owned(), body[0][40..].to_owned(), number.to_uppercase(), number]);
        }
    }
    texts
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

async fn places(stage: &Stage) -> Vec<(String, String)> {
    let mut places = vec![
        ("the database".to_owned(), stage.database.dump().await),
        ("the log".to_owned(), fs::read_to_string(stage.service.log()).unwrap()),
        ("the list".to_owned(), Value::from(stage.shops.list().await.unwrap()).to_string()),
    ];
    for name in ["canary.shops.test", "canary-too.shops.test", "trouble.shops.test"] {
        let timeline = Value::from(stage.shops.timeline(name).await.unwrap());
        places.push((format!("the timeline of {name}"), timeline.to_string()));
        places.push((format!("the answer for {name}"), stage.shops.get(name).await.unwrap().to_string()));
    }
    let platform = stage.service.platform_api().await.unwrap();
    places.push(("the targets".to_owned(), Value::from(platform.targets().await.unwrap()).to_string()));
    for load_balancer in stage.load_balancers() {
        for file in files_below(&load_balancer.root.join("releases")) {
            places.push((file.path.display().to_string(), String::from_utf8(file.content).unwrap()));
        }
    }
    // A release without domains sends requests nowhere.
    let may_be_empty = |place: &str| place.contains("tested") || place.ends_with("upstreams/all.conf");
    assert!(places.iter().all(|(place, text)| text.len() > 1 || may_be_empty(place)));
    places
}
