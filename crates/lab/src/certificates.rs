//! The lab's own small CA: pebble ships no certificate for its own listener.

use std::net::IpAddr;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// A server certificate and the CA behind it, all PEM.
pub(crate) struct ServerCertificate {
    pub(crate) ca: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A certificate for `address` by a CA that signs nothing else: its key is dropped.
pub(crate) fn issue_for(address: IpAddr) -> Result<ServerCertificate, rcgen::Error> {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "certmill lab");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_key = KeyPair::generate()?;
    let ca_certificate = ca.self_signed(&ca_key)?;

    let key = KeyPair::generate()?;
    let mut server = CertificateParams::new([address.to_string(), "localhost".to_owned()])?;
    server.distinguished_name.push(DnType::CommonName, "certmill lab ACME server");
    server.use_authority_key_identifier_extension = true;
    let certificate = server.signed_by(&key, &Issuer::new(ca, &ca_key))?;
    Ok(ServerCertificate {
        ca: ca_certificate.pem(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}
