//! certmill's half.

use std::time::{Duration, Instant};

use certmill_lab::Lab;
use certmill_lab::service::{Api, Role, Service};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::error::BenchError;
use super::usage::Usage;
use super::{LIMIT, Settings, prepare_half};
use crate::screen::Screen;

/// Requests of the commerce backend at a time.
const REQUESTS: usize = 16;
/// Between two looks: rare, because a look costs as well.
const POLL: Duration = Duration::from_secs(1);
/// Opens the account at the CA, as the bare loop does before its clock starts.
const WARM_UP: &str = "warm-up.certmill.test";

/// What certmill did.
pub(super) struct Certmill {
    /// Certificates in a second, from the first order's start to the last certificate.
    pub(super) per_second: f64,
    /// Seconds from the last certificate to the last handshake that showed one.
    pub(super) tail: f64,
}

/// Registers all domains at once on a fresh ACME server, and reads afterwards in their timelines how it went.
pub(super) async fn measure(
    lab: &Lab,
    service: &Service,
    settings: &Settings,
    screen: &Screen,
) -> Result<Certmill, BenchError> {
    let mut names: Vec<String> =
        (0..settings.domains).map(|number| format!("shop{number}.certmill.test")).collect();
    names.push(WARM_UP.to_owned());
    prepare_half(lab, &names).await?;
    names.pop();
    service.renew_issuing_roots(lab).await?;
    let certmill = service.start(Role::All, &[]).await?;
    let api = service.add_tenant("Nordwind").await?;
    api.put(WARM_UP, &Value::Null).await?;
    api.wait_for_status(WARM_UP, "active", LIMIT).await?;

    let before = Usage::read(lab, certmill.process_id()).await;
    let begin = Instant::now();
    for_each(&names, &api, async |api, name| api.put(&name, &Value::Null).await.map(|_| Vec::new())).await?;
    let registered = begin.elapsed();
    wait_until_active(&api, settings.domains + 1).await?;
    let usage = Usage::read(lab, certmill.process_id()).await.since(&before);
    let events = for_each(&names, &api, async |api, name| api.timeline(&name).await).await?;
    certmill.stop().await?;

    let measured = evaluate(&events, settings.domains)?;
    screen.say(format_args!(
        "  certmill   {:6.1} certificates/s   {}",
        measured.per_second,
        usage.per(settings.domains)
    ));
    screen.say(format_args!(
        "             registered in {:.1} s, last certificate to last handshake {:.1} s, all active after {:.1} s",
        registered.as_secs_f64(),
        measured.tail,
        seconds(first(&events, "domain_created")?, last(&events, "domain_active")?),
    ));
    Ok(measured)
}

async fn wait_until_active(api: &Api, domains: usize) -> Result<(), BenchError> {
    let (mut best, mut since) = (0, Instant::now());
    loop {
        sleep(POLL).await;
        let list = api.list().await?;
        // A domain that has its certificate is on its way too.
        let active = list.iter().filter(|domain| domain["status"] == "active").count();
        let progress = active + list.iter().filter(|domain| domain["certificate"].is_object()).count();
        if active == domains {
            return Ok(());
        }
        if progress > best {
            (best, since) = (progress, Instant::now());
        } else if since.elapsed() > LIMIT {
            let what = format!("{active} of {domains} are active, and nothing happened for {LIMIT:?}");
            return Err(BenchError::Stuck { half: "certmill", what });
        }
    }
}

/// Sends a request for every name, some at a time, and returns all that was answered.
async fn for_each<F>(
    names: &[String],
    api: &Api,
    request: impl Fn(Api, String) -> F,
) -> Result<Vec<Value>, BenchError>
where
    F: Future<Output = Result<Vec<Value>, certmill_lab::service::ServiceError>> + Send + 'static,
{
    let (mut running, mut answers) = (JoinSet::new(), Vec::new());
    for name in names {
        if running.len() >= REQUESTS {
            answers.extend(running.join_next().await.expect("one is running").expect("it does not panic")?);
        }
        running.spawn(request(api.clone(), name.clone()));
    }
    while let Some(answer) = running.join_next().await {
        answers.extend(answer.expect("it does not panic")?);
    }
    Ok(answers)
}

fn evaluate(events: &[Value], domains: usize) -> Result<Certmill, BenchError> {
    let last_certificate = last(events, "certificate_issued")?;
    Ok(Certmill {
        per_second: domains as f64 / seconds(first(events, "order_started")?, last_certificate),
        tail: seconds(last_certificate, last(events, "served")?),
    })
}

fn first(events: &[Value], kind: &'static str) -> Result<OffsetDateTime, BenchError> {
    moments(events, kind).min().ok_or(BenchError::NoEvent(kind))
}

fn last(events: &[Value], kind: &'static str) -> Result<OffsetDateTime, BenchError> {
    moments(events, kind).max().ok_or(BenchError::NoEvent(kind))
}

fn moments<'a>(events: &'a [Value], kind: &'static str) -> impl Iterator<Item = OffsetDateTime> + 'a {
    let of_kind = events.iter().filter(move |event| event["kind"] == kind);
    of_kind.filter_map(|event| OffsetDateTime::parse(event["at"].as_str()?, &Rfc3339).ok())
}

fn seconds(from: OffsetDateTime, to: OffsetDateTime) -> f64 {
    (to - from).as_seconds_f64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_clock_runs_from_the_first_order_to_the_last_certificate() {
        let event = |kind: &str, at: &str| json!({ "kind": kind, "at": format!("2026-11-21T10:00:{at}Z") });
        let events = [
            event("domain_created", "00"),
            event("order_started", "02.5"),
            event("order_started", "01"),
            event("certificate_issued", "03"),
            event("certificate_issued", "05"),
            event("served", "06.25"),
            event("served", "04"),
        ];
        let measured = evaluate(&events, 2).unwrap();
        assert!((measured.per_second - 0.5).abs() < 1e-9 && (measured.tail - 1.25).abs() < 1e-9);
        assert!(matches!(last(&events, "domain_active"), Err(BenchError::NoEvent("domain_active"))));
    }
}
