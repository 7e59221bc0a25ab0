//! A plain ACME client over the protocol library, and a plain HTTPS client: nothing of certmill.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use certmill_lab::{FaultCa, Lab, Options, PebbleOptions};
use http_body_util::BodyExt;
use hyper::{HeaderMap, Request};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use instant_acme::{
    Account, AuthorizationStatus, BodyWrapper, ChallengeType, Error, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

pub(crate) type Https = Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>;

/// A lab without load balancers, a CA in front of its pebble, and an account there.
pub(crate) struct Issuance {
    pub(crate) ca: FaultCa,
    pub(crate) account: Account,
    pub(crate) https: Https,
    responses: Responses,
    responder: AbortHandle,
    pub(crate) lab: Lab,
}

/// Key authorizations by token.
type Responses = Arc<Mutex<HashMap<String, String>>>;

/// An answer to a plain request.
pub(crate) struct Plain {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Issuance {
    pub(crate) async fn with(pebble: PebbleOptions) -> Self {
        let pebble = PebbleOptions { nonce_reject: 0, ..pebble };
        let lab = Lab::up(Options { load_balancers: 0, pebble }).await.unwrap();
        let ca = lab.fault_ca(1).await.unwrap();
        let https = https(&lab);
        let responses = Responses::default();
        let web = SocketAddr::new(lab.description().responder.ip(), 8080);
        let responder = tokio::spawn(respond(TcpListener::bind(web).await.unwrap(), responses.clone()));
        let account = open_account(&https, &ca).await;
        Self { ca, account, https, responses, responder: responder.abort_handle(), lab }
    }

    /// Orders a certificate for `name`, which leads here, and returns the chain.
    pub(crate) async fn issue(&self, name: &str) -> Result<String, Error> {
        let identifiers = [Identifier::Dns(name.to_owned())];
        self.order(&NewOrder::new(&identifiers)).await
    }

    pub(crate) async fn order(&self, new_order: &NewOrder<'_>) -> Result<String, Error> {
        let mut order = self.account.new_order(new_order).await?;
        self.prove(&mut order).await?;
        order.finalize().await?;
        order.poll_certificate(&quickly()).await
    }

    /// Makes the names of an order lead here and answers its challenges, until it is ready.
    pub(crate) async fn prove(&self, order: &mut Order) -> Result<(), Error> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let name = authorization.identifier().to_string();
            self.lab.set_addresses(&name, &[self.lab.description().responder.ip()]).await.unwrap();
            let mut challenge = authorization.challenge(ChallengeType::Http01).unwrap();
            let response = challenge.key_authorization().as_str().to_owned();
            self.responses.lock().unwrap().insert(challenge.token.clone(), response);
            challenge.set_ready().await?;
        }
        match order.poll_ready(&quickly()).await? {
            OrderStatus::Ready | OrderStatus::Valid => Ok(()),
            other => Err(Error::Str(Box::leak(format!("the order is {other:?}").into_boxed_str()))),
        }
    }

    /// Orders a certificate for `name`, where nobody answers the CA, until the order has failed.
    pub(crate) async fn fail(&self, name: &str) -> Order {
        let identifiers = [Identifier::Dns(name.to_owned())];
        let mut order = self.account.new_order(&NewOrder::new(&identifiers)).await.unwrap();
        self.lab.set_addresses(name, &["127.0.0.9".parse().unwrap()]).await.unwrap();
        {
            let mut authorizations = order.authorizations();
            let mut authorization = authorizations.next().await.unwrap().unwrap();
            authorization.challenge(ChallengeType::Http01).unwrap().set_ready().await.unwrap();
        }
        // The library makes an error of an order's error, where there is one.
        match order.poll_ready(&quickly()).await {
            Ok(OrderStatus::Invalid) | Err(Error::Api(_)) => order,
            other => panic!("{other:?}"),
        }
    }

    /// Asks for the directory.
    pub(crate) async fn directory(&self) -> Result<Plain, hyper_util::client::legacy::Error> {
        self.get(&self.ca.directory_url()).await
    }

    pub(crate) async fn get(&self, url: &str) -> Result<Plain, hyper_util::client::legacy::Error> {
        let request = Request::get(url).header("user-agent", "a test").body(BodyWrapper::default()).unwrap();
        let (parts, body) = self.https.request(request).await?.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Ok(Plain { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

impl Drop for Issuance {
    fn drop(&mut self) {
        self.responder.abort();
    }
}

impl Plain {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(crate) fn quickly() -> RetryPolicy {
    RetryPolicy::new().initial_delay(Duration::from_millis(10))
}

pub(crate) async fn open_account(https: &Https, ca: &FaultCa) -> Account {
    let new = NewAccount { contact: &[], terms_of_service_agreed: true, only_return_existing: false };
    let builder = Account::builder_with_http(Box::new(https.clone()));
    builder.create(&new, ca.directory_url(), None).await.unwrap().0
}

/// Trusts the lab's servers. Each request goes over a connection of its own, unless HTTP/2 shares one.
pub(crate) fn https(lab: &Lab) -> Https {
    let mut roots = RootCertStore::empty();
    let root = std::fs::read(&lab.description().acme_ca_file).unwrap();
    roots.add(CertificateDer::from_pem_slice(&root).unwrap()).unwrap();
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_all_versions();
    Client::builder(TokioExecutor::new()).build(connector.wrap_connector(tcp))
}

async fn respond(listener: TcpListener, responses: Responses) {
    while let Ok((mut client, _)) = listener.accept().await {
        let responses = responses.clone();
        tokio::spawn(async move {
            let mut request = vec![0; 4096];
            let length = client.read(&mut request).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&request[..length]).into_owned();
            let token = text.split(' ').nth(1).and_then(|path| path.rsplit('/').next()).unwrap_or_default();
            let found = responses.lock().unwrap().get(token).cloned();
            let (status, body) = found.map_or(("404 Not Found", String::new()), |body| ("200 OK", body));
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            let _ = client.write_all(answer.as_bytes()).await;
        });
    }
}
