//! A CA that follows a script: correct where the script is silent, and strict about nonces and URLs.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
    serve::Listener,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use certmill_acme::{AccountKey, AcmeError, CaSettings, Client, Order, PlaceOrder, TrustedRoots, register};
use certmill_model::{ChallengeKind, Clock, Hostname, ManualClock};
use rcgen::{CertificateParams, KeyPair};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use time::macros::datetime;
use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// What the CA is asked for.
pub(crate) struct Asked<'a> {
    /// The CA's own `https://` origin.
    pub(crate) base: &'a str,
    pub(crate) path: &'a str,
    /// How often the path was asked for before.
    pub(crate) before: usize,
    /// What was sent: the payload of the signed request, `null` without one.
    pub(crate) payload: &'a Value,
    /// The header of the signed request, `null` without one.
    pub(crate) protected: &'a Value,
}

/// What the script says to a request; `None` leaves it to the CA.
type Script = dyn Fn(&Asked<'_>) -> Option<Response> + Send + Sync;

/// A running CA. It ends with the test's runtime.
pub(crate) struct ScriptedCa {
    pub(crate) settings: CaSettings,
    ca: Arc<Ca>,
}

struct Ca {
    base: String,
    script: Box<Script>,
    state: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    asked: Vec<String>,
    nonces: HashSet<String>,
    next_nonce: u32,
    status: &'static str,
}

impl ScriptedCa {
    pub(crate) async fn start(
        script: impl Fn(&Asked<'_>) -> Option<Response> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://{}", listener.local_addr().unwrap());
        let (root, acceptor) = tls();
        let mut settings = CaSettings::new(&format!("{base}/directory")).unwrap();
        settings.trust = Some(TrustedRoots::from_pem(&root).unwrap());
        settings.poll_initial_delay = Duration::from_millis(5);
        settings.request_timeout = Duration::from_secs(2);
        let state = Mutex::new(Book { status: "pending", ..Book::default() });
        let ca = Arc::new(Ca { base, script: Box::new(script), state });
        let routes = Router::new().fallback(answer).with_state(ca.clone());
        tokio::spawn(async move { axum::serve(TlsListener { listener, acceptor }, routes).await });
        Self { settings, ca }
    }

    pub(crate) async fn client(&self) -> Result<Client, AcmeError> {
        let clock = clock();
        let registration = register(&self.settings, &AccountKey::generate(), clock.clone()).await?;
        Client::open(&self.settings, &registration.credentials, clock).await
    }

    /// A new order for the one name that this CA knows.
    pub(crate) async fn place(&self) -> Result<Order, AcmeError> {
        self.client().await?.place(&PlaceOrder::of(&names())).await
    }

    /// The URL of the one order.
    pub(crate) fn order_url(&self) -> String {
        format!("{}/order/1", self.ca.base)
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.ca.state.lock().unwrap().count(path)
    }
}

/// The clock of the tests, which stands still.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(datetime!(2026-11-21 12:00:00 UTC)))
}

/// The one name that the CA knows.
pub(crate) fn names() -> Vec<Hostname> {
    vec![Hostname::parse("shop.example.com").unwrap()]
}

impl Book {
    fn count(&self, path: &str) -> usize {
        self.asked.iter().filter(|asked| *asked == path).count()
    }

    fn nonce(&mut self) -> String {
        self.next_nonce += 1;
        let nonce = format!("nonce{}", self.next_nonce);
        self.nonces.insert(nonce.clone());
        nonce
    }
}

impl Ca {
    fn document(&self, path: &str) -> (StatusCode, Value) {
        let url = |path: &str| format!("{}{path}", self.base);
        let status = self.state.lock().unwrap().status;
        match path {
            "/directory" => (
                StatusCode::OK,
                json!({
                    "newNonce": url("/nonce"), "newAccount": url("/account"), "newOrder": url("/new-order"),
                    "keyChange": url("/key-change"), "renewalInfo": url("/renewal-info"), "revokeCert": url("/revoke"),
                    "meta": {"profiles": {"classic": "as ever"}},
                }),
            ),
            "/account" => (StatusCode::CREATED, json!({"status": "valid"})),
            "/new-order" => (StatusCode::CREATED, order(&self.base, status)),
            "/order/1" => (StatusCode::OK, order(&self.base, status)),
            "/authorization/1" => (StatusCode::OK, authorization(&self.base, "token")),
            "/challenge/1" => (
                StatusCode::OK,
                json!({"type": "http-01", "url": url("/challenge/1"), "status": "processing", "token": "token"}),
            ),
            "/finalize/1" => (StatusCode::OK, order(&self.base, "valid")),
            _ => (StatusCode::NOT_FOUND, problem("malformed", "no such thing")),
        }
    }
}

/// An order in this status.
pub(crate) fn order(base: &str, status: &str) -> Value {
    json!({
        "status": status,
        "identifiers": [{"type": "dns", "value": "shop.example.com"}],
        "authorizations": [format!("{base}/authorization/1")],
        "finalize": format!("{base}/finalize/1"),
        "certificate": format!("{base}/certificate/1"),
    })
}

/// A pending authorization, among whose challenges are some that nobody knows.
pub(crate) fn authorization(base: &str, token: &str) -> Value {
    json!({
        "identifier": {"type": "dns", "value": "shop.example.com"},
        "status": "pending",
        "challenges": [
            {"type": "tokenless-02", "url": format!("{base}/challenge/0"), "status": "pending"},
            {"type": "http-01", "url": format!("{base}/challenge/1"), "status": "pending", "token": token},
        ],
    })
}

pub(crate) fn problem(kind: &str, detail: &str) -> Value {
    json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail})
}

