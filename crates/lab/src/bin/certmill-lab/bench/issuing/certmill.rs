//! certmill's half.

use std::time::Instant;

use certmill_lab::Lab;
use certmill_lab::service::{Role, Service};
use serde_json::Value;

use super::{Settings, prepare_half};
use crate::bench::LIMIT;
use crate::bench::error::BenchError;
use crate::bench::requests::{register, timelines, wait_until_active};
use crate::bench::timelines::{Issued, evaluate, first, last, seconds};
use crate::bench::usage::Usage;
use crate::screen::Screen;

/// Opens the account at the CA, as the bare loop does before its clock starts.
const WARM_UP: &str = "warm-up.certmill.test";

/// Registers all domains at once on a fresh ACME server, and reads afterwards in their timelines how it went.
pub(super) async fn measure(
    lab: &Lab,
    service: &Service,
    settings: &Settings,
    screen: &Screen,
) -> Result<Issued, BenchError> {
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
    register(&names, &api).await?;
    let registered = begin.elapsed();
    wait_until_active(&api, settings.domains + 1, "certmill").await?;
    let usage = Usage::read(lab, certmill.process_id()).await.since(&before);
    let events = timelines(&names, &api).await?;
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
