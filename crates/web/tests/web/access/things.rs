//! The things that requests name: of the caller's tenant, of another one, of nobody.

use std::sync::atomic::{AtomicUsize, Ordering};

use certmill_model::{
    AlertId, CertificateId, DomainId, GroupId, OperationId, OrderId, Role, TenantId, TokenId, UserId,
    WebhookDeliveryId, WebhookEndpointId,
};
use data_encoding::BASE64;
use http::{Method, StatusCode};
use serde_json::json;
use tokio::sync::{OnceCell, RwLock};

use super::rows::Row;
use crate::{
    support::{Bench, exchange::Call},
    tenants::PICTURE,
};

const PASSWORD: &str = "correct horse battery";
const LINE: &str = r#"{"op":"check","name":"a.brand.test"}"#;

/// Whose things a request names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Whose {
    /// The tenant's own; for callers of the platform those of any tenant.
    Own,
    /// Another tenant's.
    Foreign,
    /// Of the right form, and nobody's.
    Missing,
}

/// A tenant, and a token of it that may do everything there.
pub(super) struct Tenant {
    pub(super) id: TenantId,
    pub(super) token: String,
    alert: String,
    operation: String,
    webhook: OnceCell<String>,
    /// The ids of an order and of the certificate that came of it.
    issued: OnceCell<(String, String)>,
}

/// Two tenants, and what they have.
pub(super) struct World {
    pub(super) bench: Bench,
    pub(super) own: Tenant,
    foreign: Tenant,
    /// Held alone by what ends sessions, and by everybody else together.
    pub(super) turn: RwLock<()>,
    /// A token of the platform that may do everything.
    platform: String,
    asset: String,
    /// What no page and no answer to a reading request may hold.
    secrets: Vec<String>,
    made: AtomicUsize,
}

/// A request's address and body, and the things that they name.
pub(super) struct Filled {
    pub(super) path: String,
    pub(super) body: String,
    pub(super) things: Vec<String>,
}

impl World {
    pub(super) async fn new(bench: Bench) -> Self {
        let (own, token) = bench.tenant("Nordwind").await;
        let own = Tenant {
            id: own,
            alert: bench.add_alert(own).await.to_string(),
            operation: bench.bulk(&token, &[LINE]).await,
            token,
            webhook: OnceCell::new(),
            issued: OnceCell::new(),
        };
        let (foreign, token) = bench.tenant("Bella Casa").await;
        let foreign = Tenant {
            id: foreign,
            alert: bench.add_alert(foreign).await.to_string(),
            operation: bench.bulk(&token, &[LINE]).await,
            token,
            webhook: OnceCell::new(),
            issued: OnceCell::new(),
        };
        let page = bench.get("/login").send().await.text;
        let asset = page.split("/assets/").nth(1).and_then(|rest| rest.split('"').next());
        let asset = asset.expect("a page has a style sheet").to_owned();
        for (tenant, email) in [(Some(own.id), "ada@example.com"), (None, "eve@example.com")] {
            let link = bench.invite(tenant, Role::Viewer, email).await;
            let set = bench.post(&link).form(&[("password", PASSWORD)]).send().await;
            assert_eq!(set.header("location"), "/login", "{}", set.text);
        }
        let kinds = ["$argon2", PASSWORD, "PRIVATE KEY", "whsec_"].map(str::to_owned);
        let secrets = kinds.into_iter().chain([own.token.clone(), foreign.token.clone()]).collect();
        let platform = bench.token(None).await;
        Self {
            bench,
            own,
            foreign,
            turn: RwLock::new(()),
            platform,
            asset,
            secrets,
            made: AtomicUsize::new(0),
        }
    }

    /// The first secret in `text`, if there is one.
    pub(super) fn secret_in(&self, text: &str) -> Option<&str> {
        self.secrets.iter().find(|secret| text.contains(secret.as_str())).map(String::as_str)
    }

    /// A request as `row` has it, with things made for it alone; none where it names nothing that could be somebody's.
    pub(super) async fn fill(&self, row: &Row, whose: Whose) -> Option<Filled> {
        let mut things = Vec::new();
        let mut named = 0;
        let mut texts = Vec::new();
        for text in [row.example, row.body] {
            let mut parts = text.split(['<', '>']);
            let mut filled = parts.next().unwrap_or_default().to_owned();
            while let (Some(kind), Some(rest)) = (parts.next(), parts.next()) {
                let thing = self.make(kind, whose).await;
                named += usize::from(is_somebodys(kind, whose));
                filled += &thing;
                filled += rest;
                things.push(thing);
            }
            texts.push(filled);
        }
        let body = texts.pop().unwrap_or_default();
        let path = texts.pop().unwrap_or_default();
        (whose == Whose::Own || named > 0).then_some(Filled { path, body, things })
    }

