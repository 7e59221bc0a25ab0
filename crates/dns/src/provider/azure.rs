//! Azure DNS: <https://learn.microsoft.com/rest/api/dns/record-sets>.

mod json;
mod token;

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::{
    json::{RecordSet, api_error, body, container_is_missing, record_set, strings},
    token::Tokens,
};
use super::{
    Credentials, DnsProvider, InvalidProvider, ProviderError, TxtRecord,
    error::within,
    https::{Answer, Endpoint, Https, words},
    settings::{id, ten_seconds, timeout},
    zone::Zone,
};

const API: &str = "https://management.azure.com";
const AUTHORITY: &str = "https://login.microsoftonline.com";
const VERSION: &str = "2018-05-01";

/// As many can change the same record set at the same time and all succeed; two are usual.
const TRIES: u32 = 10;

/// Between two tries; multiplied by the number of the try.
const PAUSE: Duration = Duration::from_millis(50);

/// The settings of a zone in Azure DNS.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AzureSettings {
    /// The directory (tenant) of the app registration.
    pub tenant_id: String,
    /// The app registration whose client secret is the credentials.
    pub client_id: String,
    /// The subscription that the zone belongs to.
    pub subscription_id: String,
    /// The resource group that the zone is in.
    pub resource_group: String,
    /// Where Azure Resource Manager is, in a sovereign cloud: `https://management.chinacloudapi.cn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Where tokens come from, in a sovereign cloud: `https://login.chinacloudapi.cn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// How long a call may take, in seconds.
    #[serde(default = "ten_seconds")]
    pub timeout_seconds: u16,
}

pub(super) struct Azure {
    https: Https,
    endpoint: Endpoint,
    zone: Zone,
    /// The path of the zone's TXT record sets.
    path: String,
    tokens: Tokens,
    timeout: Duration,
}

impl AzureSettings {
    pub(super) const SECRET: &'static str = "client_secret";
}

