//! What a load balancer serves, seen by a handshake.

use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{io, net::SocketAddr};

use certmill_model::Hostname;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

/// How long to wait between two looks.
const POLL: Duration = Duration::from_millis(50);

/// A look that had less time than this, because the deadline was near, shows nothing by ending without an answer.
const ONE_HANDSHAKE: Duration = Duration::from_secs(2);

/// The certificates that a server showed, and proved to have the key of the first of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServedCertificate {
    /// The leaf, in DER.
    pub leaf_der: Vec<u8>,
    /// The certificates behind it, in DER.
    pub chain: Vec<Vec<u8>>,
}

impl ServedCertificate {
    /// The SHA-256 of the leaf.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.leaf_der).into()
    }
}

/// Why no certificate was seen.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No TCP connection, or it broke.
    #[error("no connection")]
    Unreachable(#[source] io::Error),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The server refused the handshake for this name, as it does without a certificate for it.
    #[error("the server refuses the handshake: {detail}")]
    Refused {
        /// The alert, or what was wrong with the answer.
        detail: String,
    },
}

/// What was seen last instead of the certificate that was waited for.
#[derive(Debug, thiserror::Error)]
pub enum NotServed {
    /// Another certificate.
    #[error("another certificate is served")]
    Other(ServedCertificate),
    /// None.
    #[error("no certificate was seen")]
    Probe(#[source] ProbeError),
}

/// Makes a handshake with `address` for `name` and returns what it shows, whoever signed it: the caller compares. A
/// wildcard is asked for by a name below it.
pub async fn served_certificate(
    address: SocketAddr,
    name: &Hostname,
    within: Duration,
) -> Result<ServedCertificate, ProbeError> {
    timeout(within, handshake(address, name)).await.unwrap_or(Err(ProbeError::TimedOut))
}

/// Waits until `address` serves for `name` the certificate with this SHA-256: nginx's reload returns before its new
/// workers serve. Otherwise what was seen last is the answer, not that the time was over while somebody looked.
pub async fn wait_until_served(
    address: SocketAddr,
    name: &Hostname,
    fingerprint: [u8; 32],
    within: Duration,
) -> Result<(), NotServed> {
    let deadline = Instant::now() + within;
    let mut before = None;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let seen = match served_certificate(address, name, left.max(POLL)).await {
            Ok(served) if served.fingerprint() == fingerprint => return Ok(()),
            Ok(served) => NotServed::Other(served),
            Err(ProbeError::TimedOut) if left < ONE_HANDSHAKE => {
                before.take().unwrap_or(NotServed::Probe(ProbeError::TimedOut))
            }
            Err(error) => NotServed::Probe(error),
        };
        if Instant::now() + POLL >= deadline {
            return Err(seen);
        }
        before = Some(seen);
        sleep(POLL).await;
    }
}

async fn handshake(address: SocketAddr, name: &Hostname) -> Result<ServedCertificate, ProbeError> {
    let stream = TcpStream::connect(address).await.map_err(ProbeError::Unreachable)?;
    let asked = if name.is_wildcard() { format!("certmill-probe.{}", name.base()) } else { name.to_string() };
    let refused = |detail: String| ProbeError::Refused { detail };
    let asked = ServerName::try_from(asked).map_err(|error| refused(error.to_string()))?;
    let connector = TlsConnector::from(client_config());
    let stream = connector.connect(asked, stream).await.map_err(classify)?;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let (leaf, chain) =
        certificates.split_first().ok_or_else(|| refused("it showed no certificate".to_owned()))?;
    Ok(ServedCertificate {
        leaf_der: leaf.to_vec(),
        chain: chain.iter().map(|certificate| certificate.to_vec()).collect(),
    })
}

/// tokio-rustls wraps what TLS found in an I/O error.
fn classify(error: io::Error) -> ProbeError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
        Some(tls) => ProbeError::Refused { detail: tls.to_string() },
        None => ProbeError::Unreachable(error),
    }
}

fn client_config() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let make = || {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the provider has the cipher suites of TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        // A resumed session shows no certificate.
        config.resumption = Resumption::disabled();
        Arc::new(config)
    };
    CONFIG.get_or_init(make).clone()
}

/// Takes any certificate, but only from a server that has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, leaf, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, leaf, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
