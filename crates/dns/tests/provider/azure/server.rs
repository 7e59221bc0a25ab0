//! The fake itself: the part of Azure Resource Manager that is about TXT record sets, and the token endpoint.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
};

use axum::response::Response;
use http::{Method, header, request::Parts};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{CLIENT, GROUP, SECRET, SUBSCRIPTION, TENANT, ZONE};
use crate::fake::{Api, reply};

pub(super) struct Azure {
    pub(super) endpoint: String,
    /// By name relative to the zone: version and properties.
    pub(super) sets: BTreeMap<String, (u64, Value)>,
    pub(super) changes: u64,
    /// Those that are good.
    pub(super) tokens: Vec<String>,
    pub(super) issued: u64,
    pub(super) has_rights: bool,
    /// What somebody else adds just before the next change.
    pub(super) intruder: Option<(String, String)>,
}

impl Azure {
    pub(super) fn new(address: SocketAddr) -> Self {
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

    pub(super) fn values(&self, name: &str) -> Vec<String> {
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
