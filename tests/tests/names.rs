//! Names and fields that are refused.

use std::collections::BTreeSet;

use certmill_lab::service::domain_path;
use certmill_tests::{Found, Stage, files_below};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn no_refused_name_or_field_is_taken_or_reaches_a_file_of_a_load_balancer() {
    let stage = Stage::set().await;
    let _certmill = stage.start().await;
    stage.put("first.shops.test").await;
    stage.active("first.shops.test").await;
    let before = delivered(&stage);
    let names = refused_names();
    for name in &names {
        is_refused(&stage, name).await;
    }
    eprintln!("{} of {} names were refused", names.len(), names.len());
    fields_are_refused(&stage).await;
    // Whatever had been taken would be delivered with this one.
    stage.put("second.shops.test").await;
    stage.active("second.shops.test").await;
    let after = delivered(&stage);
    for name in names.iter().filter(|name| !name.is_empty() && !mentioned(&before, name)) {
        assert!(!mentioned(&after, name), "{name:?} is on a load balancer");
    }
    let listed: Vec<_> =
        stage.shops.list().await.unwrap().iter().map(|domain| domain["name"].clone()).collect();
    assert_eq!(listed, [json!("first.shops.test"), json!("second.shops.test")]);
    assert_eq!(stage.database.count("SELECT count(*) FROM domains").await, 2);
}

async fn is_refused(stage: &Stage, name: &str) {
    let answer = stage.shops.send("PUT", &domain_path(name), None).await.unwrap();
    let sentence = answer.body["detail"].as_str().unwrap_or_default();
    let code = answer.body["code"].as_str().unwrap_or_default();
    // No name at all is another address.
    let expected = if name.is_empty() { 404..=405 } else { 422..=422 };
    assert!(expected.contains(&answer.status), "{name:?}: {answer:?}");
    assert!(!code.is_empty() && sentence.len() > 10, "{name:?}: {answer:?}");
}

async fn fields_are_refused(stage: &Stage) {
    let long = "x".repeat(201);
    let bodies = [
        json!({ "external_id": long }),
        json!({ "external_id": "" }),
        json!({ "external_id": "a\u{0}b" }),
        json!({ "external_id": "a\nb" }),
        json!({ "external_id": 7 }),
        json!({ "template": "no-such-template" }),
        json!({ "template": "../storefront" }),
        json!({ "template": "storefront:shared;" }),
        json!({ "template": "{{7*7}}" }),
        json!({ "template": ["storefront"] }),
        json!({ "tenant": "other" }),
        json!({ "status": "active" }),
        json!({ "external_id": "a", "extra": 1 }),
        json!([null, null]),
        json!("storefront"),
        json!(7),
    ];
    for body in bodies {
        let answer = stage.shops.send("PUT", "/v1/domains/fields.shops.test", Some(&body)).await.unwrap();
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        assert!(answer.body["code"].is_string() && answer.body["detail"].is_string(), "{answer:?}");
    }
    let large = json!({ "external_id": "x".repeat(70_000) });
    let answer = stage.shops.send("PUT", "/v1/domains/fields.shops.test", Some(&large)).await.unwrap();
    assert_eq!((answer.status, &answer.body["code"]), (413, &json!("body_too_large")));
}

fn refused_names() -> BTreeSet<String> {
    let corpus = include_str!("../corpus/names-refused.txt");
    let lines = corpus.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| serde_json::from_str::<Value>(line).unwrap().as_str().unwrap().to_owned()).collect()
}

fn delivered(stage: &Stage) -> Vec<Found> {
    stage.load_balancers().iter().flat_map(|load_balancer| files_below(&load_balancer.root)).collect()
}

fn mentioned(files: &[Found], text: &str) -> bool {
    files.iter().any(|file| file.mentions(text))
}
