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
    let expected = [
        "/livez",
        "/readyz",
        "/v1/audit",
        "/v1/deployments",
        "/v1/domains",
        "/v1/domains/{name}",
        "/v1/domains/{name}/check",
        "/v1/domains/{name}/setup",
        "/v1/domains/{name}/stream",
        "/v1/domains/{name}/timeline",
        "/v1/events",
        "/v1/events/stream",
        "/v1/target-groups",
        "/v1/target-groups/{group}",
        "/v1/targets",
        "/v1/targets/{target}",
        "/v1/targets/{target}/sync",
        "/v1/tokens",
        "/v1/tokens/{token}",
        "/v1/users",
        "/v1/users/{user}",
        "/v1/users/{user}/invite",
        "/version",
    ];
    assert_eq!(paths, expected);
    let methods = document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap());
    let ids: Vec<_> = methods.map(|(_, operation)| operation["operationId"].as_str().unwrap()).collect();
    let unique: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
}
