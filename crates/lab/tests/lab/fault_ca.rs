//! A CA that does as it is told: what it does, seen with plain clients.

use std::time::{Duration, Instant};

use certmill_lab::PebbleOptions;
use certmill_lab::fault_ca::{Action, Answer, Endpoint, Outcome, When, WrongCertificate};
use instant_acme::{Error, Identifier, NewOrder, OrderStatus};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio::time::timeout;
use x509_parser::parse_x509_certificate;

use crate::issuance::{Issuance, open_account};

const MOMENT: Duration = Duration::from_millis(300);

/// How long what ends by itself lasts: long enough for a few requests before that, while other labs begin beside this one.
const WHILE: Duration = Duration::from_secs(3);

/// Looks until it is so: [`WHILE`] and the time that a busy machine may take.
async fn within_a_while(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + 5 * WHILE;
    while !look().await {
        assert!(Instant::now() < deadline, "in vain waited until {what}");
        tokio::time::sleep(MOMENT / 10).await;
    }
}

async fn set() -> Issuance {
    Issuance::with(PebbleOptions::default()).await
}

#[tokio::test]
async fn the_rules_say_which_requests_are_answered_how() {
    let issuance = set().await;
    let date = time::macros::datetime!(2027-02-10 06:05:04 UTC);
    let busy = Answer::html(503, "<h1>busy</h1>").retry_after_date(date);
    let third = issuance.ca.add(When::of(Endpoint::Directory).nth(3), busy);
    let asleep = Answer::problem(429, "rateLimited", "later").retry_after_seconds(7);
    issuance.ca.add(When::of(Endpoint::Directory).after(2), asleep);

    for _ in 0..2 {
        assert_eq!(issuance.directory().await.unwrap().status, 200);
    }
    let answer = issuance.directory().await.unwrap();
    assert_eq!((answer.status, &*answer.body), (503, &b"<h1>busy</h1>"[..]));
    assert_eq!(answer.header("retry-after"), Some("Wed, 10 Feb 2027 06:05:04 GMT"));
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    let answer = issuance.directory().await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(problem["type"], "urn:ietf:params:acme:error:rateLimited");

    // The account was opened with another.
    assert_eq!(issuance.ca.requests(Endpoint::Directory), 5);
    assert_eq!((issuance.ca.acted(third), issuance.ca.rate_limited()), (1, 1));
    issuance.ca.remove(third);
    issuance.ca.assert_all_rules_met();
}

#[tokio::test]
async fn a_rule_that_never_acted_is_an_error_and_one_that_cannot_is_refused() {
    let issuance = set().await;
    issuance.ca.add(When::of(Endpoint::KeyChange), Action::Hang);
    let met = std::panic::AssertUnwindSafe(|| issuance.ca.assert_all_rules_met());
    let words = std::panic::catch_unwind(met).unwrap_err();
    assert!(words.downcast_ref::<String>().unwrap().contains("KeyChange"));
    for never in [
        When::any().with_chance(0.0),
        When::any().with_chance(1.5),
        When::any().nth(0),
        When::of_these(&[]),
        When::any().during(MOMENT..MOMENT),
    ] {
        let add = std::panic::AssertUnwindSafe(|| issuance.ca.add(never.clone(), Action::Cut));
        assert!(std::panic::catch_unwind(add).is_err(), "{never:?}");
    }
}

#[tokio::test]
async fn an_outage_begins_and_ends() {
    let issuance = set().await;
    let outage = When::any().during(Duration::ZERO..WHILE);
    let begin = Instant::now();
    issuance.ca.add(outage, Answer::html(503, "<h1>maintenance</h1>"));
    assert_eq!(issuance.directory().await.unwrap().status, 503);
    within_a_while("the outage ends", async || issuance.directory().await.unwrap().status == 200).await;
    assert!(begin.elapsed() >= WHILE, "{:?}", begin.elapsed());
    issuance.ca.assert_all_rules_met();
}

#[tokio::test]
async fn an_answer_is_late_or_never_comes_or_breaks_off_or_is_huge_or_drips() {
    let issuance = set().await;
    let nth = |number| When::of(Endpoint::Directory).nth(number);
    issuance.ca.add(nth(1), Action::Delay(MOMENT));
    issuance.ca.add(nth(1), Action::Hang);
    issuance.ca.add(nth(1), Action::Cut);
    issuance.ca.add(nth(1), Action::CutAfterwards);
    issuance.ca.add(nth(1), Action::Flood(3 << 20));
    issuance.ca.add(nth(1), Action::Trickle(Duration::from_millis(1)));

    let begin = Instant::now();
    assert_eq!(issuance.directory().await.unwrap().status, 200);
    assert!(begin.elapsed() >= MOMENT);
    assert!(timeout(MOMENT, issuance.directory()).await.is_err(), "it answered");
    assert!(issuance.directory().await.is_err(), "it answered");
    assert!(issuance.directory().await.is_err(), "it answered");
    assert_eq!(issuance.directory().await.unwrap().body.len(), 3 << 20);
    let begin = Instant::now();
    let dripped = issuance.directory().await.unwrap();
    assert!(begin.elapsed().as_millis() as usize >= dripped.body.len());
    assert!(dripped.body.starts_with(b"{") && dripped.body.len() > 100);
    issuance.ca.assert_all_rules_met();
}

