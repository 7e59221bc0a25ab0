//! Orders that replace a certificate, or ask for a profile, and certificates that are revoked.

use certmill_acme::{AcmeError, Client, LimitHit, Order, PlaceOrder, PrivateKey};
use certmill_model::KeyType;
use serde_json::{Value, json};

use crate::ca::{Asked, ScriptedCa, json_answer, names, order, problem, with_header};

const CERTIFICATE: &str = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";

async fn replace(client: &Client) -> Result<Order, AcmeError> {
    let names = names();
    client.place(&PlaceOrder { replaces: Some(CERTIFICATE), ..PlaceOrder::of(&names) }).await
}

async fn with_profile(client: &Client, profile: &str) -> Result<Order, AcmeError> {
    let names = names();
    client.place(&PlaceOrder { profile: Some(profile), ..PlaceOrder::of(&names) }).await
}

fn echo(asked: &Asked<'_>) -> Value {
    let mut order = order(asked.base, "pending");
    order["replaces"] = asked.payload["replaces"].clone();
    order
}

#[tokio::test]
async fn the_certificate_to_replace_is_named_to_the_ca() {
    let ca = ScriptedCa::start(|asked| {
        let named = asked.path == "/new-order" && asked.payload["replaces"] == CERTIFICATE;
        named.then(|| json_answer(201, &echo(asked)))
    })
    .await;
    let order = replace(&ca.client().await.unwrap()).await.unwrap();
    assert_eq!(order.url(), ca.order_url());
    assert_eq!(ca.asked("/order/1"), 0);
}

#[tokio::test]
async fn an_order_whose_ca_does_not_repeat_what_it_replaces_is_not_lost() {
    let ca = ScriptedCa::start(|_| None).await;
    let mut order = replace(&ca.client().await.unwrap()).await.unwrap();
    assert_eq!(order.url(), ca.order_url());
    assert_eq!(ca.asked("/new-order"), 1);
    order.refresh().await.unwrap();
}

#[tokio::test]
async fn an_order_that_was_made_with_a_body_of_nonsense_is_not_lost() {
    let ca = ScriptedCa::start(|asked| {
        (asked.path == "/new-order").then(|| json_answer(201, &json!("<h1>Created</h1>")))
    })
    .await;
    assert_eq!(ca.place().await.unwrap().url(), ca.order_url());
    assert_eq!(ca.asked("/new-order"), 1);
}

#[tokio::test]
async fn a_ca_without_renewal_info_hears_nothing_of_replacing() {
    let ca = ScriptedCa::start(|asked| match asked.path {
        "/directory" => {
            let url = |path: &str| format!("{}{path}", asked.base);
            let document =
                json!({"newNonce": url("/nonce"), "newAccount": url("/account"), "newOrder": url("/new-order")});
            Some(json_answer(200, &document))
        }
        "/new-order" => {
            assert!(asked.payload.get("replaces").is_none());
            None
        }
        _ => None,
    })
    .await;
    let client = ca.client().await.unwrap();
    assert!(!client.has_renewal_info());
    replace(&client).await.unwrap();
}

