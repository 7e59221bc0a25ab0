//! What a CA says of itself, and which of its URLs are asked for at which pace.

use std::sync::{Arc, Mutex};

use certmill_acme::{Pace, PlaceOrder};
use certmill_model::Endpoint::{self, Directory, NewAccount, NewNonce, NewOrder, Other};
use serde_json::json;

use crate::ca::{ScriptedCa, always, json_answer, names};

#[tokio::test]
async fn a_ca_says_by_which_names_it_goes_in_caa_records_and_what_it_offers() {
    let ca = ScriptedCa::start(always("/directory", |base| {
        let url = |path: &str| format!("{base}{path}");
        let meta = json!({
            "caaIdentities": ["CA.example"], "termsOfService": "https://ca.example/terms",
            "profiles": {"shortlived": "160 hours"}, "externalAccountRequired": false,
        });
        json_answer(
            200,
            &json!({"newNonce": url("/nonce"), "newAccount": url("/account"), "newOrder": url("/new-order"), "meta": meta}),
        )
    }))
    .await;
    let client = ca.client().await.unwrap();
    assert_eq!(client.identities(), ["ca.example"]);
    assert_eq!(client.profiles()["shortlived"], "160 hours");
    assert_eq!(client.meta().terms_of_service.as_deref(), Some("https://ca.example/terms"));
    assert!(!client.has_renewal_info());
}

#[tokio::test]
async fn a_ca_that_says_nothing_of_itself_is_a_ca() {
    let ca = ScriptedCa::start(always("/directory", |base| {
        let url = |path: &str| format!("{base}{path}");
        json_answer(
            200,
            &json!({"newNonce": url("/nonce"), "newAccount": url("/account"), "newOrder": url("/new-order")}),
        )
    }))
    .await;
    let client = ca.client().await.unwrap();
    assert!(client.identities().is_empty());
    assert!(client.profiles().is_empty());
}

#[tokio::test]
async fn a_ca_that_says_odd_things_of_itself_is_a_ca() {
    for odd in [
        json!({"profiles": {"classic": {"url": "https://ca.example/classic"}, "shortlived": null}}),
        json!({"profiles": ["classic"]}),
        json!({"profiles": null}),
        json!("odd"),
        json!(null),
    ] {
        let document = move |base: &str| {
            let url = |path: &str| format!("{base}{path}");
            json!({"newNonce": url("/nonce"), "newAccount": url("/account"), "newOrder": url("/new-order"), "meta": odd})
        };
        let ca = ScriptedCa::start(always("/directory", move |base| json_answer(200, &document(base)))).await;
        let client = ca.client().await.unwrap();
        assert!(client.place(&PlaceOrder::of(&names())).await.is_ok());
    }
}

#[tokio::test]
async fn a_profile_that_is_described_oddly_can_be_asked_for() {
    let ca = ScriptedCa::start(|asked| match asked.path {
        "/directory" => {
            let url = |path: &str| format!("{}{path}", asked.base);
            let meta = json!({"profiles": {"classic": {"days": 90}}});
            let document = json!({"newNonce": url("/nonce"), "newAccount": url("/account"), "newOrder": url("/new-order"), "meta": meta});
            Some(json_answer(200, &document))
        }
        "/new-order" => {
            assert_eq!(asked.payload["profile"], "classic");
            None
        }
        _ => None,
    })
    .await;
    let client = ca.client().await.unwrap();
    let names = names();
    client.place(&PlaceOrder { profile: Some("classic"), ..PlaceOrder::of(&names) }).await.unwrap();
}

#[tokio::test]
async fn each_request_is_held_until_it_may_go() {
    let mut ca = ScriptedCa::start(|_| None).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let book = seen.clone();
    ca.settings.pace = Some(Pace::new(move |endpoint| {
        let book = book.clone();
        async move {
            tokio::task::yield_now().await;
            book.lock().unwrap().push(endpoint);
        }
    }));
    let client = ca.client().await.unwrap();
    let mut order = client.place(&PlaceOrder::of(&names())).await.unwrap();
    order.refresh().await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(*seen, [Directory, NewNonce, NewAccount, Directory, NewNonce, NewOrder, Other]);
}

#[tokio::test]
async fn a_request_that_is_held_for_long_does_not_time_out() {
    let mut ca = ScriptedCa::start(|_| None).await;
    let wait = ca.settings.request_timeout + std::time::Duration::from_millis(100);
    ca.settings.pace = Some(Pace::new(move |endpoint: Endpoint| async move {
        if endpoint == NewOrder {
            tokio::time::sleep(wait).await;
        }
    }));
    assert!(ca.place().await.is_ok());
}