#[tokio::test]
async fn what_was_cut_off_afterwards_has_happened() {
    let issuance = set().await;
    issuance.ca.add(When::of(Endpoint::NewOrder).first(1), Action::CutAfterwards);
    let identifiers = [Identifier::Dns("cut.shops.test".to_owned())];
    issuance.account.new_order(&NewOrder::new(&identifiers)).await.map(drop).unwrap_err();
    let log = issuance.lab.description().log(certmill_lab::Part::Pebble);
    assert!(std::fs::read_to_string(log).unwrap().contains("Added order "));
    issuance.issue("cut.shops.test").await.unwrap();
    issuance.ca.assert_all_rules_met();
}

#[tokio::test]
async fn a_storm_of_bad_nonces_brings_a_good_one_with_each() {
    let issuance = set().await;
    let storm = When::any_post().with_chance(0.3);
    let refused = issuance.ca.add(storm, Answer::problem(400, "badNonce", "JWS has an invalid nonce"));
    let mut issued = 0;
    for number in 0..20 {
        issued += usize::from(issuance.issue(&format!("nonce{number}.shops.test")).await.is_ok());
    }
    // The library tries three times: 2.7 % of its 7 requests an order are lost.
    assert!(issued >= 10, "{issued}");
    assert!(issuance.ca.acted(refused) >= 20, "{}", issuance.ca.acted(refused));
    issuance.ca.assert_all_rules_met();
}

#[tokio::test]
async fn the_same_seed_makes_the_same_storm() {
    let issuance = set().await;
    let mut storms = Vec::new();
    for seed in [7, 7, 8] {
        let ca = issuance.lab.fault_ca(seed).await.unwrap();
        ca.add(When::of(Endpoint::Directory).with_chance(0.5), Answer::html(503, "busy"));
        let mut storm = Vec::new();
        for _ in 0..32 {
            storm.push(issuance.get(&ca.directory_url()).await.unwrap().status);
        }
        storms.push(storm);
    }
    assert_eq!(storms[0], storms[1]);
    assert_ne!(storms[0], storms[2]);
}

