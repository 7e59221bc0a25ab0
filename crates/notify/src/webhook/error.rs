//! Why a message came to no answer.

use std::{error::Error, io};

use certmill_model::DestinationRefused;

/// Why a message came to no answer, in words for whoever set the URL.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SendError {
    /// Nothing is sent there, now or later.
    #[error("{0}")]
    Refused(#[from] DestinationRefused),
    /// The URL is none.
    #[error("the URL cannot be used")]
    Url,
    /// The host has no address.
    #[error("the host name has no address")]
    NoAddress,
    /// Nobody takes the connection.
    #[error("the host does not take the connection")]
    Connection,
    /// No TLS, or another's certificate.
    #[error("TLS does not come about: {0}")]
    Tls(String),
    /// It takes too long.
    #[error("there was no answer within {0} seconds")]
    Timeout(u64),
    /// What came is no HTTP.
    #[error("the answer broke off, or is not HTTP")]
    Protocol,
}

impl SendError {
    /// What of it there is among the sources of an error of the HTTP library.
    pub(super) fn read(error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(ours) = error.downcast_ref::<Self>() {
                return ours.clone();
            }
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Self::Tls(tls.to_string());
            }
            // An I/O error shows what it is made of in another way than as its source.
            next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        Self::Protocol
    }
}
