//! Templates that are written, tried, published and taken back.

use certmill_store::Published;
use certmill_tests::{Database, SOON, Stage, Template, until};

/// What a load balancer is configured with for the template.
fn served(stage: &Stage) -> Vec<String> {
    let place = |load_balancer: &certmill_lab::LoadBalancer| {
        let path = std::path::Path::new(&load_balancer.root).join("current/servers/storefront.conf");
        std::fs::read_to_string(path).unwrap_or_default()
    };
    stage.load_balancers().iter().map(place).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_tried_before_it_is_published_and_taken_back_byte_for_byte() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let addresses = stage.lab.description().load_balancer_addresses();
    stage.lab.set_addresses("shop.test", &addresses).await.unwrap();
    stage.put("shop.test").await;
    stage.active("shop.test").await;
    let before = served(&stage);
    assert!(before.iter().all(|text| text.contains("proxy_pass")), "{before:?}");
    let storefront = Template::of(&stage, "storefront:shared").await;
    let file = storefront.tx().await.template_source(storefront.reference(), None).await.unwrap();
    let file = file.expect("the built-in one is known");

    // A broken one is refused, in the words of nginx, and cannot be published.
    let broken = format!("{file}\nadd_header X-Broken \"a\" never nonsense;\n");
    let (version, outcome) = storefront.tried(&broken, "").await;
    assert!(!outcome.passed, "{outcome:?}");
    let words = outcome.words.unwrap();
    assert!(words.contains("[emerg]"), "{words}");
    let place = outcome.place.expect("nginx names the line");
    assert!(place.path == "servers/storefront.conf" && place.text.contains("X-Broken"), "{place:?}");
    assert_eq!(storefront.publish(Some(version)).await, Published::NotTried);
    // So is one that no template may be.
    let (_, outcome) = storefront.tried(&format!("{file}\ninclude /etc/passwd;\n"), "").await;
    assert!(!outcome.passed && outcome.words.unwrap().contains("include"));
    assert_eq!(served(&stage), before, "nothing that is live was touched");

    let changed = format!("{file}\nadd_header X-Brand \"new\";\n");
    let (version, outcome) = storefront.tried(&changed, "").await;
    assert!(outcome.passed, "{outcome:?}");
    assert_eq!(outcome.samples, ["shop.test"]);
    assert!(outcome.tested_on.is_some() && outcome.diff.contains("+add_header X-Brand"), "{}", outcome.diff);
    assert!(matches!(storefront.publish(Some(version)).await, Published::Done(_)));
    until("every load balancer is configured with it", SOON, async || {
        let now = served(&stage);
        if now.iter().all(|text| text.contains("X-Brand")) { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    stage.active("shop.test").await;
    // The second load balancer was not touched before the first one served it.
    let database = Database::at(&stage.lab.description().postgres_url);
    let in_turn = "SELECT count(*) FROM
        (SELECT max(finished_at) AS ended FROM deployments JOIN targets USING (target_id) WHERE name = 'lb1') first,
        (SELECT max(started_at) AS begun FROM deployments JOIN targets USING (target_id) WHERE name = 'lb2') second
        WHERE first.ended <= second.begun";
    assert_eq!(database.count(in_turn).await, 1);

    assert!(matches!(storefront.publish(None).await, Published::Done(_)));
    until("it is as before", SOON, async || {
        let now = served(&stage);
        if now == before { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    let published = storefront.tx().await.template_publications(storefront.reference(), 10).await.unwrap();
    assert!(published[0].is_roll_back && !published[1].is_roll_back);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_first_load_balancer_does_not_take_is_taken_back_and_reaches_no_other() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let addresses = stage.lab.description().load_balancer_addresses();
    stage.lab.set_addresses("shop.test", &addresses).await.unwrap();
    stage.put("shop.test").await;
    stage.active("shop.test").await;
    let before = served(&stage);
    let storefront = Template::of(&stage, "storefront:shared").await;
    let file = storefront.tx().await.template_source(storefront.reference(), None).await.unwrap().unwrap();
    let (version, outcome) = storefront.tried(&format!("{file}\nadd_header X-Brand \"new\";\n"), "").await;
    assert!(outcome.passed, "{outcome:?}");

    // Somebody spoils the first load balancer behind the trial's back.
    let nginx_conf = &stage.load_balancers()[0].nginx_conf;
    let sound = std::fs::read_to_string(nginx_conf).unwrap();
    std::fs::write(nginx_conf, format!("{sound}\nnonsense on;\n")).unwrap();
    assert!(matches!(storefront.publish(Some(version)).await, Published::Done(_)));
    let refused = until("the version is taken back", SOON, async || {
        let latest =
            storefront.tx().await.template_publications(storefront.reference(), 1).await.unwrap().remove(0);
        latest.refused.clone().ok_or_else(|| format!("{latest:?}"))
    })
    .await;
    assert!(refused.starts_with("lb1: ") && refused.contains("nonsense"), "{refused}");
    let row = storefront.tx().await.find_template(storefront.reference()).await.unwrap().unwrap();
    assert_eq!((row.published_version, row.canary), (None, None));
    assert_eq!(storefront.publish(Some(version)).await, Published::NotTried, "it has to be tried anew");
    std::fs::write(nginx_conf, sound).unwrap();
    stage.targets_in_sync().await;
    assert_eq!(served(&stage), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_text_that_cannot_be_read_any_more_is_told_and_holds_up_no_other_template() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let addresses = stage.lab.description().load_balancer_addresses();
    for name in ["shop.test", "other.test"] {
        stage.lab.set_addresses(name, &addresses).await.unwrap();
    }
    stage.put("shop.test").await;
    stage.active("shop.test").await;
    let storefront = Template::of(&stage, "storefront:shared").await;
    let file = storefront.tx().await.template_source(storefront.reference(), None).await.unwrap().unwrap();
    let (version, _) = storefront.tried(&format!("{file}\nadd_header X-Brand \"new\";\n"), "").await;
    assert!(matches!(storefront.publish(Some(version)).await, Published::Done(_)));
    until("every load balancer is configured with it", SOON, async || {
        let row = storefront.tx().await.find_template(storefront.reference()).await.unwrap().unwrap();
        let now = served(&stage);
        let is_everywhere = row.canary.is_none() && now.iter().all(|text| text.contains("X-Brand"));
        if is_everywhere { Ok(()) } else { Err(format!("{row:?} {now:?}")) }
    })
    .await;
    let before = served(&stage);

    stage.database.execute("UPDATE template_versions SET source = '{% nonsense'").await;
    stage.put_with("other.test", "redirect").await;
    stage.active("other.test").await;
    assert_eq!(served(&stage), before, "what is live of it stays");
    let told =
        "SELECT count(*) FROM targets WHERE state_detail LIKE '%storefront:shared cannot be read: line 1%'";
    until("every load balancer says so", SOON, async || match stage.database.count(told).await {
        2 => Ok(()),
        others => Err(format!("{others} do")),
    })
    .await;

    assert!(matches!(storefront.publish(None).await, Published::Done(_)));
    until("nothing is said any more", SOON, async || match stage.database.count(told).await {
        0 => Ok(()),
        others => Err(format!("{others} do")),
    })
    .await;
    stage.active("shop.test").await;
}
