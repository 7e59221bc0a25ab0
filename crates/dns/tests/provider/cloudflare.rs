//! Cloudflare, by a fake of the part of its API that is about DNS records:
//! <https://developers.cloudflare.com/api/resources/dns/subresources/records/>.

use std::collections::HashMap;

use axum::response::Response;
use certmill_dns::{DnsProvider, ProviderError, TxtRecord};
use http::{Method, header, request::Parts};
use serde_json::{Value, json};
use time::Duration;

use crate::{
    conformance::{self, BadCredentials, Fixture, Silence, open, setting},
    fake::{Api, Fake, Mood, bad_days_are_reasons_to_try_again, reply},
    rfc2136::lab,
};

const ZONE: &str = "acme.example";
const ZONE_ID: &str = "023e105f4ecef8ad9ca31a8372d0c353";
const TOKEN: &str = "Sn3lZJTBX6kkg7OdcBUAxOO963GEIyGQqnFTOFYY";
/// A token that is one, without the right.
const TOKEN_WITHOUT_RIGHTS: &str = "8M7wS6hCpXVc-DoRnPPY_UCWPgy8aea4Wy6kCe5T";

#[derive(Default)]
struct Cloudflare {
    /// By id: name and content.
    records: HashMap<String, (String, String)>,
    created: u64,
}

impl Api for Cloudflare {
    fn answer(&mut self, request: &Parts, body: &[u8]) -> Response {
        let authorization = request.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = authorization.and_then(|text| text.strip_prefix("Bearer "));
        match token {
            Some(TOKEN) => {}
            Some(TOKEN_WITHOUT_RIGHTS) => return refusal(403, 10_000, "Authentication error"),
            // As a server would that tells more than it should.
            Some(token) if token.len() == 40 => {
                return refusal(403, 9_109, &format!("Invalid access token {token}"));
            }
            _ => return refusal(400, 6_003, "Invalid request headers"),
        }
        let path = request.uri.path();
        let Some(rest) = path.strip_prefix(&format!("/client/v4/zones/{ZONE_ID}/dns_records")) else {
            let words = format!("Could not route to {path}, perhaps your object identifier is invalid?");
            return refusal(404, 7_003, &words);
        };
        match (&request.method, rest) {
            (&Method::GET, "") => self.list(request.uri.query().unwrap_or_default()),
            (&Method::POST, "") if request.headers[header::CONTENT_TYPE] == "application/json" => {
                self.create(body)
            }
            (&Method::DELETE, id) => self.delete(id.trim_start_matches('/')),
            _ => refusal(405, 10_405, "Method not allowed for this authentication scheme"),
        }
    }

    fn too_many_requests(&self) -> Response {
        let mut response =
            refusal(429, 10_000, "Rate limited. Please wait and consider throttling your request speed");
        response.headers_mut().insert(header::RETRY_AFTER, "7".parse().unwrap());
        response
    }
}

impl Cloudflare {
    fn list(&self, query: &str) -> Response {
        let filters: HashMap<_, _> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        assert_eq!(filters.get("type"), Some(&"TXT"));
        let is_wanted = |name: &str| filters.get("name.exact").is_none_or(|exact| *exact == name);
        let records = self.records.iter().filter(|(_, (name, _))| is_wanted(name));
        let records: Vec<_> = records.map(|(id, (name, content))| record(id, name, content)).collect();
        let info =
            json!({ "page": 1, "per_page": 100, "count": records.len(), "total_count": records.len() });
        let body =
            json!({ "success": true, "errors": [], "messages": [], "result": records, "result_info": info });
        reply(200, "application/json", body.to_string())
    }

    fn create(&mut self, body: &[u8]) -> Response {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let (name, content) = (body["name"].as_str(), body["content"].as_str());
        let (Some("TXT"), Some(name), Some(content)) = (body["type"].as_str(), name, content) else {
            return refusal(400, 9_005, "Content for TXT record is invalid.");
        };
        if body["ttl"].as_u64().is_none_or(|ttl| !(60..=86_400).contains(&ttl)) {
            return refusal(
                400,
                9_021,
                "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.",
            );
        }
        if !content.starts_with('"') || !content.ends_with('"') {
            return refusal(400, 9_207, "Content for TXT record must be in quotation marks.");
        }
        // The zone's name is appended to one that is not in the zone.
        let name = if name.ends_with(ZONE) { name.to_owned() } else { format!("{name}.{ZONE}") };
        let new = (name, content.to_owned());
        if self.records.values().any(|existing| *existing == new) {
            return refusal(400, 81_058, "An identical record already exists.");
        }
        self.created += 1;
        let id = format!("{:032x}", self.created);
        let result = record(&id, &new.0, &new.1);
        self.records.insert(id, new);
        let body = json!({ "success": true, "errors": [], "messages": [], "result": result });
        reply(200, "application/json", body.to_string())
    }

    fn delete(&mut self, id: &str) -> Response {
        match self.records.remove(id) {
            Some(_) => reply(200, "application/json", json!({ "result": { "id": id } }).to_string()),
            None => refusal(404, 81_044, "Record does not exist."),
        }
    }
}

