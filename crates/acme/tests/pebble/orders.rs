//! Orders as they go, and as they do not.

use certmill_acme::{AccountCredentials, AcmeError, Client, PlaceOrder, PrivateKey};
use certmill_lab::{Part, PebbleOptions};
use certmill_model::{Clock, Hostname, KeyType, OrderStatus, ProblemCode, SystemClock};

use crate::ca::{Ca, clock, http_01, soon};

#[tokio::test]
async fn an_order_is_issued_step_by_step() {
    let ca = Ca::up(0).await;
    let client = ca.client().await;
    let names = ca.names(&["shop.owners.test", "www.shop.owners.test"]).await;
    let key = PrivateKey::generate(KeyType::EcdsaP256).await;

    let mut order = client.place(&PlaceOrder::of(&names)).await.unwrap();
    assert_eq!(order.status(), OrderStatus::Pending);
    let challenges = order.challenges(http_01).await.unwrap();
    assert_eq!(challenges.len(), 2);
    ca.publish(&challenges).await;
    order.answer().await.unwrap();
    order.await_ready(soon()).await.unwrap();
    order.finalize(&key).await.unwrap();
    let chain = order.await_certificate(soon()).await.unwrap();

    let issued = ca.verify(&chain, &key, &names).await;
    assert!(issued.not_after > SystemClock.now());
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn an_order_goes_on_from_its_url_after_each_step() {
    let ca = Ca::up(5).await;
    let client = ca.client().await;
    let key = PrivateKey::generate(KeyType::EcdsaP256).await;
    for stop_after in 0..5 {
        let names = ca.names(&[&format!("stop{stop_after}.owners.test")]).await;
        let mut order = client.place(&PlaceOrder::of(&names)).await.unwrap();
        let url = order.url().to_owned();
        if stop_after >= 1 {
            ca.publish(&order.challenges(http_01).await.unwrap()).await;
            order.answer().await.unwrap();
        }
        if stop_after >= 2 {
            order.await_ready(soon()).await.unwrap();
        }
        if stop_after >= 3 {
            order.finalize(&key).await.unwrap();
        }
        if stop_after >= 4 {
            order.await_certificate(soon()).await.unwrap();
        }
        drop(order);

        // A process that starts anew has no more than the credentials and the URL.
        let client = ca.client().await;
        let mut order = client.resume(&url).await.unwrap();
        let chain = ca.finish(&mut order, &key).await.unwrap();
        ca.verify(&chain, &key, &names).await;
    }
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn each_step_may_be_repeated_on_one_order() {
    let ca = Ca::up(0).await;
    let client = ca.client().await;
    let names = ca.names(&["twice.owners.test"]).await;
    let key = PrivateKey::generate(KeyType::EcdsaP256).await;
    let mut order = client.place(&PlaceOrder::of(&names)).await.unwrap();
    let first = ca.finish(&mut order, &key).await.unwrap();
    let second = ca.finish(&mut order, &key).await.unwrap();
    assert_eq!(first, second);
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn refused_nonces_lose_no_order() {
    let ca = Ca::up(5).await;
    for nonce_reject in [5, 30] {
        ca.lab.restart_pebble(PebbleOptions { nonce_reject, ..PebbleOptions::default() }).await.unwrap();
        let client = ca.client().await;
        for number in 0..30 {
            let names = ca.names(&[&format!("nonce{number}.owners.test")]).await;
            let key = PrivateKey::generate(KeyType::EcdsaP256).await;
            let mut order = client.place(&PlaceOrder::of(&names)).await.unwrap();
            let chain = ca.finish(&mut order, &key).await.unwrap();
            ca.verify(&chain, &key, &names).await;
        }
    }
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn a_wrong_answer_to_the_challenge_is_told_with_the_ca_s_words() {
    let ca = Ca::up(0).await;
    let client = ca.client().await;
    let names = ca.names(&["parked.owners.test"]).await;
    let mut order = client.place(&PlaceOrder::of(&names)).await.unwrap();
    let challenges = order.challenges(http_01).await.unwrap();
    ca.responder.publish_wrong(&challenges);
    order.answer().await.unwrap();
    let error = order.await_ready(soon()).await.unwrap_err();
    assert!(matches!(error, AcmeError::Refused { .. }), "{error:?}");
    assert_eq!(error.problem_code(), ProblemCode::HttpWrongResponse);
    let problem = error.problem().unwrap();
    assert_eq!(problem.identifier.as_deref(), Some("parked.owners.test"));
    assert!(problem.detail.contains("key authorization"), "{problem}");

    // Found again after a crash, it says the same, whatever is asked of it.
    let mut order = client.resume(order.url()).await.unwrap();
    assert_eq!(order.status(), OrderStatus::Invalid);
    for error in [
        order.challenges(http_01).await.err().unwrap(),
        order.await_ready(soon()).await.err().unwrap(),
        order.finalize(&PrivateKey::generate(KeyType::EcdsaP256).await).await.err().unwrap(),
        order.await_certificate(soon()).await.err().unwrap(),
    ] {
        assert_eq!(error.problem_code(), ProblemCode::HttpWrongResponse);
    }
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_unreachable() {
    let ca = Ca::up(0).await;
    let client = ca.client().await;
    ca.lab.set_addresses("closed.owners.test", &["127.0.0.99".parse().unwrap()]).await.unwrap();
    let mut order =
        client.place(&PlaceOrder::of(&[Hostname::parse("closed.owners.test").unwrap()])).await.unwrap();
    order.challenges(http_01).await.unwrap();
    order.answer().await.unwrap();
    let error = order.await_ready(soon()).await.unwrap_err();
    assert!(matches!(error, AcmeError::Refused { .. }), "{error:?}");
    assert_eq!(error.problem_code(), ProblemCode::HttpUnreachable);
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn the_same_account_key_finds_the_same_account() {
    let ca = Ca::up(5).await;
    let (first, _) = ca.register().await;
    let (second, credentials) = ca.register().await;
    assert_eq!(first, second);
    let bytes = credentials.secret_bytes().to_vec();
    let again = AccountCredentials::from_secret_bytes(bytes);
    let client = Client::open(&ca.settings, &again, clock()).await.unwrap();
    assert_eq!(client.account_url(), first);
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn a_ca_that_forgot_our_account_gets_no_second_one() {
    let ca = Ca::up(0).await;
    let client = ca.client().await;
    let names = ca.names(&["forgotten.owners.test"]).await;
    ca.lab.restart(Part::Pebble).await.unwrap();
    let error = client.place(&PlaceOrder::of(&names)).await.err().unwrap();
    assert!(matches!(error, AcmeError::NeedsOperator { .. }), "{error:?}");
    assert_eq!(error.problem_code(), ProblemCode::CaAccount);
    assert_eq!(error.problem().unwrap().short_kind(), "accountDoesNotExist");
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn an_order_that_the_ca_does_not_know_is_placed_anew() {
    let ca = Ca::up(0).await;
    let client = ca.client().await;
    let names = ca.names(&["known.owners.test"]).await;
    let order = client.place(&PlaceOrder::of(&names)).await.unwrap();
    let unknown = format!("{}x", order.url());
    let error = client.resume(&unknown).await.err().unwrap();
    assert!(matches!(error, AcmeError::NewOrder { .. }), "{error:?}");
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn a_ca_that_is_away_is_waited_for() {
    let ca = Ca::up(0).await;
    let client = ca.client().await;
    ca.lab.stop(Part::Pebble).await.unwrap();
    let error =
        client.place(&PlaceOrder::of(&[Hostname::parse("shop.owners.test").unwrap()])).await.err().unwrap();
    assert!(matches!(error, AcmeError::Retry { after: None, .. }), "{error:?}");
    assert_eq!(error.problem_code(), ProblemCode::CaUnavailable);
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn a_name_that_the_ca_rejects_is_not_offered_again() {
    let ca = Ca::up(0).await;
    let client = ca.client().await;
    let error = client.place(&PlaceOrder::of(&[Hostname::parse("*.shop.owners.test").unwrap()])).await;
    // Pebble takes the wildcard, but has no http-01 challenge for it.
    let error = error.unwrap().challenges(http_01).await.err().unwrap();
    assert!(matches!(error, AcmeError::NameRejected { .. }), "{error:?}");
    assert_eq!(error.detail(), "the CA offers no http-01 challenge for *.shop.owners.test");
    ca.lab.down().await.unwrap();
}
