//! The newer pebble, and a CA in front of it that does nothing.

use std::time::Duration;

use certmill_lab::fault_ca::{Endpoint, Outcome};
use certmill_lab::{PebbleOptions, PebbleRelease};
use instant_acme::{CertificateIdentifier, Error, Identifier, NewOrder};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::parse_x509_certificate;

use crate::issuance::Issuance;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const PROFILES: [(&str, Duration); 2] =
    [("classic", Duration::from_secs(45 * 86_400)), ("short", Duration::from_secs(6 * 86_400))];

#[tokio::test]
async fn a_certificate_comes_straight_through_from_either_pebble() {
    for release in [PebbleRelease::Installed, PebbleRelease::Fetched] {
        let lifetime = Some(45 * DAY);
        let issuance = Issuance::with(PebbleOptions { release, lifetime, ..PebbleOptions::default() }).await;
        let chain = issuance.issue("shop.example-shops.test").await.unwrap();
        assert_eq!(days(&chain), 45, "{release:?}");

        let journal = issuance.ca.journal();
        assert!(journal.iter().all(|seen| seen.outcome == Outcome::Passed), "{journal:#?}");
        assert_eq!(issuance.ca.requests(Endpoint::NewOrder), 1);
        assert_eq!(issuance.ca.requests(Endpoint::Finalize), 1);
        let about = |seen: &&certmill_lab::fault_ca::Seen| seen.names == ["shop.example-shops.test"];
        // An order, its authorization and its challenge, finalized, looked at and downloaded.
        assert!(journal.iter().filter(about).count() >= 5, "{journal:#?}");
        issuance.ca.assert_all_rules_met();
    }
}

#[tokio::test]
async fn every_url_leads_through_the_ca_in_front() {
    let issuance = Issuance::with(PebbleOptions::with_renewal_info(45)).await;
    let directory = issuance.directory().await.unwrap();
    let directory: serde_json::Value = serde_json::from_slice(&directory.body).unwrap();
    let own = format!("https://{}/", issuance.ca.address());
    for url in ["newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo"] {
        assert!(directory[url].as_str().unwrap().starts_with(&own), "{url}: {directory:#}");
    }
    assert!(issuance.account.id().starts_with(&own), "{}", issuance.account.id());
    let identifiers = [Identifier::Dns("urls.shops.test".to_owned())];
    let order = issuance.account.new_order(&NewOrder::new(&identifiers)).await.unwrap();
    assert!(order.url().starts_with(&own), "{}", order.url());
}

#[tokio::test]
async fn the_newer_pebble_has_profiles_and_tells_when_to_renew() {
    let pebble = PebbleOptions { profiles: &PROFILES, ..PebbleOptions::with_renewal_info(45) };
    let issuance = Issuance::with(pebble).await;
    let identifiers = [Identifier::Dns("profile.shops.test".to_owned())];
    let chain = issuance.order(&NewOrder::new(&identifiers).profile("short")).await.unwrap();
    assert_eq!(days(&chain), 6);
    let unknown = issuance.order(&NewOrder::new(&identifiers).profile("bogus")).await.unwrap_err();
    assert!(unknown.to_string().contains("invalidProfile"), "{unknown}");

    let leaf = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
    let id = CertificateIdentifier::try_from(&leaf).unwrap();
    let (info, retry_after) = issuance.account.renewal_info(&id).await.unwrap();
    let window = info.suggested_window;
    assert!(issuance.ca.now() < window.start && window.start < window.end, "{window:?}");
    assert!(retry_after > Duration::ZERO);
    assert_eq!(issuance.ca.requests(Endpoint::RenewalInfo), 1);

    let replacing = NewOrder::new(&identifiers).profile("classic").replaces(id);
    assert_eq!(days(&issuance.order(&replacing).await.unwrap()), 45);
    let again = issuance.order(&replacing).await.unwrap_err();
    assert!(matches!(&again, Error::Api(problem) if problem.status == Some(409)), "{again}");
}

fn days(chain: &str) -> i64 {
    let leaf = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
    let (_, leaf) = parse_x509_certificate(&leaf).unwrap();
    let lifetime = leaf.validity().not_after.timestamp() - leaf.validity().not_before.timestamp();
    (lifetime + 3600) / 86_400
}
