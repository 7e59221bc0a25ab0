//! The CAs that may be asked: each with our account, its limits, and how it fares.

mod account;
mod pace;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use certmill_acme::{AcmeError, CaSettings, Client, LimitHit, TrustedRoots};
use certmill_model::{
    AccountId, Breaker, CaCandidate, CaChoice, LimitProfile, RemainingLife, choose_authority,
};
use certmill_store::{ClaimedDomain, LimitScope, StoreError};
use certmill_vault::Secret;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{Engine, Parts, error::AuthorityError};

pub use account::{Replaced, open_authority, replace_account, roll_over_account};

/// How long what another worker was told of a limit may be unknown here, where no limits are configured.
const HOLDS_LAST: Duration = Duration::from_secs(1);

/// A CA as it is configured.
pub struct AuthoritySettings {
    /// Its name here.
    pub name: String,
    /// How to reach it.
    pub ca: CaSettings,
    /// What it calls itself in CAA records, where its directory does not say so.
    pub caa_identities: Vec<String>,
    /// The roots that its certificates must lead to; `None` where they are public and its chains are believed.
    pub issuing_roots: Option<TrustedRoots>,
    /// What it takes of us in which time.
    pub limits: LimitProfile,
    /// The profile that orders ask for; `None` leaves the choice to it.
    pub profile: Option<String>,
}

/// A CA, with what this process knows of it.
pub(crate) struct Authority {
    pub(crate) settings: AuthoritySettings,
    directory_url: String,
    open: tokio::sync::Mutex<Option<account::Kept>>,
    /// The same, for those who do not want to wait.
    known: Mutex<Option<Arc<OpenAuthority>>>,
    breaker: Mutex<Breaker>,
    any_limit_held: tokio::sync::Mutex<Option<(Instant, bool)>>,
}

/// A CA with which we have an account.
pub(crate) struct OpenAuthority {
    pub(crate) account_id: AccountId,
    pub(crate) client: Client,
    /// The account's key, as it was then.
    key: Secret,
}

/// By what CAA records know a CA and our account with it, as far as we know that ourselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct CaIdentity {
    pub(crate) identities: Vec<String>,
    pub(crate) account_url: String,
}

