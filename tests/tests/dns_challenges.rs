//! Names that are proved by DNS: the owner sets one CNAME record, certmill writes TXT records in the platform's zone.

use std::time::Duration;

use certmill_lab::{Part, Record, service::Role};
use certmill_tests::{CaLog, MINUTE, SOON, Stage, events, has_problem, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_is_proved_through_the_owner_s_cname_and_served_for_any_name_below_it() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let name = "*.some-shops.test";
    stage.put(name).await;
    // Before anything is set, the exact record is told and no CA is asked.
    let told = stage.told(name, "dns_delegation_missing").await;
    let target = stage.database.delegation(name).await;
    assert!(told.contains(&format!("Set _acme-challenge.some-shops.test CNAME {target}.")), "{told}");
    assert_eq!(CaLog::read(&stage.lab).orders, 0);

    stage.delegate(name).await;
    let domain = stage.becomes(name, "active").await;
    let serial_number = domain["certificate"]["serial_number"].as_str().unwrap();
    for below in ["anna.some-shops.test", "bert.some-shops.test"] {
        stage.served_everywhere(below, serial_number).await;
        for load_balancer in stage.load_balancers() {
            let (status, _, body) = stage.page(load_balancer, below, "/").await;
            assert_eq!(status, 200, "{body}");
            assert!(body.contains(below), "{body}");
        }
    }
    // The wildcard is for one label, and not for the name itself.
    for other in ["some-shops.test", "a.b.some-shops.test"] {
        assert!(stage.shown(&stage.load_balancers()[0], other).await.is_err(), "{other}");
    }
    stage.no_records_left().await;
    let timeline = stage.shops.timeline(name).await.unwrap();
    assert_eq!(events(&timeline, "dns_verified"), 1);
    assert_eq!(events(&timeline, "certificate_issued"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_and_its_wildcard_are_proved_at_the_same_time_at_the_same_place() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    // The label is one for both: the owner can set one CNAME record at a place only.
    stage.put("both.test").await;
    stage.put("*.both.test").await;
    stage.delegate("both.test").await;
    stage.database.hasten("*.both.test").await;
    let apex = stage.active("both.test").await;
    let wildcard = stage.becomes("*.both.test", "active").await;
    let serial_number = wildcard["certificate"]["serial_number"].as_str().unwrap();
    assert_ne!(apex["certificate"]["serial_number"], serial_number);
    stage.served_everywhere("shop.both.test", serial_number).await;
    stage.no_records_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_points_elsewhere_is_proved_by_dns_before_it_is_moved_here() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    stage.lab.set_addresses("early.test", &["192.0.2.7".parse().unwrap()]).await.unwrap();
    stage.put_delegated("early.test").await;
    stage.active("early.test").await;
    stage.no_records_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_name_server_is_named_and_the_order_goes_on_when_it_follows_again() {
    let stage = Stage::on(
        certmill_lab::Lab::up(certmill_lab::Options::default()).await.unwrap(),
        &[("CERTMILL_DNS__PROPAGATION_SECONDS", "2")],
    )
    .await;
    let _running = stage.start().await;
    stage.lab.make_secondary_stale().await.unwrap();
    stage.put_delegated("*.stale.test").await;
    let told = stage.told("*.stale.test", "dns_not_propagated").await;
    let secondary = stage.lab.description().acme_zone.secondary.to_string();
    let primary = stage.lab.description().acme_zone.primary.to_string();
    assert!(told.contains(&secondary) && !told.contains(&primary), "{told}");
    assert_eq!(
        CaLog::read(&stage.lab).certificates,
        0,
        "no CA looks before every name server shows the record"
    );

    stage.lab.make_secondary_follow().await.unwrap();
    stage.shops.wait_for_status("*.stale.test", "active", MINUTE).await.unwrap();
    assert_eq!(CaLog::read(&stage.lab).orders, 1, "the order went on");
    stage.no_records_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn name_servers_that_are_away_for_a_minute_are_waited_for() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    stage.put_delegated("*.before.test").await;
    stage.becomes("*.before.test", "active").await;
    stage.put("*.away.test").await;
    stage.told("*.away.test", "dns_delegation_missing").await;
    let target = stage.database.delegation("*.away.test").await;
    stage.lab.set_records(&[Record::cname("_acme-challenge.away.test", &target)]).await.unwrap();
    stage.lab.stop(Part::Bind).await.unwrap();
    stage.database.hasten("*.away.test").await;
    until("the absence is told", MINUTE, async || {
        let domain = stage.shops.get("*.away.test").await.unwrap();
        if has_problem(&domain, "dns_servfail") { Ok(()) } else { Err(domain["problems"].to_string()) }
    })
    .await;
    tokio::time::sleep(MINUTE).await;
    stage.lab.start(Part::Bind).await.unwrap();
    let back = std::time::Instant::now();
    // As somebody does who has mended something; by itself the next look comes within two minutes.
    stage.database.hasten("*.away.test").await;
    stage.shops.wait_for_status("*.away.test", "active", MINUTE).await.unwrap();
    eprintln!("active {:.1} s after the name servers were back", back.elapsed().as_secs_f64());
    stage.no_records_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_between_the_record_and_the_validation_leaves_no_record_behind() {
    let stage = Stage::set().await;
    let _serving = stage.service.start(Role::Serve, &[]).await.unwrap();
    let working = stage.service.start(Role::Work, &[]).await.unwrap();
    stage.targets_in_sync().await;
    working.stop().await.unwrap();
    for checkpoint in
        ["order_stored", "record_written", "record_visible", "challenge_answered", "certificate_stored"]
    {
        eprintln!("killed at {checkpoint}");
        let name = format!("*.{}.test", checkpoint.replace('_', "-"));
        let before = CaLog::read(&stage.lab);
        let mut dying = stage.service.start(Role::Work, &[("CERTMILL_DIE_AT", checkpoint)]).await.unwrap();
        stage.put_delegated(&name).await;
        assert!(!dying.wait(MINUTE).await.unwrap().success(), "{checkpoint}");
        stage.database.let_time_pass().await;
        let working = stage.service.start(Role::Work, &[]).await.unwrap();
        stage.shops.wait_for_status(&name, "active", SOON).await.unwrap();
        stage.no_records_left().await;
        working.stop().await.unwrap();
        let at_the_ca = CaLog::read(&stage.lab).since(before);
        assert_eq!((at_the_ca.orders, at_the_ca.certificates), (1, 1), "{checkpoint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_is_deleted_during_its_order_leaves_no_record_behind() {
    let stage = Stage::on(
        certmill_lab::Lab::up(certmill_lab::Options::default()).await.unwrap(),
        &[("CERTMILL_DNS__PROPAGATION_SECONDS", "3")],
    )
    .await;
    let _running = stage.start().await;
    stage.lab.make_secondary_stale().await.unwrap();
    stage.put_delegated("*.gone.test").await;
    until("a record stands", SOON, async || match stage.lab.txt_records().await.unwrap().len() {
        0 => Err("none".to_owned()),
        _ => Ok(()),
    })
    .await;
    stage.shops.delete("*.gone.test").await.unwrap();
    stage.no_records_left().await;
    until("the domain is gone", SOON, async || match stage.shops.get("*.gone.test").await {
        Err(_) => Ok(()),
        Ok(domain) => Err(domain["status"].to_string()),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_owner_set_wrong_is_named_with_the_record_that_mends_it() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let lab = &stage.lab;

    // A wildcard CNAME record of the owner's that answers for everything.
    stage.put("*.swallowed.test").await;
    lab.set_records(&[Record::cname("*.swallowed.test", "lb.shops.test")]).await.unwrap();
    stage.database.hasten("*.swallowed.test").await;
    let told = stage.told("*.swallowed.test", "dns_delegation_wrong").await;
    assert!(told.contains("wildcard record") && told.contains("lb.shops.test"), "{told}");

    // A loop.
    stage.put("*.loop.test").await;
    let loops = [
        Record::cname("_acme-challenge.loop.test", "round.loop.test"),
        Record::cname("round.loop.test", "_acme-challenge.loop.test"),
    ];
    lab.set_records(&loops).await.unwrap();
    stage.database.hasten("*.loop.test").await;
    let told = stage.told("*.loop.test", "dns_servfail").await;
    assert!(
        told.contains("_acme-challenge.loop.test -> round.loop.test -> _acme-challenge.loop.test"),
        "{told}"
    );

    // Somebody else's service.
    stage.put("*.other.test").await;
    lab.set_records(&[Record::cname("_acme-challenge.other.test", "x.other-ca-service.test")]).await.unwrap();
    stage.database.hasten("*.other.test").await;
    let told = stage.told("*.other.test", "dns_delegation_wrong").await;
    assert!(told.contains("x.other-ca-service.test"), "{told}");
    assert_eq!(CaLog::read(lab).orders, 0, "no CA was asked for any of them");

    // Set right, each goes on.
    for name in ["*.swallowed.test", "*.loop.test", "*.other.test"] {
        stage.delegate(name).await;
        stage.shops.wait_for_status(name, "active", Duration::from_secs(60)).await.unwrap();
    }
    stage.no_records_left().await;
}
