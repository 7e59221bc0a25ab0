//! Pebble, behind.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::http::response::Parts;
use hyper::{Method, Request, Uri, http::uri::PathAndQuery};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::request::Asked;

pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Over HTTP/1.1, in which the host that is asked for need not be the one that is called.
pub(super) struct Upstream {
    pebble: SocketAddr,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Upstream {
    pub(super) fn new(pebble: SocketAddr, root: &str) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(root.as_bytes()).expect("the lab made it");
        roots.add(root).expect("the lab made it");
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider supports the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1();
        Self { pebble, client: Client::builder(TokioExecutor::new()).build(https.wrap_connector(tcp)) }
    }

    /// What pebble answers to this request.
    pub(super) async fn ask(&self, asked: &Asked) -> Result<(Parts, Bytes), Failure> {
        let mut request = Request::new(Full::new(asked.body.clone()));
        *request.method_mut() = asked.parts.method.clone();
        *request.uri_mut() = self.uri(asked.parts.uri.path_and_query());
        *request.headers_mut() = asked.parts.headers.clone();
        for hop_by_hop in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            request.headers_mut().remove(hop_by_hop);
        }
        request.headers_mut().insert(HOST, HeaderValue::from_str(&asked.authority())?);
        let (mut parts, body) = self.client.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        for hop_by_hop in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            parts.headers.remove(hop_by_hop);
        }
        Ok((parts, body))
    }

    /// A nonce.
    pub(super) async fn nonce(&self) -> Option<HeaderValue> {
        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::HEAD;
        *request.uri_mut() = self.uri(Some(&PathAndQuery::from_static("/nonce-plz")));
        // Pebble 2.10 answers nobody without one.
        request.headers_mut().insert("user-agent", HeaderValue::from_static("certmill-lab"));
        self.client.request(request).await.ok()?.headers().get("replay-nonce").cloned()
    }

    fn uri(&self, path: Option<&PathAndQuery>) -> Uri {
        let path = path.map_or("/", PathAndQuery::as_str);
        format!("https://{}{path}", self.pebble).parse().expect("an address and a path are a URL")
    }
}
