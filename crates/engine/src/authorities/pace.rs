//! Keeps requests to a CA below its limits, for all workers together: each reserves a handful at a time in the ledger.

use std::{collections::HashMap, sync::Arc, time::Duration};

use certmill_acme::Pace;
use certmill_model::{AccountId, Clock, Endpoint, LimitProfile};
use certmill_store::{self as store, LimitScope, Requests};
use tokio::{sync::Mutex, time::Instant};

/// Requests that are reserved at a time, and for how long: a part of the limit's period, and a second at most. Limits are kept
/// a tenth below the CA's, so what is sent that much later than it was taken never exceeds them.
const HANDFUL: u32 = 8;
const HANDFUL_PART: i32 = 10;
const HANDFUL_LASTS: Duration = Duration::from_secs(1);

/// The longest wait without another look: the CA may have said something else meanwhile.
const LOOK: Duration = Duration::from_secs(5);

/// What one process has reserved at one CA.
struct Reserved {
    store: store::Engine,
    clock: Arc<dyn Clock>,
    directory_url: String,
    limits: LimitProfile,
    handfuls: HashMap<Endpoint, Mutex<Handful>>,
}

#[derive(Default)]
struct Handful {
    left: u32,
    until: Option<Instant>,
}

/// Holds each request to the CA until its limits let it go; `None` where it has none.
pub(super) fn pace(
    store: &store::Engine,
    clock: &Arc<dyn Clock>,
    directory_url: String,
    limits: &LimitProfile,
) -> Option<Pace> {
    if limits.requests.is_empty() {
        return None;
    }
    let handfuls = limits.requests.keys().map(|endpoint| (*endpoint, Mutex::default())).collect();
    let (store, clock, limits) = (store.clone(), clock.clone(), limits.clone());
    let reserved = Arc::new(Reserved { store, clock, directory_url, limits, handfuls });
    Some(Pace::new(move |endpoint| {
        let reserved = reserved.clone();
        async move { reserved.hold(endpoint).await }
    }))
}

impl Reserved {
    /// Ends when a request may be sent. Whoever waits holds up those behind him, so that they go in turn.
    async fn hold(&self, endpoint: Endpoint) {
        let Some(handful) = self.handfuls.get(&endpoint) else { return };
        let mut handful = handful.lock().await;
        while !handful.take() {
            match self.reserve(endpoint).await {
                Ok(Requests::Granted(granted)) => {
                    let lasts = self.limits.requests[&endpoint].period / HANDFUL_PART;
                    let lasts = Duration::try_from(lasts).unwrap_or_default().min(HANDFUL_LASTS);
                    *handful = Handful::of(granted, lasts);
                }
                Ok(Requests::Wait(until)) => {
                    let wait = until - self.clock.now();
                    tokio::time::sleep(Duration::try_from(wait).unwrap_or_default().min(LOOK)).await;
                }
                // Without the ledger nothing can be recorded either, so there is not much that goes on.
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "the ledger of requests cannot be read; sending without");
                    return;
                }
            }
        }
    }

    async fn reserve(&self, endpoint: Endpoint) -> Result<Requests, store::StoreError> {
        // Requests are counted by address, not by account.
        let scope = LimitScope {
            account_id: AccountId::nil(),
            directory_url: &self.directory_url,
            limits: &self.limits,
        };
        self.store.take_requests(scope, endpoint, HANDFUL, self.clock.now()).await
    }
}

impl Handful {
    fn of(left: u32, lasts: Duration) -> Self {
        Self { left, until: Some(Instant::now() + lasts) }
    }

    fn take(&mut self) -> bool {
        let fresh = self.until.is_some_and(|until| Instant::now() < until);
        let taken = fresh && self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}
