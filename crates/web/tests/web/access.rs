//! Every route, for every kind of caller, on one's own things, on somebody else's, and on none.
//!
//! What is expected follows from what a route needs and what a caller has; `rows` says only how a request for a route is
//! made. A route without a row fails here, and so does a row without a route.

mod audited;
mod callers;
mod rows;
mod things;

use std::{collections::BTreeSet, fmt::Write, sync::Arc};

use certmill_web::{Access, Door, RouteEntry, route_table};
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::{sync::Semaphore, task::JoinSet};

use self::{
    callers::{Caller, callers},
    rows::{ROWS, Row},
    things::{Filled, Whose, World},
};
use crate::support::{Bench, exchange::Answer};

/// Requests under way at once; some wait for a look that nobody takes here.
const AT_ONCE: usize = 24;

#[tokio::test]
async fn every_route_lets_in_whom_it_should_and_shows_nobody_what_is_not_theirs() {
    let (routes, without) = paired();
    assert!(
        without.is_empty(),
        "add these to crates/web/tests/web/access/rows.rs, or take them out:\n{without}"
    );
    // Or else who waits for whom would decide what is answered.
    let bench = Bench::with_connections(AT_ONCE as u32).await;
    let world = Arc::new(World::new(bench).await);
    let callers: Vec<_> = callers(&world).await.into_iter().map(Arc::new).collect();
    let (places, mut trials) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for (route, row) in routes {
        for caller in &callers {
            let (world, caller, route, places) =
                (world.clone(), caller.clone(), route.clone(), places.clone());
            trials.spawn(async move {
                let _place = places.acquire().await;
                trial(&world, &caller, &route, row).await
            });
        }
    }
    let (mut cases, mut faults) = (0, Vec::new());
    while let Some(trial) = trials.join_next().await {
        let (tried, found) = trial.unwrap();
        cases += tried;
        faults.extend(found);
    }
    faults.sort();
    assert!(faults.is_empty(), "{} of {cases} cases:\n{}", faults.len(), faults.join("\n"));
    assert!(cases > ROWS.len() * callers.len(), "{cases}");
    say(&format!("{} routes x {} callers, {cases} cases, as it should be", ROWS.len(), callers.len()));
}

#[expect(clippy::print_stdout, reason = "the figures are shown when they are asked for")]
fn say(words: &str) {
    println!("{words}");
}

/// Each route with its row, and what has no counterpart.
fn paired() -> (Vec<(RouteEntry, &'static Row)>, String) {
    let mut without = String::new();
    let mut taken = BTreeSet::new();
    let mut pairs = Vec::new();
    for route in route_table() {
        let found = ROWS.iter().find(|row| route.method == row.method && route.path == row.path);
        match found {
            Some(row) => {
                taken.insert((row.method, row.path));
                pairs.push((route, row));
            }
            None => writeln!(without, "no row: {} {}", route.method, route.path).unwrap(),
        }
    }
    for row in ROWS.iter().filter(|row| !taken.contains(&(row.method, row.path))) {
        writeln!(without, "no route: {} {}", row.method, row.path).unwrap();
    }
    (pairs, without)
}

/// The cases of one caller at one route: how many, and what was not as it should be.
async fn trial(world: &World, caller: &Caller, route: &RouteEntry, row: &Row) -> (usize, Vec<String>) {
    let (mut cases, mut faults, mut hidden) = (0, Vec::new(), Vec::new());
    for whose in [Whose::Own, Whose::Foreign, Whose::Missing] {
        let Some(filled) = world.fill(row, whose).await else { continue };
        let answer = caller.send(world, route, &filled).await;
        cases += 1;
        let expected = expected(caller, route, row, whose);
        if !expected.suits(answer.status) {
            let (method, path, text) = (&route.method, &filled.path, &answer.text);
            let text: String = text.chars().take(300).collect();
            faults.push(format!(
                "{method} {path} ({whose:?}) as {}: {expected:?}, not {}: {text}",
                caller.name, answer.status
            ));
        }
        if route.method == Method::GET
            && let Some(secret) = world.secret_in(&answer.text)
        {
            faults.push(format!("GET {} as {} shows a secret: {secret}", filled.path, caller.name));
        }
        if expected == Expected::Hidden {
            hidden.push(neutral(&answer, &filled));
        }
    }
    if let [foreign, missing] = &hidden[..]
        && foreign != missing
    {
        let (method, path) = (&route.method, &route.path);
        faults.push(format!(
            "{method} {path} as {} tells the foreign from the missing:\n{foreign}\n{missing}",
            caller.name
        ));
    }
    (cases, faults)
}

/// What a caller is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expected {
    /// Who are you?
    LogIn,
    /// No.
    Forbidden,
    /// There is no such thing, wherever it is named.
    Hidden,
    /// Somebody else has the name: what names are taken is no secret.
    Taken,
    /// Whatever follows from the request itself.
    LetIn,
}

impl Expected {
    fn suits(self, status: StatusCode) -> bool {
        match self {
            Self::LogIn => matches!(status, StatusCode::UNAUTHORIZED | StatusCode::SEE_OTHER),
            Self::Forbidden => status == StatusCode::FORBIDDEN,
            Self::Hidden => status == StatusCode::NOT_FOUND,
            Self::Taken => status == StatusCode::CONFLICT,
            Self::LetIn => {
                let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND];
                !refused.contains(&status) && !status.is_server_error()
            }
        }
    }
}

fn expected(caller: &Caller, route: &RouteEntry, row: &Row, whose: Whose) -> Expected {
    let is_known = match route.access {
        Access::Open => return Expected::LetIn,
        Access::SignedIn | Access::Needs(_) => caller.is_known_at(route.door),
    };
    let may = match route.access {
        Access::Needs(permission) => caller.may(permission),
        Access::Open | Access::SignedIn => true,
    };
    match whose {
        _ if !is_known => Expected::LogIn,
        _ if !may => Expected::Forbidden,
        Whose::Own => Expected::LetIn,
        Whose::Foreign if caller.of_platform => Expected::LetIn,
        Whose::Foreign if row.creates => Expected::Taken,
        Whose::Missing if row.creates => Expected::LetIn,
        Whose::Foreign | Whose::Missing => Expected::Hidden,
    }
}

/// An answer without what was asked for and by which request, in the form in which two of them can be compared.
fn neutral(answer: &Answer, filled: &Filled) -> String {
    let mut text = answer.text.clone();
    if let Ok(Value::Object(mut problem)) = serde_json::from_str(&text) {
        problem.remove("request_id");
        text = Value::Object(problem).to_string();
    }
    text = text.replace(answer.header("x-request-id"), "(request)");
    filled.things.iter().fold(text, |text, thing| text.replace(thing.as_str(), "(thing)"))
}

/// Whether a caller is let in by who it is, for the API or a page.
impl Caller {
    fn is_known_at(&self, door: Door) -> bool {
        match door {
            Door::Api => self.token.is_some(),
            Door::Page => self.email.is_some(),
        }
    }
}
