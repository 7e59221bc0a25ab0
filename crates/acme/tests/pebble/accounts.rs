//! Accounts at a real CA: found by their key, and given a new one.

use certmill_acme::{
    AccountCredentials, AccountKey, AcmeError, Client, PlaceOrder, PrivateKey, find_account, register,
    roll_over,
};
use certmill_model::{KeyType, ProblemCode};

use crate::ca::{Ca, clock};

#[tokio::test]
async fn an_account_is_found_by_its_key_and_none_is_made_for_another() {
    let ca = Ca::up(5).await;
    let (url, _) = ca.register().await;
    assert_eq!(find_account(&ca.settings, &ca.key, clock()).await.unwrap().account_url, url);
    for _ in 0..2 {
        let error = find_account(&ca.settings, &AccountKey::generate(), clock()).await.err().unwrap();
        assert!(matches!(error, AcmeError::NeedsOperator { .. }), "{error:?}");
        assert_eq!(error.problem().unwrap().short_kind(), "accountDoesNotExist");
    }
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn an_account_goes_on_with_its_new_key_and_no_more_with_its_old_one() {
    let ca = Ca::up(5).await;
    let (url, old_credentials) = ca.register().await;
    let new = AccountKey::generate();
    // As often as a crash makes it be repeated.
    for _ in 0..3 {
        roll_over(&ca.settings, &url, &ca.key, &new, clock()).await.unwrap();
    }
    assert_eq!(find_account(&ca.settings, &new, clock()).await.unwrap().account_url, url);

    let credentials = AccountCredentials::of(&ca.settings, &url, &new);
    let client = Client::open(&ca.settings, &credentials, clock()).await.unwrap();
    let names = ca.names(&["rolled.owners.test"]).await;
    let key = PrivateKey::generate(KeyType::EcdsaP256).await;
    let mut order = client.place(&PlaceOrder::of(&names)).await.unwrap();
    let chain = ca.finish(&mut order, &key).await.unwrap();
    ca.verify(&chain, &key, &names).await;

    let client = Client::open(&ca.settings, &old_credentials, clock()).await.unwrap();
    assert!(client.place(&PlaceOrder::of(&names)).await.is_err());
    let error = find_account(&ca.settings, &ca.key, clock()).await.err().unwrap();
    assert_eq!(error.problem().unwrap().short_kind(), "accountDoesNotExist");
    ca.lab.down().await.unwrap();
}

#[tokio::test]
async fn a_key_of_another_account_does_not_become_ours() {
    let ca = Ca::up(0).await;
    let (url, _) = ca.register().await;
    let other = AccountKey::generate();
    register(&ca.settings, &other, clock()).await.unwrap();
    let error = roll_over(&ca.settings, &url, &ca.key, &other, clock()).await.unwrap_err();
    assert!(matches!(error, AcmeError::NeedsOperator { .. }), "{error:?}");
    assert_eq!(error.problem_code(), ProblemCode::CaAccount);
    ca.lab.down().await.unwrap();
}
