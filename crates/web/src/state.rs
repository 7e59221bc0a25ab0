//! What every handler can reach.

use std::{fmt, net::IpAddr, sync::Arc};

use certmill_model::{
    Chance, Clock, Form, LimitProfile, NamePolicy, PreviewedDomain, TemplateDraft, TemplateMistake,
    TemplateRef, WebhookDestinations,
};
use certmill_store::{Api, ScopedTx, StoreError};
use time::OffsetDateTime;
use tokio::sync::{Semaphore, watch};

use crate::{
    PublicUrl,
    access::Pace,
    challenge::ChallengeCache,
    feed::{Hub, Places},
    look,
};

const PASSWORDS_AT_ONCE: usize = 2;

/// Shows what a template that is being written makes of domains: web knows no nginx.
#[derive(Clone)]
pub struct Previewer(Arc<Preview>);

type Preview = dyn Fn(&TemplateDraft) -> Result<Vec<PreviewedDomain>, TemplateMistake> + Send + Sync;

impl Previewer {
    /// One that asks `preview`.
    pub fn new(
        preview: impl Fn(&TemplateDraft) -> Result<Vec<PreviewedDomain>, TemplateMistake> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(preview))
    }

    pub(crate) fn preview(&self, draft: &TemplateDraft) -> Result<Vec<PreviewedDomain>, TemplateMistake> {
        (self.0)(draft)
    }
}

impl fmt::Debug for Previewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Previewer")
    }
}

/// What an operator sets.
#[derive(Clone, Debug)]
pub struct WebSettings {
    /// Where people find the dashboard.
    pub public_url: PublicUrl,
    /// Which names are taken in.
    pub name_policy: NamePolicy,
    /// The templates that exist, each with a form it has; a domain that names another one is refused.
    pub templates: Vec<(String, Form)>,
    /// The names of the CAs that a tenant may be given.
    pub authorities: Vec<String>,
    /// What the CAs allow, by the address of their directories.
    pub limits: Vec<(String, LimitProfile)>,
    /// Shows what others would make.
    pub previewer: Previewer,
    /// Requests a minute that a token may send, where its tenant's quota says nothing else.
    pub requests_per_minute: i32,
    /// Proxies in front of certmill, which say in `X-Forwarded-For` where a request came from.
    pub trusted_proxies: Vec<IpAddr>,
    /// Where webhooks may be sent.
    pub webhook_destinations: WebhookDestinations,
}

/// What the process counts and measures, as text for Prometheus.
pub type Counters = Arc<dyn Fn() -> String + Send + Sync>;

/// What every handler can reach; cheap to clone.
#[derive(Clone)]
pub struct WebState {
    pub(crate) store: Api,
    pub(crate) chance: Arc<Chance>,
    pub(crate) settings: Arc<WebSettings>,
    pub(crate) challenges: Arc<ChallengeCache>,
    pub(crate) waiting_for_looks: Arc<Semaphore>,
    /// Hashing a password fills a core for 20 ms: at most so many at once.
    pub(crate) passwords: Arc<Semaphore>,
    pub(crate) pace: Arc<Pace>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) places: Arc<Places>,
    /// Turns true when the server ends: streams end with it.
    pub(crate) stopping: watch::Sender<bool>,
    clock: Arc<dyn Clock>,
    counters: Counters,
}

impl WebState {
    /// The state of one server.
    pub fn new(store: Api, clock: Arc<dyn Clock>, chance: Arc<Chance>, settings: WebSettings) -> Self {
        let (settings, challenges) = (Arc::new(settings), Arc::default());
        let waiting_for_looks = Arc::new(Semaphore::new(look::WAITING));
        let (passwords, pace) = (Arc::new(Semaphore::new(PASSWORDS_AT_ONCE)), Arc::default());
        let (hub, places, stopping) = (Arc::default(), Arc::default(), watch::Sender::new(false));
        Self {
            store,
            chance,
            settings,
            challenges,
            waiting_for_looks,
            passwords,
            pace,
            hub,
            places,
            stopping,
            clock,
            counters: Arc::new(String::new),
        }
    }

    /// With what the process counts, which `/metrics` answers.
    #[must_use]
    pub fn with_counters(self, counters: Counters) -> Self {
        Self { counters, ..self }
    }

    pub(crate) fn counted(&self) -> String {
        (self.counters)()
    }

    /// Ends every stream, so that the server can end: they would last for ever.
    pub fn end_streams(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }
}

impl WebState {
    /// Whether `wanted` exists, in the form it asks for: as a file of this process, or published. Looked up in the transaction of
    /// whoever asks: another connection, taken while a row is held, could be waited for by all at once.
    pub(crate) async fn has_template(
        &self,
        tx: &mut ScopedTx,
        wanted: &TemplateRef,
    ) -> Result<bool, StoreError> {
        let suits = |form| wanted.form().is_none_or(|asked| asked == form);
        let mut files = self.settings.templates.iter();
        if files.any(|(name, form)| name == wanted.name() && suits(*form)) {
            return Ok(true);
        }
        tx.has_template(wanted).await
    }
}
