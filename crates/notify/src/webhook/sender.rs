//! Sends one message and reads what is answered.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use certmill_model::{WebhookDestinations, WebhookUrl, parse_retry_after};
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Lookup, SendError, connector::GuardedConnector, signature::sign};

/// How long an endpoint may take to answer (Standard Webhooks: 15 to 30 seconds).
const TIMEOUT: Duration = Duration::from_secs(15);

/// How long the body of an answer may take that was given already.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// What is kept of an answer's body, in bytes.
const KEPT: usize = 1_024;

/// The longest that the head of an answer may be, in bytes.
const LONGEST_HEAD: usize = 32 * 1_024;

/// How long a connection is kept for the next message.
const IDLE: Duration = Duration::from_secs(30);

/// What is sent.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// Where to.
    pub url: &'a WebhookUrl,
    /// The same for every attempt.
    pub id: &'a str,
    /// JSON; the same bytes for every attempt.
    pub body: &'a str,
    /// The present secret and, while it is replaced, the one before: 24 to 64 bytes each.
    pub keys: &'a [&'a [u8]],
}

/// What an endpoint answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The wait that it asks for.
    pub retry_after: Option<time::Duration>,
    /// The beginning of its body, as text without control characters.
    pub body: String,
}

/// Why no messages can be sent from here.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// Without roots no server can be trusted.
    #[error("this machine has no root certificates")]
    NoRoots,
}

/// Sends messages; keeps connections, so it is to be kept.
pub struct Sender(Client<HttpsConnector<GuardedConnector>, Full<Bytes>>);

impl Sender {
    /// Sends to `destinations` alone; trusts this machine's roots and `roots`.
    pub fn new(
        destinations: WebhookDestinations,
        roots: Vec<CertificateDer<'static>>,
        lookup: Lookup,
    ) -> Result<Self, SenderError> {
        let connector = GuardedConnector { destinations: Arc::new(destinations), lookup };
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls(roots)?)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(4)
            .http1_max_buf_size(LONGEST_HEAD)
            .http2_max_header_list_size(LONGEST_HEAD as u32)
            .build(https);
        Ok(Self(client))
    }

    /// Sends a message once, signed as of `now`. No redirect is followed.
    pub async fn send(&self, message: &Message<'_>, now: OffsetDateTime) -> Result<Answer, SendError> {
        let request = request(message, now)?;
        let answered = timeout(TIMEOUT, self.0.request(request)).await;
        let answered = answered.map_err(|_| SendError::Timeout(TIMEOUT.as_secs()))?;
        let (head, body) = answered.map_err(|error| SendError::read(&error))?.into_parts();
        let asked = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        Ok(Answer {
            status: head.status.as_u16(),
            retry_after: asked.and_then(|value| parse_retry_after(value, now)),
            body: beginning(body).await,
        })
    }
}

fn request(message: &Message<'_>, now: OffsetDateTime) -> Result<Request<Full<Bytes>>, SendError> {
    Request::post(message.url.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("certmill/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", message.id)
        .header("webhook-timestamp", now.unix_timestamp())
        .header("webhook-signature", sign(message.keys, message.id, now, message.body))
        .body(Full::from(message.body.to_owned()))
        .map_err(|_| SendError::Url)
}

/// The first kilobyte. What does not come soon, or breaks off, is not waited for: the status says all that matters.
async fn beginning(mut body: Incoming) -> String {
    let until = Instant::now() + BODY_TIMEOUT;
    let mut kept = Vec::new();
    while kept.len() < KEPT {
        let Ok(Some(Ok(frame))) = timeout_at(until, body.frame()).await else { break };
        if let Ok(data) = frame.into_data() {
            kept.extend_from_slice(&data[..data.len().min(KEPT - kept.len())]);
        }
    }
    let text = String::from_utf8_lossy(&kept);
    text.chars().filter(|character| !character.is_control() || *character == '\n').collect()
}

fn tls(roots: Vec<CertificateDer<'static>>) -> Result<ClientConfig, SenderError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    store.add_parsable_certificates(roots);
    if store.is_empty() {
        return Err(SenderError::NoRoots);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(config)
}
