//! What a request asks of the CA.

use std::fmt;

/// What a request asks of the CA (RFC 8555 section 7.1, RFC 9773).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Endpoint {
    /// The directory.
    Directory,
    /// A new nonce.
    NewNonce,
    /// A new account.
    NewAccount,
    /// An account.
    Account,
    /// A new order.
    NewOrder,
    /// An order.
    Order,
    /// An authorization.
    Authorization,
    /// A challenge.
    Challenge,
    /// To finalize an order.
    Finalize,
    /// A certificate.
    Certificate,
    /// When to renew a certificate.
    RenewalInfo,
    /// Another key for an account.
    KeyChange,
    /// To revoke a certificate.
    RevokeCertificate,
    /// Anything else.
    Other,
}

/// Pebble's paths, the same in all its releases.
const PATHS: [(&str, Endpoint); 13] = [
    ("/dir", Endpoint::Directory),
    ("/nonce-plz", Endpoint::NewNonce),
    ("/sign-me-up", Endpoint::NewAccount),
    ("/my-account/", Endpoint::Account),
    ("/order-plz", Endpoint::NewOrder),
    ("/my-order/", Endpoint::Order),
    ("/authZ/", Endpoint::Authorization),
    ("/chalZ/", Endpoint::Challenge),
    ("/finalize-order/", Endpoint::Finalize),
    ("/certZ/", Endpoint::Certificate),
    ("/draft-ietf-acme-ari-03/renewalInfo", Endpoint::RenewalInfo),
    ("/rollover-account-key", Endpoint::KeyChange),
    ("/revoke-cert", Endpoint::RevokeCertificate),
];

impl Endpoint {
    pub(super) fn of(path: &str) -> Self {
        let found = PATHS.iter().find(|(prefix, _)| path.starts_with(prefix));
        found.map_or(Self::Other, |(_, endpoint)| *endpoint)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}
