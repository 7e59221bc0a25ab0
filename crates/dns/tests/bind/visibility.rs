//! What each name server itself has.

use std::{sync::Arc, time::Duration};

use certmill_dns::{
    Credentials, LookupError, NameServer, ProviderSettings, Resolver, Rfc2136Settings, ServerTrouble,
    TxtRecord, values_at, wait_until_visible,
};
use certmill_lab::{AcmeZone, Lab, Part, Record};
use certmill_model::{Hostname, SystemClock};
use tokio::time::Instant;

use crate::{lab, name};

const RECORD: &str = "x7q.challenges.test";

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[tokio::test]
async fn what_every_name_server_has_is_seen_at_real_ones() {
    let (lab, resolver) = lab().await;
    a_value_is_seen_soon_after_it_was_written_and_a_dead_server_is_named(&lab).await;
    a_server_without_the_value_tells_the_version_of_its_zone(&lab).await;
    a_secondary_that_follows_its_primary_no_more_is_named_until_it_follows_again(&lab).await;
    more_values_than_a_datagram_holds_are_all_seen(&lab).await;
    a_name_server_that_was_away_for_a_moment_is_waited_for(&lab).await;
    the_name_servers_of_a_zone_are_found_and_what_is_no_zone_has_none(&lab, &resolver).await;
    lab.down().await.unwrap();
}

async fn a_value_is_seen_soon_after_it_was_written_and_a_dead_server_is_named(lab: &Lab) {
    let alive = NameServer::new("ns1.test", lab.description().dns_server);
    let dead = NameServer::new("ns2.test", "127.0.0.1:1".parse().unwrap());

    let servers = [alive.clone()];
    let waiting = tokio::spawn(async move {
        wait_until_visible(&servers, RECORD, &["first", "second"], soon()).await.unwrap();
        Instant::now()
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    lab.set_records(&[Record::txt(RECORD, "first")]).await.unwrap();
    assert!(!waiting.is_finished());
    lab.set_records(&[Record::txt(RECORD, "first"), Record::txt(RECORD, "second")]).await.unwrap();
    let written = Instant::now();
    assert!(waiting.await.unwrap() < written + Duration::from_secs(2));

    let deadline = Instant::now() + Duration::from_millis(300);
    let servers = [alive.clone(), dead.clone()];
    let error = wait_until_visible(&servers, RECORD, &["first"], deadline).await.unwrap_err();
    assert_eq!(error.servers, [(dead, ServerTrouble::Dead)]);

    let mut values = values_at(&alive, RECORD).await.unwrap();
    values.sort();
    assert_eq!(values, ["first", "second"]);
    lab.remove_name(RECORD).await.unwrap();
    assert_eq!(values_at(&alive, RECORD).await, Ok(Vec::new()));
    let foreign = values_at(&alive, "shop.example.com").await.unwrap_err();
    assert!(matches!(foreign, ServerTrouble::NotAuthoritative | ServerTrouble::Failing(_)), "{foreign}");
}

async fn a_server_without_the_value_tells_the_version_of_its_zone(lab: &Lab) {
    lab.set_records(&[Record::txt("other.test", "raises the serial number")]).await.unwrap();
    let server = NameServer::new("ns1.test", lab.description().dns_server);
    let deadline = Instant::now() + Duration::from_millis(200);
    let error = wait_until_visible(&[server], RECORD, &["value"], deadline).await.unwrap_err();
    let ServerTrouble::Stale { serial: Some(serial) } = error.servers[0].1 else { panic!("{error}") };
    assert!(serial > 1);
}

async fn a_secondary_that_follows_its_primary_no_more_is_named_until_it_follows_again(lab: &Lab) {
    let zone = &lab.description().acme_zone;
    let record = TxtRecord { name: "x7q.acme.test", value: "value" };
    let servers =
        [NameServer::new("ns1.acme.test", zone.primary), NameServer::new("ns2.acme.test", zone.secondary)];
    lab.make_secondary_stale().await.unwrap();
    write(zone, record).await;

    let deadline = Instant::now() + Duration::from_secs(1);
    let error = wait_until_visible(&servers, record.name, &["value"], deadline).await.unwrap_err();
    let expected = format!(
        "x7q.acme.test is not to be seen everywhere: ns2.acme.test ({}) does not have the value yet",
        zone.secondary
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(matches!(error.servers.as_slice(), [(_, ServerTrouble::Stale { serial: Some(_) })]));

    lab.make_secondary_follow().await.unwrap();
    wait_until_visible(&servers, record.name, &["value"], soon()).await.unwrap();
}

async fn write(zone: &AcmeZone, record: TxtRecord<'_>) {
    let key = &zone.keys[0];
    let settings = ProviderSettings::Rfc2136(Rfc2136Settings {
        server: zone.primary.to_string(),
        protocol: "tcp".to_owned(),
        key_name: key.name.clone(),
        algorithm: key.algorithm.clone(),
        timeout_seconds: 10,
    });
    let credentials = Credentials::new(&key.secret);
    let provider = settings.open(&zone.name, Some(&credentials), Arc::new(SystemClock)).unwrap();
    provider.present(record).await.unwrap();
}

async fn more_values_than_a_datagram_holds_are_all_seen(lab: &Lab) {
    let values: Vec<_> = (0..90).map(|number| format!("{number:043}")).collect();
    let records: Vec<_> = values.iter().map(|value| Record::txt(RECORD, value)).collect();
    lab.set_records(&records).await.unwrap();
    let server = NameServer::new("ns1.test", lab.description().dns_server);
    assert_eq!(values_at(&server, RECORD).await.unwrap().len(), values.len());
    let wanted: Vec<_> = values.iter().map(String::as_str).collect();
    wait_until_visible(&[server], RECORD, &wanted, soon()).await.unwrap();
}

async fn a_name_server_that_was_away_for_a_moment_is_waited_for(lab: &Lab) {
    lab.set_records(&[Record::txt(RECORD, "value")]).await.unwrap();
    lab.stop(Part::Bind).await.unwrap();
    let servers = [NameServer::new("ns1.test", lab.description().dns_server)];
    let waiting = tokio::spawn(async move { wait_until_visible(&servers, RECORD, &["value"], soon()).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    lab.start(Part::Bind).await.unwrap();
    assert_eq!(waiting.await.unwrap(), Ok(()));
}

async fn the_name_servers_of_a_zone_are_found_and_what_is_no_zone_has_none(lab: &Lab, resolver: &Resolver) {
    let zone = Hostname::from_stored("test").unwrap();
    let servers = resolver.authoritative_servers(&zone).await.unwrap();
    assert_eq!(servers, [NameServer::new("ns.test", "127.0.0.1:53".parse().unwrap())]);

    lab.set_records(&[Record::txt("shop.test", "text")]).await.unwrap();
    let inside = resolver.authoritative_servers(&name("shop.test")).await.unwrap_err();
    assert!(matches!(inside, LookupError::NotAZone { .. }), "{inside}");
    let missing = resolver.authoritative_servers(&name("nobody.test")).await.unwrap_err();
    assert!(matches!(missing, LookupError::NotFound { .. }), "{missing}");
}
