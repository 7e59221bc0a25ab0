//! HTTPS to a provider's API, within limits of size. The callers limit the time.

use std::{fmt, net::IpAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, crypto::aws_lc_rs};
use time::Duration;

use super::{
    InvalidProvider, ProviderError,
    error::{quote, with_causes},
};

/// The longest answer, a page of records, has some 50 kB.
const LONGEST_BODY: usize = 1 << 20;

/// No provider has a reason to ask for more patience.
const LONGEST_WAIT: Duration = Duration::DAY;

const IDLE: std::time::Duration = std::time::Duration::from_secs(30);

/// Where an API is: `https://host/path`, without a slash at the end.
#[derive(Clone)]
pub(super) struct Endpoint(String);

impl Endpoint {
    /// The one an operator set, if one is set. Without TLS only on this machine, where a relay may be.
    pub(super) fn parse(
        setting: &'static str,
        set: Option<&str>,
        default: &str,
    ) -> Result<Self, InvalidProvider> {
        let text = set.unwrap_or(default).trim_end_matches('/');
        let uri: Option<Uri> = text.parse().ok();
        let is_usable = uri.as_ref().is_some_and(|uri| {
            let is_plain =
                uri.query().is_none() && uri.authority().is_some_and(|at| !at.as_str().contains('@'));
            let is_safe = match uri.scheme_str() {
                Some("https") => true,
                Some("http") => uri.host().is_some_and(is_this_machine),
                _ => false,
            };
            is_plain && is_safe
        });
        if is_usable {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidProvider::new(setting, "it is not a URL like https://host/path"))
    }

    /// Its host, with the port if that is not the usual one.
    pub(super) fn authority(&self) -> &str {
        self.0.split('/').nth(2).unwrap_or_default()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Keeps connections, so it is to be kept.
pub(super) struct Https(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    retry_after: Option<Duration>,
    host: String,
}

impl Https {
    pub(super) fn new() -> Result<Self, InvalidProvider> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(https);
        Ok(Self(client))
    }

    /// Sends the request; redirects are not followed, for the secret is not for others.
    pub(super) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, ProviderError> {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let agent = HeaderValue::from_static(concat!("certmill/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        let response = self.0.request(request).await;
        let unreachable =
            |error| ProviderError::retry(format!("{host} cannot be reached: {}", with_causes(&error)));
        let (parts, body) = response.map_err(unreachable)?.into_parts();
        let body = Limited::new(body, LONGEST_BODY).collect().await.map_err(|error| {
            let what = if error.is::<LengthLimitError>() { "is longer than 1 MiB" } else { "broke off" };
            ProviderError::retry(format!("the answer of {host} {what}"))
        })?;
        let retry_after = parts.headers.get(header::RETRY_AFTER).and_then(seconds);
        Ok(Answer { status: parts.status, body: body.to_bytes(), retry_after, host })
    }
}

impl Answer {
    /// Passes the answer on, unless it says that another time would be better.
    pub(super) fn unless_busy(self) -> Result<Self, ProviderError> {
        if self.status == StatusCode::TOO_MANY_REQUESTS || self.status.is_server_error() {
            return Err(self.retry(""));
        }
        Ok(self)
    }

    /// To be tried again; `words` are those of the answer's body, if they could be read.
    pub(super) fn retry(&self, words: &str) -> ProviderError {
        let detail = match words {
            "" => format!("{} answers with HTTP status {}", self.host, self.status),
            words => format!("{} answers with HTTP status {}: {words}", self.host, self.status),
        };
        ProviderError::Retry { after: self.retry_after, detail }
    }

    /// The answer's JSON, as far as it is what is expected.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// A header with a secret in it, which no log of a library shows.
pub(super) fn secret_header(setting: &'static str, text: &str) -> Result<HeaderValue, InvalidProvider> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| InvalidProvider::new(setting, "it has characters that no such secret has"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The code that an API gave for a refusal, and its words.
pub(super) fn words(code: &str, message: &str, secret: &str) -> String {
    match (code, message) {
        ("", message) => quote(message, secret),
        (code, "") => quote(code, secret),
        (code, message) => quote(&format!("{message} ({code})"), secret),
    }
}

fn is_this_machine(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn tls() -> Result<ClientConfig, InvalidProvider> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions");
    let no_roots =
        |_| InvalidProvider::new("endpoint", "this machine has no root certificates to trust it by");
    Ok(builder.with_native_roots().map_err(no_roots)?.with_no_client_auth())
}

/// The other form of the header, a date, is not used by these providers.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    let seconds: u32 = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::seconds(seconds.into()).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_only_through_tls_or_stays_on_this_machine() {
        for good in ["https://api.example/v4/", "http://127.0.0.1:8080", "http://[::1]:1/x"] {
            assert!(Endpoint::parse("endpoint", Some(good), "").is_ok(), "{good}");
        }
        for bad in
            ["http://api.example", "ftp://x", "https://u@x", "https://x/?a=b", "", "https://", "api.example"]
        {
            assert!(Endpoint::parse("endpoint", Some(bad), "").is_err(), "{bad}");
        }
        let endpoint = Endpoint::parse("endpoint", Some("https://api.example:8443/v4"), "").unwrap();
        assert_eq!(endpoint.authority(), "api.example:8443");
    }

    #[test]
    fn a_wait_is_taken_from_the_header_within_reason() {
        let wait = |text: &'static str| seconds(&HeaderValue::from_static(text));
        assert_eq!(wait("7"), Some(Duration::seconds(7)));
        assert_eq!(wait("4000000000"), Some(Duration::DAY));
        for odd in ["-1", "soon", "99999999999999999999", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(wait(odd), None, "{odd}");
        }
    }
}
