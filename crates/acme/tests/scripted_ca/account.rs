//! Accounts: made, bound, found again, and given a new key.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use certmill_acme::{
    AccountCredentials, AccountKey, AcmeError, Client, ExternalAccount, PlaceOrder, find_account, register,
    roll_over,
};
use certmill_model::ProblemCode;
use serde_json::json;

use crate::ca::{Asked, ScriptedCa, clock, json_answer, names, problem, read, soon};

fn does_not_exist() -> axum::response::Response {
    json_answer(400, &problem("accountDoesNotExist", "no account has this key"))
}

fn asks_for_existing(asked: &Asked<'_>) -> bool {
    asked.path == "/account" && asked.payload["onlyReturnExisting"] == true
}

#[tokio::test]
async fn the_contacts_are_told_with_the_account() {
    let mut ca = ScriptedCa::start(|asked| {
        if asked.path == "/account" {
            assert_eq!(asked.payload["contact"], json!(["mailto:ops@platform.example"]));
            assert_eq!(asked.payload["termsOfServiceAgreed"], true);
            assert!(asked.payload.get("externalAccountBinding").is_none());
        }
        None
    })
    .await;
    ca.settings.contacts = vec!["mailto:ops@platform.example".to_owned()];
    register(&ca.settings, &AccountKey::generate(), clock()).await.unwrap();
    assert_eq!(ca.asked("/account/1"), 0);
}

#[tokio::test]
async fn the_contacts_of_an_older_account_are_brought_up_to_date() {
    let mut ca = ScriptedCa::start(|asked| match asked.path {
        "/account" => Some(json_answer(200, &json!({"status": "valid"}))),
        "/account/1" => {
            assert_eq!(asked.payload["contact"], json!(["mailto:ops@platform.example"]));
            Some(json_answer(200, &json!({"status": "valid"})))
        }
        _ => None,
    })
    .await;
    ca.settings.contacts = vec!["mailto:ops@platform.example".to_owned()];
    register(&ca.settings, &AccountKey::generate(), clock()).await.unwrap();
    assert_eq!(ca.asked("/account/1"), 1);
}

#[tokio::test]
async fn an_account_is_bound_to_the_one_that_the_operator_has() {
    let mut ca = ScriptedCa::start(|asked| match asked.path {
        _ if asks_for_existing(asked) => Some(does_not_exist()),
        "/account" => {
            let binding = &asked.payload["externalAccountBinding"];
            let (protected, payload) = read(binding.to_string().as_bytes());
            let url = format!("{}/account", asked.base);
            assert_eq!(protected, json!({"alg": "HS256", "kid": "kid-1", "url": url}));
            assert_eq!(payload, asked.protected["jwk"]);
            let text = |name: &str| binding[name].as_str().unwrap();
            let input = format!("{}.{}", text("protected"), text("payload"));
            let mac = URL_SAFE_NO_PAD.decode(text("signature")).unwrap();
            let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
            hmac::verify(&key, input.as_bytes(), &mac).unwrap();
            None
        }
        _ => None,
    })
    .await;
    ca.settings.external_account = Some(ExternalAccount::new("kid-1", "c2VjcmV0").unwrap());
    register(&ca.settings, &AccountKey::generate(), clock()).await.unwrap();
    assert_eq!(ca.asked("/account"), 2);
}

#[tokio::test]
async fn the_key_of_an_external_account_is_not_used_twice() {
    let mut ca = ScriptedCa::start(|asked| {
        assert!(asked.payload.get("externalAccountBinding").is_none());
        None
    })
    .await;
    ca.settings.external_account = Some(ExternalAccount::new("kid-1", "c2VjcmV0").unwrap());
    let registration = register(&ca.settings, &AccountKey::generate(), clock()).await.unwrap();
    assert!(registration.account_url.ends_with("/account/1"));
}

#[tokio::test]
async fn a_ca_that_wants_an_external_account_is_an_operator_s() {
    let ca = ScriptedCa::start(|asked| {
        let refusal = problem("externalAccountRequired", "bind it");
        (asked.path == "/account").then(|| json_answer(403, &refusal))
    })
    .await;
    let error = register(&ca.settings, &AccountKey::generate(), clock()).await.err().unwrap();
    assert!(matches!(error, AcmeError::NeedsOperator { .. }), "{error:?}");
    assert_eq!(error.problem_code(), ProblemCode::CaAccount);
}

#[tokio::test]
async fn a_known_account_that_is_gone_is_not_made_again() {
    let ca = ScriptedCa::start(|asked| asks_for_existing(asked).then(does_not_exist)).await;
    let error = find_account(&ca.settings, &AccountKey::generate(), clock()).await.err().unwrap();
    assert!(matches!(error, AcmeError::NeedsOperator { .. }), "{error:?}");
    assert_eq!(error.problem_code(), ProblemCode::CaAccount);
    assert_eq!(ca.asked("/account"), 1);
}

