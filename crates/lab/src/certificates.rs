//! The lab's own small CA: pebble ships no certificate for its own listener.

use std::net::IpAddr;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// The CA of the lab's own servers: whoever trusts it trusts the ACME server and what stands in front of it.
pub(crate) struct ServerAuthority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A server's certificate and its key, in PEM.
pub(crate) struct ServerCertificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl ServerAuthority {
    pub(crate) fn new() -> Result<Self, rcgen::Error> {
        let params = authority("certmill lab");
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// Its own certificate, in PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for the server at `address`.
    pub(crate) fn issue_for(&self, address: IpAddr) -> Result<ServerCertificate, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut server = CertificateParams::new([address.to_string(), "localhost".to_owned()])?;
        server.distinguished_name.push(DnType::CommonName, "certmill lab ACME server");
        server.use_authority_key_identifier_extension = true;
        let certificate = server.signed_by(&key, &self.issuer)?;
        Ok(ServerCertificate { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// What the certificate of a CA says.
pub(crate) fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
