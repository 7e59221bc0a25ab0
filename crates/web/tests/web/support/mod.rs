//! A router over a database of its own, and what stands in it.

mod cluster;
pub(crate) mod exchange;
pub(crate) mod looks;
pub(crate) mod operator;
mod seed;

use std::sync::Arc;

use axum::Router;
use certmill_model::{
    Chance, Form, KeyType, Label, ManualClock, NamePolicy, TemplateRef, TenantId, TokenId, UpstreamAddress,
};
use certmill_store::{Api, Engine, Tenant, connect_api, connect_engine};
use certmill_vault::{ApiToken, MasterKey, Vault};
use certmill_web::{PublicUrl, WebSettings, WebState, router};
use time::{Duration, macros::datetime};

pub(crate) use cluster::{Server, new_database};

/// A router, its database, and its clock.
pub(crate) struct Bench {
    pub(crate) router: Router,
    pub(crate) api: Api,
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) chance: Arc<Chance>,
    vault: Vault,
    // The server lives as long as whoever uses it.
    _server: Arc<Server>,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::at("http://127.0.0.1:8080").await
    }

    /// A bench whose dashboard is found at `public_url`.
    pub(crate) async fn at(public_url: &str) -> Self {
        let (server, database) = new_database().await;
        let api = connect_api(&database, 4).await.unwrap();
        let engine = connect_engine(&database, 2).await.unwrap();
        let clock = Arc::new(ManualClock::new(datetime!(2026-11-21 12:00 UTC)));
        let chance = Arc::new(Chance::seeded(7));
        let settings = settings(public_url);
        let state = WebState::new(api.clone(), clock.clone(), chance.clone(), settings);
        let vault = Vault::new(vec![MasterKey::generate()]).expect("one key");
        Self { router: router(state), api, engine, clock, chance, vault, _server: server }
    }

    /// Adds a tenant, and a token of it.
    pub(crate) async fn tenant(&self, name: &str) -> (TenantId, String) {
        let tenant = Tenant {
            tenant_id: TenantId::new(&self.chance, self.now()),
            name: Label::parse(name).unwrap(),
            template: TemplateRef::parse("storefront").unwrap(),
            upstream: UpstreamAddress::parse("127.0.0.1:9000").unwrap(),
            key_type: KeyType::EcdsaP256,
            authorities: None,
        };
        let mut tx = self.api.platform().await.unwrap();
        let id = tx.put_tenant(&tenant, self.now()).await.unwrap();
        tx.commit().await.unwrap();
        (id, self.token(Some(id)).await)
    }

    /// Adds a token of `tenant`, or of the platform, that is valid for 90 days.
    pub(crate) async fn token(&self, tenant: Option<TenantId>) -> String {
        let token = ApiToken::generate();
        let (id, now) = (TokenId::new(&self.chance, self.now()), self.now());
        let name = Label::parse("test").unwrap();
        let mut tx = self.api.platform().await.unwrap();
        tx.add_token(id, tenant, &name, &token.hash(), now, now + Duration::days(90)).await.unwrap();
        tx.commit().await.unwrap();
        token.expose().to_owned()
    }

    /// Adds a login link that is valid for 10 minutes, and gives its path.
    pub(crate) async fn login_path(&self) -> String {
        let link = ApiToken::generate();
        let mut tx = self.api.platform().await.unwrap();
        tx.add_login_link(&link.hash(), self.now(), self.now() + Duration::minutes(10)).await.unwrap();
        tx.commit().await.unwrap();
        format!("/login/{}", link.expose())
    }

    pub(crate) fn now(&self) -> time::OffsetDateTime {
        certmill_model::Clock::now(&*self.clock)
    }
}

/// What an operator would set, with names below `.test` allowed.
pub(crate) fn settings(public_url: &str) -> WebSettings {
    WebSettings {
        public_url: PublicUrl::parse(public_url).unwrap(),
        name_policy: NamePolicy::allowing_special_use(["test".into()]),
        templates: vec![
            ("storefront".into(), Form::Shared),
            ("storefront".into(), Form::Dedicated),
            ("redirect".into(), Form::Shared),
        ],
    }
}
