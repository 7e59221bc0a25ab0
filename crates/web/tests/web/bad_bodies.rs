//! Bodies that are refused, and the few that are not.

use axum::body::Body;
use http::StatusCode;
use serde_json::json;

use crate::support::Bench;

const PATH: &str = "/v1/domains/shop.example-shops.test";

async fn refused(bench: &Bench, token: &str, body: impl Into<Body>) -> (u16, String) {
    let answer = bench.put(PATH).token(token).json(body).send().await;
    (answer.status.as_u16(), answer.code())
}

#[tokio::test]
async fn what_is_not_json_is_a_bad_request() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let utf16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let nested = "[".repeat(30_000);
    let deep = format!("{{\"template\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let bodies: [Vec<u8>; 10] = [
        b"{".to_vec(),
        b"{\"external_id\":\"a\",}".to_vec(),
        b"{\"external_id\":NaN}".to_vec(),
        b"{} {}".to_vec(),
        b"\"\\ud800\"".to_vec(),
        b"{\"external_id\":\"\\ud800\"}".to_vec(),
        b"{\"external_id\":\"\xff\"}".to_vec(),
        utf16,
        nested.into_bytes(),
        deep.into_bytes(),
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let (status, code) = refused(&bench, &token, body).await;
        assert!(status == 400 && code == "invalid_json" || status == 422, "{shown}: {status} {code}");
    }
    assert_eq!(bench.get(PATH).token(&token).send().await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn json_of_another_shape_cannot_be_processed() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    for body in [
        "null",
        "1",
        "true",
        "\"x\"",
        "[1,2,3]",
        "[]",
        " [\"shop-1\"]",
        "{\"external_id\":\"a\",\"external_id\":\"b\"}",
    ] {
        assert_eq!(refused(&bench, &token, body).await, (422, "invalid_body".into()), "{body}");
    }
}

#[tokio::test]
async fn a_field_that_is_not_known_is_named() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    for (body, pointer) in [
        ("{\"colour\":[]}", "/colour"),
        ("{\"name\":\"other.example\"}", "/name"),
        ("{\"tenant_id\":\"ten_0\"}", "/tenant_id"),
        ("{\"status\":\"active\"}", "/status"),
        ("{\"EXTERNAL_ID\":\"a\"}", "/EXTERNAL_ID"),
    ] {
        let answer = bench.put(PATH).token(&token).json(body).send().await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "invalid_field"), "{body}");
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer);
    }
}

#[tokio::test]
async fn a_bad_field_is_named() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let wrong_types = [
        json!(1),
        json!(9_007_199_254_740_993_u64),
        json!(-0.0),
        json!(1e300),
        json!(true),
        json!([]),
        json!({}),
    ];
    let bad_labels = [
        json!(""),
        json!(" a"),
        json!("a\u{0}"),
        json!("a\r\nBcc: x"),
        json!("a\u{202e}b"),
        json!("x".repeat(201)),
    ];
    let bad_references =
        [json!(""), json!("../../etc/passwd"), json!("{{7*7}}"), json!("storefront;"), json!("Storefront")];
    let cases = wrong_types.iter().chain(&bad_labels).map(|value| ("external_id", value));
    for (field, value) in
        cases.chain(wrong_types.iter().chain(&bad_references).map(|value| ("template", value)))
    {
        let answer = bench.put(PATH).token(&token).json(json!({ field: value }).to_string()).send().await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (422, "invalid_field"),
            "{field}: {value}"
        );
        assert_eq!(answer.json()["errors"][0]["pointer"], format!("/{field}"));
    }
}

#[tokio::test]
async fn a_template_that_does_not_exist_is_refused() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    for template in ["nowhere", "redirect:dedicated"] {
        let body = json!({ "template": template }).to_string();
        assert_eq!(refused(&bench, &token, body).await, (422, "unknown_template".into()), "{template}");
    }
    for template in ["storefront", "redirect", "redirect:shared"] {
        let body = json!({ "template": template }).to_string();
        let answer = bench.put(PATH).token(&token).json(body).send().await;
        assert!(answer.status.is_success(), "{template}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_body_needs_the_content_type_of_json_and_no_body_needs_none() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    for kind in ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"] {
        let answer = bench.put(PATH).token(&token).header("content-type", kind).body("{}").send().await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
        assert_eq!(answer.code(), "unsupported_media_type");
    }
    let packed = bench.put(PATH).token(&token).json("{}").header("content-encoding", "gzip").send().await;
    assert_eq!(packed.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(bench.put(PATH).token(&token).send().await.status, StatusCode::CREATED);
    let explicit = bench.put(PATH).token(&token).header("content-type", "Application/JSON; charset=UTF-8");
    assert_eq!(explicit.body("{\"external_id\":null}").send().await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_beyond_64_kib_is_too_large() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let body = format!("{{\"external_id\":\"{}\"}}", "x".repeat(10_000_000));
    assert_eq!(refused(&bench, &token, body).await, (413, "body_too_large".into()));
}
