//! Renewal information, replacements and profiles at a CA that has them.

use std::time::Duration;

use certmill_acme::{AcmeError, Client, IssuedCertificate, PlaceOrder, PrivateKey, certificate_id};
use certmill_lab::{PebbleOptions, PebbleRelease};
use certmill_model::{Clock, Hostname, KeyType, RenewalAnswer, SystemClock};

use crate::ca::Ca;

const HOUR: Duration = Duration::from_secs(60 * 60);

const PROFILES: &[(&str, Duration)] =
    &[("classic", HOUR.saturating_mul(90 * 24)), ("shortlived", HOUR.saturating_mul(160))];

async fn issue(ca: &Ca, client: &Client, order: &PlaceOrder<'_>) -> IssuedCertificate {
    let key = PrivateKey::generate(KeyType::EcdsaP256).await;
    let mut placed = client.place(order).await.unwrap();
    let chain = ca.finish(&mut placed, &key).await.unwrap();
    ca.verify(&chain, &key, order.names).await
}

fn replacing<'a>(names: &'a [Hostname], certificate: &'a str) -> PlaceOrder<'a> {
    PlaceOrder { replaces: Some(certificate), ..PlaceOrder::of(names) }
}

#[tokio::test]
async fn the_ca_suggests_when_to_renew_what_it_issued() {
    let ca = Ca::up_with(PebbleOptions::with_renewal_info(45)).await;
    let client = ca.client().await;
    assert!(client.has_renewal_info());
    let names = ca.names(&["suggested.owners.test"]).await;
    let issued = issue(&ca, &client, &PlaceOrder::of(&names)).await;

    let id = certificate_id(&issued.leaf_der).unwrap();
    assert_eq!(certificate_id(&issued.fullchain_pem).as_ref(), Some(&id));
    let answer = client.renewal_info(&id).await;
    let RenewalAnswer::Window { window, retry_after, .. } = answer else { panic!("no window: {answer:?}") };
    assert!(window.start() > SystemClock.now() && window.end() < issued.not_after, "{window:?}");
    assert!(retry_after.is_some());

    let unknown = client.renewal_info("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE").await;
    assert_eq!(unknown, RenewalAnswer::Useless);
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn a_certificate_is_replaced_once() {
    let ca = Ca::up_with(PebbleOptions::with_renewal_info(45)).await;
    let client = ca.client().await;
    let names = ca.names(&["replaced.owners.test"]).await;
    let first = certificate_id(issue(&ca, &client, &PlaceOrder::of(&names)).await.leaf_der).unwrap();
    let second = certificate_id(issue(&ca, &client, &replacing(&names, &first)).await.leaf_der).unwrap();
    assert_ne!(first, second);

    let error = client.place(&replacing(&names, &first)).await.err().unwrap();
    assert!(matches!(error, AcmeError::WithoutReplaces { .. }), "{error:?}");
    assert_eq!(error.problem().unwrap().short_kind(), "alreadyReplaced");
    issue(&ca, &client, &PlaceOrder::of(&names)).await;
    issue(&ca, &client, &replacing(&names, &second)).await;
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn a_revoked_certificate_is_to_be_renewed_at_once() {
    let ca = Ca::up_with(PebbleOptions::with_renewal_info(45)).await;
    let client = ca.client().await;
    let names = ca.names(&["revoked.owners.test"]).await;
    let issued = issue(&ca, &client, &PlaceOrder::of(&names)).await;
    for _ in 0..2 {
        client.revoke(&issued.leaf_der).await.unwrap();
    }
    let answer = client.renewal_info(&certificate_id(&issued.leaf_der).unwrap()).await;
    let RenewalAnswer::Window { window, .. } = answer else { panic!("no window: {answer:?}") };
    assert!(window.is_past(SystemClock.now()), "{window:?}");
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn a_profile_decides_how_long_a_certificate_is_valid() {
    let options =
        PebbleOptions { release: PebbleRelease::Fetched, profiles: PROFILES, ..PebbleOptions::default() };
    let ca = Ca::up_with(options).await;
    let client = ca.client().await;
    assert_eq!(client.profiles().keys().collect::<Vec<_>>(), ["classic", "shortlived"]);
    let names = ca.names(&["short.owners.test"]).await;
    for &(profile, lifetime) in PROFILES {
        let order = PlaceOrder { profile: Some(profile), ..PlaceOrder::of(&names) };
        let issued = issue(&ca, &client, &order).await;
        let valid = Duration::try_from(issued.not_after - issued.not_before).unwrap();
        assert!(valid.abs_diff(lifetime) < HOUR, "{profile}: {valid:?}");
    }
    let order = PlaceOrder { profile: Some("tlsserver"), ..PlaceOrder::of(&names) };
    let error = client.place(&order).await.err().unwrap();
    assert!(matches!(error, AcmeError::WithoutProfile { .. }), "{error:?}");
    ca.lab.down().await.unwrap();
}
