//! One stream of events (server-sent events): what is there already, then what comes, without a gap between.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use certmill_model::{DomainId, EventDocument, EventKind};
use certmill_store::StoreError;
use futures_util::stream;
use time::OffsetDateTime;
use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    time::timeout,
};

use super::{Place, hub::News};
use crate::{WebState, access::Caller};

/// A sign of life, so that nobody between takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How soon a reader whose connection broke comes again.
const RETRY: Duration = Duration::from_secs(2);

/// Events that are read from the database at a time.
const AT_ONCE: i64 = 200;

/// A caller whose token was revoked gets nothing more after so long.
const TRUSTED: time::Duration = time::Duration::milliseconds(500);

/// How often that is asked where nothing matches: a stream that nobody may read keeps no place for long.
const ASKED: time::Duration = time::Duration::MINUTE;

/// Which events a stream is for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Of these kinds; `None`: of all.
    pub(crate) kinds: Option<Vec<EventKind>>,
    /// Of this domain alone.
    pub(crate) domain: Option<DomainId>,
}

/// Answers with the events behind `position` that are `wanted`, and with those that come, until the caller goes, may not
/// read them any more, or the server ends. A reader goes on where it was by `Last-Event-ID`.
pub(crate) fn answer(
    state: &WebState,
    caller: Caller,
    wanted: Wanted,
    position: i64,
    place: Place,
) -> Response {
    let (sender, mut receiver) = mpsc::channel(16);
    let checked_at = state.now();
    let pump = Pump { state: state.clone(), caller, wanted, position, sender, checked_at, _place: place };
    tokio::spawn(pump.run());
    let events = stream::poll_fn(move |context| receiver.poll_recv(context));
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("alive")).into_response()
}

struct Pump {
    state: WebState,
    caller: Caller,
    wanted: Wanted,
    position: i64,
    sender: mpsc::Sender<Result<Event, Infallible>>,
    checked_at: OffsetDateTime,
    _place: Place,
}

/// The stream is over: its reader is gone, or may not read any more.
struct Over;

impl From<StoreError> for Over {
    fn from(error: StoreError) -> Self {
        // The reader comes again, and goes on where it was.
        tracing::warn!(error = &error as &dyn std::error::Error, "a stream of events ends early");
        Self
    }
}

impl Pump {
    async fn run(mut self) {
        let mut stopping = self.state.stopping.subscribe();
        let (sender, stopped) =
            (self.sender.clone(), async move { stopping.wait_for(|stops| *stops).await.is_ok() });
        tokio::select! {
            _ = self.send_all() => {}
            () = sender.closed() => {}
            _ = stopped => {}
        }
    }

    async fn send_all(&mut self) -> Result<(), Over> {
        let mut news = self.state.hub.subscribe(&self.state).await?;
        self.send(Event::default().retry(RETRY).comment("events follow")).await?;
        loop {
            self.catch_up().await?;
            // Until this stream is so far behind that it missed some.
            loop {
                match timeout(ASKED.unsigned_abs(), news.recv()).await {
                    Ok(Ok(one)) => self.offer(&one).await?,
                    Ok(Err(RecvError::Lagged(_))) => break,
                    Ok(Err(RecvError::Closed)) => return Err(Over),
                    Err(_) => self.ask_after(time::Duration::ZERO).await?,
                }
            }
        }
    }

    async fn catch_up(&mut self) -> Result<(), Over> {
        loop {
            let mut tx = self.state.store.read(self.caller.reach).await?;
            let page = match self.wanted.domain {
                Some(domain) => tx.domain_events_after(domain, self.position, AT_ONCE).await?,
                None => tx.events_after(self.position, self.wanted.kinds.as_deref(), AT_ONCE).await?,
            };
            // No connection is held while a slow reader is waited for.
            drop(tx);
            let Some((reached, _)) = page.reached else { return Ok(()) };
            for (_, event) in page.events {
                if self.wanted.takes(&event) {
                    self.send_event(&event, event.to_json()).await?;
                }
            }
            self.position = reached;
            self.ask_after(ASKED).await?;
        }
    }

    async fn offer(&mut self, news: &Arc<News>) -> Result<(), Over> {
        if news.position <= self.position {
            return Ok(());
        }
        self.position = news.position;
        let is_visible = self.caller.reach.tenant().is_none_or(|own| news.event.data.tenant == Some(own));
        if is_visible && self.wanted.takes(&news.event) {
            return self.send_event(&news.event, news.json.clone()).await;
        }
        self.ask_after(ASKED).await
    }

    async fn send_event(&mut self, event: &EventDocument, json: String) -> Result<(), Over> {
        self.ask_after(TRUSTED).await?;
        let (id, kind) = (event.id.to_string(), event.kind.public_type());
        self.send(Event::default().id(id).event(kind).data(json)).await
    }

    /// Asks whether the caller may read still, if that was not asked for so long.
    async fn ask_after(&mut self, trusted: time::Duration) -> Result<(), Over> {
        let now = self.state.now();
        if now - self.checked_at > trusted {
            self.caller.is_still_valid(&self.state).await?.then_some(()).ok_or(Over)?;
            self.checked_at = now;
        }
        Ok(())
    }

    async fn send(&mut self, event: Event) -> Result<(), Over> {
        self.sender.send(Ok(event)).await.map_err(|_| Over)
    }
}

impl Wanted {
    fn takes(&self, event: &EventDocument) -> bool {
        let of_domain = self.domain.is_none_or(|domain| event.data.id == domain.to_string());
        of_domain && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&event.kind))
    }
}
