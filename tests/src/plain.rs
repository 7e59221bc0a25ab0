//! HTTP without TLS, as the CA and a first-time visitor speak it.

use std::net::SocketAddr;

use bytes::Bytes;
use certmill_lab::LoadBalancer;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// An answer over HTTP.
#[derive(Debug)]
pub struct PlainPage {
    /// The status code.
    pub status: u16,
    /// Where it leads to, if elsewhere.
    pub location: Option<String>,
    /// The first cookie that was set, as a browser sends it back.
    pub cookie: Option<String>,
    /// The body.
    pub body: String,
}

/// Asks `load_balancer` for `path` of `host`.
pub async fn plain_page(load_balancer: &LoadBalancer, host: &str, path: &str) -> PlainPage {
    let at = SocketAddr::from((load_balancer.address, load_balancer.http_port));
    let request = Request::get(path).header("host", host).body(Full::default()).unwrap();
    send(at, request).await
}

/// Asks certmill at `at` for the page `path`, with the cookie that it set before.
pub async fn own_page(at: SocketAddr, path: &str, cookie: &str) -> PlainPage {
    let request = Request::get(path).header("host", at.to_string()).header("cookie", cookie);
    send(at, request.header("accept", "text/html").body(Full::default()).unwrap()).await
}

/// Sends a form of the page `path` of certmill at `at`, as a browser does.
pub async fn send_form(at: SocketAddr, path: &str, form: &'static str) -> PlainPage {
    let request = Request::post(path).header("host", at.to_string()).header("origin", format!("http://{at}"));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    send(at, request.body(Full::from(form)).unwrap()).await
}

async fn send(at: SocketAddr, request: Request<Full<Bytes>>) -> PlainPage {
    let tcp = TcpStream::connect(at).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await.unwrap();
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let header = |name| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let cookie = header("set-cookie").and_then(|set| set.split(';').next().map(str::to_owned));
    PlainPage {
        status: head.status.as_u16(),
        location: header("location"),
        cookie,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}
