//! HTTPS to one CA, and to nothing else, within limits of time and size.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use certmill_model::Endpoint;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

use crate::{
    CaSettings, InvalidCaSettings, Pace, TrustedRoots,
    answer::{nonce_answer, note_answer},
    directory::Directory,
    exchange::{self, Note},
    nonces::Nonces,
};

/// No answer of a CA is longer; the longest, a chain of certificates, has some 10 kB.
const LONGEST_BODY: usize = 1 << 20;

type Connection = HyperClient<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>;

/// Why no answer came, or one that is not for us.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    #[error("the CA gave {0:?}, which is not on its own server, as a URL to go to")]
    ForeignUrl(String),
    #[error("the CA redirects (HTTP status {0}), which ACME does not")]
    Redirected(u16),
    #[error("the CA did not answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    #[error("the CA's answer is longer than 1 MiB")]
    TooLong,
    #[error("the CA cannot be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
    #[error("the CA's answer broke off")]
    BrokenOff(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Cheap to clone; the clones share connections and nonces.
#[derive(Clone)]
pub(crate) struct Transport(Arc<Inner>);

struct Inner {
    connection: Connection,
    directory: Uri,
    user_agent: HeaderValue,
    timeout: Duration,
    pace: Option<Pace>,
    nonces: Nonces,
    known: OnceLock<Directory>,
}

impl Transport {
    pub(crate) fn new(settings: &CaSettings) -> Result<Self, InvalidCaSettings> {
        let mut tcp = HttpConnector::new();
        // Without it each small request waits for the acknowledgement of the one before: 360 instead of 13 ms a
        // certificate, one at a time.
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(settings.connect_timeout));
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls_config(settings.trust.as_ref())?)
            .https_only()
            .enable_all_versions()
            .wrap_connector(tcp);
        let connection = HyperClient::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            // One HTTP/2 connection carries everything: a dead one must be noticed before the requests time out.
            .http2_keep_alive_interval(Duration::from_secs(10))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .build(https);
        let user_agent =
            HeaderValue::from_str(&settings.user_agent).map_err(|_| InvalidCaSettings::UserAgent)?;
        Ok(Self(Arc::new(Inner {
            connection,
            directory: settings.directory_url().clone(),
            user_agent,
            timeout: settings.request_timeout,
            pace: settings.pace.clone(),
            nonces: Nonces::default(),
            known: OnceLock::new(),
        })))
    }

    /// Keeps a nonce that nobody will use, for the next order.
    pub(crate) fn keep_nonce(&self, nonce: String) {
        self.0.nonces.put(nonce);
    }

    pub(crate) fn directory_url(&self) -> String {
        self.0.directory.to_string()
    }

    /// The CA's directory, once it was fetched.
    pub(crate) fn directory(&self) -> Option<&Directory> {
        self.0.known.get()
    }

    async fn exchange(
        &self,
        mut request: Request<BodyWrapper<Bytes>>,
    ) -> Result<BytesResponse, TransportError> {
        exchange::record(Note::default());
        let uri = request.uri();
        if !same_origin(uri, &self.0.directory) {
            return Err(TransportError::ForeignUrl(uri.to_string()));
        }
        // The library asks for a nonce, and for nothing else, by HEAD.
        if request.method() == Method::HEAD
            && let Some(nonce) = self.0.nonces.take()
        {
            return Ok(nonce_answer(&nonce));
        }
        let endpoint = self.endpoint(uri);
        if let Some(pace) = &self.0.pace {
            pace.hold(endpoint).await;
        }
        let user_agent = self.0.user_agent.clone();
        request.headers_mut().insert(header::USER_AGENT, user_agent);
        let begun = tokio::time::Instant::now();
        let answer = tokio::time::timeout(self.0.timeout, self.fetch(request)).await;
        let answer = answer.unwrap_or_else(|_| Err(TransportError::TimedOut(self.0.timeout)));
        self.count(endpoint, answer.as_ref().ok().map(|(parts, _)| parts.status), begun.elapsed());
        let (parts, body) = answer?;
        let is_directory = endpoint == Endpoint::Directory && parts.status.is_success();
        note_answer(parts, if is_directory { self.keep_directory(body) } else { body })
    }

    /// Counts a request; status 0 stands for none.
    fn count(&self, endpoint: Endpoint, status: Option<StatusCode>, took: Duration) {
        let ca = self.0.directory.host().unwrap_or_default().to_owned();
        let status = status.map_or(0, |status| status.as_u16()).to_string();
        let labels = [("ca", ca), ("endpoint", endpoint.as_str().to_owned())];
        metrics::histogram!("certmill_acme_request_duration_seconds", &labels).record(took.as_secs_f64());
        let [ca, endpoint] = labels;
        metrics::counter!("certmill_acme_requests_total", &[ca, endpoint, ("status", status)]).increment(1);
    }

    /// Keeps the directory; what the library may see of it.
    fn keep_directory(&self, body: Bytes) -> Bytes {
        if let Some(directory) = Directory::parse(&body) {
            let _ = self.0.known.set(directory);
        }
        Directory::without_meta(body)
    }

    fn endpoint(&self, uri: &Uri) -> Endpoint {
        if *uri == self.0.directory {
            return Endpoint::Directory;
        }
        self.directory().map_or(Endpoint::Other, |directory| directory.endpoint(&uri.to_string()))
    }

    async fn fetch(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Result<(http::response::Parts, Bytes), TransportError> {
        let response = self.0.connection.request(request).await;
        let (parts, body) = response.map_err(TransportError::Unreachable)?.into_parts();
        let body = Limited::new(body, LONGEST_BODY).collect().await;
        match body {
            Ok(body) => Ok((parts, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(TransportError::TooLong),
            Err(error) => Err(TransportError::BrokenOff(error)),
        }
    }
}

impl HttpClient for Transport {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let transport = self.clone();
        Box::pin(async move {
            let answer = transport.exchange(request).await;
            answer.map_err(|error| instant_acme::Error::Other(Box::new(error)))
        })
    }
}

fn tls_config(trust: Option<&TrustedRoots>) -> Result<ClientConfig, InvalidCaSettings> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions");
    let Some(trust) = trust else {
        use hyper_rustls::ConfigBuilderExt;
        let builder = builder.with_native_roots().map_err(|_| InvalidCaSettings::NoSystemRoots)?;
        return Ok(builder.with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for certificate in trust.certificates() {
        roots.add(certificate.clone()).map_err(|_| InvalidCaSettings::Roots)?;
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn same_origin(uri: &Uri, directory: &Uri) -> bool {
    let port = |uri: &Uri| uri.port_u16().unwrap_or(443);
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    uri.scheme_str() == Some("https")
        && host(uri) == host(directory)
        && port(uri) == port(directory)
        && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_directory_s_own_server_is_gone_to() {
        let directory: Uri = "https://ca.example/directory".parse().unwrap();
        for own in ["https://ca.example/new-order", "https://CA.example:443/x"] {
            assert!(same_origin(&own.parse().unwrap(), &directory), "{own}");
        }
        for foreign in [
            "http://ca.example/x",
            "https://ca.example:8443/x",
            "https://169.254.169.254/latest",
            "https://ca.example.evil/x",
            "https://ca.example@evil.example/x",
            "https://user@ca.example/x",
            "/relative",
        ] {
            assert!(!same_origin(&foreign.parse().unwrap(), &directory), "{foreign}");
        }
    }
}
