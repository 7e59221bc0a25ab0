//! Azure DNS, by a fake of Azure Resource Manager's record sets and of the token endpoint:
//! <https://learn.microsoft.com/rest/api/dns/record-sets>,
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use axum::response::Response;
use certmill_dns::{DnsProvider, ProviderError, TxtRecord};
use http::{Method, header, request::Parts};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use time::Duration;

use crate::{
    conformance::{self, BadCredentials, Fixture, Silence, open, setting},
    fake::{Api, Fake, Mood, bad_days_are_reasons_to_try_again, reply},
};

const ZONE: &str = "acme.example";
const TENANT: &str = "11111111-1111-4111-8111-111111111111";
const CLIENT: &str = "22222222-2222-4222-8222-222222222222";
const SUBSCRIPTION: &str = "33333333-3333-4333-8333-333333333333";
const GROUP: &str = "dns-(production)";
const SECRET: &str = "Qx~8Q+/&=% .secret~_-";

struct Azure {
    endpoint: String,
    /// By name relative to the zone: version and properties.
    sets: BTreeMap<String, (u64, Value)>,
    changes: u64,
    /// Those that are good.
    tokens: Vec<String>,
    issued: u64,
    has_rights: bool,
    /// What somebody else adds just before the next change.
    intruder: Option<(String, String)>,
}

impl Azure {
    fn new(address: SocketAddr) -> Self {
        Self {
            endpoint: format!("http://{address}"),
            sets: BTreeMap::new(),
            changes: 0,
            tokens: Vec::new(),
            issued: 0,
            has_rights: true,
            intruder: None,
        }
    }

    fn token(&mut self, path: &str, form: &[u8]) -> Response {
        if path != format!("/{TENANT}/oauth2/v2.0/token") {
            let words =
                "AADSTS90002: Tenant 'x' not found. Check to make sure you have the correct tenant ID.";
            return token_refusal(400, "invalid_request", 90_002, words);
        }
        let form: HashMap<String, String> = decode_form(form);
        assert_eq!(form["grant_type"], "client_credentials");
        assert_eq!(form["scope"], format!("{}/.default", self.endpoint));
        if form["client_id"] != CLIENT {
            let words = "AADSTS700016: Application with identifier 'x' was not found in the directory 'y'.";
            return token_refusal(400, "unauthorized_client", 700_016, words);
        }
        if form["client_secret"] != SECRET {
            // As a server would that tells more than it should.
            let words = format!("AADSTS7000215: Invalid client secret provided: {}.", form["client_secret"]);
            return token_refusal(401, "invalid_client", 7_000_215, &words);
        }
        self.issued += 1;
        let token = format!("eyJ0eXAiOiJKV1Qi.{}", self.issued);
        self.tokens.push(token.clone());
        let body = json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": token });
        reply(200, "application/json", body.to_string())
    }

    fn records(&mut self, request: &Parts, name: &str, body: &[u8]) -> Response {
        if request.method != Method::GET
            && let Some((name, value)) = self.intruder.take()
        {
            let mut values = self.values(&name);
            values.push(value);
            self.store(&name, &values, &json!({ "owner": "somebody else" }));
        }
        let version = self.sets.get(name).map(|(version, _)| format!("v-{version}"));
        let header = |name| request.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let is_as_wanted = match (header("if-match"), header("if-none-match").as_deref()) {
            (Some(wanted), _) => version == Some(wanted),
            (None, Some("*")) => version.is_none(),
            (None, None) => true,
            odd => panic!("{odd:?}"),
        };
        match request.method {
            Method::GET => match self.sets.get(name) {
                Some((version, properties)) => set(200, name, *version, properties),
                None => refusal(404, "NotFound", &format!("The resource record '{name}' does not exist.")),
            },
            _ if !is_as_wanted => refusal(412, "PreconditionFailed", "The condition '…' was not satisfied."),
            Method::PUT => self.put(name, body),
            Method::DELETE => {
                self.changes += 1;
                reply(self.sets.remove(name).map_or(204, |_| 200), "application/json", String::new())
            }
            _ => refusal(405, "MethodNotAllowed", "no"),
        }
    }

    fn put(&mut self, name: &str, body: &[u8]) -> Response {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let properties = &body["properties"];
        let records = properties["TXTRecords"].as_array().cloned().unwrap_or_default();
        let is_record = |record: &Value| {
            let strings = record["value"].as_array().cloned().unwrap_or_default();
            !strings.is_empty()
                && strings.iter().all(|text| text.as_str().is_some_and(|text| text.len() <= 255))
        };
        if properties["TTL"].as_u64().is_none() || records.is_empty() || !records.iter().all(is_record) {
            return refusal(400, "BadRequest", "The record set is not valid.");
        }
        if (1..records.len()).any(|at| records[..at].contains(&records[at])) {
            return refusal(400, "BadRequest", "The record set has the same record twice.");
        }
        self.changes += 1;
        self.sets.insert(name.to_owned(), (self.changes, properties.clone()));
        set(201, name, self.changes, properties)
    }

