//! Reads what is new in the feed once, for all streams of this process.

use std::{sync::Arc, time::Duration};

use certmill_model::EventDocument;
use certmill_store::{Reach, StoreError};
use tokio::sync::{Mutex, broadcast};

use crate::WebState;

/// Events that wait for the slowest stream; one that is further behind reads what it missed from the database.
const KEPT: usize = 1024;

/// Events that are read at a time.
const AT_ONCE: i64 = 500;

/// Nothing said so, but there may be more: a notification is lost with its connection.
const POLL: Duration = Duration::from_secs(5);

/// An event as every stream sends it.
#[derive(Debug)]
pub(super) struct News {
    pub(super) position: i64,
    pub(super) event: EventDocument,
    pub(super) json: String,
}

/// Where streams hear what is new.
pub(crate) struct Hub {
    news: broadcast::Sender<Arc<News>>,
    is_reading: Mutex<bool>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { news: broadcast::Sender::new(KEPT), is_reading: Mutex::new(false) }
    }
}

impl Hub {
    /// From now on, hears everything that gets its place in the feed. Nobody reads while nobody hears.
    pub(super) async fn subscribe(
        &self,
        state: &WebState,
    ) -> Result<broadcast::Receiver<Arc<News>>, StoreError> {
        let mut is_reading = self.is_reading.lock().await;
        let receiver = self.news.subscribe();
        if !*is_reading {
            // Before whoever asked reads what is there already: so nothing lies between the two.
            let position = state.store.feed_end().await?;
            tokio::spawn(read(state.clone(), position));
            *is_reading = true;
        }
        Ok(receiver)
    }

    /// Whether the reader may end, because nobody hears it.
    async fn is_done(&self) -> bool {
        let mut is_reading = self.is_reading.lock().await;
        *is_reading = self.news.receiver_count() > 0;
        !*is_reading
    }
}

async fn read(state: WebState, mut position: i64) {
    let mut listener = None;
    while !state.hub.is_done().await {
        if listener.is_none() {
            listener = state.store.listen_to_feed().await.ok();
        }
        if let Err(error) = hand_on(&state, &mut position).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "what is new in the feed cannot be read; trying again");
        }
        let woken = async {
            match &mut listener {
                Some(heard) => heard.recv().await.is_ok(),
                None => std::future::pending().await,
            }
        };
        if matches!(tokio::time::timeout(POLL, woken).await, Ok(false)) {
            listener = None;
            tokio::time::sleep(POLL).await;
        }
    }
}

async fn hand_on(state: &WebState, position: &mut i64) -> Result<(), StoreError> {
    loop {
        let page = state.store.read(Reach::Platform).await?.events_after(*position, None, AT_ONCE).await?;
        let Some((reached, _)) = page.reached else { return Ok(()) };
        for (position, event) in page.events {
            let json = event.to_json();
            // Whoever heard may have gone meanwhile.
            let _ = state.hub.news.send(Arc::new(News { position, event, json }));
        }
        *position = reached;
    }
}
