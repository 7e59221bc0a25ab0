//! From what a look found to what a letter says.

use std::collections::HashMap;

use certmill_model::{
    About, AlertId, AlertLetter, AlertState, Cause, Gathered, Letter, Listed, Occasion, TenantId, Word,
};
use certmill_store::StoreError;

use crate::Engine;

/// What tenants are called.
pub(super) struct Names(HashMap<TenantId, String>);

impl Names {
    pub(super) async fn load(engine: &Engine) -> Result<Self, StoreError> {
        Ok(Self(engine.parts.store.names_of_tenants().await?.into_iter().collect()))
    }

    pub(super) fn tenant(&self, tenant: Option<TenantId>) -> Option<String> {
        tenant.map(|tenant| self.0.get(&tenant).cloned().unwrap_or_else(|| tenant.to_string()))
    }

    pub(super) async fn letter(
        &self,
        engine: &Engine,
        alert_id: AlertId,
        word: Word,
        state: &AlertState,
        found: &Gathered,
    ) -> Result<Letter, StoreError> {
        let occasion = match word {
            Word::Opened(_) => Occasion::Opened,
            Word::Reminder(_) => Occasion::Reminder,
            Word::Incident(_) => Occasion::Incident,
            Word::Resolved => Occasion::Resolved,
        };
        let listed = |victim: &certmill_model::Victim| Listed {
            name: victim.name.to_string(),
            ends_at: victim.ends_at,
        };
        Ok(Letter::Alert(Box::new(AlertLetter {
            alert_id,
            occasion,
            level: state.level,
            code: found.cause.code,
            tenant: self.tenant(found.cause.tenant_id),
            about: about(engine, &found.cause).await?,
            names: found.names,
            first: found.first.iter().map(listed).collect(),
            since: found.since,
            last_attempt_at: found.last_attempt_at,
            next_attempt_at: found.next_attempt_at,
            detail: found.detail.clone(),
            at: engine.now(),
        })))
    }
}

/// With whom something is wrong, by the name that people know.
async fn about(engine: &Engine, cause: &Cause) -> Result<Option<String>, StoreError> {
    Ok(match &cause.about {
        About::Nobody => None,
        About::Ca(host) => Some(host.clone()),
        About::Target(id) => engine.parts.store.name_of_target(*id).await?,
    })
}
