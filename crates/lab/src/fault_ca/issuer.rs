//! Certificates that are not what was ordered.

use std::time::Duration;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, SubjectPublicKeyInfo};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::{extensions::GeneralName, parse_x509_certificate, prelude::X509Certificate};

use super::action::WrongCertificate;
use super::wall_clock;
use crate::certificates::authority;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A CA that nobody knows, and that signs everything.
pub(super) struct Issuer {
    issuer: rcgen::Issuer<'static, KeyPair>,
    pem: String,
}

impl Issuer {
    pub(super) fn new() -> Result<Self, rcgen::Error> {
        let params = authority("certmill lab: a CA that nobody knows");
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: rcgen::Issuer::new(params, key), pem })
    }

    /// Another chain in the place of `ordered`, both in PEM. None if `ordered` is no chain.
    pub(super) fn spoil(&self, ordered: &[u8], wrong: WrongCertificate) -> Option<String> {
        let leaf = CertificateDer::from_pem_slice(ordered).ok()?;
        let (_, leaf) = parse_x509_certificate(&leaf).ok()?;
        let ordered = std::str::from_utf8(ordered).ok()?;
        match wrong {
            // The leaf as it is, and behind it a CA that did not sign it.
            WrongCertificate::Chain => {
                let end = ordered.find(END)? + END.len();
                Some(format!("{}\n{}", &ordered[..end], self.pem))
            }
            other => Some(format!("{}{}", self.issue(&leaf, other).ok()?, self.pem)),
        }
    }

    fn issue(&self, leaf: &X509Certificate<'_>, wrong: WrongCertificate) -> Result<String, rcgen::Error> {
        let names =
            if wrong == WrongCertificate::Names { vec!["other.test".to_owned()] } else { names(leaf) };
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "certmill lab");
        params.use_authority_key_identifier_extension = true;
        params.not_before = wall_clock() - DAY;
        params.not_after = wall_clock() + 80 * DAY;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        match wrong {
            WrongCertificate::Expired => params.not_after = wall_clock() - DAY / 24,
            WrongCertificate::Purpose => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }
            WrongCertificate::Key => return Ok(params.signed_by(&KeyPair::generate()?, &self.issuer)?.pem()),
            WrongCertificate::Names | WrongCertificate::Root | WrongCertificate::Chain => {}
        }
        let key = SubjectPublicKeyInfo::from_der(leaf.public_key().raw)?;
        Ok(params.signed_by(&key, &self.issuer)?.pem())
    }
}

const END: &str = "-----END CERTIFICATE-----";

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let extension = leaf.subject_alternative_name().ok().flatten();
    let names = extension.iter().flat_map(|extension| &extension.value.general_names);
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect()
}
