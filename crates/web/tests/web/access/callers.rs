//! Every kind of caller.

use certmill_model::{EmailAddress, Permission, Role, Scope, TenantId};
use certmill_vault::ApiToken;
use certmill_web::{Door, RouteEntry};
use http::Method;
use time::Duration;

use super::things::{Filled, World};
use crate::support::exchange::{Answer, Call};

/// Somebody who calls, or a program.
pub(super) struct Caller {
    /// For the words of a fault.
    pub(super) name: String,
    /// Whether it is the platform's, and not the tenant's whose things are its own.
    pub(super) of_platform: bool,
    pub(super) token: Option<String>,
    /// Of a person, who logs in anew each time: some routes end sessions.
    pub(super) email: Option<String>,
    rights: Rights,
}

enum Rights {
    None,
    Role(Role),
    Scope(Scope),
}

/// Nobody, every role of people, every scope of tokens; of a tenant and of the platform.
pub(super) async fn callers(world: &World) -> Vec<Caller> {
    let nobody =
        Caller { name: "nobody".into(), of_platform: false, token: None, email: None, rights: Rights::None };
    let mut callers = vec![nobody];
    for of_platform in [false, true] {
        let tenant = (!of_platform).then_some(world.own.id);
        let place = if of_platform { "of the platform" } else { "of the tenant" };
        for scope in Scope::ALL {
            callers.push(Caller {
                name: format!("a token {place} for {scope}"),
                of_platform,
                token: Some(world.bench.token_for(tenant, &[*scope]).await),
                email: None,
                rights: Rights::Scope(*scope),
            });
        }
        for role in Role::possible(of_platform) {
            callers.push(Caller {
                name: format!("a {role} {place}"),
                of_platform,
                token: None,
                email: Some(invite(world, tenant, *role).await),
                rights: Rights::Role(*role),
            });
        }
    }
    callers
}

async fn invite(world: &World, tenant: Option<TenantId>, role: Role) -> String {
    let email = format!("{role}-{}@example.com", tenant.map_or("platform", |_| "tenant"));
    world.bench.invite(tenant, role, &email).await;
    email
}

async fn open_session(world: &World, email: &str) -> String {
    let bench = &world.bench;
    let user = bench.api.user_by_email(&EmailAddress::parse(email).unwrap()).await.unwrap().unwrap();
    let session = ApiToken::generate();
    let (origin, lasts) = (certmill_store::SessionOrigin::default(), Duration::hours(12));
    bench.api.open_session(user.user_id, &session.hash(), &origin, bench.now(), lasts).await.unwrap();
    format!("certmill={}", session.expose())
}

impl Caller {
    pub(super) fn may(&self, permission: Permission) -> bool {
        match self.rights {
            Rights::None => false,
            Rights::Role(role) => role.allows(permission, self.of_platform),
            Rights::Scope(scope) => scope.allows(permission, self.of_platform),
        }
    }

    /// Asks as a browser or a program asks.
    pub(super) async fn send(&self, world: &World, route: &RouteEntry, filled: &Filled) -> Answer {
        let mut call = Call::new(&world.bench.router, route.method.clone(), &filled.path);
        let mut proof = String::new();
        // Some of what people do with their own account ends their sessions: nobody else is to be about just then.
        let _turn = if route.path.starts_with("/account") {
            (Some(world.turn.write().await), None)
        } else {
            (None, Some(world.turn.read().await))
        };
        if let Some(token) = &self.token {
            call = call.token(token);
        }
        if let Some(email) = &self.email {
            let cookie = open_session(world, email).await;
            world.bench.get("/").cookie(&cookie).send().await.csrf().clone_into(&mut proof);
            call = call.cookie(&cookie);
        }
        // These are changed at the version that was read alone: at whatever it is, here.
        if route.path.starts_with("/v1/templates") {
            call = call.header("if-match", "*");
        }
        let is_form = route.door == Door::Page && route.method != Method::GET;
        call = match (is_form, filled.body.as_str()) {
            (false, "") => call,
            (false, body) if route.path == "/v1/bulk" => {
                call.header("content-type", "application/x-ndjson").body(body.to_owned())
            }
            (false, body) => call.json(body.to_owned()),
            (true, body) => call
                .header("origin", "http://127.0.0.1:8080")
                .header("content-type", "application/x-www-form-urlencoded")
                .body(format!("{body}&csrf={proof}")),
        };
        call.send().await
    }
}
