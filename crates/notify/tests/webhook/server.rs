//! A server on loopback that answers every connection alike, and counts them.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use certmill_model::{WebhookDestinations, WebhookUrl};
use certmill_notify::webhook::{Answer, Lookup, Message, SendError, Sender, system_lookup};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub(crate) const KEY: &[u8] = b"a secret of thirty-two bytes....";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Reads a request on each connection, and does the rest as `answer` says.
    pub(crate) async fn new<F>(ip: &str, answer: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::at(SocketAddr::new(ip.parse().unwrap(), 0), answer).await
    }

    pub(crate) async fn at<F>(
        address: SocketAddr,
        answer: impl Fn(TcpStream) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (counter, seen) = (connections.clone(), requests.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let request = read_request(&mut stream).await;
                seen.lock().unwrap().push(request);
                tokio::spawn(answer(stream));
            }
        });
        Self { address, connections, requests }
    }

    /// Answers with these bytes, and closes.
    pub(crate) async fn saying(ip: &str, text: &'static str) -> Self {
        Self::new(ip, move |mut stream| async move {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        })
        .await
    }

    pub(crate) fn url(&self) -> WebhookUrl {
        format!("http://{}/hook", self.address).parse().unwrap()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&read);
        if text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.ends_with('}')) {
            return text.into_owned();
        }
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => read.extend_from_slice(&buffer[..count]),
            _ => return String::from_utf8_lossy(&read).into_owned(),
        }
    }
}

pub(crate) fn destinations(allowed: &[&str]) -> WebhookDestinations {
    WebhookDestinations::allowing(allowed.iter().map(|network| network.parse().unwrap()).collect())
}

pub(crate) fn sender(allowed: &[&str]) -> Sender {
    sender_looking(allowed, system_lookup())
}

pub(crate) fn sender_looking(allowed: &[&str], lookup: Lookup) -> Sender {
    Sender::new(destinations(allowed), Vec::new(), lookup).unwrap()
}

/// A lookup that says for any name what `answer` says next.
pub(crate) fn saying(answer: impl Fn() -> Vec<IpAddr> + Send + Sync + 'static) -> Lookup {
    Arc::new(move |_| {
        let found = answer();
        Box::pin(async move { Ok(found) })
    })
}

pub(crate) async fn send(sender: &Sender, url: &WebhookUrl) -> Result<Answer, SendError> {
    let message = Message { url, id: "evt_1", body: r#"{"type":"webhook.test"}"#, keys: &[KEY] };
    sender.send(&message, OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap()).await
}
