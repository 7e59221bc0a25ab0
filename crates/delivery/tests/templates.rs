//! What is rendered, read and served by a real nginx.

mod common;

use certmill_delivery::{DeliveryError, ProbeError, served_certificate, wait_until_served};
use certmill_model::Hostname;
use certmill_nginx::{Blame, Templates};
use common::{Build, Place, WAIT, certificate, curl, deliver, serve_http};

#[tokio::test]
async fn every_built_in_template_passes_nginx_without_a_warning_with_the_longest_names() {
    let place = Place::new();
    let session = place.local();
    session.prepare().await.unwrap();
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}.example.com", "b".repeat(49));
    assert_eq!(longest.len(), 253);
    let mut number = 0;
    for (name, form) in Templates::built_in().list() {
        number += 1;
        let template = format!("{name}:{}", form.as_str());
        let mut domains = vec![
            place.domain("1", "www.shop1.example.com", &template),
            place.domain("2", &longest[4..], &template),
        ];
        if name != "redirect" {
            domains.push(place.domain("3", "*.shop2.example.com", &template));
            domains.push(place.domain("4", &longest, &template));
        }
        let certificates: Vec<_> = domains.iter().map(|one| certificate(one).0).collect();
        session.send_certificates(&certificates).await.unwrap();
        let build = Build::render(&place, &Templates::built_in(), number, &domains);
        session.send_release(&build.whole(number)).await.unwrap();
        session.test(number).await.unwrap_or_else(|error| panic!("{template}: {error}"));
    }
    assert_eq!(number, 4);
}

