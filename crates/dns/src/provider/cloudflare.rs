//! Cloudflare's API, version 4: <https://developers.cloudflare.com/api/resources/dns/subresources/records/>.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Credentials, DnsProvider, InvalidProvider, ProviderError, TTL, TxtRecord,
    error::within,
    https::{Answer, Endpoint, Https, secret_header, words},
    settings::{id, ten_seconds, timeout},
    zone::Zone,
};

const API: &str = "https://api.cloudflare.com/client/v4";

/// "An identical record already exists", in both of its codes.
const ALREADY_THERE: [i64; 2] = [81_057, 81_058];

/// "Record does not exist."
const NOT_THERE: i64 = 81_044;

/// "Could not route to …, perhaps your object identifier is invalid?", and an invalid zone identifier.
const NO_SUCH_ZONE: [i64; 3] = [1_001, 7_000, 7_003];

/// Malformed headers: what a token with a typing error gives.
const BAD_HEADERS: i64 = 6_003;

/// The settings of a zone at Cloudflare.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CloudflareSettings {
    /// The zone's id, on its overview page.
    pub zone_id: String,
    /// Where the API is, if not at Cloudflare's own address: a relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// How long a call may take, in seconds.
    #[serde(default = "ten_seconds")]
    pub timeout_seconds: u16,
}

pub(super) struct Cloudflare {
    https: Https,
    endpoint: Endpoint,
    zone: Zone,
    zone_id: String,
    token: Zeroizing<String>,
    authorization: HeaderValue,
    timeout: Duration,
}

/// What every answer looks like.
#[derive(Deserialize)]
struct Envelope<T> {
    result: Option<T>,
    #[serde(default)]
    errors: Option<Vec<ApiError>>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Record {
    id: String,
    name: String,
    content: String,
}

impl CloudflareSettings {
    pub(super) const SECRET: &'static str = "api_token";
}

impl Cloudflare {
    pub(super) fn new(
        settings: &CloudflareSettings,
        zone: Zone,
        credentials: &Credentials,
    ) -> Result<Self, InvalidProvider> {
        let token = credentials.secret();
        Ok(Self {
            endpoint: Endpoint::parse("endpoint", settings.endpoint.as_deref(), API)?,
            zone,
            zone_id: id("zone_id", &settings.zone_id)?,
            token: Zeroizing::new(token.to_owned()),
            authorization: secret_header(CloudflareSettings::SECRET, &format!("Bearer {token}"))?,
            timeout: timeout(settings.timeout_seconds)?,
            https: Https::new()?,
        })
    }

    async fn add(&self, record: TxtRecord<'_>) -> Result<(), ProviderError> {
        self.zone.relative(record.name)?;
        let content = quoted(record.value);
        let body = json!({ "type": "TXT", "name": record.name, "content": content, "ttl": TTL });
        let answer = self.call(Method::POST, "", Some(body)).await?;
        if answer.status.is_success() {
            return self.is_in_our_zone(record.name, &answer).await;
        }
        if errors(&answer).iter().any(|error| ALREADY_THERE.contains(&error.code)) {
            return Ok(());
        }
        Err(self.refused(&answer))
    }

    /// The API appends the zone to a name that is not in it: an id of another zone shows only here.
    async fn is_in_our_zone(&self, name: &str, answer: &Answer) -> Result<(), ProviderError> {
        let created = answer.json::<Envelope<Record>>().and_then(|envelope| envelope.result);
        let created = created.ok_or_else(|| answer.retry("no record"))?;
        if created.name.eq_ignore_ascii_case(name) {
            return Ok(());
        }
        self.delete(&created.id).await?;
        let zone = self.zone.name();
        Err(ProviderError::settings("zone_id", format!("it is the id of another zone than {zone}")))
    }

    async fn take_away(&self, record: TxtRecord<'_>) -> Result<(), ProviderError> {
        self.zone.relative(record.name)?;
        for existing in self.list(record.name).await? {
            let is_it = existing.name.eq_ignore_ascii_case(record.name)
                && unquoted(&existing.content) == record.value;
            if is_it {
                self.delete(&existing.id).await?;
            }
        }
        Ok(())
    }

    async fn list(&self, name: &str) -> Result<Vec<Record>, ProviderError> {
        let query = format!("?type=TXT&name.exact={name}&per_page=100");
        let answer = self.call(Method::GET, &query, None).await?;
        if !answer.status.is_success() {
            return Err(self.refused(&answer));
        }
        let records = answer.json::<Envelope<Vec<Record>>>().and_then(|envelope| envelope.result);
        records.ok_or_else(|| answer.retry("no list of records"))
    }

    async fn delete(&self, record_id: &str) -> Result<(), ProviderError> {
        let answer = match id("zone_id", record_id) {
            Ok(record_id) => self.call(Method::DELETE, &format!("/{record_id}"), None).await?,
            Err(_) => return Err(ProviderError::retry("Cloudflare gave a record without an id")),
        };
        let is_gone =
            answer.status.is_success() || errors(&answer).iter().any(|error| error.code == NOT_THERE);
        if is_gone { Ok(()) } else { Err(self.refused(&answer)) }
    }

    async fn call(
        &self,
        method: Method,
        rest: &str,
        body: Option<serde_json::Value>,
    ) -> Result<Answer, ProviderError> {
        let uri = format!("{}/zones/{}/dns_records{rest}", self.endpoint, self.zone_id);
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body.map_or_else(Bytes::new, |body| body.to_string().into())));
        let request = request.expect("the parts of the request were checked");
        self.https.send(request).await?.unless_busy()
    }

    fn refused(&self, answer: &Answer) -> ProviderError {
        let errors = errors(answer);
        let has = |codes: &[i64]| errors.iter().any(|error| codes.contains(&error.code));
        let words = errors.first().map(|error| words(&error.code.to_string(), &error.message, &self.token));
        let words = words.unwrap_or_default();
        // Without an error of the API's own it is somebody in between who forbids it.
        let is_unauthorized =
            !errors.is_empty() && matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if has(&NO_SUCH_ZONE) {
            ProviderError::settings("zone_id", format!("Cloudflare says: {words}"))
        } else if is_unauthorized || has(&[BAD_HEADERS]) {
            let detail =
                format!("Cloudflare says: {words}; the token needs the permission DNS Write for this zone");
            ProviderError::settings(CloudflareSettings::SECRET, detail)
        } else {
            answer.retry(&words)
        }
    }
}

impl DnsProvider for Cloudflare {
    fn present<'a>(&'a self, record: TxtRecord<'a>) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(within(self.timeout, self.endpoint.authority(), self.add(record)))
    }

    fn remove<'a>(&'a self, record: TxtRecord<'a>) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(within(self.timeout, self.endpoint.authority(), self.take_away(record)))
    }
}

fn errors(answer: &Answer) -> Vec<ApiError> {
    let envelope: Option<Envelope<serde_json::Value>> = answer.json();
    envelope.and_then(|envelope| envelope.errors).unwrap_or_default()
}

/// As in a zone file, which is how the API keeps it.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Records that others wrote may have no quotes.
fn unquoted(content: &str) -> String {
    let inner = content.strip_prefix('"').and_then(|content| content.strip_suffix('"'));
    inner.unwrap_or(content).replace("\\\"", "\"").replace("\\\\", "\\")
}
