//! A bare loop over the protocol library, with nothing of certmill in it: what the machine and the CA can do, and so
//! the yardstick of the issuing benchmark.
//!
//! Names `bare0.<suffix>`, `bare1.<suffix>` … must lead to the responder's address at the port that the CA asks.
#![expect(clippy::print_stdout, reason = "its result is its output")]

use std::{
    collections::HashMap,
    error::Error,
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use clap::Parser;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, RetryPolicy,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio::{net::TcpListener, task::JoinSet, time::timeout};

type Failure = Box<dyn Error + Send + Sync>;

/// A CA under load now and then stops answering for good.
const LONGEST_ORDER: Duration = Duration::from_secs(120);

/// Issues certificates as fast as the protocol library can.
#[derive(Clone, Parser)]
struct Options {
    /// The CA's directory.
    #[arg(long)]
    directory: String,
    /// PEM file with the root of the CA's own server.
    #[arg(long)]
    trust: PathBuf,
    /// What the names end in.
    #[arg(long)]
    names_suffix: String,
    /// How many certificates.
    #[arg(long)]
    count: usize,
    /// How many orders at once.
    #[arg(long)]
    concurrency: usize,
    /// Where to answer challenges.
    #[arg(long)]
    responder: SocketAddr,
    /// The wait before the first look at an order, in milliseconds; each further wait is twice as long.
    #[arg(long, default_value_t = 250)]
    poll_initial_ms: u64,
}

#[derive(Clone, Default)]
struct Responses(Arc<RwLock<HashMap<String, String>>>);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let responses = Responses::default();
    listen(options.responder, responses.clone()).await?;
    let account = open_account(&options).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let begin = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..options.concurrency {
        workers.spawn(work(options.clone(), account.clone(), responses.clone(), next.clone()));
    }
    let failed: usize = workers.join_all().await.into_iter().sum();
    let seconds = begin.elapsed().as_secs_f64();
    let certificates = options.count - failed;
    let result = serde_json::json!({
        "certificates": certificates,
        "failed": failed,
        "seconds": (seconds * 1_000.0).round() / 1_000.0,
        "certificates_per_second": (certificates as f64 / seconds * 10.0).round() / 10.0,
    });
    println!("{result}");
    Ok(())
}

/// Returns how many orders failed.
async fn work(options: Options, account: Account, responses: Responses, next: Arc<AtomicUsize>) -> usize {
    let policy = RetryPolicy::new().initial_delay(Duration::from_millis(options.poll_initial_ms));
    let mut failed = 0;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= options.count {
            return failed;
        }
        let name = format!("bare{number}.{}", options.names_suffix);
        let error: Failure = match timeout(LONGEST_ORDER, issue(&account, &responses, name, &policy)).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error,
            Err(elapsed) => elapsed.into(),
        };
        failed += 1;
        eprintln!("order {number}: {error}");
    }
}

async fn issue(
    account: &Account,
    responses: &Responses,
    name: String,
    policy: &RetryPolicy,
) -> Result<(), Failure> {
    let identifiers = [Identifier::Dns(name)];
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let mut challenge = authorization.challenge(ChallengeType::Http01).ok_or("no http-01 challenge")?;
        let response = challenge.key_authorization().as_str().to_owned();
        responses.0.write().expect("no holder panics").insert(challenge.token.clone(), response);
        challenge.set_ready().await?;
    }
    order.poll_ready(policy).await?;
    order.finalize().await?;
    order.poll_certificate(policy).await?;
    Ok(())
}

async fn open_account(options: &Options) -> Result<Account, Failure> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&fs::read(&options.trust)?) {
        roots.add(root?)?;
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only()
        .enable_all_versions()
        .wrap_connector(tcp);
    let http = Client::builder(TokioExecutor::new()).build(https);
    let new_account = NewAccount { contact: &[], terms_of_service_agreed: true, only_return_existing: false };
    let builder = Account::builder_with_http(Box::new(http));
    Ok(builder.create(&new_account, options.directory.clone(), None).await?.0)
}

async fn listen(address: SocketAddr, responses: Responses) -> Result<(), Failure> {
    let routes =
        Router::new().route("/.well-known/acme-challenge/{token}", get(respond)).with_state(responses);
    let listener = TcpListener::bind(address).await?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(())
}

async fn respond(
    State(responses): State<Responses>,
    Path(token): Path<String>,
) -> Result<String, StatusCode> {
    let responses = responses.0.read().expect("no holder panics");
    responses.get(&token).cloned().ok_or(StatusCode::NOT_FOUND)
}
