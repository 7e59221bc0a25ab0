//! Names of the zone `test`.

use std::net::IpAddr;

use certmill_lab::{Lab, LabError, Options};

use crate::support::{addresses, one_load_balancer, resolve};

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
