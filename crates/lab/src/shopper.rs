//! A visitor of the shops: what a load balancer serves, seen from outside and independent of certmill.

use std::error::Error;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, client::TlsStream};
use x509_parser::parse_x509_certificate;

/// An answer later than this is none.
const LIMIT: Duration = Duration::from_secs(5);

/// A visitor who trusts certain roots, and nothing else.
#[derive(Clone)]
pub struct Shopper(TlsConnector);

/// A page as a visitor gets it.
#[derive(Clone, Debug)]
pub struct Page {
    /// The serial number of the certificate that came with it, in certmill's form.
    pub serial_number: String,
    /// The status code.
    pub status: u16,
    /// Where it leads to, if elsewhere.
    pub location: Option<String>,
    /// The body.
    pub body: String,
}

/// Why nothing, or nothing to trust, was served.
#[derive(Debug, thiserror::Error)]
#[error("{address} serves nothing good for {name}")]
pub struct NotServed {
    /// The load balancer.
    pub address: SocketAddr,
    /// The name that was asked for.
    pub name: String,
    /// What was wrong.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

type Failure = Box<dyn Error + Send + Sync>;

impl Shopper {
    /// One who trusts the roots in `pem`, as in [`crate::Lab::issuing_roots_pem`].
    pub fn trusting(pem: &str) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok) {
            roots.add(certificate)?;
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // A resumed session would show the certificate of the first handshake once more.
        config.resumption = Resumption::disabled();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Makes a handshake with `address` for `name`, in A-label form, and returns the serial number of the certificate
    /// that was shown: lower-case hexadecimal without a leading zero byte. Chain, name and dates are verified.
    pub async fn handshake(&self, address: SocketAddr, name: &str) -> Result<String, NotServed> {
        self.limited(address, name, async { serial_number(&self.connect(address, name).await?) }).await
    }

    /// Fetches a page of the shop `name` over HTTPS from `address`.
    pub async fn get(&self, address: SocketAddr, name: &str, path: &str) -> Result<Page, NotServed> {
        self.limited(address, name, self.fetch(address, name, path)).await
    }

    async fn limited<T>(
        &self,
        address: SocketAddr,
        name: &str,
        served: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, NotServed> {
        let served = timeout(LIMIT, served).await.unwrap_or_else(|elapsed| Err(elapsed.into()));
        served.map_err(|source| NotServed { address, name: name.to_owned(), source })
    }

    async fn connect(&self, address: SocketAddr, name: &str) -> Result<TlsStream<TcpStream>, Failure> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        Ok(self.0.connect(ServerName::try_from(name.to_owned())?, tcp).await?)
    }

    async fn fetch(&self, address: SocketAddr, name: &str, path: &str) -> Result<Page, Failure> {
        let tls = self.connect(address, name).await?;
        let serial_number = serial_number(&tls)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::get(path).header("host", name).body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let location =
            response.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = response.into_body().collect().await?.to_bytes();
        connection.abort();
        Ok(Page { serial_number, status, location, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

fn serial_number(tls: &TlsStream<TcpStream>) -> Result<String, Failure> {
    let certificates = tls.get_ref().1.peer_certificates().unwrap_or_default();
    let leaf = certificates.first().ok_or("no certificate was shown")?;
    let (_, leaf) = parse_x509_certificate(leaf)?;
    let bytes = leaf.raw_serial();
    // DER puts a zero byte before a number whose first bit is set.
    let significant = bytes.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(bytes);
    Ok(significant.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all that is written to it");
        text
    }))
}
