//! Names of the zone `test`.

use std::net::IpAddr;

use certmill_lab::{Lab, LabError, Options, Record};

use crate::support::{addresses, dig, one_load_balancer, resolve};

#[tokio::test]
async fn names_resolve_as_they_are_set() {
    let lab = Lab::up(Options::default()).await.unwrap();
    let both = lab.description().load_balancer_addresses();
    assert_eq!(resolve(&lab, "anything.shops.test"), both);
    assert_eq!(resolve(&lab, "shop1.example-shops.test"), both);

    lab.set_addresses("shop1.shops.test", &addresses(&["127.0.0.7", "100::1"])).await.unwrap();
    assert_eq!(resolve(&lab, "shop1.shops.test"), addresses(&["127.0.0.7", "100::1"]));
    lab.set_addresses("shop1.shops.test", &addresses(&["127.0.0.8"])).await.unwrap();
    assert_eq!(resolve(&lab, "shop1.shops.test"), addresses(&["127.0.0.8"]));
    lab.remove_name("shop1.shops.test").await.unwrap();
    assert_eq!(resolve(&lab, "shop1.shops.test"), both, "the wildcard answers again");

    let begin = std::time::Instant::now();
    assert_eq!(resolve(&lab, "shop.example"), addresses(&[]), "nobody is asked about foreign names");
    assert!(begin.elapsed() < std::time::Duration::from_secs(1), "{:?}", begin.elapsed());

    let error = lab.set_addresses("shop.example", &both).await.unwrap_err();
    assert!(matches!(error, LabError::ProgramFailed { program: "nsupdate", .. }), "{error}");
}

#[tokio::test]
async fn a_thousand_names_are_set_at_once() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let names: Vec<(String, Vec<IpAddr>)> =
        (0..1000).map(|number| (format!("bulk{number}.test"), addresses(&["127.0.0.3"]))).collect();
    lab.set_addresses_of(&names).await.unwrap();
    assert_eq!(resolve(&lab, "bulk0.test"), addresses(&["127.0.0.3"]));
    assert_eq!(resolve(&lab, "bulk999.test"), addresses(&["127.0.0.3"]));
}

#[tokio::test]
async fn records_of_every_kind_are_set_and_replaced() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let bind = lab.description().dns_server;
    let records = [
        Record::address("apex.owners.test", "127.0.0.3".parse().unwrap()),
        Record::txt("apex.owners.test", r#"a "quoted" \ text"#),
        Record::txt("apex.owners.test", "another"),
        Record::caa("apex.owners.test", r#"0 issue "ca.certmill.test; validationmethods=dns-01""#),
        Record::cname("www.owners.test", "apex.owners.test"),
        Record::cname("*.wild.owners.test", "anything.shops.test"),
    ];
    lab.set_records(&records).await.unwrap();
    assert_eq!(dig(bind, "apex.owners.test", "TXT"), [r#""a \"quoted\" \\ text""#, r#""another""#]);
    let caa = r#"0 issue "ca.certmill.test; validationmethods=dns-01""#;
    assert_eq!(dig(bind, "apex.owners.test", "CAA"), [caa]);
    assert_eq!(dig(bind, "www.owners.test", "A"), ["127.0.0.3", "apex.owners.test."]);
    assert_eq!(dig(bind, "_acme-challenge.wild.owners.test", "CNAME"), ["anything.shops.test."]);

    let records = [Record::txt("apex.owners.test", "new"), Record::cname("www.owners.test", "shop.example")];
    lab.set_records(&records).await.unwrap();
    assert_eq!(dig(bind, "apex.owners.test", "TXT"), [r#""new""#]);
    assert_eq!(dig(bind, "apex.owners.test", "CAA"), [caa], "another type is left alone");
    assert_eq!(dig(bind, "www.owners.test", "CNAME"), ["shop.example."]);
}
