//! Every request that changes something leaves an entry in the audit log, which commits with the change.

use std::collections::BTreeSet;

use certmill_web::RouteEntry;
use http::Method;
use sqlx::{Connection, PgConnection};

use super::{
    callers::{Caller, callers},
    paired,
    rows::{Row, row, with},
    things::{Whose, World},
};
use crate::support::Bench;

/// Requests that succeed here, where the row's own would be refused or change nothing.
const INSTEAD: &[Row] = &[
    with("POST", "/v1/domains", "/v1/domains", r#"{"name":"<new-domain>","tenant":"<tenant>"}"#),
    with("PUT", "/v1/domains/{name}", "/v1/domains/<new-domain>", r#"{"tenant":"<tenant>"}"#),
    row("POST", "/v1/domains/{name}/renew", "/v1/domains/<issued domain>/renew"),
    row("POST", "/v1/domains/{name}/resume", "/v1/domains/<paused domain>/resume"),
    row("POST", "/domains/{name}/renew", "/domains/<issued domain>/renew"),
    row("POST", "/domains/{name}/resume", "/domains/<paused domain>/resume"),
    row("POST", "/v1/operations/{operation}/cancel", "/v1/operations/<operation to go>/cancel"),
    row("POST", "/operations/{operation}/cancel", "/operations/<operation to go>/cancel"),
    row("POST", "/v1/tenants/{tenant}/resume", "/v1/tenants/<suspended tenant>/resume"),
    row("POST", "/tenants/{tenant}/resume", "/tenants/<suspended tenant>/resume"),
    with(
        "POST",
        "/tenants/{tenant}",
        "/tenants/<tenant to go>",
        "template=redirect&key_type=rsa_2048&revision=1",
    ),
    with(
        "POST",
        "/tenants/{tenant}/branding",
        "/tenants/<tenant to go>/branding",
        "product_name=Nord&revision=1",
    ),
    with(
        "POST",
        "/webhooks/{endpoint}",
        "/webhooks/<webhook to go>",
        "url=https%3A%2F%2Fhooks.example.com%2F&description=x&revision=1",
    ),
    // One endpoint is replayed once a minute.
    with("POST", "/webhooks/{endpoint}/replay", "/webhooks/<webhook to go>/replay", "hours=1"),
    row("POST", "/setup/{link}/check", "/setup/<opened link>/check"),
    with("POST", "/password/{link}", "/password/<password link>", "password=correct+horse+battery"),
];

/// Requests that leave none, or that cannot succeed here; why.
const WITHOUT: &[(&str, &str)] = &[
    ("POST /v1/templates/{template}/render", "reads"),
    ("POST /templates/{template}/preview", "reads"),
    (
        "POST /v1/templates/{template}/publish",
        "wants a test by a worker: tests/web/templates.rs looks for it",
    ),
    ("POST /v1/templates/{template}/rollback", "wants two publications: tests/web/templates.rs looks for it"),
    ("POST /templates/{template}/versions/{version}/publish", "does what the API does"),
    ("POST /templates/{template}/rollback", "does what the API does"),
    (
        "POST /domains/{name}/change",
        "wants the version that its page shows: tests/web/dashboard_domains.rs looks for it",
    ),
    ("POST /login", "opens a session, which is on record itself, with address and browser"),
    ("POST /login/{link}", "opens a session"),
    ("POST /logout", "ends one's own session"),
    ("POST /preferences", "changes a cookie"),
    ("POST /account/password", "wants the one before: tests/web/people_pages.rs looks for it"),
    (
        "POST /forgot",
        "answers the same whether or not something follows, so that nobody learns who has an account",
    ),
    ("POST /tenants/{tenant}/logo", "has a form of parts, and does what the API does"),
    ("POST /unsubscribe/{token}", "wants the link in a mail: tests/tests/mail looks for it"),
];

#[tokio::test]
async fn whatever_changes_something_leaves_an_entry_in_the_audit_log() {
    let world = World::new(Bench::new().await).await;
    let callers = callers(&world).await;
    let named = |name: &str| callers.iter().find(|caller| caller.name == name).expect("one of the callers");
    let (program, person) =
        (named("a token of the platform for admin"), named("a platform_admin of the platform"));
    let mut log = PgConnection::connect(&world.bench.database).await.unwrap();
    let (mut faults, mut silent) = (Vec::new(), BTreeSet::new());
    for (route, row) in paired().0.into_iter().filter(|(route, _)| route.method != Method::GET) {
        let instead = INSTEAD.iter().find(|other| (other.method, other.path) == (row.method, row.path));
        let row = instead.unwrap_or(row);
        let of_api = row.path.starts_with("/v1/");
        let caller = if of_api { program } else { person };
        let (succeeded, entries, said) = attempt(&world, caller, &route, row, &mut log).await;
        let title = format!("{} {}", row.method, row.path);
        let excused = WITHOUT.iter().any(|(known, _)| *known == title);
        match (succeeded && entries > 0, excused) {
            (true, false) => {}
            (false, true) => drop(silent.insert(title)),
            (false, false) => faults.push(format!("{title}: {entries} entries: {said}")),
            (true, true) => faults.push(format!("{title} leaves an entry: take it out of the list")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(silent.len(), WITHOUT.len(), "a route of the list is gone");
}

/// Whether a request succeeds, how many entries it leaves, and what was answered.
async fn attempt(
    world: &World,
    caller: &Caller,
    route: &RouteEntry,
    row: &Row,
    log: &mut PgConnection,
) -> (bool, i64, String) {
    let filled = world.fill(row, Whose::Own).await.expect("there are own things");
    let before = count(log).await;
    let answer = caller.send(world, route, &filled).await;
    let succeeded = answer.status.is_success() || answer.status.is_redirection();
    let text: String = answer.text.chars().take(200).collect();
    (succeeded, count(log).await - before, format!("{}: {text}", answer.status))
}

async fn count(log: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM audit_entries").fetch_one(log).await.unwrap()
}
