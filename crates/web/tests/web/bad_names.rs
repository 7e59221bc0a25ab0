//! Names that are refused, through the path.

use http::StatusCode;

use crate::support::Bench;

const REFUSED: &str = include_str!("../../../../tests/corpus/names-refused.txt");
const CONVERTED: &str = include_str!("../../../../tests/corpus/names-converted.txt");

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()
}

#[tokio::test]
async fn no_refused_name_gets_in_and_each_is_told_why() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    for line in REFUSED.lines().filter(|line| !line.starts_with('#')) {
        let name: String = serde_json::from_str(line).unwrap();
        let path = format!("/v1/domains/{}", percent_encoded(&name));
        for call in [bench.put(&path), bench.get(&path), bench.delete(&path)] {
            let answer = call.token(&token).send().await;
            let code = answer.code();
            if name.is_empty() {
                assert_eq!(answer.status, StatusCode::NOT_FOUND, "{line}");
            } else if code == "domain_not_found" {
                // Valid, but special-use: only taking it in is refused.
                assert_eq!(answer.status, StatusCode::NOT_FOUND, "{line}");
            } else {
                assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{line}: {}", answer.text);
                assert!(code.starts_with("name_"), "{line}: {code}");
            }
        }
    }
    let list = bench.get("/v1/domains").token(&token).send().await.json();
    assert_eq!(list["data"], serde_json::json!([]));
}

#[tokio::test]
async fn every_spelling_of_a_name_is_one_domain() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    for line in CONVERTED.lines().filter(|line| !line.starts_with('#') && !line.contains("example.com")) {
        let (typed, canonical) = line.split_once('\t').unwrap();
        let typed: String = serde_json::from_str(typed).unwrap();
        let canonical: String = serde_json::from_str(canonical).unwrap();
        let answer =
            bench.put(&format!("/v1/domains/{}", percent_encoded(&typed))).token(&token).send().await;
        assert!(answer.status.is_success(), "{line}: {}", answer.text);
        assert_eq!(answer.json()["name"], canonical, "{line}");
    }
}

#[tokio::test]
async fn a_special_use_name_is_refused_unless_the_operator_allows_it() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let refused = bench.put("/v1/domains/shop.example.com").token(&token).send().await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, "name_special_use")
    );
    assert_eq!(bench.put("/v1/domains/shop.any.test").token(&token).send().await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_name_is_decoded_once_and_must_be_utf8() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("nordwind").await;
    let twice = bench.put("/v1/domains/shop%252eany.test").token(&token).send().await;
    assert_eq!(
        (twice.status, twice.code().as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, "name_forbidden_character")
    );
    for raw in ["%ff.test", "%c0%ae.test", "%ed%a0%80.test"] {
        let answer = bench.put(&format!("/v1/domains/{raw}")).token(&token).send().await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::BAD_REQUEST, "name_not_utf8"),
            "{raw}"
        );
    }
}
