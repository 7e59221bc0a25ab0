//! HTTP without TLS, as the CA and a first-time visitor speak it.

use bytes::Bytes;
use certmill_lab::LoadBalancer;
use http_body_util::{BodyExt, Empty};
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
    /// The body.
    pub body: String,
}

/// Asks `load_balancer` for `path` of `host`.
pub async fn plain_page(load_balancer: &LoadBalancer, host: &str, path: &str) -> PlainPage {
    let tcp = TcpStream::connect((load_balancer.address, load_balancer.http_port)).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(path).header("host", host).body(Empty::<Bytes>::new()).unwrap();
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let location = head.headers.get("location").map(|value| value.to_str().unwrap().to_owned());
    PlainPage { status: head.status.as_u16(), location, body: String::from_utf8_lossy(&body).into_owned() }
}