#[tokio::test]
async fn a_name_that_two_domains_have_does_not_pass_the_test() {
    let place = Place::new();
    let session = place.local();
    session.prepare().await.unwrap();
    // In different shards, where rendering alone cannot see it.
    for (number, template) in [(1, "storefront"), (2, "storefront:dedicated")] {
        let domains = [
            place.domain("1", "shop.example.com", "storefront"),
            place.domain("2", "shop.example.com", template),
        ];
        let certificates: Vec<_> = domains.iter().map(|one| certificate(one).0).collect();
        session.send_certificates(&certificates).await.unwrap();
        let build = Build::render(&place, &Templates::built_in(), number, &domains);
        session.send_release(&build.whole(number)).await.unwrap();
        let error = session.test(number).await.unwrap_err();
        assert!(
            matches!(&error, DeliveryError::TestFailed { output } if output.contains("shop.example.com")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_resolve_is_named() {
    let place = Place::new();
    let session = place.local();
    session.prepare().await.unwrap();
    let mut domain = place.domain("1", "shop.example.com", "storefront");
    domain.upstream = certmill_model::UpstreamAddress::parse("no-such-host.invalid:80").unwrap();
    let build = Build::render(&place, &Templates::built_in(), 1, std::slice::from_ref(&domain));
    session.send_release(&build.whole(1)).await.unwrap();
    let Err(DeliveryError::TestFailed { output }) = session.test(1).await else {
        panic!("an upstream that does not exist passed the test");
    };
    let blame = Blame::find(&output, &place.config().root).unwrap();
    let file = String::from_utf8(build.files[&blame.path].clone()).unwrap();
    assert_eq!(blame.upstream_in(&file), Some(domain.upstream));
}

#[tokio::test]
async fn a_missing_certificate_of_a_dedicated_block_is_blamed_on_its_domain() {
    let place = Place::new();
    let session = place.local();
    session.prepare().await.unwrap();
    let domains = [
        place.domain("1", "shop1.example.com", "storefront:dedicated"),
        place.domain("801", "shop2.example.com", "storefront:dedicated"),
    ];
    session.send_certificates(&[certificate(&domains[0]).0]).await.unwrap();
    let build = Build::render(&place, &Templates::built_in(), 1, &domains);
    session.send_release(&build.whole(1)).await.unwrap();
    let Err(DeliveryError::TestFailed { output }) = session.test(1).await else {
        panic!("a block without its certificate passed the test");
    };
    assert!(output.contains(&domains[1].domain.to_string()), "{output}");
}

#[tokio::test]
async fn requests_go_where_the_template_says() {
    let mut place = Place::new();
    serve_http(place.upstream, "the shop");
    serve_http(place.responder, "the responder");
    let session = place.local();
    session.prepare().await.unwrap();
    place.start_nginx();
    let domains = [
        place.domain("1", "shop1.example.com", "storefront"),
        place.domain("2", "shop2.example.com", "storefront:dedicated"),
        place.domain("3", "shop3.example.com", "storefront-cached"),
        place.domain("4", "www.shop4.example.com", "redirect"),
        place.domain("5", "*.shop5.example.com", "storefront"),
    ];
    let (certificates, fingerprints): (Vec<_>, Vec<_>) = domains.iter().map(certificate).unzip();
    session.send_certificates(&certificates).await.unwrap();
    deliver(&session, &Build::render(&place, &Templates::built_in(), 1, &domains).whole(1)).await;
    for (domain, fingerprint) in domains.iter().zip(fingerprints) {
        wait_until_served(place.https, &domain.name, fingerprint, WAIT).await.unwrap();
    }

    for name in ["shop1.example.com", "shop2.example.com", "shop3.example.com", "any.shop5.example.com"] {
        let answer = place.curl_https(name, "/cart", &["-H", "X-Forwarded-For: 6.6.6.6"]);
        assert!(answer.starts_with("the shop\nGET /cart HTTP/1.1"), "{name}: {answer}");
        assert!(answer.contains(&format!("Host: {name}\r\n")), "{answer}");
        assert!(answer.contains("X-Forwarded-For: 127.0.0.1\r\n") && !answer.contains("6.6.6.6"), "{answer}");
    }
    let cached =
        |name: &str| place.curl_https(name, "/a.css", &["-D", "-", "-o", "/dev/null"]).to_lowercase();
    assert!(cached("shop3.example.com").contains("x-cache-status: miss"));
    assert!(cached("shop3.example.com").contains("x-cache-status: hit"));

    let port = place.https.port();
    let redirect = place.curl_https("www.shop4.example.com", "/a?b", &["-D", "-"]).to_lowercase();
    assert!(redirect.contains(&format!("location: https://shop4.example.com:{port}/a?b\r\n")), "{redirect}");

    let plain = |host: &str, path: &str| {
        curl(&["-i", "-H", &format!("Host: {host}"), &format!("http://{}{path}", place.http)])
    };
    for host in ["shop1.example.com", "shop2.example.com", "www.shop4.example.com", "x.shop5.example.com"] {
        let answer = plain(host, "/a?b");
        assert!(answer.contains(&format!("Location: https://{host}:{port}/a?b\r\n")), "{host}: {answer}");
    }
    assert!(plain("unknown.example.com", "/").starts_with("HTTP/1.1 404"));
    let challenge = plain("not-there-yet.example.com", "/.well-known/acme-challenge/token");
    assert!(challenge.contains("the responder\nGET /.well-known/acme-challenge/token"), "{challenge}");
    assert!(challenge.contains("Host: not-there-yet.example.com\r\n"), "{challenge}");
}

#[tokio::test]
async fn a_name_that_is_not_ours_gets_no_certificate_whatever_it_looks_like() {
    let mut place = Place::new();
    let session = place.local();
    session.prepare().await.unwrap();
    place.start_nginx();
    let domain = place.domain("1", "shop1.example.com", "storefront");
    let (file, fingerprint) = certificate(&domain);
    session.send_certificates(&[file]).await.unwrap();
    deliver(
        &session,
        &Build::render(&place, &Templates::built_in(), 1, std::slice::from_ref(&domain)).whole(1),
    )
    .await;
    wait_until_served(place.https, &domain.name, fingerprint, WAIT).await.unwrap();

    let stranger = Hostname::parse("other.example.com").unwrap();
    let error = served_certificate(place.https, &stranger, WAIT).await.unwrap_err();
    assert!(matches!(error, ProbeError::Refused { .. }), "{error}");
    let path = format!("01/{}", domain.domain);
    for server_name in [path.as_str(), "../live/01/x", "shop1.example.com/../x"] {
        let output = std::process::Command::new("openssl")
            .args(["s_client", "-servername", server_name, "-connect", &place.https.to_string()])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(!shown.contains("BEGIN CERTIFICATE"), "{server_name}: {shown}");
    }
}
