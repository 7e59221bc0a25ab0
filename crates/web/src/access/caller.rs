//! Whoever calls, once the gate has let it past.

use std::{
    fmt::Display,
    net::{IpAddr, SocketAddr},
};

use axum::extract::{ConnectInfo, FromRequestParts};
use certmill_model::{Permission, Role, Scope, TenantId, TenantStatus, UserId};
use certmill_store::{Actor, AuditEntry, Reach, SessionHolder, StoreError, TokenHolder, TokenMaker};
use certmill_vault::{ApiToken, TokenHash};
use http::{Extensions, HeaderMap, StatusCode, request::Parts};
use serde_json::Value;

use super::{csrf, gate::SESSION_IDLE};
use crate::{WebState, brand::Face, dashboard::Visit, problem::Problem};

/// Whoever calls. The gate puts it into the request; a handler behind a gate takes it from there.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// How far it sees.
    pub(crate) reach: Reach,
    /// Who the audit log names.
    pub(crate) actor: Actor,
    /// The user, if a person with an account calls.
    pub(crate) user_id: Option<UserId>,
    /// Proves that a form is from our own page, to this session.
    pub(crate) csrf: String,
    /// What its browser told.
    pub(crate) visit: Visit,
    /// How its tenant appears, if a person of one calls.
    pub(crate) face: Option<Face>,
    /// Where its tenant is; `None`: it is the platform's.
    pub(crate) tenant_status: Option<TenantStatus>,
    session: Option<TokenHash>,
    token: Option<TokenHash>,
    rights: Rights,
}

#[derive(Clone, Debug)]
enum Rights {
    Role(Role),
    Scopes(Vec<Scope>),
}

impl Caller {
    pub(super) fn of_token(holder: TokenHolder, token: &ApiToken) -> Self {
        let id = holder.token_id.to_string();
        Self {
            reach: holder.reach,
            actor: actor("token", Some(id), holder.name),
            user_id: None,
            csrf: String::new(),
            visit: Visit::default(),
            face: None,
            tenant_status: holder.tenant_status,
            session: None,
            token: Some(token.hash()),
            rights: Rights::Scopes(holder.scopes),
        }
    }

    pub(super) fn of_session(holder: SessionHolder, session: &ApiToken) -> Self {
        let actor = match holder.user_id {
            Some(id) => actor("user", Some(id.to_string()), holder.name.unwrap_or_default()),
            None => Actor::command_line(),
        };
        let (tenant_status, face) = holder.tenant.unzip();
        Self {
            reach: holder.reach,
            actor,
            tenant_status,
            face: holder.reach.tenant().zip(face).map(|(tenant, face)| Face::new(tenant, face)),
            user_id: holder.user_id,
            csrf: csrf::token(session),
            visit: Visit::default(),
            session: Some(session.hash()),
            token: None,
            rights: Rights::Role(holder.role),
        }
    }

    /// Whether it may do that.
    pub(crate) fn may(&self, permission: Permission) -> bool {
        let of_platform = self.reach == Reach::Platform;
        match &self.rights {
            Rights::Role(role) => role.allows(permission, of_platform),
            Rights::Scopes(scopes) => scopes.iter().any(|scope| scope.allows(permission, of_platform)),
        }
    }

    /// Whether its tenant is suspended or being deleted, so that it only reads.
    pub(crate) fn only_reads(&self) -> bool {
        self.tenant_status.is_some_and(|status| status != TenantStatus::Active)
    }

    /// Whether what it came with still opens anything. For what lasts longer than a request.
    pub(crate) async fn is_still_valid(&self, state: &WebState) -> Result<bool, StoreError> {
        let now = state.now();
        match (&self.token, &self.session) {
            (Some(token), _) => Ok(state.store.token_holder(token, now).await?.is_some()),
            (None, Some(session)) => {
                Ok(state.store.session_holder(session, now, SESSION_IDLE).await?.is_some())
            }
            (None, None) => Ok(false),
        }
    }

    /// Ends what lasts longer than a request, once what it came with opens nothing any more.
    pub(crate) async fn may_go_on(&self, state: &WebState) -> Result<(), Problem> {
        if self.is_still_valid(state).await? { Ok(()) } else { Err(Problem::internal()) }
    }

    /// The session of the person who calls.
    pub(crate) fn session(&self) -> Option<&TokenHash> {
        self.session.as_ref()
    }

    /// Who makes a token, when this caller does.
    pub(crate) fn as_maker(&self) -> TokenMaker {
        match (self.user_id, &self.token) {
            (Some(user), _) => TokenMaker::User(user),
            (None, Some(token)) => TokenMaker::HolderOf(*token),
            (None, None) => TokenMaker::CommandLine,
        }
    }

