//! The way of a domain, from `PUT` to shoppers, and off again.

use std::time::Duration;

use certmill_lab::{LoadBalancer, Part};
use certmill_tests::{MINUTE, SOON, Stage, events, files_below, plain_page, until};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_is_active_when_both_load_balancers_show_its_certificate_and_gone_when_it_is_deleted() {
    let stage = Stage::set().await;
    let _certmill = stage.start().await;
    let name = "shop1.example-shops.test";
    assert_eq!(stage.put(name).await["status"], "pending_dns");
    // `active` looks at both load balancers in the moment in which the API says so.
    let domain = stage.active(name).await;
    assert_eq!((&domain["health"], &domain["problems"]), (&json!("ok"), &json!([])));
    shoppers_get_the_shop(&stage, name).await;
    strangers_get_nothing(&stage).await;
    another_tenant_cannot_have_it(&stage, name).await;
    the_first_step_begins_at_once(&stage).await;
    it_goes_when_it_is_deleted(&stage, name, domain["id"].as_str().unwrap()).await;
}

async fn shoppers_get_the_shop(stage: &Stage, name: &str) {
    for load_balancer in stage.load_balancers() {
        let page = stage.page(load_balancer, name, "/").await;
        assert_eq!(page, (200, String::new(), format!("this is the shop {name}\n")));
        let redirect = plain_page(load_balancer, name, "/a?b=c").await;
        let secure = format!("https://{name}:{}/a?b=c", load_balancer.https_port);
        assert_eq!((redirect.status, redirect.location), (301, Some(secure)));
    }
}

async fn strangers_get_nothing(stage: &Stage) {
    for load_balancer in stage.load_balancers() {
        let refused = stage.shown(load_balancer, "stranger.shops.test").await.unwrap_err();
        assert!(refused.contains("UnrecognisedName"), "{refused}");
        assert_eq!(plain_page(load_balancer, "stranger.shops.test", "/").await.status, 404);
        let challenge = "/.well-known/acme-challenge/bm8tc3VjaC10b2tlbi1uby1zdWNoLXRva2VuLW5vLXN1Y2g";
        assert_eq!(plain_page(load_balancer, "stranger.shops.test", challenge).await.status, 404);
    }
}

async fn another_tenant_cannot_have_it(stage: &Stage, name: &str) {
    let other = stage.service.add_tenant("Bella Casa").await.unwrap();
    let path = format!("/v1/domains/{name}");
    let refused = other.send("PUT", &path, None).await.unwrap();
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("domain_taken")));
    assert_eq!(other.send("GET", &path, None).await.unwrap().status, 404);
    assert_eq!(other.send("DELETE", &path, None).await.unwrap().status, 404);
    assert_eq!(other.list().await.unwrap(), Vec::<Value>::new());
}

/// The best of several, because this machine may have other work.
async fn the_first_step_begins_at_once(stage: &Stage) {
    let mut waits = Vec::new();
    for number in 0..6 {
        let name = format!("idle{number}.shops.test");
        stage.put(&name).await;
        stage.active(&name).await;
        let timeline = stage.shops.timeline(&name).await.unwrap();
        assert_eq!(events(&timeline, "domain_active"), 1, "{timeline:#?}");
        waits.push((at(&timeline, "order_started") - at(&timeline, "domain_created")).whole_milliseconds());
    }
    eprintln!("from idle to the first step, in milliseconds: {waits:?}");
    assert!(waits.iter().any(|wait| *wait < 100), "{waits:?}");
}

fn at(timeline: &[Value], kind: &str) -> OffsetDateTime {
    let event = timeline.iter().find(|event| event["kind"] == kind).unwrap();
    OffsetDateTime::parse(event["at"].as_str().unwrap(), &Rfc3339).unwrap()
}