#[tokio::test]
async fn an_account_bears_eight_refused_nonces_and_then_waits() {
    for refusals in [8, 9] {
        let ca = ScriptedCa::start(move |asked| {
            let refused = asked.path == "/account" && asked.before < refusals;
            refused.then(|| json_answer(400, &problem("badNonce", "try again")))
        })
        .await;
        match register(&ca.settings, &AccountKey::generate(), clock()).await {
            Ok(_) => assert_eq!(refusals, 8),
            Err(error) => {
                assert_eq!(refusals, 9);
                assert!(matches!(error, AcmeError::Retry { .. }), "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_account_is_opened_from_its_url_and_its_key() {
    let ca = ScriptedCa::start(|_| None).await;
    let key = AccountKey::generate();
    let url = register(&ca.settings, &key, clock()).await.unwrap().account_url;
    let credentials = AccountCredentials::of(&ca.settings, &url, &key);
    let client = Client::open(&ca.settings, &credentials, clock()).await.unwrap();
    assert_eq!(client.account_url(), url);
    let mut order = client.place(&PlaceOrder::of(&names())).await.unwrap();
    assert!(order.await_ready(soon() - std::time::Duration::from_secs(5)).await.is_err());
}

/// A CA with an account whose key can be changed. It says `at_change` to that instead, if it says anything; `takes_effect`
/// tells whether the change is made all the same.
async fn ca_with_account(at_change: Option<(u16, &'static str)>, takes_effect: bool) -> ScriptedCa {
    let changed = AtomicBool::new(false);
    ScriptedCa::start(move |asked| match asked.path {
        _ if asks_for_existing(asked) => (!changed.load(SeqCst)).then(does_not_exist),
        "/key-change" => {
            let (protected, payload) = read(asked.payload.to_string().as_bytes());
            let account = format!("{}/account/1", asked.base);
            assert_eq!(protected["url"], format!("{}/key-change", asked.base));
            assert_eq!(protected.get("nonce"), None);
            assert_eq!(asked.protected["kid"], account);
            assert_eq!(payload["account"], account);
            assert_ne!(payload["oldKey"], protected["jwk"]);
            changed.fetch_or(takes_effect, SeqCst);
            Some(match at_change {
                Some((status, kind)) => json_answer(status, &problem(kind, "no")),
                None => json_answer(200, &json!({"status": "valid"})),
            })
        }
        _ => None,
    })
    .await
}

async fn change(ca: &ScriptedCa, account: &str) -> Result<(), AcmeError> {
    let url = ca.order_url().replace("order/1", account);
    roll_over(&ca.settings, &url, &AccountKey::generate(), &AccountKey::generate(), clock()).await
}

#[tokio::test]
async fn an_account_gets_a_new_key() {
    let ca = ca_with_account(None, true).await;
    change(&ca, "account/1").await.unwrap();
    assert_eq!(ca.asked("/key-change"), 1);
}

#[tokio::test]
async fn a_new_key_that_the_ca_has_already_is_not_sent_again() {
    let ca = ca_with_account(None, true).await;
    change(&ca, "account/1").await.unwrap();
    change(&ca, "account/1").await.unwrap();
    assert_eq!(ca.asked("/key-change"), 1);
}

#[tokio::test]
async fn a_change_of_keys_whose_answer_was_lost_is_found_done() {
    let ca = ca_with_account(Some((503, "serverInternal")), true).await;
    let error = change(&ca, "account/1").await.unwrap_err();
    assert!(matches!(error, AcmeError::Retry { .. }), "{error:?}");
    change(&ca, "account/1").await.unwrap();
    assert_eq!(ca.asked("/key-change"), 1);
}

#[tokio::test]
async fn a_change_of_keys_that_somebody_else_made_is_done() {
    for (status, kind) in [(409, "conflict"), (400, "accountDoesNotExist"), (403, "unauthorized")] {
        change(&ca_with_account(Some((status, kind)), true).await, "account/1").await.unwrap();
    }
}

#[tokio::test]
async fn a_change_of_keys_that_the_ca_refuses_is_an_operator_s() {
    for (status, kind) in [(409, "conflict"), (403, "unauthorized"), (400, "badPublicKey")] {
        let error =
            change(&ca_with_account(Some((status, kind)), false).await, "account/1").await.unwrap_err();
        assert!(matches!(error, AcmeError::NeedsOperator { .. }), "{error:?}");
        assert_eq!(error.problem().unwrap().short_kind(), kind);
    }
}

#[tokio::test]
async fn a_new_key_of_another_account_is_an_operator_s() {
    let ca = ScriptedCa::start(|_| None).await;
    let error = change(&ca, "account/2").await.unwrap_err();
    assert!(matches!(error, AcmeError::NeedsOperator { .. }), "{error:?}");
    assert!(error.detail().starts_with("the new key is that of another account"), "{}", error.detail());
    assert_eq!(ca.asked("/key-change"), 0);
}

#[tokio::test]
async fn a_ca_that_changes_no_keys_is_an_operator_s() {
    let ca = ScriptedCa::start(|asked| {
        let url = |path: &str| format!("{}{path}", asked.base);
        match asked.path {
            "/directory" => Some(json_answer(
                200,
                &json!({"newNonce": url("/nonce"), "newAccount": url("/account"), "newOrder": url("/new-order")}),
            )),
            _ => asks_for_existing(asked).then(does_not_exist),
        }
    })
    .await;
    let error = change(&ca, "account/1").await.unwrap_err();
    assert!(matches!(error, AcmeError::NeedsOperator { .. }), "{error:?}");
    assert!(error.detail().contains("account key rollover"), "{}", error.detail());
}
