//! The connection: looked up, judged and opened in one place.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use certmill_model::{WebhookDestinations, WebhookHost, WebhookUrl};
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tower::Service;

use super::SendError;

/// How long one address may take to answer a connection, so that the next one has its turn.
const ONE_ADDRESS: Duration = Duration::from_secs(5);

/// Addresses that are tried at most.
const ADDRESSES: usize = 4;

/// Looks the addresses of a host name up.
pub type Lookup = Arc<
    dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> + Send + Sync + 'static,
>;

/// As this machine looks names up.
pub fn system_lookup() -> Lookup {
    Arc::new(|host| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// Opens connections to where something may be sent, and nowhere else.
#[derive(Clone)]
pub(super) struct GuardedConnector {
    pub(super) destinations: Arc<WebhookDestinations>,
    pub(super) lookup: Lookup,
}

impl GuardedConnector {
    async fn connect(self, uri: Uri) -> Result<TokioIo<TcpStream>, SendError> {
        let url: WebhookUrl = uri.to_string().parse().map_err(|_| SendError::Url)?;
        let mut last = SendError::NoAddress;
        for address in self.admitted(&url).await?.into_iter().take(ADDRESSES) {
            match timeout(ONE_ADDRESS, TcpStream::connect(SocketAddr::new(address, url.port()))).await {
                Ok(Ok(stream)) => {
                    // Without it small messages wait for each other.
                    let _ = stream.set_nodelay(true);
                    return Ok(TokioIo::new(stream));
                }
                Ok(Err(_)) | Err(_) => last = SendError::Connection,
            }
        }
        Err(last)
    }

    /// The addresses of the host that something may be sent to.
    async fn admitted(&self, url: &WebhookUrl) -> Result<Vec<IpAddr>, SendError> {
        let addresses = match url.host() {
            WebhookHost::Address(address) => vec![*address],
            WebhookHost::Name(name) => (self.lookup)(name.clone()).await.map_err(|_| SendError::NoAddress)?,
        };
        let mut refused = None;
        let admitted = addresses.into_iter().filter(|address| match self.destinations.admit(url, *address) {
            Ok(()) => true,
            Err(why) => {
                refused.get_or_insert(why);
                false
            }
        });
        let admitted: Vec<_> = admitted.collect();
        match (admitted.is_empty(), refused) {
            (false, _) => Ok(admitted),
            (true, Some(why)) => Err(why.into()),
            (true, None) => Err(SendError::NoAddress),
        }
    }
}

impl Service<Uri> for GuardedConnector {
    type Response = TokioIo<TcpStream>;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<TcpStream>, SendError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}
