//! Amazon Route 53's API of 2013-04-01: <https://docs.aws.amazon.com/Route53/latest/APIReference/>.

mod signature;
mod xml;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use certmill_model::Clock;
use futures_util::future::BoxFuture;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use self::xml::RecordSet;
use super::{
    Credentials, DnsProvider, InvalidProvider, ProviderError, TTL, TxtRecord,
    error::within,
    https::{Answer, Endpoint, Https, secret_header, words},
    settings::{id, ten_seconds, timeout},
    zone::Zone,
};

const API: &str = "https://route53.amazonaws.com";

/// As many can change the same record set at the same time and all succeed; two are usual.
const TRIES: u32 = 10;

/// Between two tries; multiplied by the number of the try.
const PAUSE: Duration = Duration::from_millis(50);

/// The settings of a hosted zone.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Route53Settings {
    /// The hosted zone's id, `Z…`.
    pub hosted_zone_id: String,
    /// The id of the access key whose secret is the credentials.
    pub access_key_id: String,
    /// Where the API is, if not at Amazon's own address: a relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// How long a call may take, in seconds.
    #[serde(default = "ten_seconds")]
    pub timeout_seconds: u16,
}

pub(super) struct Route53 {
    https: Https,
    endpoint: Endpoint,
    zone: Zone,
    hosted_zone_id: String,
    access_key_id: String,
    secret: Zeroizing<String>,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl Route53Settings {
    pub(super) const SECRET: &'static str = "secret_access_key";
}

impl Route53 {
    pub(super) fn new(
        settings: &Route53Settings,
        zone: Zone,
        credentials: &Credentials,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidProvider> {
        Ok(Self {
            endpoint: Endpoint::parse("endpoint", settings.endpoint.as_deref(), API)?,
            zone,
            hosted_zone_id: id("hosted_zone_id", &settings.hosted_zone_id)?,
            access_key_id: id("access_key_id", &settings.access_key_id)?,
            secret: Zeroizing::new(credentials.secret().to_owned()),
            timeout: timeout(settings.timeout_seconds)?,
            https: Https::new()?,
            clock,
        })
    }

    /// There are only whole record sets here. So: read the set, and replace exactly what was read by what it is to be.
    /// If somebody else changed it meanwhile, that is refused as a whole, and the set is read again.
    async fn change(&self, name: &str, edit: impl Fn(&mut Vec<String>)) -> Result<(), ProviderError> {
        self.zone.relative(name)?;
        let name = name.to_ascii_lowercase();
        let mut refusal = None;
        for attempt in 1..=TRIES {
            let before = self.record_set(&name).await?;
            let mut after = before.clone().unwrap_or(RecordSet { ttl: TTL, values: Vec::new() });
            edit(&mut after.values);
            if before.as_ref().map_or(&[][..], |before| &before.values) == after.values {
                return Ok(());
            }
            match self.replace(&name, before.as_ref(), &after).await? {
                Replaced::Done => return Ok(()),
                Replaced::ChangedMeanwhile(words) => refusal = Some(words),
            }
            tokio::time::sleep(PAUSE * attempt).await;
        }
        let words = refusal.unwrap_or_default();
        Err(ProviderError::retry(format!("Route 53 refused each of {TRIES} changes of {name}: {words}")))
    }

    /// `ListResourceRecordSets`: the set of this name, or else the next one in its order.
    async fn record_set(&self, name: &str) -> Result<Option<RecordSet>, ProviderError> {
        let query = format!("maxitems=1&name={name}&type=TXT");
        let answer = self.call(Method::GET, &query, String::new()).await?;
        if !answer.status.is_success() {
            return Err(self.refused(&answer));
        }
        xml::record_set(&answer.body, name).map_err(|_| answer.retry("no list of record sets"))
    }

    /// `ChangeResourceRecordSets`: all of it happens, or nothing.
    async fn replace(
        &self,
        name: &str,
        before: Option<&RecordSet>,
        after: &RecordSet,
    ) -> Result<Replaced, ProviderError> {
        let answer = self.call(Method::POST, "", xml::change_batch(name, before, after)).await?;
        if answer.status.is_success() {
            return Ok(Replaced::Done);
        }
        let error = xml::error(&answer.body);
        if error.code != "InvalidChangeBatch" {
            return Err(self.refused(&answer));
        }
        let words = words(&error.code, &error.message, &self.secret);
        if error.message.contains("not permitted in zone") {
            return Err(ProviderError::settings("hosted_zone_id", format!("Route 53 says: {words}")));
        }
        Ok(Replaced::ChangedMeanwhile(words))
    }

    async fn call(&self, method: Method, query: &str, body: String) -> Result<Answer, ProviderError> {
        let path = format!("/2013-04-01/hostedzone/{}/rrset", self.hosted_zone_id);
        let question = signature::Question {
            method: method.as_str(),
            host: self.endpoint.authority(),
            path: &path,
            query,
            body: body.as_bytes(),
        };
        let key = signature::Key { id: &self.access_key_id, secret: &self.secret };
        let signature = signature::sign(&question, &key, self.clock.now());
        let mark = if query.is_empty() { "" } else { "?" };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}{mark}{query}", self.endpoint))
            .header(header::HOST, self.endpoint.authority())
            .header("x-amz-date", signature.date)
            .header(header::AUTHORIZATION, secret_header(Route53Settings::SECRET, &signature.authorization)?)
            .header(header::CONTENT_TYPE, "text/xml")
            .body(Full::new(Bytes::from(body)));
        let request = request.expect("the parts of the request were checked");
        self.https.send(request).await?.unless_busy()
    }

