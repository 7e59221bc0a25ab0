//! Certificates on their way to a target.

use certmill_model::DomainId;
use zeroize::Zeroizing;

/// The PEM file of a domain: certificate, chain and key. Has no `Debug`: it is secret.
pub struct CertificateFile {
    domain: DomainId,
    pem: Zeroizing<Vec<u8>>,
}

impl CertificateFile {
    /// The file of `domain` with `pem`: the leaf, its chain and its key, in this order.
    pub fn new(domain: DomainId, pem: Zeroizing<Vec<u8>>) -> Self {
        Self { domain, pem }
    }

    pub(crate) fn path(&self) -> String {
        path_of(self.domain)
    }

    pub(crate) fn pem(&self) -> Zeroizing<Vec<u8>> {
        self.pem.clone()
    }
}

/// The file of a domain below `live`.
pub(crate) fn path_of(domain: DomainId) -> String {
    format!("{:02x}/{domain}.pem", domain.shard())
}