    /// The id of a new user.
    async fn user(&self, tenant: &Tenant, number: usize, whose: Whose) -> String {
        if whose == Whose::Missing {
            return UserId::new(&self.bench.chance, self.bench.now()).to_string();
        }
        let body = json!({ "email": format!("thing-{number}@example.com"), "name": "Ada", "role": "viewer" });
        let made = self.bench.post("/v1/users").token(&tenant.token).json(body.to_string()).send().await;
        made.json()["id"].as_str().expect("an invited user").to_owned()
    }

    /// The name of a new load balancer.
    async fn target(&self, number: usize) -> String {
        let name = format!("lb-{number}");
        self.bench.add_target(&name).await;
        name
    }

    /// The id of a new webhook endpoint.
    async fn webhook(&self, tenant: &Tenant, number: usize) -> String {
        let body = json!({ "url": format!("https://hooks.example.com/{number}"), "description": "x" });
        let call = self.bench.post("/v1/webhook-endpoints").token(&tenant.token).json(body.to_string());
        call.send().await.json()["id"].as_str().expect("an added endpoint").to_owned()
    }

    /// A new template, in its form.
    async fn template(&self, number: usize) -> String {
        let body =
            json!({ "name": format!("template-{number}"), "form": "shared", "source": "server_tokens off;" });
        let call = self.bench.post("/v1/templates").token(&self.platform).json(body.to_string());
        call.send().await.json()["id"].as_str().expect("a made template").to_owned()
    }

    /// The ids of a new order and of the certificate that came of it.
    async fn issued(&self, tenant: &Tenant, number: usize) -> (String, String) {
        let name = format!("issued-{number}.example-shops.test");
        self.bench.register(&tenant.token, &name).await;
        let order = self.bench.place_order(&name, &format!("challenge-{number}")).await;
        let certificate = self.bench.issue(&name, order).await;
        (order.to_string(), certificate.to_string())
    }

    /// The id of a new token.
    async fn token(&self, tenant: &Tenant) -> String {
        let body = json!({ "name": "thing", "scopes": ["domains:read"] });
        let made = self.bench.post("/v1/tokens").token(&tenant.token).json(body.to_string()).send().await;
        made.json()["id"].as_str().expect("a made token").to_owned()
    }

    /// What a thing of this kind could be called that was never made; `None`: one is made, and only what is about it is missing.
    fn missing(&self, kind: &str) -> Option<String> {
        let (chance, now) = (&self.bench.chance, self.bench.now());
        Some(match kind {
            "tenant" | "tenant to go" => TenantId::new(chance, now).to_string(),
            "alert" => AlertId::new(chance, now).to_string(),
            "token" => TokenId::new(chance, now).to_string(),
            "target" | "target out" => "nobody".to_owned(),
            "group" => GroupId::new(chance, now).to_string(),
            "template" => "nobody:shared".to_owned(),
            "template test" => "nobody:shared/versions/1/tests/trl_01jd4z6k3m8q2v5w7x9y0a1b2c".to_owned(),
            "domain id" => DomainId::new(chance, now).to_string(),
            "order" => OrderId::new(chance, now).to_string(),
            "certificate" => CertificateId::new(chance, now).to_string(),
            "operation" => OperationId::new(chance, now).to_string(),
            "webhook" | "webhook of delivery" | "webhook to go" => {
                WebhookEndpointId::new(chance, now).to_string()
            }
            "delivery" => WebhookDeliveryId::new(chance, now).to_string(),
            _ => return None,
        })
    }

    /// The tenant's id, when it has a brand of its own.
    async fn brand(&self, tenant: &Tenant) -> String {
        let logo = BASE64.encode(&PICTURE);
        let body = json!({ "branding": { "accent": "#0f766e", "logo": logo } }).to_string();
        let path = format!("/v1/tenants/{}", tenant.id);
        let set = Call::new(&self.bench.router, Method::PATCH, &path).token(&self.platform);
        let set = set.json(body).send().await;
        assert_eq!(set.status, StatusCode::OK, "{}", set.text);
        tenant.id.to_string()
    }

