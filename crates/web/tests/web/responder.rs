//! The http-01 responder.

use http::StatusCode;

use crate::support::Bench;

#[tokio::test]
async fn a_known_token_is_answered_for_any_host_and_with_no_credentials() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    bench.register(&token, "shop.example-shops.test").await;
    let path = "/.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";
    assert_eq!(bench.get(path).send().await.code(), "challenge_not_found");

    // Stored right after it was asked for in vain: it must be answered at once.
    bench.place_order("shop.example-shops.test", &path[28..]).await;
    for host in ["shop.example-shops.test", "203.0.113.7", "another.example"] {
        let answer = bench.get(path).header("host", host).send().await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (StatusCode::OK, "application/octet-stream")
        );
        assert_eq!(answer.text, format!("{}.thumbprint", &path[28..]));
        assert_eq!(answer.header("set-cookie"), "");
    }
}

#[tokio::test]
async fn only_the_exact_token_is_answered() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    bench.register(&token, "shop.example-shops.test").await;
    bench.place_order("shop.example-shops.test", "AbC-123_x").await;
    let long = "a".repeat(129);
    for odd in [
        "abc-123_x",
        "AbC-123_",
        "AbC-123_xx",
        "AbC-123_x%20",
        "AbC-123_x%00",
        "%41bC-123_x%2f",
        "..%2f..%2fx",
        "$(id)",
        "%ff",
        "AbC-123_x/",
        &long,
    ] {
        let answer = bench.get(&format!("/.well-known/acme-challenge/{odd}")).send().await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{odd}");
    }
    assert_eq!(bench.get("/.well-known/acme-challenge/AbC-123_x").send().await.status, StatusCode::OK);
}

#[tokio::test]
async fn our_own_probe_is_answered_without_the_database_and_only_in_its_own_form() {
    let bench = Bench::new().await;
    // Every connection of the pool is taken: whoever needs one waits for long.
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.push(bench.api.platform().await.unwrap());
    }
    let probe = bench.get("/.well-known/acme-challenge/certmill-probe-a1B2_c3").send().await;
    assert_eq!((probe.status, probe.text.as_str()), (StatusCode::OK, "certmill-probe-a1B2_c3.certmill"));
    assert_eq!(probe.header("content-type"), "application/octet-stream");
    for odd in ["certmill-probe-a.b", "certmill-probe-%3Cb%3E", "certmill-probe-%0d%0a"] {
        let answer = bench.get(&format!("/.well-known/acme-challenge/{odd}")).send().await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{odd}");
    }
}
