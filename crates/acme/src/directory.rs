//! The CA's directory (RFC 8555 section 7.1.1): where things are, and what the CA says of itself.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use certmill_model::Endpoint;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The most entries of a list of the CA that are believed, and the longest of them in bytes; real CAs have a handful.
const MOST_ENTRIES: usize = 20;
const LONGEST_NAME: usize = 253;
const LONGEST_TEXT: usize = 1_000;

/// What a CA says of itself. What makes no sense in it is left out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DirectoryMeta {
    /// Where the terms of service are, an `https://` URL.
    pub terms_of_service: Option<String>,
    /// Whether an account is made only for those who have one at the CA by other means (RFC 8555 section 7.3.4).
    pub external_account_required: bool,
    /// The names by which the CA goes in CAA records (RFC 8659 section 4.2), lower case.
    pub caa_identities: Vec<String>,
    /// The kinds of certificate that may be asked for: their names, and what the CA says about each.
    pub profiles: BTreeMap<String, String>,
}

/// The directory as far as it is used here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Directory {
    pub(crate) new_nonce: String,
    pub(crate) new_account: String,
    new_order: String,
    revoke_cert: Option<String>,
    pub(crate) key_change: Option<String>,
    pub(crate) renewal_info: Option<String>,
    #[serde(default, deserialize_with = "read_meta")]
    pub(crate) meta: DirectoryMeta,
}

impl Directory {
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// The document as the protocol library may read it: without `meta`, of which it expects more than CAs keep to.
    pub(crate) fn without_meta(body: Bytes) -> Bytes {
        let Ok(mut document) = serde_json::from_slice::<Map<String, Value>>(&body) else { return body };
        match document.remove("meta") {
            None => body,
            Some(_) => serde_json::to_vec(&document).expect("a JSON object is JSON").into(),
        }
    }

    /// What this URL of the CA is for.
    pub(crate) fn endpoint(&self, url: &str) -> Endpoint {
        let below = |base: &String| {
            url.strip_prefix(base.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
        };
        match url {
            _ if url == self.new_nonce => Endpoint::NewNonce,
            _ if url == self.new_account => Endpoint::NewAccount,
            _ if url == self.new_order => Endpoint::NewOrder,
            _ if self.revoke_cert.as_deref() == Some(url) => Endpoint::RevokeCert,
            _ if self.renewal_info.as_ref().is_some_and(below) => Endpoint::RenewalInfo,
            _ => Endpoint::Other,
        }
    }
}

/// A CA with an odd `meta` is still a CA.
fn read_meta<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<DirectoryMeta, D::Error> {
    let meta = Value::deserialize(deserializer)?;
    let terms_of_service = meta["termsOfService"].as_str().filter(|url| is_web_url(url));
    Ok(DirectoryMeta {
        terms_of_service: terms_of_service.map(str::to_owned),
        external_account_required: meta["externalAccountRequired"].as_bool().unwrap_or_default(),
        caa_identities: caa_identities(&meta["caaIdentities"]),
        profiles: profiles(&meta["profiles"]),
    })
}

/// Whether a CA's URL may be shown to people as a link.
pub(crate) fn is_web_url(url: &str) -> bool {
    let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '`');
    let host = url.strip_prefix("https://").unwrap_or_default();
    host.starts_with(|c: char| c.is_ascii_alphanumeric())
        && url.len() <= 4 * LONGEST_TEXT
        && url.chars().all(allowed)
}

fn caa_identities(list: &Value) -> Vec<String> {
    let is_name = |name: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(allowed)
    };
    let names = list.as_array().into_iter().flatten().filter_map(Value::as_str).filter(is_name);
    let mut seen = HashSet::new();
    let names = names.map(str::to_ascii_lowercase).filter(|name| seen.insert(name.clone()));
    names.take(MOST_ENTRIES).collect()
}

fn profiles(map: &Value) -> BTreeMap<String, String> {
    let is_name = |name: &str| {
        (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let profiles = map.as_object().into_iter().flatten().filter(|(name, _)| is_name(name));
    let printable = |c: &char| !c.is_control();
    let text = |text: &Value| {
        text.as_str().unwrap_or_default().chars().filter(printable).take(LONGEST_TEXT).collect()
    };
    profiles.map(|(name, about)| (name.clone(), text(about))).take(MOST_ENTRIES).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn meta(meta: &Value) -> DirectoryMeta {
        let document = json!({"newNonce": "n", "newAccount": "a", "newOrder": "o", "meta": meta});
        Directory::parse(document.to_string().as_bytes()).unwrap().meta
    }

    #[test]
    fn a_ca_tells_of_itself() {
        let told = meta(&json!({
            "termsOfService": "https://ca.example/terms", "externalAccountRequired": true,
            "caaIdentities": ["CA.example", "ca.example", "b.example", "a b", "x;y", ""],
            "profiles": {"classic": "As ever\n", "shortlived": "160 hours", "a b": "no name"},
        }));
        assert_eq!(told.terms_of_service.as_deref(), Some("https://ca.example/terms"));
        assert!(told.external_account_required);
        assert_eq!(told.caa_identities, ["ca.example", "b.example"]);
        let profiles: Vec<_> = told.profiles.iter().map(|(name, about)| (&**name, &**about)).collect();
        assert_eq!(profiles, [("classic", "As ever"), ("shortlived", "160 hours")]);
    }

    #[test]
    fn what_makes_no_sense_in_a_directory_is_left_out() {
        for odd in [
            json!(null),
            json!([]),
            json!("x"),
            json!({"termsOfService": "javascript:alert(1)", "caaIdentities": "ca.example"}),
            json!({"profiles": ["classic"], "externalAccountRequired": "yes", "termsOfService": 7}),
        ] {
            assert_eq!(meta(&odd), DirectoryMeta::default(), "{odd}");
        }
        let names: Vec<_> = (0..9_999).map(|number| format!("ca{number}.example")).collect();
        assert_eq!(meta(&json!({"caaIdentities": names})).caa_identities.len(), MOST_ENTRIES);
    }

    #[test]
    fn a_url_says_what_a_request_is_for() {
        let url = |path: &str| format!("https://ca.example/{path}");
        let document = json!({"newNonce": url("nonce"), "newAccount": url("account"), "newOrder": url("order"),
            "revokeCert": url("revoke"), "renewalInfo": url("ari")});
        let directory = Directory::parse(document.to_string().as_bytes()).unwrap();
        for (path, endpoint) in [
            ("nonce", Endpoint::NewNonce),
            ("account", Endpoint::NewAccount),
            ("order", Endpoint::NewOrder),
            ("revoke", Endpoint::RevokeCert),
            ("ari/a.b", Endpoint::RenewalInfo),
            ("aria", Endpoint::Other),
            ("order/1", Endpoint::Other),
        ] {
            assert_eq!(directory.endpoint(&url(path)), endpoint, "{path}");
        }
    }

    #[test]
    fn only_addresses_of_web_pages_are_shown_as_links() {
        assert!(is_web_url("https://ca.example/unpause?jwt=a.b-c_d"));
        for bad in
            ["http://ca.example", "https://", "https:///x", "https://ca.example/\"", "https://a b", "x"]
        {
            assert!(!is_web_url(bad), "{bad}");
        }
    }
}
