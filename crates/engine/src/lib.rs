//! The engine: makes wanted state so, one step at a time.
//!
//! [`run`] starts a planner, three lanes of workers (domains, domains in trouble, targets), and loops of their own for what
//! CAs suggest, for TXT records and rows that are left, for the feed of events and the webhooks that are sent from it, for
//! what names are served with, alerts and mail. The planner, woken by the database or by the clock, looks for domains and
//! targets that are due and pushes a nudge for each; a worker takes a nudge, claims the row, does the next
//! step and records it. What is due, and why, is in the tables: a nudge that is lost or doubled changes nothing.

mod alerts;
mod authorities;
pub mod checkpoint;
mod cleaner;
mod contests;
mod context;
mod domain;
mod error;
mod feed;
mod groups;
mod heartbeat;
mod housekeeping;
mod limits;
mod measure;
mod nudge;
mod operations;
mod outbox;
mod planner;
mod published;
mod reach;
mod renewals;
mod replays;
mod rollups;
mod served;
mod target;
mod waker;
mod webhooks;
mod zones;

use std::sync::Arc;

use tokio::{sync::watch, task::JoinSet};

pub use alerts::look_for_alerts;
pub use authorities::{AuthoritySettings, Replaced, open_authority, replace_account, roll_over_account};
pub use context::{Engine, Parts};
pub use error::{AuthorityError, EngineError};
pub use nudge::{Lane, Step, set_up as set_up_queue, work_on};
pub use outbox::{MailSettings, send_due_mails};
pub use planner::{Planner, plan};
pub use served::watch_due_names;
pub use target::TargetSettings;

/// Runs the engine until `stop` turns true; steps under way are finished first. Ends early only by a fault: then the
/// process should end too, and be started again.
pub async fn run(engine: Arc<Engine>, stop: watch::Receiver<bool>) {
    if let Err(error) = engine.parts.store.revisit_targets(engine.now()).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the targets could not be marked for a look"
        );
    }
    plan_missing_looks(&engine).await;
    if let Err(error) = engine.keep_files().await {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "the files of templates could not be told to the database");
    }
    publish_sealing_key(&engine).await;
    let mut parts = JoinSet::new();
    parts.spawn(run_planner(engine.clone(), stop.clone()));
    parts.spawn(target::trial::run(engine.clone(), stop.clone()));
    parts.spawn(contests::run(engine.clone(), stop.clone()));
    parts.spawn(cleaner::run(engine.clone(), stop.clone()));
    parts.spawn(waker::run(engine.clone(), stop.clone()));
    parts.spawn(housekeeping::run(engine.clone(), stop.clone()));
    parts.spawn(groups::run(engine.clone(), stop.clone()));
    parts.spawn(renewals::run(engine.clone(), stop.clone()));
    parts.spawn(operations::run(engine.clone(), stop.clone()));
    parts.spawn(rollups::run(engine.clone(), stop.clone()));
    parts.spawn(measure::run(engine.clone(), stop.clone()));
    parts.spawn(feed::run(engine.clone(), stop.clone()));
    parts.spawn(served::run(engine.clone(), stop.clone()));
    parts.spawn(alerts::run(engine.clone(), stop.clone()));
    parts.spawn(outbox::run(engine.clone(), stop.clone()));
    parts.spawn(webhooks::run(engine.clone(), stop.clone()));
    parts.spawn(replays::run(engine.clone(), stop.clone()));
    parts.spawn(nudge::run_lane(engine.clone(), Lane::Domains, stop.clone()));
    parts.spawn(nudge::run_lane(engine.clone(), Lane::Troubled, stop.clone()));
    parts.spawn(nudge::run_lane(engine, Lane::Targets, stop.clone()));
    while let Some(ended) = parts.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a part of the engine ended by a panic");
        }
        if !*stop.borrow() {
            return;
        }
    }
}

/// Web seals by it what only an engine opens.
async fn publish_sealing_key(engine: &Engine) {
    if let Err(error) = engine.parts.store.publish_sealing_key(&engine.parts.vault, engine.now()).await {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "nobody can be told how secrets are sealed: no webhook endpoint can be added");
    }
}

async fn run_planner(engine: Arc<Engine>, stop: watch::Receiver<bool>) {
    let parts = &engine.parts;
    plan(&parts.store, &*parts.clock, parts.orders_in_flight, &engine.finished, stop).await;
}

/// An engine of the version before knew of no looks between renewals.
async fn plan_missing_looks(engine: &Engine) {
    loop {
        match engine.parts.store.plan_missing_looks().await {
            Ok(0) => return,
            Ok(domains) => tracing::info!(domains, "looks at DNS were planned that were missing"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "looks at DNS that are missing could not be planned");
                return;
            }
        }
    }
}
