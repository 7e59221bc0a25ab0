//! The description of the API.

use crate::support::Bench;

#[test]
fn the_committed_description_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let renew = "cargo run -p certmill-web --example openapi > docs/openapi.json";
    assert!(committed == certmill_web::openapi_json(), "docs/openapi.json is out of date; run: {renew}");
}

#[tokio::test]
async fn the_description_is_served_and_names_every_route() {
    let bench = Bench::new().await;
    let document = bench.get("/openapi.json").send().await.json();
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let table = certmill_web::route_table();
    // What mail programs ask for is for nobody else.
    let for_programs = |entry: &&certmill_web::RouteEntry| {
        entry.door == certmill_web::Door::Api && !entry.path.starts_with("/unsubscribe/")
    };
    for entry in table.iter().filter(for_programs) {
        let method = entry.method.as_str().to_lowercase();
        let operation = &document["paths"][&entry.path][&method];
        assert!(operation["operationId"].is_string(), "{method} {} is not described", entry.path);
    }
    assert!(paths.contains(&"/v1/domains/{name}") && paths.contains(&"/livez"), "{paths:?}");
    let methods = document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap());
    let ids: Vec<_> = methods.map(|(_, operation)| operation["operationId"].as_str().unwrap()).collect();
    let unique: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
}
