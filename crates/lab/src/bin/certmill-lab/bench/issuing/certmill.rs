//! certmill's half.

use std::time::Instant;

use certmill_lab::Lab;
use certmill_lab::service::{Api, Role, Service};
use serde_json::Value;

use super::{Settings, prepare_half};
use crate::bench::LIMIT;
use crate::bench::error::BenchError;
use crate::bench::requests::{register, timelines, wait_until_active, wait_until_issued};
use crate::bench::timelines::{Issued, evaluate, first, last, seconds};
use crate::bench::usage::Usage;
use crate::screen::Screen;

/// Opens the account at the CA, as the bare loop does before its clock starts.
const WARM_UP: &str = "warm-up.certmill.test";

/// What certmill did.
pub(super) struct Certmill {
    /// From the first order to the last certificate.
    pub(super) issued: Issued,
    /// Domains in a second that were proved to be served, from the first order to the last of these.
    pub(super) served_per_second: f64,
}

/// Registers all domains, starts the worker on a fresh ACME server, and reads afterwards in their timelines how it went.
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
    let api = service.add_tenant("Nordwind").await?;
    open_account(service, &api).await?;
    // The bare loop knows its names beforehand as well.
    let serving = service.start(Role::Serve, &[]).await?;
    let begin = Instant::now();
    register(&names, &api).await?;
    let registered = begin.elapsed();
    serving.stop().await?;

    let certmill = service.start(Role::All, &[]).await?;
    let before = Usage::read(lab, certmill.process_id()).await;
    wait_until_issued(&api, settings.domains + 1, "certmill").await?;
    let usage = Usage::read(lab, certmill.process_id()).await.since(&before);
    wait_until_active(&api, settings.domains + 1, "certmill").await?;
    let events = timelines(&names, &api).await?;
    certmill.stop().await?;

    let issued = evaluate(&events, settings.domains)?;
    let all_served = seconds(first(&events, "order_started")?, last(&events, "domain_active")?);
    screen.say(format_args!(
        "  certmill   {:6.1} certificates/s   {}",
        issued.per_second,
        usage.per(settings.domains)
    ));
    screen.say(format_args!(
        "             registered beforehand in {:.1} s; last certificate to last handshake {:.1} s; delivered, and proved to \
         be served, {all_served:.1} s after the first order",
        registered.as_secs_f64(),
        issued.tail,
    ));
    Ok(Certmill { issued, served_per_second: settings.domains as f64 / all_served })
}

async fn open_account(service: &Service, api: &Api) -> Result<(), BenchError> {
    let certmill = service.start(Role::All, &[]).await?;
    api.put(WARM_UP, &Value::Null).await?;
    api.wait_for_status(WARM_UP, "active", LIMIT).await?;
    certmill.stop().await?;
    Ok(())
}
