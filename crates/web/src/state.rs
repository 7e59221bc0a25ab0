//! What every handler can reach.

use std::sync::Arc;

use certmill_model::{Chance, Clock, Form, NamePolicy, TemplateRef};
use certmill_store::Api;
use time::OffsetDateTime;
use tokio::sync::Semaphore;

use crate::{PublicUrl, challenge::ChallengeCache, look};

/// What an operator sets.
#[derive(Clone, Debug)]
pub struct WebSettings {
    /// Where people find the dashboard.
    pub public_url: PublicUrl,
    /// Which names are taken in.
    pub name_policy: NamePolicy,
    /// The templates that exist, each with a form it has; a domain that names another one is refused.
    pub templates: Vec<(String, Form)>,
}

/// What every handler can reach; cheap to clone.
#[derive(Clone)]
pub struct WebState {
    pub(crate) store: Api,
    pub(crate) chance: Arc<Chance>,
    pub(crate) settings: Arc<WebSettings>,
    pub(crate) challenges: Arc<ChallengeCache>,
    pub(crate) waiting_for_looks: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

impl WebState {
    /// The state of one server.
    pub fn new(store: Api, clock: Arc<dyn Clock>, chance: Arc<Chance>, settings: WebSettings) -> Self {
        let (settings, challenges) = (Arc::new(settings), Arc::default());
        let waiting_for_looks = Arc::new(Semaphore::new(look::WAITING));
        Self { store, chance, settings, challenges, waiting_for_looks, clock }
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }
}

impl WebSettings {
    /// Whether `wanted` exists, in the form it asks for.
    pub(crate) fn has_template(&self, wanted: &TemplateRef) -> bool {
        let suits = |form| wanted.form().is_none_or(|asked| asked == form);
        self.templates.iter().any(|(name, form)| name == wanted.name() && suits(*form))
    }
}