/// Which CA an order goes to.
pub(crate) enum Chosen<'a> {
    /// This one.
    Use(&'a Arc<Authority>),
    /// None before then.
    Wait(OffsetDateTime),
    /// None that may issue for the name: ask the preferred one what speaks against it.
    Forbidden(&'a Arc<Authority>),
}

impl Authority {
    pub(crate) fn new(mut settings: AuthoritySettings, parts: &Parts) -> Self {
        let directory_url = settings.ca.directory_url().to_string();
        settings.ca.pace = pace::pace(&parts.store, &parts.clock, directory_url.clone(), &settings.limits);
        Self {
            directory_url,
            settings,
            open: tokio::sync::Mutex::default(),
            known: Mutex::default(),
            breaker: Mutex::new(Breaker::default()),
            any_limit_held: tokio::sync::Mutex::default(),
        }
    }

    /// What is known of it without asking.
    pub(crate) fn known(&self) -> Option<Arc<OpenAuthority>> {
        self.known.lock().expect("no holder of this lock panics").clone()
    }

    /// Whose limits an order counts for.
    pub(crate) fn scope(&self, open: &OpenAuthority) -> LimitScope<'_> {
        LimitScope {
            account_id: open.account_id,
            directory_url: &self.directory_url,
            limits: &self.settings.limits,
        }
    }

    /// By what CAA records know it.
    pub(crate) fn identity(&self) -> CaIdentity {
        let known = self.known();
        let told = known.as_ref().map(|open| open.client.identities().to_vec()).unwrap_or_default();
        let configured = &self.settings.caa_identities;
        CaIdentity {
            identities: if configured.is_empty() { told } else { configured.clone() },
            account_url: known.map(|open| open.client.account_url().to_owned()).unwrap_or_default(),
        }
    }

    /// Whether it said of any limit that nothing is to be taken of it for now; hundreds of orders a second ask, so the
    /// answer is kept for a moment.
    pub(crate) async fn is_any_limit_held(
        &self,
        engine: &Engine,
        open: &OpenAuthority,
    ) -> Result<bool, StoreError> {
        let mut kept = self.any_limit_held.lock().await;
        if let Some((at, held)) = *kept
            && at.elapsed() < HOLDS_LAST
        {
            return Ok(held);
        }
        let held = engine.parts.store.is_any_limit_held(self.scope(open), engine.now()).await?;
        *kept = Some((Instant::now(), held));
        Ok(held)
    }

    /// It has just said so.
    pub(crate) async fn forget_holds(&self) {
        *self.any_limit_held.lock().await = None;
    }

    /// Takes the right to ask it now; if nobody has that, when to come again.
    pub(crate) fn admit(&self, now: OffsetDateTime) -> Result<(), OffsetDateTime> {
        self.breaker().admit(now)
    }

    /// Whether it may be asked now; if not, when.
    pub(crate) fn available(&self, now: OffsetDateTime) -> Result<(), OffsetDateTime> {
        self.breaker().available(now)
    }

    /// It answered: whatever it said, it is there.
    pub(crate) fn answered(&self, now: OffsetDateTime) {
        self.breaker().succeeded(now);
    }

    /// Takes note of what came of asking it. A refusal is an answer as well.
    pub(crate) fn note(&self, engine: &Engine, error: &AcmeError) {
        let now = engine.now();
        // Too many requests, of whatever kind, is for everybody to heed.
        if error.is_ca_side() || error.limit_hit() == Some(LimitHit::Requests) {
            let asked = if let AcmeError::Retry { after, .. } = error { *after } else { None };
            self.breaker().failed(now, asked, engine.fraction());
            tracing::info!(
                authority = self.settings.name,
                again_at = ?self.available(now).err(),
                "the certificate authority fails on its side"
            );
        } else {
            self.breaker().succeeded(now);
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().expect("no holder of this lock panics")
    }
}

impl Engine {
    /// The CAs that may be asked for a domain, the preferred one first. Names that nothing is configured for are passed
    /// over; where none is left, the platform's list counts.
    fn authorities_for(&self, domain: &ClaimedDomain) -> Vec<&Arc<Authority>> {
        let named = |name: &String| self.authorities.iter().find(|known| known.settings.name == *name);
        let wanted: Vec<_> = domain.authorities.iter().flatten().filter_map(named).collect();
        if wanted.is_empty() { self.authorities.iter().collect() } else { wanted }
    }

    /// The CA that an order for `domain` goes to when nothing is wrong.
    pub(crate) fn preferred_authority(&self, domain: &ClaimedDomain) -> &Arc<Authority> {
        self.authorities_for(domain)[0]
    }

    /// The first of the CAs that may issue for `domain`; the preferred one where none may.
    pub(crate) fn permitted_authority(
        &self,
        domain: &ClaimedDomain,
        allows: impl Fn(&Authority) -> bool,
    ) -> &Arc<Authority> {
        let authorities = self.authorities_for(domain);
        authorities.iter().find(|authority| allows(authority)).unwrap_or(&authorities[0])
    }

    /// Decides which CA an order for `domain` goes to; `allows` says whether CAA records let it issue.
    pub(crate) fn choose_authority(
        &self,
        domain: &ClaimedDomain,
        allows: impl Fn(&Authority) -> bool,
    ) -> Chosen<'_> {
        let now = self.now();
        let authorities = self.authorities_for(domain);
        let candidates: Vec<_> = authorities
            .iter()
            .map(|authority| CaCandidate {
                available: authority.available(now),
                failing_since: authority.breaker().failing_since(),
                caa_allows: allows(authority),
            })
            .collect();
        let life = domain.held.as_ref().map(|held| RemainingLife {
            left: held.validity.not_after - now,
            lifetime: held.validity.lifetime(),
        });
        match choose_authority(&candidates, life, now) {
            CaChoice::Use(place) => Chosen::Use(authorities[place]),
            CaChoice::Wait(until) => Chosen::Wait(until),
            CaChoice::Forbidden => Chosen::Forbidden(authorities[0]),
        }
    }

    /// The CA with this directory.
    pub(crate) fn authority_at(&self, directory_url: &str) -> Option<&Arc<Authority>> {
        self.authorities.iter().find(|known| known.directory_url == directory_url)
    }

    /// The CA, with our account open. What goes wrong at its side counts against it.
    pub(crate) async fn open(&self, authority: &Authority) -> Result<Arc<OpenAuthority>, AuthorityError> {
        let opened = authority.opened(self).await;
        if let Err(AuthorityError::Ca(error)) = &opened {
            authority.note(self, error);
        }
        opened
    }
}
