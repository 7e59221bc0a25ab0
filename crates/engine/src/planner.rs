//! The planner: finds what is due and nudges the workers, a bounded window at a time.

use std::time::Duration;

use certmill_model::{Clock, TenantId};
use certmill_store as store;
use sqlx::{PgConnection, postgres::PgListener};
use time::OffsetDateTime;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    EngineError,
    nudge::{self, Lane},
};

/// How long the planner sleeps when nobody wakes it: the fallback of `LISTEN`, and the grain of planned times.
const POLL: Duration = Duration::from_secs(1);

/// The least time between two looks, so that a storm of wake-ups costs little. The first wake-up is served at once.
const BREATH: Duration = Duration::from_millis(50);

/// How long what is to be delivered may wait for more of it while a storm of domains is worked on.
const STORM_BATCH: time::Duration = time::Duration::seconds(10);

/// How often finished nudges are cleared away. The queue's fetch slows with its table.
const HOUSEKEEPING: Duration = Duration::from_secs(3);

/// While more is due than there is room for, so large a part of the window is filled at a time: the choice among what is due
/// costs more than taking all of it.
const FILLED_AT_ONCE: i64 = 4;

/// Finds what is due. One for each process.
pub struct Planner {
    orders_in_flight: usize,
    /// The tenant whose turn is next, while they take turns.
    next_tenant: Option<TenantId>,
    /// More was due at the last look than there was room for.
    is_behind: bool,
}

/// Plans for workers that have `orders_in_flight`, until `stop` turns true; they say through `finished` that they have room.
/// What goes wrong is logged and tried again: the database may be away for a while.
pub async fn plan(
    store: &store::Engine,
    clock: &dyn Clock,
    orders_in_flight: usize,
    finished: &Notify,
    mut stop: watch::Receiver<bool>,
) {
    let mut listener = None;
    let mut cleared = Instant::now();
    let mut planner = Planner::new(orders_in_flight);
    while !*stop.borrow() {
        crate::measure::tick("planner", clock.now());
        let looked = Instant::now();
        let more = match planner.look(store, clock.now()).await {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot look for due work; trying again"
                );
                false
            }
        };
        if cleared.elapsed() >= HOUSEKEEPING {
            cleared = Instant::now();
            if let Err(error) = nudge::clear_finished(store.nudges()).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot clear finished nudges");
            }
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = woken(store, &mut listener) => {}
            // Only then there is more to push than there was room for.
            () = finished.notified(), if more => {}
            () = tokio::time::sleep(POLL) => {}
        }
        tokio::time::sleep_until(looked + BREATH).await;
        // One look serves all who called meanwhile.
        while listener.as_mut().and_then(PgListener::next_buffered).is_some() {}
    }
}

impl Planner {
    /// A planner for workers that have `orders_in_flight` at a time.
    pub fn new(orders_in_flight: usize) -> Self {
        Self { orders_in_flight, next_tenant: None, is_behind: false }
    }

    /// Pushes a nudge for each row that is due, as far as the window of each lane has room; answers whether a window was
    /// filled, so that more may be due.
    pub async fn look(&mut self, store: &store::Engine, now: OffsetDateTime) -> Result<bool, EngineError> {
        let mut tx = store.begin_nudges().await?;
        let waiting = nudge::waiting(&mut tx).await?;
        let is_behind = self.look_for_domains(store, &mut tx, waiting.domains, now).await?;
        let room = self.room(Lane::Troubled, waiting.troubled);
        let troubled = store.take_due_troubled(&mut tx, room, now).await?;
        push(&mut tx, Lane::Troubled, &troubled).await?;
        let room = self.room(Lane::Targets, waiting.targets);
        // While more domains are due than workers take, what is to be delivered grows by the second: it goes in large batches.
        let since = now - if is_behind { STORM_BATCH } else { time::Duration::ZERO };
        let targets = store.take_due_targets(&mut tx, room, since, now).await?;
        let is_more = is_behind || troubled.is_more || targets.len() as i64 == room;
        nudge::push(&mut tx, Lane::Targets, targets.iter().map(|(id, token)| (id.to_string(), *token)))
            .await?;
        tx.commit().await?;
        Ok(is_more)
    }

    /// Answers whether more domains are due than workers take.
    async fn look_for_domains(
        &mut self,
        store: &store::Engine,
        tx: &mut PgConnection,
        waiting: i64,
        now: OffsetDateTime,
    ) -> Result<bool, EngineError> {
        let room = self.room(Lane::Domains, waiting);
        if room == 0 || self.is_behind && room * FILLED_AT_ONCE < Lane::Domains.window(self.orders_in_flight)
        {
            return Ok(true);
        }
        let due = store.take_due_domains(tx, room, self.next_tenant, now).await?;
        push(tx, Lane::Domains, &due).await?;
        self.next_tenant = due.next_tenant;
        self.is_behind = due.is_more;
        Ok(due.is_more)
    }

    fn room(&self, lane: Lane, waiting: i64) -> i64 {
        (lane.window(self.orders_in_flight) - waiting).max(0)
    }
}

async fn push(tx: &mut PgConnection, lane: Lane, due: &store::Due) -> Result<(), EngineError> {
    nudge::push(tx, lane, due.taken.iter().map(|(id, token)| (id.to_string(), *token))).await
}

/// Ends when a writer says that something may be due. Without a connection to listen on, never: the clock still wakes.
pub(crate) async fn woken(store: &store::Engine, listener: &mut Option<PgListener>) {
    if listener.is_none() {
        *listener = store.listen().await.ok();
    }
    match listener {
        None => std::future::pending().await,
        Some(open) => {
            if let Err(error) = open.recv().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the wake-up channel broke; opening it again"
                );
                *listener = None;
            }
        }
    }
}