    fn values(&self, name: &str) -> Vec<String> {
        let records = self.sets.get(name).map(|(_, properties)| properties["TXTRecords"].clone());
        let records: Vec<Value> =
            records.and_then(|records| serde_json::from_value(records).ok()).unwrap_or_default();
        let text = |record: &Value| {
            record["value"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
        };
        records.iter().map(text).collect()
    }

    fn store(&mut self, name: &str, values: &[String], metadata: &Value) {
        self.changes += 1;
        let records: Vec<_> = values.iter().map(|value| json!({ "value": [value] })).collect();
        let properties = json!({ "TTL": 7, "metadata": metadata, "TXTRecords": records });
        self.sets.insert(name.to_owned(), (self.changes, properties));
    }
}

impl Api for Azure {
    fn answer(&mut self, request: &Parts, body: &[u8]) -> Response {
        let path = percent_decode_str(request.uri.path()).decode_utf8().unwrap().into_owned();
        if path.ends_with("/token") {
            assert_eq!(request.headers[header::CONTENT_TYPE], "application/x-www-form-urlencoded");
            return self.token(&path, body);
        }
        let authorization = request.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = authorization.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
        if !self.tokens.iter().any(|good| good == token) {
            return refusal(
                401,
                "ExpiredAuthenticationToken",
                "The access token expiry UTC time is earlier than now.",
            );
        }
        if !self.has_rights {
            let words = format!(
                "The client '{CLIENT}' does not have authorization to perform action \
                'Microsoft.Network/dnszones/TXT/write'"
            );
            return refusal(403, "AuthorizationFailed", &words);
        }
        assert_eq!(request.uri.query(), Some("api-version=2018-05-01"));
        let parts: Vec<&str> = path.split('/').collect();
        let [
            "",
            "subscriptions",
            subscription,
            "resourceGroups",
            group,
            "providers",
            "Microsoft.Network",
            "dnsZones",
            zone,
            "TXT",
            name,
        ] = parts[..]
        else {
            return refusal(404, "InvalidResourceType", &path);
        };
        match (subscription == SUBSCRIPTION, group == GROUP, zone == ZONE) {
            (false, _, _) => refusal(404, "SubscriptionNotFound", "The subscription could not be found."),
            (_, false, _) => refusal(404, "ResourceGroupNotFound", "Resource group could not be found."),
            (_, _, false) if request.method == Method::GET => {
                refusal(404, "ResourceNotFound", "The Resource 'Microsoft.Network/dnszones/…' was not found.")
            }
            (_, _, false) => refusal(404, "ParentResourceNotFound", "Parent resource was not found."),
            _ => self.records(request, name, body),
        }
    }

    fn too_many_requests(&self) -> Response {
        let mut response =
            refusal(429, "TooManyRequests", "The number of write requests exceeded the limit.");
        response.headers_mut().insert(header::RETRY_AFTER, "17".parse().unwrap());
        response
    }
}

fn set(status: u16, name: &str, version: u64, properties: &Value) -> Response {
    let body = json!({ "name": name, "type": "Microsoft.Network/dnszones/TXT", "etag": format!("v-{version}"),
        "properties": properties });
    reply(status, "application/json", body.to_string())
}

fn refusal(status: u16, code: &str, message: &str) -> Response {
    reply(status, "application/json", json!({ "error": { "code": code, "message": message } }).to_string())
}

fn token_refusal(status: u16, error: &str, code: u64, words: &str) -> Response {
    let words = format!("{words}\r\nTrace ID: 0\r\nCorrelation ID: 0\r\nTimestamp: 2026-01-01 00:00:00Z");
    let body = json!({ "error": error, "error_description": words, "error_codes": [code] });
    reply(status, "application/json", body.to_string())
}

fn decode_form(form: &[u8]) -> HashMap<String, String> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned();
    let form = std::str::from_utf8(form).unwrap();
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}

struct Setup {
    fake: Fake<Azure>,
    silence: Silence,
}

impl Setup {
    async fn new() -> Self {
        Self { fake: Fake::start(Azure::new).await, silence: Silence::new() }
    }

    fn settings_at(endpoint: &str) -> Value {
        json!({ "provider": "azure", "tenant_id": TENANT, "client_id": CLIENT, "subscription_id": SUBSCRIPTION,
            "resource_group": GROUP, "endpoint": endpoint, "authority": endpoint, "timeout_seconds": 2 })
    }

    fn open(&self, change: impl FnOnce(&mut Value)) -> Arc<dyn DnsProvider> {
        let mut settings = self.settings();
        change(&mut settings);
        open(&settings, ZONE, SECRET)
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
        SECRET.to_owned()
    }