    /// <https://docs.aws.amazon.com/Route53/latest/APIReference/CommonErrors.html>
    fn refused(&self, answer: &Answer) -> ProviderError {
        let error = xml::error(&answer.body);
        let words = words(&error.code, &error.message, &self.secret);
        let settings = |setting| ProviderError::settings(setting, format!("Route 53 says: {words}"));
        match error.code.as_str() {
            "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "PriorRequestNotComplete" => {
                answer.retry(&words)
            }
            // The machine's clock is wrong, which no setting mends.
            "RequestExpired" => answer.retry(&words),
            "SignatureDoesNotMatch" if error.message.contains("Signature expired") => answer.retry(&words),
            "SignatureDoesNotMatch" if error.message.contains("not yet current") => answer.retry(&words),
            "SignatureDoesNotMatch" => settings(Route53Settings::SECRET),
            "InvalidClientTokenId" | "UnrecognizedClientException" | "OptInRequired" => {
                settings("access_key_id")
            }
            "AccessDenied" | "AccessDeniedException" => settings("access_key_id"),
            "NoSuchHostedZone" => settings("hosted_zone_id"),
            // Without a code it is somebody in between who forbids it.
            code if answer.status == StatusCode::FORBIDDEN && !code.is_empty() => settings("access_key_id"),
            _ => answer.retry(&words),
        }
    }
}

impl DnsProvider for Route53 {
    fn present<'a>(&'a self, record: TxtRecord<'a>) -> BoxFuture<'a, Result<(), ProviderError>> {
        let value = xml::quoted(record.value);
        let change = self.change(record.name, move |values| {
            if !values.contains(&value) {
                values.push(value.clone());
            }
        });
        Box::pin(within(self.timeout, self.endpoint.authority(), change))
    }

    fn remove<'a>(&'a self, record: TxtRecord<'a>) -> BoxFuture<'a, Result<(), ProviderError>> {
        let value = xml::quoted(record.value);
        let change = self.change(record.name, move |values| values.retain(|existing| *existing != value));
        Box::pin(within(self.timeout, self.endpoint.authority(), change))
    }
}

enum Replaced {
    Done,
    /// Route 53's words for it.
    ChangedMeanwhile(String),
}
