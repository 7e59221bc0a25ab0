//! Which domain a path is about.

use axum::extract::{FromRequestParts, Path};
use certmill_model::{DomainId, Hostname, InvalidHostname};
use certmill_store::{Domain, ScopedTx, TenantTx, Tombstone};
use http::{StatusCode, request::Parts};
use serde::{Deserialize, Deserializer, de::Error};
use time::{Duration, format_description::well_known::Rfc3339};

use crate::{WebState, access::Caller, problem::Problem};

/// A domain that is gone is said to be gone for so long; then nothing is known of it.
const REMEMBERED: Duration = Duration::days(30);

/// A name, or a domain's id, parsed: of the `{name}` of a path, percent-decoded once, or of a query.
pub(crate) enum DomainRef {
    Name(Hostname),
    Id(DomainId),
}

/// The path of something of a domain, whatever follows its name.
#[derive(Deserialize)]
struct NamePath {
    name: String,
}

impl FromRequestParts<WebState> for DomainRef {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Problem> {
        let Path(NamePath { name }) =
            Path::<NamePath>::from_request_parts(parts, state).await.map_err(|_| {
                let detail = "The name in the path is not UTF-8 when percent-decoded.";
                Problem::new(StatusCode::BAD_REQUEST, "name_not_utf8", "The name cannot be read", detail)
            })?;
        Ok(Self::parse(&name)?)
    }
}

impl<'de> Deserialize<'de> for DomainRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl DomainRef {
    fn parse(text: &str) -> Result<Self, InvalidHostname> {
        // No name has an underscore.
        text.parse().map_or_else(|_| Hostname::parse(text).map(Self::Name), |id| Ok(Self::Id(id)))
    }

    /// The name, where a domain need not be there yet.
    pub(super) fn into_name(self) -> Result<Hostname, Problem> {
        match self {
            Self::Name(name) => Ok(name),
            Self::Id(_) => Err(Problem::no_such_domain()),
        }
    }

    /// The domain, as `tx` sees it.
    pub(in crate::api) async fn find(&self, state: &WebState, tx: &mut ScopedTx) -> Result<Domain, Problem> {
        let found = match self {
            Self::Name(name) => tx.find_domain(name).await?,
            Self::Id(id) => tx.domain(*id).await?,
        };
        match found {
            Some(domain) => Ok(domain),
            None => Err(self
                .tombstone(state, tx)
                .await?
                .map_or_else(Problem::no_such_domain, |gone| is_gone(&gone))),
        }
    }

    /// What is left of a domain that is gone.
    async fn tombstone(&self, state: &WebState, tx: &mut ScopedTx) -> Result<Option<Tombstone>, Problem> {
        let since = state.now() - REMEMBERED;
        Ok(match self {
            Self::Name(name) => tx.tombstone(name, since).await?,
            Self::Id(id) => tx.tombstone_of(*id, since).await?,
        })
    }

    /// The domain for a change of it, which nobody else changes before the transaction ends.
    pub(crate) async fn lock(
        &self,
        state: &WebState,
        caller: &Caller,
    ) -> Result<(TenantTx, Domain), Problem> {
        let seen = self.find(state, &mut state.store.read(caller.reach).await?).await?;
        let mut tx = state.store.tenant(seen.tenant_id).await?;
        let domain = tx.lock_domain(&seen.name).await?.filter(|domain| domain.domain_id == seen.domain_id);
        Ok((tx, domain.ok_or_else(Problem::no_such_domain)?))
    }
}

fn is_gone(tombstone: &Tombstone) -> Problem {
    let since = tombstone.gone_since.format(&Rfc3339).unwrap_or_default();
    let detail = format!("{} was removed, and is off every load balancer since {since}.", tombstone.name);
    Problem::new(StatusCode::GONE, "domain_gone", "Domain removed", detail)
}