impl Azure {
    pub(super) fn new(
        settings: &AzureSettings,
        zone: Zone,
        credentials: &Credentials,
    ) -> Result<Self, InvalidProvider> {
        let endpoint = Endpoint::parse("endpoint", settings.endpoint.as_deref(), API)?;
        let subscription = id("subscription_id", &settings.subscription_id)?;
        let group = resource_group(&settings.resource_group)?;
        let path = format!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/dnsZones/{}/TXT/",
            zone.name()
        );
        Ok(Self {
            tokens: Tokens::new(settings, &endpoint, credentials)?,
            endpoint,
            zone,
            path,
            timeout: timeout(settings.timeout_seconds)?,
            https: Https::new()?,
        })
    }

    /// There are only whole record sets here. So: read the set with its version, and write it back on the condition
    /// that the version is still the same. If somebody else changed it meanwhile, it is read again.
    async fn change(&self, name: &str, edit: impl Fn(&mut Vec<Vec<String>>)) -> Result<(), ProviderError> {
        let name = self.zone.relative(name)?.to_ascii_lowercase();
        for attempt in 1..=TRIES {
            let before = self.record_set(&name).await?;
            let mut values = before.as_ref().map(|before| before.values.clone()).unwrap_or_default();
            edit(&mut values);
            if before.as_ref().map_or(&[][..], |before| &before.values) == values {
                return Ok(());
            }
            if self.replace(&name, before.as_ref(), &values).await? {
                return Ok(());
            }
            tokio::time::sleep(PAUSE * attempt).await;
        }
        Err(ProviderError::retry(format!("somebody else changes {name} all the time: {TRIES} tries failed")))
    }

    async fn record_set(&self, name: &str) -> Result<Option<RecordSet>, ProviderError> {
        let answer = self.call(Method::GET, name, None, None).await?;
        match answer.status {
            status if status.is_success() => {
                let set = answer.json().and_then(|set| record_set(&set));
                set.map(Some).ok_or_else(|| answer.retry("no record set"))
            }
            StatusCode::NOT_FOUND if !container_is_missing(&api_error(&answer).code) => Ok(None),
            _ => Err(self.refused(&answer)),
        }
    }

    /// Whether the set could be replaced; not if it is another than `before` by now.
    async fn replace(
        &self,
        name: &str,
        before: Option<&RecordSet>,
        values: &[Vec<String>],
    ) -> Result<bool, ProviderError> {
        let condition = match before {
            Some(before) => ("if-match", before.etag.as_str()),
            None => ("if-none-match", "*"),
        };
        let answer = if values.is_empty() {
            self.call(Method::DELETE, name, Some(condition), None).await?
        } else {
            self.call(Method::PUT, name, Some(condition), Some(body(before, values))).await?
        };
        match answer.status {
            status if status.is_success() => Ok(true),
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => Ok(false),
            _ => Err(self.refused(&answer)),
        }
    }

    /// Asks with a token, and with another one if that one is no longer good.
    async fn call(
        &self,
        method: Method,
        name: &str,
        condition: Option<(&str, &str)>,
        body: Option<Value>,
    ) -> Result<Answer, ProviderError> {
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        for is_last in [false, true] {
            let token = self.tokens.current(&self.https).await?;
            let mut request = Request::builder()
                .method(&method)
                .uri(format!("{}{}{name}?api-version={VERSION}", self.endpoint, self.path))
                .header(header::AUTHORIZATION, token)
                .header(header::CONTENT_TYPE, "application/json");
            if let Some((header, version)) = condition {
                request = request.header(header, version);
            }
            let odd = |_| ProviderError::retry("Azure gave a record set a version that cannot be sent back");
            let answer = self.https.send(request.body(Full::new(body.clone())).map_err(odd)?).await?;
            if answer.status != StatusCode::UNAUTHORIZED || is_last {
                return answer.unless_busy();
            }
            self.tokens.forget().await;
        }
        unreachable!("the last answer is returned")
    }

    fn refused(&self, answer: &Answer) -> ProviderError {
        let error = api_error(answer);
        let words = words(&error.code, &error.message, self.tokens.secret());
        let settings = |setting| ProviderError::settings(setting, format!("Azure says: {words}"));
        match error.code.as_str() {
            "SubscriptionNotFound" | "InvalidSubscriptionId" | "ReadOnlyDisabledSubscription" => {
                settings("subscription_id")
            }
            "ResourceGroupNotFound" | "InvalidResourceGroup" => settings("resource_group"),
            "ParentResourceNotFound" | "ResourceNotFound" | "NotFound" => settings("zone"),
            "InvalidAuthenticationTokenTenant" => settings("tenant_id"),
            // It is somebody in between who answers.
            "" => answer.retry(""),
            _ if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                settings("client_id")
            }
            _ => answer.retry(&words),
        }
    }
}

impl DnsProvider for Azure {
    fn present<'a>(&'a self, record: TxtRecord<'a>) -> BoxFuture<'a, Result<(), ProviderError>> {
        let change = self.change(record.name, move |values| {
            if !values.iter().any(|existing| existing.concat() == record.value) {
                values.push(strings(record.value));
            }
        });
        Box::pin(within(self.timeout, self.endpoint.authority(), change))
    }

    fn remove<'a>(&'a self, record: TxtRecord<'a>) -> BoxFuture<'a, Result<(), ProviderError>> {
        let change = self
            .change(record.name, move |values| values.retain(|existing| existing.concat() != record.value));
        Box::pin(within(self.timeout, self.endpoint.authority(), change))
    }
}

/// Letters, digits, `_`, `-`, `.` and parentheses; letters may be of any script.
fn resource_group(name: &str) -> Result<String, InvalidProvider> {
    let is_name = (1..=90).contains(&name.chars().count())
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '(' | ')'))
        && !name.ends_with('.');
    if is_name {
        return Ok(utf8_percent_encode(name, NON_ALPHANUMERIC).to_string());
    }
    Err(InvalidProvider::new("resource_group", "it is not a name that a resource group can have"))
}