    /// The name of a target that is left out.
    async fn target_out(&self, number: usize) -> String {
        let name = self.target(number).await;
        let out = Call::new(&self.bench.router, Method::PATCH, &format!("/v1/targets/{name}"));
        let out = out.token(&self.platform).json(r#"{"disabled":true}"#).send().await;
        assert_eq!(out.status, StatusCode::OK, "{}", out.text);
        name
    }

    /// What is answered to one who makes a link for the owner of the shop `name`, which is registered.
    async fn setup_link(&self, tenant: &Tenant, name: &str) -> serde_json::Value {
        self.bench.register(&tenant.token, name).await;
        let call = self.bench.post(&format!("/v1/domains/{name}/setup-links")).token(&tenant.token);
        call.json("{}").send().await.json()
    }

    /// A new thing of this kind.
    async fn make(&self, kind: &str, whose: Whose) -> String {
        if let Some(id) = self.missing(kind).filter(|_| whose == Whose::Missing) {
            return id;
        }
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let tenant = if whose == Whose::Foreign { &self.foreign } else { &self.own };
        match kind {
            "asset" => self.asset.clone(),
            "new-domain" => format!("new-{number}.example-shops.test"),
            "domain" => {
                let name = format!("shop-{number}.example-shops.test");
                if whose != Whose::Missing {
                    self.bench.register(&tenant.token, &name).await;
                }
                name
            }
            "domain id" => {
                let path = format!("/v1/domains/shop-{number}.example-shops.test");
                let put = self.bench.put(&path).token(&tenant.token).send().await;
                put.json()["id"].as_str().expect("a registered domain").to_owned()
            }
            "issued domain" => {
                self.issued(tenant, number).await;
                format!("issued-{number}.example-shops.test")
            }
            "paused domain" => {
                let name = format!("paused-{number}.example-shops.test");
                self.bench.register(&tenant.token, &name).await;
                let pause = self.bench.post(&format!("/v1/domains/{name}/pause")).token(&tenant.token);
                assert_eq!(pause.send().await.status, StatusCode::OK);
                name
            }
            "alert" => tenant.alert.clone(),
            "tenant" => tenant.id.to_string(),
            // Only the platform may do anything with it: no tenant needs it for its own.
            "tenant to go" => self.bench.tenant(&format!("Tenant {number}")).await.0.to_string(),
            "suspended tenant" => {
                let id = self.bench.tenant(&format!("Tenant {number}")).await.0;
                let suspend = self.bench.post(&format!("/v1/tenants/{id}/suspend")).token(&self.platform);
                assert_eq!(suspend.send().await.status, StatusCode::OK);
                id.to_string()
            }
            "password link" => {
                let email = format!("new-{number}@example.com");
                let link = self.bench.invite(Some(tenant.id), Role::Viewer, &email).await;
                link.rsplit('/').next().expect("a path").to_owned()
            }
            "brand" => self.brand(tenant).await,
            "email" => format!("user-{number}@example.com"),
            "user" => self.user(tenant, number, whose).await,
            "token" => self.token(tenant).await,
            "target" => self.target(number).await,
            "target out" => self.target_out(number).await,
            "group" => {
                let body = json!({ "name": format!("group {number}") }).to_string();
                let made = self.bench.post("/v1/target-groups").token(&self.platform).json(body).send().await;
                made.json()["id"].as_str().expect("a made group").to_owned()
            }
            "template" => self.template(number).await,
            "template test" => {
                let template = self.template(number).await;
                let path = format!("/v1/templates/{template}/versions/1/test");
                let asked = self.bench.post(&path).token(&self.platform).send().await;
                asked.header("location").trim_start_matches("/v1/templates/").to_owned()
            }
            "template name" => format!("named-{number}"),
            "order" => tenant.issued.get_or_init(|| self.issued(tenant, number)).await.0.clone(),
            "certificate" => tenant.issued.get_or_init(|| self.issued(tenant, number)).await.1.clone(),
            "operation" => tenant.operation.clone(),
            "operation to go" => self.bench.bulk(&tenant.token, &[LINE]).await,
            "name" => format!("name {number}"),
            "setup-link" => {
                let name = format!("linked-{number}.example-shops.test");
                if whose == Whose::Missing {
                    return format!("{name}/setup-links/lnk_01jd4z6k3m8q2v5w7x9y0a1b2c");
                }
                let made = self.setup_link(tenant, &name).await;
                format!("{name}/setup-links/{}", made["id"].as_str().expect("a link"))
            }
            "opened link" => {
                let made = self.setup_link(tenant, &format!("opened-{number}.example-shops.test")).await;
                made["url"].as_str().and_then(|url| url.rsplit('/').next()).expect("a link").to_owned()
            }
            // There may be few of them: most requests are about the same one.
            "webhook" | "webhook of delivery" => {
                tenant.webhook.get_or_init(|| self.webhook(tenant, number)).await.clone()
            }
            "webhook to go" => self.webhook(tenant, number).await,
            "delivery" => {
                let webhook = tenant.webhook.get_or_init(|| self.webhook(tenant, number)).await;
                let path = format!("/v1/webhook-endpoints/{webhook}/test");
                let tested = self.bench.post(&path).token(&tenant.token).send().await;
                tested.json()["delivery"].as_str().expect("a test").to_owned()
            }
            kind => panic!("nothing is known of a {kind}: say in World::make how one is made"),
        }
    }
}

/// Whether a thing of this kind can be `whose`.
fn is_somebodys(kind: &str, whose: Whose) -> bool {
    match kind {
        "asset" | "brand" | "email" | "name" | "new-domain" | "template name" => false,
        // The platform's: there are none of another tenant.
        "target" | "target out" | "group" | "template" | "template test" => whose == Whose::Missing,
        _ => true,
    }
}