#[tokio::test]
async fn a_name_is_paused_and_others_are_not() {
    let issuance = set().await;
    let url = "https://unpause.ca.test/sfe/v1/unpause?jwt=abc";
    let when = When::of(Endpoint::NewOrder).about("paused.shops.test");
    let pause = issuance.ca.add(when, Answer::paused(&["paused.shops.test"], url));
    let refused = issuance.issue("paused.shops.test").await.unwrap_err();
    let Error::Api(problem) = refused else { panic!("{refused}") };
    assert_eq!(problem.r#type.as_deref(), Some("urn:ietf:params:acme:error:rateLimited"));
    assert!(problem.detail.as_ref().unwrap().ends_with(url), "{problem:?}");
    issuance.issue("other.shops.test").await.unwrap();
    issuance.ca.remove(pause);
    issuance.issue("paused.shops.test").await.unwrap();
    issuance.ca.assert_all_rules_met();
}

#[tokio::test]
async fn a_certificate_is_wrong_in_one_way_alone() {
    let issuance = set().await;
    let right = issuance.issue("right.shops.test").await.unwrap();
    assert!(facts(&right).is_right("right.shops.test"), "{:?}", facts(&right));
    let wrong = async |wrong: WrongCertificate| {
        let rule = issuance.ca.add(When::of(Endpoint::Certificate), Action::WrongCertificate(wrong));
        let chain = issuance.issue("right.shops.test").await.unwrap();
        assert_eq!(issuance.ca.acted(rule), 1);
        issuance.ca.remove(rule);
        facts(&chain)
    };
    let names = wrong(WrongCertificate::Names).await;
    assert!(names.names == ["other.test"] && names.signed && !names.expired, "{names:?}");
    let chain = wrong(WrongCertificate::Chain).await;
    assert!(chain.names == ["right.shops.test"] && !chain.signed && !chain.expired, "{chain:?}");
    let expired = wrong(WrongCertificate::Expired).await;
    assert!(expired.names == ["right.shops.test"] && expired.signed && expired.expired, "{expired:?}");
    let purpose = wrong(WrongCertificate::Purpose).await;
    assert!(purpose.signed && !purpose.server_auth, "{purpose:?}");
    let root = wrong(WrongCertificate::Root).await;
    assert!(root.is_right("right.shops.test") && root.issuer.contains("nobody knows"), "{root:?}");
    let key = wrong(WrongCertificate::Key).await;
    assert!(key.is_right("right.shops.test") && key.key != root.key, "{key:?}");
    issuance.ca.assert_all_rules_met();
}

#[derive(Debug)]
struct Facts {
    names: Vec<String>,
    issuer: String,
    key: Vec<u8>,
    signed: bool,
    expired: bool,
    server_auth: bool,
}

impl Facts {
    fn is_right(&self, name: &str) -> bool {
        self.names == [name] && self.signed && !self.expired && self.server_auth
    }
}

fn facts(chain: &str) -> Facts {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
    let (_, leaf) = parse_x509_certificate(&chain[0]).unwrap();
    let (_, issuer) = parse_x509_certificate(&chain[1]).unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    Facts {
        names: names
            .value
            .general_names
            .iter()
            .map(|name| name.to_string().replace("DNSName(", "").replace(')', ""))
            .collect(),
        issuer: leaf.issuer().to_string(),
        key: leaf.public_key().raw.to_vec(),
        signed: leaf.verify_signature(Some(issuer.public_key())).is_ok(),
        expired: !leaf.validity().is_valid(),
        server_auth: leaf.extended_key_usage().unwrap().is_some_and(|usage| usage.value.server_auth),
    }
}

#[tokio::test]
async fn an_order_stays_in_processing_for_its_time() {
    let issuance = set().await;
    let when = When::of_these(&[Endpoint::Finalize, Endpoint::Order]);
    issuance.ca.add(when, Action::Processing(WHILE, Some(3)));
    let identifiers = [Identifier::Dns("slow.shops.test".to_owned())];
    let mut order = issuance.account.new_order(&NewOrder::new(&identifiers)).await.unwrap();
    issuance.prove(&mut order).await.unwrap();
    let begin = Instant::now();
    order.finalize().await.unwrap();
    let status = order.refresh().await.unwrap().status;
    assert_eq!(status, OrderStatus::Processing);
    assert!(order.state().certificate.is_none());
    let is_valid = async || order.refresh().await.unwrap().status == OrderStatus::Valid;
    within_a_while("it is valid", is_valid).await;
    assert!(begin.elapsed() >= WHILE, "{:?}", begin.elapsed());
    issuance.ca.assert_all_rules_met();
}

#[tokio::test]
async fn an_order_that_failed_says_no_reason_but_its_authorization_does() {
    let issuance = set().await;
    issuance.ca.add(When::of(Endpoint::Order), Action::HideOrderError);
    let mut order = issuance.fail("fails.shops.test").await;
    assert!(order.state().error.is_none());
    let mut authorizations = order.authorizations();
    let mut authorization = authorizations.next().await.unwrap().unwrap();
    let state = authorization.refresh().await.unwrap();
    assert!(state.challenges.iter().any(|challenge| challenge.error.is_some()), "{state:?}");
    issuance.ca.assert_all_rules_met();
}

#[tokio::test]
async fn renewal_information_is_whatever_the_test_says() {
    let issuance = Issuance::with(PebbleOptions::with_renewal_info(45)).await;
    let chain = issuance.issue("renew.shops.test").await.unwrap();
    let leaf = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
    let id = instant_acme::CertificateIdentifier::try_from(&leaf).unwrap();
    let (start, end) =
        (time::macros::datetime!(2020-01-01 00:00 UTC), time::macros::datetime!(2020-01-02 00:00 UTC));
    let of = |number| When::of(Endpoint::RenewalInfo).nth(number);
    let past =
        Answer::suggested_window(start, end).retry_after_seconds(60).explained_at("https://ca.test/why");
    issuance.ca.add(of(1), past);
    issuance.ca.add(of(1), Answer::suggested_window(end, start).retry_after_seconds(60));
    issuance.ca.add(of(1), Answer::suggested_window(start, end));
    issuance.ca.add(of(1), Answer::html(404, "<h1>not found</h1>"));

    let (info, retry_after) = issuance.account.renewal_info(&id).await.unwrap();
    assert_eq!((info.suggested_window.start, info.suggested_window.end), (start, end));
    assert!(retry_after > Duration::from_secs(58), "{retry_after:?}");
    let (info, _) = issuance.account.renewal_info(&id).await.unwrap();
    assert!(info.suggested_window.end < info.suggested_window.start);
    issuance.account.renewal_info(&id).await.map(drop).unwrap_err();
    issuance.account.renewal_info(&id).await.map(drop).unwrap_err();
    issuance.ca.assert_all_rules_met();
}

#[tokio::test]
async fn a_document_is_edited_and_a_request_is_kept() {
    let issuance = set().await;
    let edit = Action::edit(|directory| directory["meta"]["profiles"]["tlsserver"] = "short".into());
    issuance.ca.add(When::of(Endpoint::Directory), edit);
    let account = open_account(&issuance.https, &issuance.ca).await;
    assert_eq!(account.profiles().count(), 1);
    let identifiers = [Identifier::Dns("kept.shops.test".to_owned())];
    account.new_order(&NewOrder::new(&identifiers).profile("tlsserver")).await.map(drop).unwrap();
    let asked = issuance.ca.payloads(Endpoint::NewOrder);
    assert_eq!((asked.len(), &asked[0]["profile"]), (1, &"tlsserver".into()));
    let seen = issuance.ca.journal().into_iter().find(|seen| seen.endpoint == Endpoint::NewOrder).unwrap();
    assert_eq!((seen.names, seen.status), (vec!["kept.shops.test".to_owned()], Some(201)));
    assert_eq!(seen.outcome, Outcome::Passed);
    issuance.ca.assert_all_rules_met();
}
