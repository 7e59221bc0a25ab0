//! TLS: nothing is sent to whom nobody vouches for.

use std::sync::Arc;

use certmill_model::WebhookUrl;
use certmill_notify::webhook::{SendError, Sender, system_lookup};
use rcgen::{CertificateParams, CertifiedKey, KeyPair};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::server::{destinations, send};

fn self_signed(name: &str) -> CertifiedKey<KeyPair> {
    let signing_key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&signing_key).unwrap();
    CertifiedKey { cert, signing_key }
}

/// A server with this certificate that answers every request with 204.
async fn serve(certified: &CertifiedKey<KeyPair>) -> WebhookUrl {
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4_096]).await;
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    });
    url
}

fn trusting(roots: Vec<CertificateDer<'static>>) -> Sender {
    Sender::new(destinations(&["127.0.0.0/8"]), roots, system_lookup()).unwrap()
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_or_of_another_name_ends_it() {
    let (own, other) = (self_signed("127.0.0.1"), self_signed("other.example"));
    let url = serve(&own).await;
    let Err(SendError::Tls(why)) = send(&trusting(Vec::new()), &url).await else { panic!("it was sent") };
    assert!(why.contains("certificate"), "{why}");
    assert_eq!(send(&trusting(vec![own.cert.der().clone()]), &url).await.unwrap().status, 204);

    let url = serve(&other).await;
    let answer = send(&trusting(vec![other.cert.der().clone()]), &url).await;
    assert!(matches!(answer, Err(SendError::Tls(_))), "{answer:?}");
}

#[tokio::test]
async fn a_server_without_tls_gets_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
        read
    });
    let answer = send(&trusting(Vec::new()), &url).await;
    assert!(matches!(answer, Err(SendError::Tls(_))), "{answer:?}");
    let read = server.await.unwrap();
    assert!(!read.windows(7).any(|part| part == b"webhook"), "{}", String::from_utf8_lossy(&read));
}
