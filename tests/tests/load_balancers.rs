//! Load balancers and names that are not as they should be.

use certmill_lab::Part;
use certmill_tests::{MINUTE, SOON, Stage, has_problem, problem, until};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_that_is_away_is_named_and_the_other_serves_and_it_heals_by_itself() {
    let stage = Stage::set().await;
    let _certmill = stage.start().await;
    for (part, name) in [(Part::Sshd(2), "no-ssh.shops.test"), (Part::Nginx(2), "no-nginx.shops.test")] {
        stage.lab.stop(part).await.unwrap();
        // The CA may choose either address of the wildcard's two: give it the one that answers.
        let first = stage.load_balancers()[0].address;
        stage.lab.set_addresses(name, &[first]).await.unwrap();
        stage.put(name).await;
        let named = |domain: &Value| {
            ["target_unreachable", "reload_failed"].iter().any(|code| {
                problem(domain, code)
                    .is_some_and(|problem| problem["detail"].as_str().unwrap().starts_with("lb2: "))
            })
        };
        let domain = stage.shops.wait_for(name, MINUTE, named).await.unwrap();
        assert_eq!(
            (&domain["status"], &domain["health"]),
            (&json!("pending_deployment"), &json!("critical"))
        );
        until("the first load balancer serves it", SOON, async || {
            stage.shown(&stage.load_balancers()[0], name).await
        })
        .await;
        let domain = stage.shops.get(name).await.unwrap();
        assert_eq!(domain["status"], "pending_deployment");
        stage.lab.start(part).await.unwrap();
        // By itself: a load balancer is tried again within a minute, however long it was away.
        let domain = stage.active_within(name, MINUTE + SOON).await;
        assert_eq!((&domain["health"], &domain["problems"]), (&json!("ok"), &json!([])));
        stage.targets_in_sync().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_points_elsewhere_is_told_the_exact_fix_and_goes_on_when_it_is_set_right() {
    let stage = Stage::set().await;
    let _certmill = stage.start().await;
    let ours = stage.lab.description().load_balancer_addresses();
    let elsewhere = "127.0.0.99".parse().unwrap();
    stage.lab.set_addresses("elsewhere.test", &[elsewhere]).await.unwrap();
    stage.lab.set_addresses("both.test", &[ours[0], elsewhere]).await.unwrap();
    let cases = [
        ("elsewhere.test", "dns_wrong_target", format!("Set elsewhere.test A {} ", ours[0])),
        ("both.test", "dns_extra_addresses", "Remove both.test A 127.0.0.99".to_owned()),
        ("nowhere.test", "dns_not_found", "nowhere.test".to_owned()),
    ];
    for (name, code, fix) in &cases {
        stage.put(name).await;
        let domain = stage.shops.wait_for(name, SOON, |domain| has_problem(domain, code)).await.unwrap();
        assert_eq!((&domain["status"], &domain["certificate"]), (&json!("pending_dns"), &Value::Null));
        let detail = problem(&domain, code).unwrap()["detail"].as_str().unwrap();
        assert!(detail.contains(fix), "{detail}");
    }
    for (name, ..) in &cases {
        stage.lab.set_addresses(name, &ours).await.unwrap();
        stage.database.hasten(name).await;
    }
    for (name, ..) in &cases {
        let domain = stage.active(name).await;
        assert_eq!((&domain["health"], &domain["problems"]), (&json!("ok"), &json!([])));
    }
    assert_eq!(stage.database.count("SELECT count(*) FROM orders").await, 3);
}
