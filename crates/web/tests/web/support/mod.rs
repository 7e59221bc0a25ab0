//! A router over a database of its own, and what stands in it.

mod cluster;
pub(crate) mod exchange;
pub(crate) mod looks;
pub(crate) mod operator;
mod seed;
mod stream;

use std::sync::{Arc, LazyLock};

use axum::Router;
use certmill_model::{
    Chance, Clock, EmailAddress, Form, KeyType, Label, LimitProfile, ManualClock, NamePolicy, Role, Scope,
    TemplateRef, TenantId, TokenId, UpstreamAddress, UserId, WebhookDestinations,
};
use certmill_nginx::Templates;
use certmill_store::{
    Actor, Api, AuditEntry, Engine, NewToken, NewUser, Reach, Tenant, TokenMaker, connect_api, connect_engine,
};
use certmill_vault::{ApiToken, MasterKey, Vault};
use certmill_web::{Previewer, PublicUrl, WebSettings, WebState, router};
use time::{Duration, macros::datetime};

pub(crate) use cluster::{Server, new_database};

/// A router, its database, and its clock.
pub(crate) struct Bench {
    pub(crate) router: Router,
    pub(crate) state: WebState,
    pub(crate) api: Api,
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) chance: Arc<Chance>,
    pub(crate) database: String,
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
        Self::with(public_url, 4).await
    }

    /// A bench of which all requests share one connection: whoever takes a second one waits for himself.
    pub(crate) async fn with_one_connection() -> Self {
        Self::with_connections(1).await
    }

    /// A bench of which so many requests at once need not wait for each other's connections.
    pub(crate) async fn with_connections(connections: u32) -> Self {
        Self::with("http://127.0.0.1:8080", connections).await
    }

    async fn with(public_url: &str, connections: u32) -> Self {
        let (server, database) = new_database().await;
        let api = connect_api(&database, connections).await.unwrap();
        let engine = connect_engine(&database, 2).await.unwrap();
        let clock = Arc::new(ManualClock::new(datetime!(2026-11-21 12:00 UTC)));
        let chance = Arc::new(Chance::seeded(7));
        let settings = settings(public_url);
        let state = WebState::new(api.clone(), clock.clone(), chance.clone(), settings);
        let vault = Vault::new(vec![MasterKey::generate()]).expect("one key");
        engine.publish_sealing_key(&vault, Clock::now(&*clock)).await.unwrap();
        Self {
            router: router(state.clone()),
            state,
            api,
            engine,
            clock,
            chance,
            database,
            vault,
            _server: server,
        }
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

    /// Adds a token of `tenant`, or of the platform, that is valid for 90 days and may do everything there.
    pub(crate) async fn token(&self, tenant: Option<TenantId>) -> String {
        self.token_for(tenant, &[Scope::Admin]).await
    }

    /// Adds a token of `tenant`, or of the platform, that is valid for 90 days.
    pub(crate) async fn token_for(&self, tenant: Option<TenantId>, scopes: &[Scope]) -> String {
        let token = ApiToken::generate();
        let (id, now) = (TokenId::new(&self.chance, self.now()), self.now());
        let new = NewToken {
            token_id: id,
            tenant_id: tenant,
            name: Label::parse("test").unwrap(),
            hash: token.hash(),
            scopes: scopes.to_vec(),
            expires_at: now + Duration::days(90),
            created_by: "test".into(),
            maker: TokenMaker::CommandLine,
        };
        let mut tx = self.api.scoped(Reach::Platform).await.unwrap();
        tx.add_token(&new, now).await.unwrap();
        tx.commit(&added(&new.name), &self.chance, now).await.unwrap();
        token.expose().to_owned()
    }

    /// Adds a user of `tenant`, or one of the platform's own people, and gives the link that sets the password.
    pub(crate) async fn invite(&self, tenant: Option<TenantId>, role: Role, email: &str) -> String {
        let (now, link) = (self.now(), ApiToken::generate());
        let new = NewUser {
            user_id: UserId::new(&self.chance, now),
            tenant_id: tenant,
            email: EmailAddress::parse(email).unwrap(),
            name: Label::parse(email).unwrap(),
            role,
            language: "en".into(),
        };
        let mut tx = self.api.scoped(Reach::Platform).await.unwrap();
        tx.add_user(&new, &self.chance, now).await.unwrap();
        let user = tx.find_user(new.user_id).await.unwrap().unwrap();
        tx.add_password_link(&user, &link.hash(), now, now + Duration::days(3)).await.unwrap();
        tx.commit(&added(&new.name), &self.chance, now).await.unwrap();
        format!("/password/{}", link.expose())
    }

    /// A link that sets a new password for the user with this address.
    pub(crate) async fn reset(&self, email: &str) -> String {
        let (now, link) = (self.now(), ApiToken::generate());
        let user = self.api.user_by_email(&EmailAddress::parse(email).unwrap()).await.unwrap().unwrap();
        let mut tx = self.api.scoped(Reach::Platform).await.unwrap();
        tx.add_password_link(&user, &link.hash(), now, now + Duration::hours(1)).await.unwrap();
        tx.commit(&added(&user.name), &self.chance, now).await.unwrap();
        format!("/password/{}", link.expose())
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
        Clock::now(&*self.clock)
    }
}

fn added(name: &Label) -> AuditEntry<'static> {
    static ACTOR: LazyLock<Actor> = LazyLock::new(Actor::command_line);
    AuditEntry {
        actor: &ACTOR,
        action: "test.added",
        object_kind: "test",
        object_id: None,
        object_name: name.to_string(),
        tenant: None,
        detail: serde_json::json!({}),
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
        authorities: vec!["letsencrypt".into(), "other".into()],
        limits: vec![("https://ca.example/directory".into(), LimitProfile::named("letsencrypt").unwrap())],
        previewer: Previewer::new(|draft| Templates::built_in().preview(draft)),
        requests_per_minute: 6000,
        trusted_proxies: Vec::new(),
        webhook_destinations: WebhookDestinations::allowing(vec!["127.0.0.0/8".parse().unwrap()]),
    }
}
