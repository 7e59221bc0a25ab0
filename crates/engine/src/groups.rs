//! What goes on at load balancers behind a change: tenants move from one group to another, until each name is served where it
//! belongs and nowhere else; their domains are configured anew, part by part; what is published to one that has it first goes to
//! another when that one is lost.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{Engine, EngineError};

/// Between two looks: what was placed has to be delivered in between.
const AGAIN: Duration = Duration::from_secs(5);

/// Tenants that are looked at in one round.
const AT_ONCE: i64 = 20;

/// Parts of tenants' domains that are configured anew in one round.
const PARTS: usize = 50;

/// Works until `stop` turns true. Several processes at once do no harm: whatever one has done, the other finds done.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        redeliver(&engine, &stop).await;
        if let Err(error) = round(&engine).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "moves between load balancers could not go on");
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(AGAIN.mul_f64(1.0 + engine.fraction())) => {}
        }
    }
}

async fn redeliver(engine: &Engine, stop: &watch::Receiver<bool>) {
    for _ in 0..PARTS {
        match engine.parts.store.redeliver_more(engine.now()).await {
            Ok(true) if !*stop.borrow() => {}
            Ok(_) => return,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                return tracing::warn!(error, "domains could not be configured anew; trying again");
            }
        }
    }
}

async fn round(engine: &Engine) -> Result<(), EngineError> {
    let store = &engine.parts.store;
    for (tenant, asked_at) in store.moving_tenants(AT_ONCE).await? {
        store.move_tenant(tenant, asked_at, engine.now()).await?;
    }
    Ok(store.replace_canaries(engine.now()).await?)
}