    async fn visible(&self, name: &str) -> Vec<String> {
        let relative = name.strip_suffix(&format!(".{ZONE}")).unwrap();
        let mut values = self.fake.with(|azure| azure.values(relative));
        values.sort();
        values
    }

    fn bad_credentials(&self) -> BadCredentials {
        let secret = "another~secret+of/some&kind".to_owned();
        BadCredentials { settings: self.settings(), secret, setting: "client_secret" }
    }

    fn silent(&self) -> Value {
        let mut settings = Self::settings_at(&format!("http://{}", self.silence.address()));
        settings["timeout_seconds"] = 1.into();
        settings
    }
}

const RECORD: TxtRecord<'_> = TxtRecord { name: "k7.acme.example", value: "value" };

#[tokio::test]
async fn azure_does_what_every_provider_must() {
    conformance::check(&Setup::new().await).await;
}

#[tokio::test]
async fn a_bad_day_of_azure_is_a_reason_to_try_again_and_its_wish_to_wait_is_heard() {
    let setup = Setup::new().await;
    let knows_a_token = setup.open(|_| {});
    knows_a_token.remove(RECORD).await.unwrap();
    for provider in [knows_a_token, setup.open(|_| {})] {
        bad_days_are_reasons_to_try_again(&setup.fake, &*provider, RECORD).await;
        setup.fake.feels(Mood::RateLimited);
        let error = provider.present(RECORD).await.unwrap_err();
        let ProviderError::Retry { after, .. } = error else { panic!("{error}") };
        assert_eq!(after, Some(Duration::seconds(17)));
        setup.fake.feels(Mood::Well);
    }
}

#[tokio::test]
async fn each_wrong_setting_is_named_with_microsoft_s_words() {
    let setup = Setup::new().await;
    let wrong = [
        ("tenant_id", "AADSTS90002"),
        ("client_id", "AADSTS700016"),
        ("subscription_id", "(SubscriptionNotFound)"),
        ("resource_group", "(ResourceGroupNotFound)"),
    ];
    for (name, words) in wrong {
        let provider = setup.open(|settings| settings[name] = "nobody".into());
        for result in [provider.present(RECORD).await, provider.remove(RECORD).await] {
            let error = result.unwrap_err();
            assert_eq!(setting(&error), name);
            assert!(error.to_string().contains(words), "{error}");
            assert!(!error.to_string().contains("Trace ID"), "{error}");
        }
    }
    let provider = open(&setup.settings(), "other.example", SECRET);
    let error = provider.present(TxtRecord { name: "k7.other.example", value: "x" }).await.unwrap_err();
    assert_eq!(setting(&error), "zone");
    setup.fake.with(|azure| azure.has_rights = false);
    let error = setup.open(|_| {}).present(RECORD).await.unwrap_err();
    assert_eq!(setting(&error), "client_id");
    assert!(error.to_string().contains("Microsoft.Network/dnszones/TXT/write"), "{error}");
}

#[tokio::test]
async fn a_token_is_used_until_it_is_refused() {
    let setup = Setup::new().await;
    let provider = setup.open(|_| {});
    for value in ["one", "two", "three"] {
        provider.present(TxtRecord { value, ..RECORD }).await.unwrap();
    }
    assert_eq!(setup.fake.with(|azure| azure.issued), 1);
    setup.fake.with(|azure| azure.tokens.clear());
    provider.present(TxtRecord { value: "four", ..RECORD }).await.unwrap();
    assert_eq!(setup.fake.with(|azure| azure.issued), 2);
}

#[tokio::test]
async fn what_somebody_else_writes_meanwhile_is_kept_with_their_notes() {
    let setup = Setup::new().await;
    let provider = setup.open(|_| {});
    let intrude = |value: &str| {
        setup.fake.with(|azure| azure.intruder = Some(("k7".to_owned(), value.to_owned())));
    };
    intrude("first of theirs");
    provider.present(RECORD).await.unwrap();
    intrude("second of theirs");
    provider.remove(RECORD).await.unwrap();
    assert_eq!(setup.visible(RECORD.name).await, ["first of theirs", "second of theirs"]);
    let properties = setup.fake.with(|azure| azure.sets["k7"].1.clone());
    assert_eq!(properties["metadata"]["owner"], "somebody else");
    assert_eq!(properties["TTL"], 7);
}

#[tokio::test]
async fn nothing_is_written_where_nothing_changes() {
    let setup = Setup::new().await;
    let provider = setup.open(|_| {});
    provider.present(RECORD).await.unwrap();
    provider.present(RECORD).await.unwrap();
    provider.remove(TxtRecord { value: "never there", ..RECORD }).await.unwrap();
    assert_eq!(setup.fake.with(|azure| azure.changes), 1);
}