/// An answer with a JSON body.
pub(crate) fn json_answer(status: u16, document: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response()
}

async fn answer(State(ca): State<Arc<Ca>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let before = {
        let mut book = ca.state.lock().unwrap();
        let before = book.count(&path);
        book.asked.push(path.clone());
        before
    };
    let (protected, payload) = read(&body);
    let refused = parts.method == Method::POST && !has_good_nonce(&ca, &path, &protected);
    let asked = Asked { base: &ca.base, path: &path, before, payload: &payload, protected: &protected };
    let mut response = match (ca.script)(&asked) {
        _ if refused => json_answer(400, &problem("badNonce", "used, or never given out")),
        Some(scripted) => scripted,
        None if path == "/nonce" => Response::new(Body::empty()),
        None if path == "/certificate/1" => "-----BEGIN CERTIFICATE-----\n".into_response(),
        None => {
            let (status, document) = ca.document(&path);
            json_answer(status.as_u16(), &document)
        }
    };
    let mut book = ca.state.lock().unwrap();
    match path.as_str() {
        "/challenge/1" if response.status().is_success() => book.status = "ready",
        "/finalize/1" if response.status().is_success() => book.status = "valid",
        _ => {}
    }
    let location = match path.as_str() {
        "/account" => format!("{}/account/1", ca.base),
        _ => format!("{}/order/1", ca.base),
    };
    let headers = response.headers_mut();
    headers.insert("replay-nonce", book.nonce().parse().unwrap());
    headers.entry(header::LOCATION).or_insert(location.parse().unwrap());
    response
}

/// The header and the payload of a signed request (RFC 7515); its signature is no matter here.
pub(crate) fn read(jose: &[u8]) -> (Value, Value) {
    let jose: Value = serde_json::from_slice(jose).unwrap_or_default();
    let part = |name: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(jose[name].as_str().unwrap_or_default()).unwrap();
        serde_json::from_slice(&bytes).unwrap_or_default()
    };
    (part("protected"), part("payload"))
}

/// The nonce is one of ours and new, and the signed URL is the one asked for (RFC 8555 sections 6.4 and 6.5).
fn has_good_nonce(ca: &Ca, path: &str, header: &Value) -> bool {
    assert_eq!(header["url"], format!("{}{path}", ca.base));
    ca.state.lock().unwrap().nonces.remove(header["nonce"].as_str().unwrap())
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

pub(crate) fn http_01(_: &str, _: bool) -> ChallengeKind {
    ChallengeKind::Http01
}

pub(crate) fn with_header(mut response: Response, value: &'static str) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, value.parse().unwrap());
    response
}

/// Answers this path, always.
pub(crate) fn always(
    path: &'static str,
    answer: impl Fn(&str) -> Response + Send + Sync + 'static,
) -> impl Fn(&Asked<'_>) -> Option<Response> + Send + Sync + 'static {
    move |asked| (asked.path == path).then(|| answer(asked.base))
}

fn tls() -> (String, TlsAcceptor) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    // The other protocol than the one of real CAs.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    (certificate.pem(), TlsAcceptor::from(Arc::new(config)))
}

struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
