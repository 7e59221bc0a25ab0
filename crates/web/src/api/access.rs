//! Who is calling, by the bearer token (RFC 6750), and what that caller may reach.

use axum::extract::FromRequestParts;
use certmill_model::{DomainId, EventId, Hostname, TenantId};
use certmill_store::{Caller, Domain, DomainEvent, PlatformTx, Setup, StoreError, TenantTx};
use certmill_vault::ApiToken;
use http::{StatusCode, header::AUTHORIZATION, request::Parts};

use crate::{WebState, problem::Problem};

/// A caller with a valid token.
pub(super) struct Authenticated(pub(super) Caller);

impl FromRequestParts<WebState> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Problem> {
        let header = parts
            .headers
            .get(AUTHORIZATION)
            .ok_or_else(|| unauthorized("token_missing", "Send a token: Authorization: Bearer certmill_…"))?;
        let token = header.to_str().ok().and_then(bearer_token).ok_or_else(unknown_token)?;
        let caller = state.store.authenticate(&token.hash(), state.now()).await?;
        caller.map(Self).ok_or_else(unknown_token)
    }
}

impl Authenticated {
    /// The tenant that writes; the platform has no domains of its own.
    pub(super) fn tenant(&self) -> Result<TenantId, Problem> {
        match self.0 {
            Caller::Tenant(tenant) => Ok(tenant),
            Caller::Platform => Err(forbidden(
                "tenant_token_required",
                "A domain belongs to a tenant: use a token of that tenant. This token is the platform's.",
            )),
        }
    }

    /// Refuses everybody but the platform's own people.
    pub(super) fn platform(&self) -> Result<(), Problem> {
        match self.0 {
            Caller::Platform => Ok(()),
            Caller::Tenant(_) => Err(forbidden(
                "platform_token_required",
                "Load balancers are the platform's: use a token of the platform. This token is a tenant's.",
            )),
        }
    }

    /// Begins to read what this caller may see.
    pub(super) async fn read(&self, state: &WebState) -> Result<Reader, StoreError> {
        Ok(match self.0 {
            Caller::Tenant(tenant) => Reader::Tenant(state.store.read_tenant(tenant).await?),
            Caller::Platform => Reader::Platform(state.store.read_platform().await?),
        })
    }
}

/// Reads one tenant's domains, or everybody's.
pub(super) enum Reader {
    Tenant(TenantTx),
    Platform(PlatformTx),
}

impl Reader {
    pub(super) async fn find_domain(&mut self, name: &Hostname) -> Result<Domain, Problem> {
        let found = match self {
            Self::Tenant(tx) => tx.find_domain(name).await?,
            Self::Platform(tx) => tx.find_domain(name).await?,
        };
        found.ok_or_else(Problem::no_such_domain)
    }

    pub(super) async fn list_domains(
        &mut self,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<Domain>, StoreError> {
        match self {
            Self::Tenant(tx) => tx.list_domains(after, limit).await,
            Self::Platform(tx) => tx.list_domains(after, limit).await,
        }
    }

    pub(super) async fn problems(
        &mut self,
        domains: &[DomainId],
    ) -> Result<Vec<(DomainId, certmill_model::Problem)>, StoreError> {
        match self {
            Self::Tenant(tx) => tx.problems_of(domains).await,
            Self::Platform(tx) => tx.problems_of(domains).await,
        }
    }

    pub(super) async fn setup(&mut self, domain: DomainId) -> Result<Setup, StoreError> {
        match self {
            Self::Tenant(tx) => tx.setup(domain).await,
            Self::Platform(tx) => tx.setup(domain).await,
        }
    }

    pub(super) async fn timeline(
        &mut self,
        domain: DomainId,
        after: Option<EventId>,
        limit: i64,
    ) -> Result<Vec<DomainEvent>, StoreError> {
        match self {
            Self::Tenant(tx) => tx.timeline(domain, after, limit).await,
            Self::Platform(tx) => tx.timeline(domain, after, limit).await,
        }
    }
}

fn bearer_token(header: &str) -> Option<ApiToken> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| ApiToken::parse(token.trim()).ok()).flatten()
}

/// One answer for a mistyped, unknown, expired or revoked token: a stranger learns nothing from it.
fn unknown_token() -> Problem {
    unauthorized("token_invalid", "The token is not valid: mistyped, expired, revoked or never given.")
}

fn unauthorized(code: &'static str, detail: &'static str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, code, "Not authenticated", detail)
}

fn forbidden(code: &'static str, detail: &'static str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, code, "Not allowed with this token", detail)
}