    /// The tenant in which it acts: its own, or the one that the platform's people name (`asked`). Naming another one than
    /// one's own is like naming one that does not exist.
    pub(crate) fn tenant_or(&self, asked: Option<TenantId>) -> Result<TenantId, Problem> {
        match (self.reach, asked) {
            (Reach::Tenant(own), None) => Ok(own),
            (Reach::Tenant(own), Some(asked)) if own == asked => Ok(own),
            (Reach::Platform, Some(asked)) => Ok(asked),
            (Reach::Tenant(_), Some(_)) => Err(Problem::no_such("tenant")),
            (Reach::Platform, None) => Err(Problem::field(
                "/tenant".into(),
                "tenant_missing",
                "say which tenant it is for: this caller is the platform's".into(),
            )),
        }
    }

    /// An entry for the audit log: that it did `action` to a thing.
    pub(crate) fn did(
        &self,
        action: &'static str,
        object_kind: &'static str,
        object_id: impl Display,
        object_name: impl Display,
        detail: Value,
    ) -> AuditEntry<'_> {
        AuditEntry {
            actor: &self.actor,
            action,
            object_kind,
            object_id: Some(object_id.to_string()),
            object_name: object_name.to_string(),
            tenant: self.reach.tenant(),
            detail,
        }
    }
}

fn actor(kind: &'static str, id: Option<String>, name: String) -> Actor {
    Actor { kind, id, name, request_id: None, address: None, keyed: None }
}

impl FromRequestParts<WebState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &WebState) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            // A route that is declared open has no caller, whatever its handler hopes for.
            tracing::error!(path = parts.uri.path(), "a handler wants a caller behind no gate");
            Problem::internal()
        })
    }
}

/// The address that a request came from: of the peer, or what a proxy that is trusted says of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PeerAddress(pub(crate) Option<IpAddr>);

impl PeerAddress {
    pub(super) fn of(extensions: &Extensions, headers: &HeaderMap, trusted: &[IpAddr]) -> Self {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
        let Some(peer) = peer else { return Self(None) };
        if !trusted.contains(&peer) {
            return Self(Some(peer));
        }
        // The last proxy adds at the end; what stands before it, anybody may have written. So nothing is passed over: behind
        // an entry that says nothing, the next one would be the client's own word.
        let lists = headers.get_all("x-forwarded-for").iter().map(|value| value.to_str().unwrap_or_default());
        let said: Vec<_> = lists.flat_map(|list| list.split(',')).map(forwarded_for).collect();
        let client =
            said.into_iter().rev().find(|said| said.is_none_or(|address| !trusted.contains(&address)));
        Self(Some(client.flatten().unwrap_or(peer)))
    }
}

/// The address in an entry of `X-Forwarded-For`, which some proxies write with a port or in brackets.
fn forwarded_for(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let address = bare.parse().or_else(|_| entry.parse().map(|address: SocketAddr| address.ip())).ok()?;
    Some(address.to_canonical())
}

impl FromRequestParts<WebState> for PeerAddress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Problem> {
        Ok(Self::of(&parts.extensions, &parts.headers, &state.settings.trusted_proxies))
    }
}

/// What a caller is told who may not do that.
pub(super) fn forbidden(permission: Permission) -> Problem {
    let detail = if permission.is_platforms() {
        "This is the platform's: it takes a token or an account of the platform with the right to do it."
    } else {
        "This token or account has not the right to do that. Somebody who administers the tenant can give it."
    };
    Problem::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: &str, said: &'static str) -> String {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", said.parse().unwrap());
        let proxies = ["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
        PeerAddress::of(&extensions, &headers, &proxies).0.unwrap().to_string()
    }

    #[test]
    fn only_a_trusted_proxy_says_where_a_request_came_from() {
        assert_eq!(address("203.0.113.9", "198.51.100.1"), "203.0.113.9");
        assert_eq!(address("192.0.2.1", "10.0.0.1, 198.51.100.1"), "198.51.100.1");
        assert_eq!(address("192.0.2.1", "198.51.100.1, 192.0.2.2"), "198.51.100.1");
        assert_eq!(address("192.0.2.1", "nonsense"), "192.0.2.1");
    }

    #[test]
    fn what_a_proxy_adds_with_a_port_counts_and_what_the_client_wrote_before_it_does_not() {
        assert_eq!(address("192.0.2.1", "10.0.0.1, 203.0.113.9:4711"), "203.0.113.9");
        assert_eq!(address("192.0.2.1", "10.0.0.1, [2001:db8::9]:4711"), "2001:db8::9");
        assert_eq!(address("192.0.2.1", "10.0.0.1, [2001:db8::9]"), "2001:db8::9");
        assert_eq!(address("192.0.2.1", "10.0.0.1, ::ffff:203.0.113.9"), "203.0.113.9");
        assert_eq!(address("192.0.2.1", "10.0.0.1, 203.0.113.9, 192.0.2.2:80"), "203.0.113.9");
    }

    #[test]
    fn behind_an_entry_that_is_no_address_nothing_is_believed() {
        assert_eq!(address("192.0.2.1", "198.51.100.1, unknown"), "192.0.2.1");
        assert_eq!(address("192.0.2.1", "198.51.100.1, "), "192.0.2.1");
        assert_eq!(address("192.0.2.1", "198.51.100.1, _hidden, 192.0.2.2"), "192.0.2.1");
    }
}
