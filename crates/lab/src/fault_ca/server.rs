//! The listener.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::exchange::{Shared, answer};
use crate::certificates::ServerCertificate;
use crate::error::{LabError, doing};

/// Listens until it is aborted; then every connection breaks.
pub(super) async fn listen(
    address: IpAddr,
    certificate: &ServerCertificate,
    shared: Arc<Shared>,
) -> Result<(SocketAddr, AbortHandle), LabError> {
    let listener = TcpListener::bind((address, 0)).await.map_err(doing("listen as a CA"))?;
    let address = listener.local_addr().map_err(doing("find the CA's own address"))?;
    let acceptor = TlsAcceptor::from(Arc::new(tls(certificate)));
    let listening = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            connections.spawn(serve(client, acceptor.clone(), shared.clone()));
            while connections.try_join_next().is_some() {}
        }
    });
    Ok((address, listening.abort_handle()))
}

async fn serve(client: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let _ = client.set_nodelay(true);
    let Ok(tls) = acceptor.accept(client).await else { return };
    // Whoever cuts it waits for ever, and so nothing of an answer gets out.
    let cut = Arc::new(Notify::new());
    let service = service_fn(|request| {
        let (shared, cut) = (shared.clone(), cut.clone());
        async move { Ok::<_, Infallible>(answer(&shared, request, &cut).await) }
    });
    let builder = Builder::new(TokioExecutor::new());
    tokio::select! {
        _ = builder.serve_connection(TokioIo::new(tls), service) => {}
        () = cut.notified() => {}
    }
}

fn tls(certificate: &ServerCertificate) -> ServerConfig {
    let chain = CertificateDer::pem_slice_iter(certificate.certificate.as_bytes())
        .collect::<Result<_, _>>()
        .expect("the lab made it");
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).expect("the lab made it");
    let mut tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("the key is the certificate's");
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    tls
}
