//! Requests that the protocol library has no call for: plain ones, and signed ones with a payload of ours.

use http::{Method, Request, header};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::{
    answer::REPLAY_NONCE,
    directory::Directory,
    exchange::{last_bad_nonce_s_successor, last_was_success},
    jws::{Signer, sign},
    transport::{Transport, TransportError},
};

/// As often as the library tries a request whose nonce is refused.
const TRIES: u32 = 3;

impl Transport {
    /// Fetches a document, which is then the running operation's last answer; an error unless it is a success.
    pub(crate) async fn get(&self, url: &str) -> Result<(), Error> {
        self.send(Method::GET, url, None).await?;
        success()
    }

    /// The CA's directory, fetched unless it is known.
    pub(crate) async fn fetch_directory(&self) -> Result<&Directory, Error> {
        if self.directory().is_none() {
            self.get(&self.directory_url()).await?;
        }
        self.directory().ok_or(Error::Str("the CA's directory is no directory"))
    }

    /// Sends `payload` signed by `signer` (RFC 8555 section 6.2), again with another nonce when its nonce is refused. The
    /// answer is then the running operation's last; an error unless it is a success.
    pub(crate) async fn post(
        &self,
        signer: &Signer<'_>,
        url: &str,
        payload: &serde_json::Value,
    ) -> Result<(), Error> {
        let mut nonce = self.fetch_nonce().await?;
        for _ in 0..TRIES {
            let body = sign(signer, Some(&nonce), url, payload).to_string();
            self.send(Method::POST, url, Some(body)).await?;
            match last_bad_nonce_s_successor() {
                Some(fresh) => nonce = fresh,
                None => break,
            }
        }
        success()
    }

    async fn fetch_nonce(&self) -> Result<String, Error> {
        let new_nonce = self.fetch_directory().await?.new_nonce.clone();
        let answer = self.send(Method::HEAD, &new_nonce, None).await?;
        let nonce = answer.parts.headers.get(REPLAY_NONCE).and_then(|nonce| nonce.to_str().ok());
        nonce.map(str::to_owned).ok_or(Error::Str("the CA gave no nonce"))
    }

    async fn send(&self, method: Method, url: &str, body: Option<String>) -> Result<BytesResponse, Error> {
        let mut request = Request::builder().method(method).uri(url);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/jose+json");
        }
        let request = request.body(BodyWrapper::from(body.unwrap_or_default().into_bytes()));
        let request = request.map_err(|_| Error::Other(Box::new(TransportError::ForeignUrl(url.to_owned()))));
        self.request(request?).await
    }
}

fn success() -> Result<(), Error> {
    if last_was_success() { Ok(()) } else { Err(Error::Str("the CA refused a request")) }
}