fn record(id: &str, name: &str, content: &str) -> Value {
    json!({ "id": id, "type": "TXT", "name": name, "content": content, "proxied": false, "ttl": 60, "tags": [] })
}

fn refusal(status: u16, code: u32, message: &str) -> Response {
    let errors = json!([{ "code": code, "message": message }]);
    let body = json!({ "success": false, "errors": errors, "messages": [], "result": null });
    reply(status, "application/json", body.to_string())
}

struct Setup {
    fake: Fake<Cloudflare>,
    silence: Silence,
}

impl Setup {
    async fn new() -> Self {
        Self { fake: Fake::start(|_| Cloudflare::default()).await, silence: Silence::new() }
    }

    fn settings_at(endpoint: &str) -> Value {
        json!({ "provider": "cloudflare", "zone_id": ZONE_ID, "endpoint": format!("{endpoint}/client/v4"),
            "timeout_seconds": 2 })
    }

    fn open(&self, change: impl FnOnce(&mut Value), token: &str) -> std::sync::Arc<dyn DnsProvider> {
        let mut settings = self.settings();
        change(&mut settings);
        open(&settings, ZONE, token)
    }
}

impl Fixture for Setup {
    fn zone(&self) -> &'static str {
        ZONE
    }

    fn settings(&self) -> Value {
        Self::settings_at(&self.fake.endpoint())
    }

    fn secret(&self) -> String {
        TOKEN.to_owned()
    }

    async fn visible(&self, name: &str) -> Vec<String> {
        let mut values: Vec<String> = self.fake.with(|cloudflare| {
            let records = cloudflare.records.values().filter(|(owner, _)| owner == name);
            records.map(|(_, content)| content.trim_matches('"').to_owned()).collect()
        });
        values.sort();
        values
    }

    fn bad_credentials(&self) -> BadCredentials {
        let secret = TOKEN.to_lowercase();
        BadCredentials { settings: self.settings(), secret, setting: "api_token" }
    }

    fn silent(&self) -> Value {
        let mut settings = Self::settings_at(&format!("http://{}", self.silence.address()));
        settings["timeout_seconds"] = 1.into();
        settings
    }
}

const RECORD: TxtRecord<'_> = TxtRecord { name: "k7.acme.example", value: "value" };

#[tokio::test]
async fn cloudflare_does_what_every_provider_must() {
    conformance::check(&Setup::new().await).await;
}

#[tokio::test]
async fn a_bad_day_of_cloudflare_is_a_reason_to_try_again_and_its_wish_to_wait_is_heard() {
    let setup = Setup::new().await;
    let provider = setup.open(|_| {}, TOKEN);
    bad_days_are_reasons_to_try_again(&setup.fake, &*provider, RECORD).await;
    setup.fake.feels(Mood::RateLimited);
    let error = provider.present(RECORD).await.unwrap_err();
    let ProviderError::Retry { after, .. } = error else { panic!("{error}") };
    assert_eq!(after, Some(Duration::seconds(7)));
}

#[tokio::test]
async fn each_wrong_setting_is_named_with_cloudflare_s_words() {
    let setup = Setup::new().await;
    let refused =
        async |change: fn(&mut Value), token| setup.open(change, token).present(RECORD).await.unwrap_err();
    let error = refused(|_| {}, TOKEN_WITHOUT_RIGHTS).await;
    assert_eq!(setting(&error), "api_token");
    assert!(error.to_string().contains("Authentication error (10000); the token needs"), "{error}");
    assert_eq!(setting(&refused(|_| {}, "short").await), "api_token");
    let error = refused(|settings| settings["zone_id"] = "unknown".into(), TOKEN).await;
    assert_eq!(setting(&error), "zone_id");
    assert!(error.to_string().contains("perhaps your object identifier is invalid"), "{error}");
}

#[tokio::test]
async fn the_id_of_another_zone_is_noticed_and_leaves_nothing_there() {
    let setup = Setup::new().await;
    let provider = open(&setup.settings(), "other.example", TOKEN);
    let record = TxtRecord { name: "k7.other.example", value: "value" };
    assert_eq!(setting(&provider.present(record).await.unwrap_err()), "zone_id");
    assert!(setup.fake.with(|cloudflare| cloudflare.records.is_empty()));
}

#[tokio::test]
async fn records_that_others_wrote_without_quotes_are_recognised() {
    let setup = Setup::new().await;
    let theirs = (RECORD.name.to_owned(), RECORD.value.to_owned());
    setup.fake.with(|cloudflare| cloudflare.records.insert("f".repeat(32), theirs));
    setup.open(|_| {}, TOKEN).remove(RECORD).await.unwrap();
    assert!(setup.fake.with(|cloudflare| cloudflare.records.is_empty()));
}

#[tokio::test]
async fn a_server_that_cannot_prove_its_name_gets_no_token() {
    let lab = lab().await;
    let (origin, _) = lab.description().acme_directory_url.rsplit_once('/').unwrap();
    let provider = open(&Setup::settings_at(origin), ZONE, TOKEN);
    let error = provider.present(RECORD).await.unwrap_err();
    assert!(matches!(error, ProviderError::Retry { .. }), "{error:?}");
    assert!(error.to_string().contains("certificate"), "{error}");
    lab.down().await.unwrap();
}
