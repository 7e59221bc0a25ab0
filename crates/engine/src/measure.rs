//! What is counted and measured, for whoever watches: names as in `docs/monitoring`, recorded through the facade `metrics`, so
//! that nothing happens where nobody asked for it.

use std::{sync::Arc, time::Duration};

use certmill_model::{
    Bucket, DeploymentStatus, DomainStatus, Health, LimitKind, OrderStatus, ProblemCode, TargetState,
};
use certmill_store::StoreError;
use metrics::{counter, gauge, histogram};
use time::OffsetDateTime;
use tokio::{sync::watch, time::Instant};

use crate::{Engine, authorities::Authority};

/// Between two measures, and between two of those that count more.
const EVERY: Duration = Duration::from_secs(15);
const MORE_EVERY: Duration = Duration::from_secs(300);

/// Within how many days certificates end that are counted.
const DAYS: [i32; 5] = [1, 3, 7, 14, 30];

/// Says that a loop has come round once more: what does not say so for long stands still.
pub(crate) fn tick(name: &'static str, now: OffsetDateTime) {
    gauge!("certmill_last_tick_timestamp_seconds", "loop" => name).set(now.unix_timestamp() as f64);
}

/// Counts an order that is over.
pub(crate) fn order_ended(authority: &Authority, result: OrderStatus, code: Option<ProblemCode>) {
    let (ca, code) = (authority.settings.name.clone(), code.map_or("", ProblemCode::as_str));
    counter!("certmill_orders_total", "ca" => ca, "result" => result.as_str(), "code" => code).increment(1);
}

/// Takes down how long an order took, and how late a renewal was.
pub(crate) fn issued(since: OffsetDateTime, planned: Option<OffsetDateTime>, now: OffsetDateTime) {
    histogram!("certmill_order_duration_seconds").record((now - since).as_seconds_f64().max(0.0));
    if let Some(planned) = planned {
        histogram!("certmill_renewal_lateness_seconds").record((now - planned).as_seconds_f64().max(0.0));
    }
}

/// Counts a delivery to a load balancer.
pub(crate) fn deployment_ended(result: DeploymentStatus, code: Option<ProblemCode>) {
    let code = code.map_or("", ProblemCode::as_str);
    counter!("certmill_deployments_total", "result" => result.as_str(), "code" => code).increment(1);
}

/// Measures until `stop` turns true. What goes wrong is logged and tried again.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    begin(&engine);
    let mut more_at = Instant::now();
    while !*stop.borrow() {
        tick("measure", engine.now());
        let mut measured = measure(&engine).await;
        if measured.is_ok() && more_at <= Instant::now() {
            more_at = Instant::now() + MORE_EVERY;
            measured = measure_ends(&engine).await;
            tell_expiring(&engine).await;
        }
        if let Err(error) = measured {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the database could not be measured; trying again");
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// An event for each certificate that nearly was not renewed in time.
async fn tell_expiring(engine: &Engine) {
    match engine.parts.store.tell_expiring(&engine.parts.chance, engine.now()).await {
        Ok(0) => {}
        Ok(domains) => tracing::warn!(domains, "certificates were not renewed in time, and end soon"),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "nobody could be told which certificates end soon; trying again");
        }
    }
}

/// What has not happened yet is 0, not missing: rates and alerts need a beginning.
fn begin(engine: &Engine) {
    for authority in &engine.authorities {
        for (result, code) in [("valid", ""), ("invalid", "")] {
            let ca = authority.settings.name.clone();
            counter!("certmill_orders_total", "ca" => ca, "result" => result, "code" => code).absolute(0);
        }
    }
    for result in ["succeeded", "failed", "rolled_back"] {
        counter!("certmill_deployments_total", "result" => result, "code" => "").absolute(0);
    }
    for result in ["sent", "failed"] {
        counter!("certmill_mail_total", "result" => result).absolute(0);
    }
    for result in ["delivered", "failed", "gone"] {
        counter!("certmill_webhook_deliveries_total", "result" => result).absolute(0);
    }
}

async fn measure(engine: &Engine) -> Result<(), StoreError> {
    let (store, now) = (&engine.parts.store, engine.now());
    let counted = store.measure_domains().await?;
    for status in DomainStatus::ALL.iter().filter(|status| **status != DomainStatus::Deleted) {
        for health in Health::ALL {
            let count = counted.get(&(status.to_string(), health.to_string())).copied().unwrap_or_default();
            gauge!("certmill_domains", "status" => status.as_str(), "health" => health.as_str())
                .set(count as f64);
        }
    }
    gauge!("certmill_served_mismatch").set(store.measure_mismatches().await? as f64);
    for queue in store.measure_queues(now).await? {
        gauge!("certmill_queue_depth", "kind" => queue.kind).set(queue.depth as f64);
        gauge!("certmill_queue_oldest_seconds", "kind" => queue.kind).set(queue.oldest_seconds);
    }
    for target in store.measure_targets(now).await? {
        for state in TargetState::ALL {
            let is_it = f64::from(u8::from(*state == target.state));
            gauge!("certmill_target_sync_state", "target" => target.name.clone(), "state" => state.as_str())
                .set(is_it);
        }
        gauge!("certmill_target_lag_seconds", "target" => target.name.clone()).set(target.lag_seconds);
        gauge!("certmill_target_pending_certificates", "target" => target.name).set(target.pending as f64);
    }
    measure_limits(engine, now).await
}

/// What is left of a CA's limits for the whole account, as far as rates are known.
async fn measure_limits(engine: &Engine, now: OffsetDateTime) -> Result<(), StoreError> {
    for authority in &engine.authorities {
        let kind = LimitKind::OrdersPerAccount;
        let (Some(open), Some(rate)) = (authority.known(), authority.settings.limits.rate(kind)) else {
            continue;
        };
        let full_at = engine.parts.store.measure_limits(open.account_id).await?;
        let full_at = full_at.get(kind.as_str()).copied().unwrap_or(now).max(now);
        let left = Bucket { full_at, held_until: None }.left(rate, now);
        let ca = authority.settings.name.clone();
        gauge!("certmill_ca_rate_limit_remaining", "ca" => ca, "limit" => kind.as_str()).set(f64::from(left));
    }
    Ok(())
}

async fn measure_ends(engine: &Engine) -> Result<(), StoreError> {
    let (store, now) = (&engine.parts.store, engine.now());
    let counts = store.measure_expiry(&DAYS, now).await?;
    for (days, count) in DAYS.iter().zip(counts) {
        gauge!("certmill_certificates_expiring", "le" => format!("{days}d")).set(count as f64);
    }
    for end in store.measure_earliest_ends(now).await? {
        let ca = engine.authority_name(&end.directory_url);
        gauge!("certmill_earliest_expiration_timestamp_seconds", "ca" => ca, "profile" => end.profile)
            .set(end.not_after.unix_timestamp() as f64);
    }
    Ok(())
}

impl Engine {
    /// What the CA with this directory is called; the directory itself, where it is not configured any more.
    fn authority_name(&self, directory_url: &str) -> String {
        let known = self.authority_at(directory_url);
        known.map_or_else(|| directory_url.to_owned(), |authority| authority.settings.name.clone())
    }
}
