//! What every handler can reach.

use std::sync::Arc;

use certmill_model::{Chance, Clock, Form, NamePolicy, TemplateRef};
use certmill_store::Api;
use time::OffsetDateTime;

use crate::{PublicUrl, challenge::ChallengeCache};

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
    clock: Arc<dyn Clock>,
}

impl WebState {
    /// The state of one server.
    pub fn new(store: Api, clock: Arc<dyn Clock>, chance: Arc<Chance>, settings: WebSettings) -> Self {
        Self { store, chance, settings: Arc::new(settings), challenges: Arc::default(), clock }
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