#[tokio::test]
async fn what_is_no_name_of_a_certificate_is_left_out() {
    let ca = ScriptedCa::start(|asked| {
        assert!(asked.payload.get("replaces").is_none());
        None
    })
    .await;
    let names = names();
    let order = PlaceOrder { replaces: Some("nonsense"), ..PlaceOrder::of(&names) };
    ca.client().await.unwrap().place(&order).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_was_replaced_before_is_ordered_without_naming_it() {
    for (status, kind) in [(409, "alreadyReplaced"), (403, "unauthorized"), (404, "malformed")] {
        let ca = ScriptedCa::start(move |asked| {
            let named = asked.path == "/new-order" && asked.payload.get("replaces").is_some();
            named.then(|| json_answer(status, &problem(kind, "no such certificate of yours to replace")))
        })
        .await;
        let client = ca.client().await.unwrap();
        let error = replace(&client).await.err().unwrap();
        assert!(matches!(error, AcmeError::WithoutReplaces { .. }), "{error:?}");
        client.place(&PlaceOrder::of(&names())).await.unwrap();
    }
}

#[tokio::test]
async fn a_profile_that_is_offered_is_asked_for() {
    let ca = ScriptedCa::start(|asked| {
        if asked.path == "/new-order" {
            assert_eq!(asked.payload["profile"], "classic");
        }
        None
    })
    .await;
    with_profile(&ca.client().await.unwrap(), "classic").await.unwrap();
}

#[tokio::test]
async fn a_profile_that_is_not_offered_is_not_asked_for() {
    let ca = ScriptedCa::start(|_| None).await;
    let error = with_profile(&ca.client().await.unwrap(), "shortlived").await.err().unwrap();
    assert!(matches!(error, AcmeError::WithoutProfile { .. }), "{error:?}");
    assert_eq!(error.detail(), r#"the CA offers no profile "shortlived""#);
    assert_eq!(ca.asked("/new-order"), 0);
}

#[tokio::test]
async fn a_profile_that_was_withdrawn_since_is_told_so() {
    let ca = ScriptedCa::start(|asked| {
        (asked.path == "/new-order").then(|| json_answer(400, &problem("invalidProfile", "not any more")))
    })
    .await;
    let error = with_profile(&ca.client().await.unwrap(), "classic").await.err().unwrap();
    assert!(matches!(error, AcmeError::WithoutProfile { .. }), "{error:?}");
}

#[tokio::test]
async fn a_profile_refused_at_the_end_is_left_out_only_by_who_named_it() {
    let ca = ScriptedCa::start(|asked| match asked.path {
        "/new-order" => Some(json_answer(201, &order(asked.base, "ready"))),
        "/order/1" => {
            let mut order = order(asked.base, "invalid");
            order["error"] = problem("invalidProfile", "not any more");
            Some(json_answer(200, &order))
        }
        "/finalize/1" => Some(json_answer(400, &problem("invalidProfile", "not any more"))),
        _ => None,
    })
    .await;
    let client = ca.client().await.unwrap();
    let key = PrivateKey::generate(KeyType::EcdsaP256).await;
    let mut named = with_profile(&client, "classic").await.unwrap();
    let error = named.finalize(&key).await.unwrap_err();
    assert!(matches!(error, AcmeError::WithoutProfile { .. }), "{error:?}");
    named.refresh().await.unwrap();
    let error = named.finalize(&key).await.unwrap_err();
    assert!(matches!(error, AcmeError::WithoutProfile { .. }), "{error:?}");
    let mut unnamed = client.place(&PlaceOrder::of(&names())).await.unwrap();
    let mut resumed = client.resume(&ca.order_url()).await.unwrap();
    for order in [&mut unnamed, &mut resumed] {
        let error = order.finalize(&key).await.unwrap_err();
        assert!(matches!(error, AcmeError::NewOrder { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_paused_name_comes_with_the_page_that_ends_the_pause() {
    let ca = ScriptedCa::start(|asked| {
        let detail = "Your account is temporarily prevented from requesting certificates for shop.example.com \
            and possibly others. Please visit: https://sfe.ca.example/sfe/v1/unpause?jwt=eyJ.e30.x_-";
        (asked.path == "/new-order").then(|| json_answer(429, &problem("rateLimited", detail)))
    })
    .await;
    let error = ca.place().await.err().unwrap();
    let AcmeError::Paused { unpause_url, .. } = &error else { panic!("not paused: {error:?}") };
    assert_eq!(unpause_url, "https://sfe.ca.example/sfe/v1/unpause?jwt=eyJ.e30.x_-");
}

#[tokio::test]
async fn the_limit_is_told_by_the_link_in_the_answer_s_header() {
    let ca = ScriptedCa::start(|asked| {
        (asked.path == "/new-order").then(|| {
            let mut answer = with_header(json_answer(429, &problem("rateLimited", "too many")), "60");
            let link = "<https://ca.example/limits#new-certificates-per-registered-domain>;rel=\"help\"";
            answer.headers_mut().insert("link", link.parse().unwrap());
            answer
        })
    })
    .await;
    let error = ca.place().await.err().unwrap();
    assert_eq!(error.limit_hit(), Some(LimitHit::RegisteredDomain));
    assert!(!error.is_ca_side());
}

#[tokio::test]
async fn a_certificate_that_was_revoked_before_is_revoked() {
    for (status, kind) in [(200, ""), (400, "alreadyRevoked"), (400, "badRevocationReason")] {
        let ca = ScriptedCa::start(move |asked| {
            let answer = if kind.is_empty() { json!({}) } else { problem(kind, "no") };
            (asked.path == "/revoke").then(|| json_answer(status, &answer))
        })
        .await;
        match ca.client().await.unwrap().revoke(b"certificate").await {
            Ok(()) => assert_ne!(kind, "badRevocationReason"),
            Err(error) => {
                assert!(matches!(error, AcmeError::NeedsOperator { .. }), "{error:?}");
                assert_eq!(kind, "badRevocationReason");
            }
        }
    }
}
