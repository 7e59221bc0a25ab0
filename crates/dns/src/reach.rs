//! Whether the path of http-01 challenges leads to us, asked as a CA does (RFC 8555 section 8.3).

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use certmill_model::{Hostname, ProblemCode};
use futures_util::future::join_all;
use http::{
    Request, StatusCode,
    header::{HOST, HeaderName, LOCATION, SERVER},
    response::Parts,
};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use crate::name::shortened;

/// An answer later than this is none; CAs wait about as long.
const PATIENCE: Duration = Duration::from_secs(5);

/// More of a body than our own answer is, and enough to see whose else it is.
const MAX_BODY: usize = 1_024;

/// More of headers than our own answer has; the least that hyper takes.
const MAX_HEADERS: usize = 8_192;

/// As much of a stranger's text as people want to read.
const MAX_SHOWN: usize = 60;

/// The challenge path of a name does not lead to us.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unreachable {
    /// The name.
    pub name: String,
    /// Where it was asked for; none if the name has no address.
    pub address: Option<SocketAddr>,
    /// What happened.
    pub trouble: ReachTrouble,
}

/// What a challenge path does instead of leading to us, in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReachTrouble {
    /// Nobody can be asked there.
    NoAnswer(String),
    /// Somebody else answers: the status, where it leads to if elsewhere, what the server calls itself, and the
    /// beginning of the body.
    WrongResponse(String),
}

/// Fetches the challenge path of `name` for `probe` from each of `addresses`, all at once. Right is: 200, and exactly
/// `<probe>.certmill` as the body, from every one of them. Redirects are not followed: our load balancers answer
/// themselves.
///
/// Only for addresses that are known to be ours: what a stranger's address answers is shown to whoever reads the error.
pub async fn challenge_path(
    name: &Hostname,
    addresses: &[IpAddr],
    port: u16,
    probe: &str,
) -> Result<(), Unreachable> {
    let unreachable = |address, trouble| Unreachable { name: name.base().to_owned(), address, trouble };
    if addresses.is_empty() {
        return Err(unreachable(None, ReachTrouble::NoAnswer("it has no address".to_owned())));
    }
    let looks = addresses.iter().map(|address| async move {
        let address = SocketAddr::new(*address, port);
        let look = timeout(PATIENCE, look(name, address, probe)).await;
        let late = || ReachTrouble::NoAnswer(format!("no answer came within {} s", PATIENCE.as_secs()));
        (address, look.unwrap_or_else(|_| Err(late())))
    });
    let outcomes = join_all(looks).await;
    let failed = outcomes.into_iter().find_map(|(address, outcome)| Some((address, outcome.err()?)));
    failed.map_or(Ok(()), |(address, trouble)| Err(unreachable(Some(address), trouble)))
}

impl Unreachable {
    /// The kind of problem that a domain shows for it.
    pub fn problem_code(&self) -> ProblemCode {
        match self.trouble {
            ReachTrouble::NoAnswer(_) => ProblemCode::HttpUnreachable,
            ReachTrouble::WrongResponse(_) => ProblemCode::HttpWrongResponse,
        }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        let place = self.address.map(|address| format!(" at {address}")).unwrap_or_default();
        match &self.trouble {
            ReachTrouble::NoAnswer(why) => write!(f, "{name} cannot be reached{place}: {why}"),
            ReachTrouble::WrongResponse(what) => write!(f, "somebody else answers for {name}{place}: {what}"),
        }
    }
}

impl std::error::Error for Unreachable {}

async fn look(name: &Hostname, address: SocketAddr, probe: &str) -> Result<(), ReachTrouble> {
    let tcp = TcpStream::connect(address).await.map_err(|error| no_connection(&error))?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEADERS)
        .handshake(TokioIo::new(tcp))
        .await
        .map_err(|error| no_answer(&error))?;
    // Dropped with this look: whoever sends for ever is not listened to for longer.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = request(name, probe).map_err(|error| no_answer(&error))?;
    let response = sender.send_request(request).await.map_err(|error| no_answer(&error))?;
    let (head, body) = response.into_parts();
    let body = beginning(body).await.map_err(|error| no_answer(&error))?;
    if head.status == StatusCode::OK && body == format!("{probe}.certmill").as_bytes() {
        return Ok(());
    }
    Err(ReachTrouble::WrongResponse(description(&head, &body)))
}

/// `301 to https://www.shop.example/ from nginx, "<html>…"`.
fn description(head: &Parts, body: &[u8]) -> String {
    let header = |name: HeaderName| head.headers.get(name).map(|value| printable(value.as_bytes()));
    let parts = [
        Some(head.status.as_u16().to_string()),
        header(LOCATION).map(|location| format!(" to {location}")),
        header(SERVER).map(|server| format!(" from {server}")),
        (!body.is_empty()).then(|| format!(", {:?}", printable(body))),
    ];
    parts.into_iter().flatten().collect()
}

fn request(name: &Hostname, probe: &str) -> Result<Request<Empty<Bytes>>, http::Error> {
    let path = format!("/.well-known/acme-challenge/{probe}");
    Request::get(path).header(HOST, name.base()).body(Empty::new())
}

/// The body, or as much of it as shows that it is not ours.
async fn beginning(mut body: Incoming) -> Result<Vec<u8>, hyper::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend(data.iter().take(MAX_BODY - bytes.len()));
        }
        if bytes.len() == MAX_BODY {
            break;
        }
    }
    Ok(bytes)
}

/// The beginning of a stranger's text, without what cannot be seen.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let words = text.split(|c: char| !c.is_ascii_graphic()).filter(|word| !word.is_empty());
    shortened(&words.collect::<Vec<_>>().join(" "), MAX_SHOWN)
}

fn no_connection(error: &io::Error) -> ReachTrouble {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ReachTrouble::NoAnswer("the connection is refused".to_owned()),
        _ => no_answer(error),
    }
}

fn no_answer(error: &dyn std::error::Error) -> ReachTrouble {
    ReachTrouble::NoAnswer(shortened(&error.to_string(), MAX_SHOWN))
}

#[cfg(test)]
#[path = "reach_tests.rs"]
mod tests;