async fn it_goes_when_it_is_deleted(stage: &Stage, name: &str, id: &str) {
    assert_eq!(stage.shops.delete(name).await.unwrap()["status"], "pending_deletion");
    let path = format!("/v1/domains/{name}");
    until("the domain is gone from the API", SOON, async || {
        let answer = stage.shops.send("GET", &path, None).await.unwrap();
        if answer.status == 410 { Ok(()) } else { Err(answer.body.to_string()) }
    })
    .await;
    for load_balancer in stage.load_balancers() {
        // nginx's old workers serve until they are done, so a moment may pass.
        until("the handshake is refused", SOON, async || match stage.shown(load_balancer, name).await {
            Ok(shown) => Err(shown),
            Err(_) => Ok(()),
        })
        .await;
        for part in ["live", "current/"] {
            for file in files_below(&load_balancer.root.join(part)) {
                assert!(
                    !file.mentions(name) && !file.mentions(id),
                    "{} {}",
                    load_balancer.name,
                    file.path.display()
                );
            }
        }
    }
    stage.active("idle0.shops.test").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_shop_is_served_in_its_way_and_can_become_another() {
    let stage = Stage::set().await;
    let _certmill = stage.start().await;
    let shops = [
        ("plain.shops.test", "storefront"),
        ("own.shops.test", "storefront:dedicated"),
        ("cached.shops.test", "storefront-cached"),
        ("www.moved.shops.test", "redirect"),
    ];
    let here = &stage.lab.description().load_balancer_addresses()[..];
    stage.lab.set_addresses("www.moved.shops.test", here).await.unwrap();
    for (name, template) in shops {
        stage.put_with(name, template).await;
    }
    for (name, _) in shops {
        stage.active(name).await;
    }
    for load_balancer in stage.load_balancers() {
        for name in ["plain.shops.test", "own.shops.test", "cached.shops.test"] {
            assert_eq!(stage.page(load_balancer, name, "/").await.2, format!("this is the shop {name}\n"));
        }
        let (status, location, _) = stage.page(load_balancer, "www.moved.shops.test", "/a").await;
        assert_eq!(
            (status, location),
            (301, format!("https://moved.shops.test:{}/a", load_balancer.https_port))
        );
    }
    // First, while no reload is on its way: the last release is served.
    a_renewal_needs_no_reload_in_the_shared_form(&stage, "cached.shops.test").await;
    a_renewal_reaches_a_dedicated_block(&stage, "own.shops.test").await;
    an_asset_of_a_cached_shop_outlives_the_shop(&stage).await;
    a_plain_shop_becomes_a_dedicated_one(&stage).await;
}

async fn an_asset_of_a_cached_shop_outlives_the_shop(stage: &Stage) {
    let load_balancer = &stage.load_balancers()[0];
    assert_eq!(stage.page(load_balancer, "cached.shops.test", "/logo.png").await.0, 200);
    stage.lab.stop(Part::Shop).await.unwrap();
    assert_eq!(stage.page(load_balancer, "cached.shops.test", "/logo.png").await.0, 200);
    assert_eq!(stage.page(load_balancer, "cached.shops.test", "/").await.0, 502);
    assert_eq!(stage.page(load_balancer, "plain.shops.test", "/logo.png").await.0, 502);
    stage.lab.start(Part::Shop).await.unwrap();
}

async fn a_plain_shop_becomes_a_dedicated_one(stage: &Stage) {
    let name = "plain.shops.test";
    let before = stage.active(name).await;
    stage.put_with(name, "storefront:dedicated").await;
    for load_balancer in stage.load_balancers() {
        let current = load_balancer.root.join("current/");
        until("the block of its own is there", SOON, async || {
            let blocks = files_below(&current.join("blocks"));
            if blocks.iter().any(|file| file.mentions(name)) { Ok(()) } else { Err("it is not".into()) }
        })
        .await;
    }
    stage.targets_in_sync().await;
    let after = stage.active(name).await;
    assert_eq!(after["certificate"], before["certificate"]);
    assert_eq!(stage.page(&stage.load_balancers()[1], name, "/").await.0, 200);
    assert_eq!(stage.database.certificates(name).await.len(), 1);
}

async fn a_renewal_needs_no_reload_in_the_shared_form(stage: &Stage, name: &str) {
    let workers: Vec<_> = stage.load_balancers().iter().map(nginx_workers).collect();
    renew(stage, name).await;
    let after: Vec<_> = stage.load_balancers().iter().map(nginx_workers).collect();
    assert_eq!(after, workers, "nginx was reloaded");
}

async fn a_renewal_reaches_a_dedicated_block(stage: &Stage, name: &str) {
    renew(stage, name).await;
}

/// Makes the renewal due, and waits until both load balancers show the new certificate and the API names it.
async fn renew(stage: &Stage, name: &str) {
    let before = stage.active(name).await;
    let due = "UPDATE domains SET renew_after = now(), next_action_at = now() WHERE name = $1";
    stage.database.execute_for(name, due).await;
    let renewed = |domain: &Value| domain["certificate"]["id"] != before["certificate"]["id"];
    let after = stage.shops.wait_for(name, MINUTE, renewed).await.unwrap();
    assert_eq!((&after["status"], &after["health"]), (&json!("active"), &json!("ok")));
    let serial_number = after["certificate"]["serial_number"].as_str().unwrap();
    for load_balancer in stage.load_balancers() {
        until("the new certificate is served", SOON, async || {
            let shown = stage.shown(load_balancer, name).await;
            if shown.as_deref() == Ok(serial_number) { Ok(()) } else { Err(format!("{shown:?}")) }
        })
        .await;
    }
    let certificates = "the new certificate is the active one";
    until(certificates, Duration::from_secs(10), async || {
        let states = stage.database.certificates(name).await;
        if states == ["superseded", "active"] { Ok(()) } else { Err(format!("{states:?}")) }
    })
    .await;
}

/// The process ids of the workers that take new connections: a reload makes others.
fn nginx_workers(load_balancer: &LoadBalancer) -> Vec<String> {
    let master = std::fs::read_to_string(load_balancer.directory.join("nginx.pid")).unwrap();
    let master = master.trim();
    let children = std::fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap();
    let is_worker = |id: &&str| {
        let title = std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        title.contains("worker process") && !title.contains("shutting down")
    };
    children.split_whitespace().filter(is_worker).map(str::to_owned).collect()
}
