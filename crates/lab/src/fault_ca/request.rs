//! A request, as far as the CA in front of pebble understands it.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use hyper::{Method, http::request::Parts};
use serde_json::Value;

use super::endpoint::Endpoint;
use super::known::Known;

/// A request, with what its signed body says. The signature is pebble's to check.
pub(super) struct Asked {
    pub(super) parts: Parts,
    pub(super) body: Bytes,
    pub(super) endpoint: Endpoint,
    /// The URL of the account that signed; none where it signed with its key.
    pub(super) account: Option<String>,
    pub(super) payload: Option<Value>,
    /// The names it is about, lower case.
    pub(super) names: Vec<String>,
}

impl Asked {
    pub(super) fn read(parts: Parts, body: Bytes, known: &Known) -> Self {
        let path = parts.uri.path();
        let endpoint = Endpoint::of(path);
        let signed: Value = serde_json::from_slice(&body).unwrap_or_default();
        let account =
            decode(&signed["protected"]).and_then(|header| header["kid"].as_str().map(str::to_owned));
        let payload = decode(&signed["payload"]);
        let names = match (endpoint, &payload) {
            (Endpoint::NewOrder, Some(payload)) => identifiers(payload),
            _ => known.names_of(path),
        };
        Self { parts, body, endpoint, account, payload, names }
    }

    pub(super) fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// Host and port that it was sent to: pebble makes its URLs of them, and compares the one that was signed.
    pub(super) fn authority(&self) -> String {
        let host = self.parts.headers.get("host").and_then(|host| host.to_str().ok());
        let authority = self.parts.uri.authority().map(hyper::http::uri::Authority::as_str);
        authority.or(host).unwrap_or_default().to_owned()
    }

    pub(super) fn is_signed(&self) -> bool {
        self.parts.method == Method::POST
    }
}

/// The values of the identifiers of an order or an authorization, lower case and in order.
pub(super) fn identifiers(document: &Value) -> Vec<String> {
    let values = |identifier: &Value| Some(identifier["value"].as_str()?.to_ascii_lowercase());
    let listed = document["identifiers"].as_array().into_iter().flatten().filter_map(values);
    let mut names: Vec<String> = listed.chain(values(&document["identifier"])).collect();
    names.sort();
    names.dedup();
    names
}

fn decode(part: &Value) -> Option<Value> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part.as_str()?).ok()?;
    serde_json::from_slice(&bytes).ok()
}
