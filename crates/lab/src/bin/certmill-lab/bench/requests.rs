//! Requests of the commerce backend, many at a time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use certmill_lab::service::{Api, ServiceError};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::LIMIT;
use super::error::BenchError;

/// Requests at a time.
pub(super) const REQUESTS: usize = 16;
/// Between two looks: rare, because a look costs as well.
const POLL: Duration = Duration::from_secs(1);

/// Registers every name.
pub(super) async fn register(names: &[String], api: &Api) -> Result<(), BenchError> {
    let put = async |api: Api, name: String| api.put(&name, &Value::Null).await.map(|_| Vec::new());
    for_each(names, api, REQUESTS, put).await.map(drop)
}

/// All events of every name.
pub(super) async fn timelines(names: &[String], api: &Api) -> Result<Vec<Value>, BenchError> {
    for_each(names, api, REQUESTS, async |api, name| api.timeline(&name).await).await
}

/// Waits until so many domains have their certificate; at an error when nothing happens for a while.
pub(super) async fn wait_until_issued(
    api: &Api,
    domains: usize,
    half: &'static str,
) -> Result<(), BenchError> {
    wait_until(api, half, |issued, _| issued == domains).await
}

/// Waits until so many domains are active; at an error when nothing happens for a while.
pub(super) async fn wait_until_active(
    api: &Api,
    domains: usize,
    half: &'static str,
) -> Result<(), BenchError> {
    wait_until(api, half, |_, active| active == domains).await
}

/// `is_done` gets how many domains have their certificate, and how many are active.
async fn wait_until(
    api: &Api,
    half: &'static str,
    is_done: impl Fn(usize, usize) -> bool,
) -> Result<(), BenchError> {
    let (mut best, mut since) = (0, Instant::now());
    loop {
        sleep(POLL).await;
        let list = api.list().await?;
        let active = list.iter().filter(|domain| domain["status"] == "active").count();
        let issued = list.iter().filter(|domain| domain["certificate"].is_object()).count();
        if is_done(issued, active) {
            return Ok(());
        }
        // A domain that has its certificate is on its way too.
        let progress = active + issued;
        if progress > best {
            (best, since) = (progress, Instant::now());
        } else if since.elapsed() > LIMIT {
            let what = format!("nothing happened for {LIMIT:?}, the domains are {}", tally(&list));
            return Err(BenchError::Stuck { half, what });
        }
    }
}

/// How many domains have which status and problem.
fn tally(list: &[Value]) -> String {
    let mut counts = BTreeMap::new();
    for domain in list {
        let status = domain["status"].as_str().unwrap_or_default();
        let problem =
            domain["problems"][0]["code"].as_str().map_or(String::new(), |code| format!(" ({code})"));
        *counts.entry(format!("{status}{problem}")).or_insert(0) += 1;
    }
    let words = counts.into_iter().map(|(what, count)| format!("{count} {what}"));
    words.collect::<Vec<_>>().join(", ")
}

/// Sends a request for every name, some at a time, and returns all that was answered.
pub(super) async fn for_each<F>(
    names: &[String],
    api: &Api,
    at_a_time: usize,
    request: impl Fn(Api, String) -> F,
) -> Result<Vec<Value>, BenchError>
where
    F: Future<Output = Result<Vec<Value>, ServiceError>> + Send + 'static,
{
    let (mut running, mut answers) = (JoinSet::new(), Vec::new());
    for name in names {
        if running.len() >= at_a_time {
            answers.extend(running.join_next().await.expect("one is running").expect("it does not panic")?);
        }
        running.spawn(request(api.clone(), name.clone()));
    }
    while let Some(answer) = running.join_next().await {
        answers.extend(answer.expect("it does not panic")?);
    }
    Ok(answers)
}
