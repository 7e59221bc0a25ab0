//! Orders at CAs that are busy, odd or hostile.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use certmill_acme::{AcmeError, Challenge, PrivateKey};
use certmill_model::{KeyType, OrderStatus, ProblemCode};
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::{net::TcpListener, time::Instant};

use crate::ca::{ScriptedCa, always, authorization, http_01, json_answer, order, problem, soon, with_header};

/// Where nothing may be sent to.
const FOREIGN: [&str; 4] =
    ["http://169.254.169.254/latest", "https://localhost/x", "http://127.0.0.1/x", "https://127.0.0.1:1/x"];

#[tokio::test]
async fn where_the_script_is_silent_orders_go_through() {
    let ca = ScriptedCa::start(|_| None).await;
    let mut order = ca.place().await.unwrap();
    let challenges = order.challenges(http_01).await.unwrap();
    assert_eq!(challenges.len(), 1);
    let Challenge::Http01(challenge) = &challenges[0] else { panic!("another kind than chosen") };
    assert_eq!(challenge.identifier, "shop.example.com");
    assert!(challenge.key_authorization.starts_with("token."));
    order.answer().await.unwrap();
    order.await_ready(soon()).await.unwrap();
    order.finalize(&PrivateKey::generate(KeyType::EcdsaP256).await).await.unwrap();
    order.await_certificate(soon()).await.unwrap();
    // Valid at once, so that nothing is left to poll for.
    assert_eq!(ca.asked("/order/1"), 1);
}

#[tokio::test]
async fn an_order_begins_with_the_nonce_that_the_last_one_left() {
    let ca = ScriptedCa::start(|_| None).await;
    let client = ca.client().await.unwrap();
    let before = ca.asked("/nonce");
    for _ in 0..3 {
        let mut order = client.resume(&ca.order_url()).await.unwrap();
        order.refresh().await.unwrap();
    }
    assert_eq!(ca.asked("/nonce") - before, 1);
    assert_eq!(ca.asked("/order/1"), 6);
}

#[tokio::test]
async fn no_url_of_a_ca_leads_anywhere_else() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = format!("https://{}/x", nobody.local_addr().unwrap());
    for foreign in FOREIGN.into_iter().map(str::to_owned).chain([elsewhere]) {
        let in_directory = foreign.clone();
        let ca = ScriptedCa::start(always("/directory", move |_| {
            let url = &in_directory;
            json_answer(200, &json!({"newNonce": url, "newAccount": url, "newOrder": url}))
        }))
        .await;
        let error = ca.client().await.err().unwrap();
        assert!(matches!(error, AcmeError::NeedsOperator { .. }), "{error:?}");
        assert_eq!(
            error.detail(),
            format!("the CA gave {foreign:?}, which is not on its own server, as a URL to go to")
        );

        let in_order = foreign.clone();
        let ca =
            ScriptedCa::start(always("/new-order", move |_| json_answer(201, &order_elsewhere(&in_order))))
                .await;
        let mut order = ca.place().await.unwrap();
        assert!(matches!(order.challenges(http_01).await, Err(AcmeError::NeedsOperator { .. })));
    }
    let knock = tokio::time::timeout(Duration::from_millis(50), nobody.accept()).await;
    assert!(knock.is_err(), "somebody connected");
}

fn order_elsewhere(url: &str) -> serde_json::Value {
    json!({"status": "pending", "identifiers": [], "authorizations": [url], "finalize": url})
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let ca =
        ScriptedCa::start(always("/new-order", |_| Redirect::temporary("/order/1").into_response())).await;
    let error = ca.place().await.err().unwrap();
    assert!(matches!(error, AcmeError::NeedsOperator { .. }), "{error:?}");
    assert_eq!(ca.asked("/order/1"), 0);
}

#[tokio::test]
async fn a_forbidden_token_reaches_nobody() {
    let long = "x".repeat(129);
    for token in ["../../x", "$(id)", "a/b", "", "a\0", "a\r\nb", long.as_str()] {
        let token_sent = token.to_owned();
        let answer = move |base: &str| json_answer(200, &authorization(base, &token_sent));
        let ca = ScriptedCa::start(always("/authorization/1", answer)).await;
        let error = ca.place().await.unwrap().challenges(http_01).await.err().unwrap();
        assert!(matches!(error, AcmeError::NeedsOperator { .. }), "{token:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let ca = ScriptedCa::start(always("/new-order", |_| {
        // Large pieces: the end is to come by size, not by time.
        let spaces = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b' '; 16_384])));
        Response::new(Body::from_stream(spaces))
    }))
    .await;
    let error = ca.place().await.err().unwrap();
    assert_eq!(error.detail(), "the CA's answer is longer than 1 MiB");
    assert!(matches!(error, AcmeError::Retry { .. }), "{error:?}");
}

#[tokio::test]
async fn a_dripping_answer_is_given_up() {
    let ca = ScriptedCa::start(always("/new-order", |_| {
        let drops = stream::repeat(()).then(|()| async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok::<_, Infallible>(Bytes::from_static(b" "))
        });
        Response::new(Body::from_stream(drops))
    }))
    .await;
    let begin = Instant::now();
    let error = ca.place().await.err().unwrap();
    assert_eq!(error.detail(), "the CA did not answer within 2 s");
    assert!(begin.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_page_of_html_keeps_its_status_and_its_time() {
    for (status, code) in [(503, ProblemCode::CaUnavailable), (429, ProblemCode::CaRateLimited)] {
        let ca = ScriptedCa::start(always("/new-order", move |_| {
            with_header((StatusCode::from_u16(status).unwrap(), "<h1>no</h1>").into_response(), "120")
        }))
        .await;
        let error = ca.place().await.err().unwrap();
        assert!(
            matches!(&error, AcmeError::Retry { after, .. } if *after == Some(time::Duration::minutes(2))),
            "{error:?}"
        );
        assert_eq!(error.problem_code(), code);
        assert_eq!(error.problem().unwrap().status, Some(status));
    }
}

#[tokio::test]
async fn a_directory_that_is_away_is_a_ca_that_is_away() {
    let ca = ScriptedCa::start(always("/directory", |_| {
        with_header((StatusCode::SERVICE_UNAVAILABLE, "<h1>no</h1>").into_response(), "60")
    }))
    .await;
    let error = ca.client().await.err().unwrap();
    assert!(
        matches!(&error, AcmeError::Retry { after, .. } if *after == Some(time::Duration::minutes(1))),
        "{error:?}"
    );
    assert_eq!(error.problem_code(), ProblemCode::CaUnavailable);
}

#[tokio::test]
async fn a_success_that_is_no_document_is_tried_again() {
    let ca = ScriptedCa::start(always("/new-order", |_| "<h1>Welcome</h1>".into_response())).await;
    let error = ca.place().await.err().unwrap();
    assert!(matches!(error, AcmeError::Retry { .. }), "{error:?}");
    assert_eq!(error.detail(), "the CA's answer (HTTP status 200) is no ACME document");
}

#[tokio::test]
async fn a_rate_limit_waits_until_the_date_that_the_ca_names() {
    let ca = ScriptedCa::start(always("/new-order", |_| {
        with_header(json_answer(429, &problem("rateLimited", "too many")), "Sat, 21 Nov 2026 15:00:00 GMT")
    }))
    .await;
    let error = ca.place().await.err().unwrap();
    assert!(
        matches!(&error, AcmeError::Retry { after, .. } if *after == Some(time::Duration::hours(3))),
        "{error:?}"
    );
    assert_eq!(error.problem().unwrap().retry_after, Some(3 * 3_600));
}

#[tokio::test]
async fn eight_refused_nonces_in_a_row_are_borne_and_nine_are_tried_again_later() {
    for refusals in [8, 9] {
        let ca = ScriptedCa::start(move |asked| {
            let refused = asked.path == "/new-order" && asked.before < refusals;
            refused.then(|| json_answer(400, &problem("badNonce", "try again")))
        })
        .await;
        match ca.place().await {
            Ok(_) => assert_eq!(refusals, 8),
            Err(error) => {
                assert_eq!(refusals, 9);
                assert!(matches!(error, AcmeError::Retry { .. }), "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_reason_is_found_although_the_order_does_not_tell_it() {
    let ca = ScriptedCa::start(|asked| match (asked.path, asked.before) {
        ("/order/1", _) => Some(json_answer(200, &order(asked.base, "invalid"))),
        ("/authorization/1", 1..) => Some(json_answer(200, &failed_authorization(asked.base))),
        _ => None,
    })
    .await;
    let mut order = ca.place().await.unwrap();
    order.challenges(http_01).await.unwrap();
    order.answer().await.unwrap();
    let error = order.await_ready(soon()).await.unwrap_err();
    assert!(matches!(error, AcmeError::Refused { .. }), "{error:?}");
    assert_eq!(error.problem_code(), ProblemCode::HttpUnreachable);
    assert_eq!(error.detail(), "connection: 192.0.2.1: Timeout during connect");
}

#[tokio::test]
async fn a_challenge_that_fails_at_once_is_told_with_its_name() {
    let ca = ScriptedCa::start(|asked| match (asked.path, asked.before) {
        ("/challenge/1", _) => {
            let mut challenge = failed_authorization(asked.base)["challenges"][1].take();
            challenge["status"] = "invalid".into();
            Some(json_answer(200, &challenge))
        }
        ("/order/1", _) => Some(json_answer(200, &order(asked.base, "invalid"))),
        ("/authorization/1", 1..) => Some(json_answer(200, &failed_authorization(asked.base))),
        _ => None,
    })
    .await;
    let mut order = ca.place().await.unwrap();
    order.challenges(http_01).await.unwrap();
    order.answer().await.unwrap();
    let error = order.await_ready(soon()).await.unwrap_err();
    let [failed] = error.failed_names() else { panic!("not one name failed: {error:?}") };
    assert_eq!(failed.identifier, "shop.example.com");
    assert_eq!(failed.code, ProblemCode::HttpUnreachable);
}

#[tokio::test]
async fn every_name_that_failed_is_told() {
    let ca = ScriptedCa::start(|asked| match asked.path {
        "/order/1" => {
            let mut order = order(asked.base, "invalid");
            let url = |number| format!("{}/authorization/{number}", asked.base);
            order["authorizations"] = json!([url(1), url(2), url(3)]);
            Some(json_answer(200, &order))
        }
        "/authorization/1" => Some(json_answer(200, &failed_authorization(asked.base))),
        "/authorization/2" => Some(json_answer(200, &authorization(asked.base, "token"))),
        "/authorization/3" => {
            let mut document = failed_authorization(asked.base);
            document["wildcard"] = true.into();
            document["challenges"][1]["type"] = "dns-01".into();
            document["challenges"][1]["error"] = problem("unauthorized", "no TXT record found");
            Some(json_answer(200, &document))
        }
        _ => None,
    })
    .await;
    let mut order = ca.client().await.unwrap().resume(&ca.order_url()).await.unwrap();
    let error = order.await_ready(soon()).await.unwrap_err();
    assert_eq!(error.problem_code(), ProblemCode::HttpUnreachable);
    let failed: Vec<_> = error.failed_names().iter().map(|name| (&*name.identifier, name.code)).collect();
    assert_eq!(
        failed,
        [
            ("shop.example.com", ProblemCode::HttpUnreachable),
            ("*.shop.example.com", ProblemCode::DnsNotPropagated)
        ]
    );
}

#[tokio::test]
async fn an_order_that_was_given_up_without_a_reason_is_placed_anew() {
    let invalid = |base: &str| json_answer(200, &order(base, "invalid"));
    let ca = ScriptedCa::start(always("/order/1", invalid)).await;
    let mut order = ca.client().await.unwrap().resume(&ca.order_url()).await.unwrap();
    let error = order.await_ready(soon()).await.unwrap_err();
    assert!(matches!(error, AcmeError::NewOrder { .. }), "{error:?}");
}

#[tokio::test]
async fn an_order_for_a_name_proved_before_has_no_challenge() {
    let ready = |base: &str| json_answer(201, &order(base, "ready"));
    let ca = ScriptedCa::start(always("/new-order", ready)).await;
    let mut order = ca.place().await.unwrap();
    assert!(order.challenges(http_01).await.unwrap().is_empty());
    order.answer().await.unwrap();
    order.await_ready(soon()).await.unwrap();
    order.finalize(&PrivateKey::generate(KeyType::EcdsaP256).await).await.unwrap();
    assert_eq!(ca.asked("/authorization/1"), 0);
}

fn failed_authorization(base: &str) -> serde_json::Value {
    let mut document = authorization(base, "token");
    document["status"] = "invalid".into();
    document["challenges"][1]["error"] = problem("connection", "192.0.2.1: Timeout during connect");
    document
}

#[tokio::test]
async fn a_ca_that_asks_for_more_time_than_there_is_gets_it() {
    let processing = |base: &str| with_header(json_answer(200, &order(base, "processing")), "30");
    let ca = ScriptedCa::start(always("/order/1", processing)).await;
    let mut order = ca.client().await.unwrap().resume(&ca.order_url()).await.unwrap();
    assert_eq!(order.status(), OrderStatus::Processing);
    let begin = Instant::now();
    let error = order.await_certificate(soon()).await.unwrap_err();
    let asked = Some(time::Duration::seconds(30));
    assert!(matches!(error, AcmeError::StillProcessing { retry_after } if retry_after == asked), "{error:?}");
    assert!(begin.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_ca_that_asks_for_no_wait_is_looked_at_less_and_less_often() {
    for no_wait in ["0", "Sat, 21 Nov 2026 11:00:00 GMT"] {
        let processing = move |base: &str| with_header(json_answer(200, &order(base, "processing")), no_wait);
        let ca = ScriptedCa::start(always("/order/1", processing)).await;
        let mut order = ca.client().await.unwrap().resume(&ca.order_url()).await.unwrap();
        let error = order.await_certificate(Instant::now() + Duration::from_millis(500)).await.unwrap_err();
        assert!(matches!(error, AcmeError::StillProcessing { .. }), "{error:?}");
        // After 5, 5, 10, 20 … 160 ms; as fast as at first it would be a hundred.
        assert!((3..=8).contains(&ca.asked("/order/1")), "{}", ca.asked("/order/1"));
    }
}

#[tokio::test]
async fn an_order_that_stays_pending_is_parked_at_the_deadline() {
    let ca = ScriptedCa::start(|_| None).await;
    let mut order = ca.place().await.unwrap();
    let error = order.await_ready(Instant::now() + Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(error, AcmeError::StillProcessing { retry_after: None }), "{error:?}");
}

#[tokio::test]
async fn an_order_that_somebody_finalized_in_between_goes_on() {
    let ca = ScriptedCa::start(|asked| match (asked.path, asked.before) {
        ("/finalize/1", _) => Some(json_answer(403, &problem("orderNotReady", "it is valid"))),
        ("/order/1", 1..) => Some(json_answer(200, &order(asked.base, "valid"))),
        _ => None,
    })
    .await;
    let mut order = ca.place().await.unwrap();
    order.challenges(http_01).await.unwrap();
    order.answer().await.unwrap();
    order.await_ready(soon()).await.unwrap();
    order.finalize(&PrivateKey::generate(KeyType::EcdsaP256).await).await.unwrap();
    assert_eq!(order.status(), OrderStatus::Valid);
}

#[tokio::test]
async fn an_order_that_was_given_up_in_between_tells_why() {
    let ca = ScriptedCa::start(|asked| match (asked.path, asked.before) {
        ("/finalize/1", _) => Some(json_answer(403, &problem("orderNotReady", "it is invalid"))),
        ("/new-order", _) => Some(json_answer(201, &order(asked.base, "ready"))),
        ("/order/1", _) => {
            let mut order = order(asked.base, "invalid");
            order["error"] = problem("caa", "CAA record for shop.example.com prevents issuance");
            Some(json_answer(200, &order))
        }
        _ => None,
    })
    .await;
    let mut order = ca.place().await.unwrap();
    let error = order.finalize(&PrivateKey::generate(KeyType::EcdsaP256).await).await.unwrap_err();
    assert!(matches!(error, AcmeError::Refused { .. }), "{error:?}");
    assert_eq!(error.problem_code(), ProblemCode::CaaForbids);
}

#[tokio::test]
async fn an_order_that_broke_inside_the_ca_is_placed_anew() {
    let ca = ScriptedCa::start(always("/order/1", |base| {
        let mut order = order(base, "invalid");
        order["error"] = problem("serverInternal", "Error finalizing order");
        json_answer(200, &order)
    }))
    .await;
    let mut order = ca.client().await.unwrap().resume(&ca.order_url()).await.unwrap();
    let error = order.await_certificate(soon()).await.unwrap_err();
    assert!(matches!(error, AcmeError::NewOrder { .. }), "{error:?}");
    assert!(error.is_ca_side());
}

#[tokio::test]
async fn a_key_that_the_ca_does_not_take_is_told_so() {
    let ca = ScriptedCa::start(|asked| match asked.path {
        "/new-order" => Some(json_answer(201, &order(asked.base, "ready"))),
        "/finalize/1" => Some(json_answer(400, &problem("badPublicKey", "this key was compromised"))),
        _ => None,
    })
    .await;
    let mut order = ca.place().await.unwrap();
    let error = order.finalize(&PrivateKey::generate(KeyType::EcdsaP256).await).await.unwrap_err();
    assert!(matches!(error, AcmeError::NewKey { .. }), "{error:?}");
}
