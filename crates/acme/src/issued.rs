//! Whether what the CA sent is what was ordered.

use std::{collections::BTreeSet, fmt::Write};

use certmill_model::Hostname;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime, macros::datetime};
use x509_parser::prelude::{ASN1Time, GeneralName, X509Certificate};

use crate::{
    PrivateKey, TrustedRoots,
    chain::{parse, read_chain, write_chain},
};

/// How far the CA's clock may be ahead of ours.
const CLOCK_SKEW: Duration = Duration::minutes(5);

/// The last end of a certificate that is told apart: sums of dates beyond it may have none to name.
const LATEST: OffsetDateTime = datetime!(9998-12-31 23:59:59 UTC);

/// A certificate that was checked against its order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuedCertificate {
    /// The leaf and its chain in PEM, nothing else in it.
    pub fullchain_pem: String,
    /// The leaf in DER.
    pub leaf_der: Vec<u8>,
    /// The leaf's serial number, lower-case hexadecimal without a leading zero byte.
    pub serial: String,
    /// The SHA-256 of the leaf's DER.
    pub fingerprint: [u8; 32],
    /// From when it is valid.
    pub not_before: OffsetDateTime,
    /// Until when it is valid; the year 9998 for what has no end.
    pub not_after: OffsetDateTime,
    /// The issuer's distinguished name.
    pub issuer: String,
}

/// How a certificate differs from what was ordered; of the kind `ca_wrong_certificate`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WrongCertificate {
    /// Not PEM with certificates alone.
    #[error("the CA sent something else than a chain of certificates")]
    NotAChain,
    /// More than 10 certificates, or one of more than 36.5 kB.
    #[error("the CA sent a chain that is too large")]
    TooLarge,
    /// For a key that is not ours.
    #[error("the certificate is for another key")]
    OtherKey,
    /// Names beside those ordered, or not all of them.
    #[error("the certificate is for {found}, not for {ordered}")]
    OtherNames {
        /// What was ordered.
        ordered: String,
        /// What it holds.
        found: String,
    },
    /// Expired, not valid yet, or never.
    #[error("the certificate is valid from {not_before} to {not_after}, which is not now")]
    Dates {
        /// From when it says to be valid.
        not_before: OffsetDateTime,
        /// Until when it says to be valid.
        not_after: OffsetDateTime,
    },
    /// No certificate of a TLS server.
    #[error("the certificate is not for TLS servers")]
    NotForServers,
    /// A certificate that the one behind it has not signed; they are counted from 1.
    #[error("certificate {0} of the chain is not signed by the one behind it")]
    BrokenChain(usize),
    /// Nothing leads to a trusted root.
    #[error("the chain leads to no trusted root ({0})")]
    Untrusted(String),
}

/// Checks a chain against what was ordered: our key, exactly the ordered names, dates that hold at `now`, for TLS
/// servers, each certificate signed by the next; with `roots`, also that it leads to one of them.
pub fn verify_issued(
    chain_pem: &str,
    key: &PrivateKey,
    names: &[Hostname],
    now: OffsetDateTime,
    roots: Option<&TrustedRoots>,
) -> Result<IssuedCertificate, WrongCertificate> {
    let chain = read_chain(chain_pem)?;
    let certificates = chain.iter().map(|der| parse(der)).collect::<Result<Vec<_>, _>>()?;
    let leaf = &certificates[0];
    if leaf.public_key().raw != key.public_key() {
        return Err(WrongCertificate::OtherKey);
    }
    check_names(leaf, names)?;
    check_purpose(leaf)?;
    check_signatures(&certificates)?;
    for certificate in &certificates {
        check_dates(certificate, now)?;
    }
    if let Some(roots) = roots {
        check_roots(&chain, roots, now)?;
    }
    let issuer = leaf.issuer().to_string();
    Ok(IssuedCertificate {
        serial: hex(significant(leaf.raw_serial())),
        fingerprint: Sha256::digest(&chain[0]).into(),
        not_before: date(leaf.validity().not_before),
        not_after: date(leaf.validity().not_after),
        issuer,
        fullchain_pem: write_chain(&chain),
        leaf_der: chain[0].clone(),
    })
}

fn check_names(leaf: &X509Certificate<'_>, names: &[Hostname]) -> Result<(), WrongCertificate> {
    let extension = leaf.subject_alternative_name().map_err(|_| WrongCertificate::NotAChain)?;
    let found: BTreeSet<String> = extension
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .map(|name| match name {
            GeneralName::DNSName(name) => name.to_ascii_lowercase(),
            // Not a name that a host can have, so that it equals none that was ordered.
            other => format!("({other})"),
        })
        .collect();
    let ordered: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
    if found == ordered {
        return Ok(());
    }
    let list = |names: BTreeSet<String>| match names.len() {
        0 => "no name".to_owned(),
        _ => names.into_iter().collect::<Vec<_>>().join(", "),
    };
    Err(WrongCertificate::OtherNames { ordered: list(ordered), found: list(found) })
}

fn check_purpose(leaf: &X509Certificate<'_>) -> Result<(), WrongCertificate> {
    let usage = leaf.extended_key_usage().ok().flatten();
    let is_ca = leaf.basic_constraints().ok().flatten().is_some_and(|constraints| constraints.value.ca);
    if usage.is_some_and(|usage| usage.value.server_auth) && !is_ca {
        Ok(())
    } else {
        Err(WrongCertificate::NotForServers)
    }
}

fn check_signatures(certificates: &[X509Certificate<'_>]) -> Result<(), WrongCertificate> {
    for (index, pair) in certificates.windows(2).enumerate() {
        let (subject, issuer) = (&pair[0], &pair[1]);
        let names_match = subject.issuer().as_raw() == issuer.subject().as_raw();
        if !names_match || !issuer.is_ca() || subject.verify_signature(Some(issuer.public_key())).is_err() {
            return Err(WrongCertificate::BrokenChain(index + 1));
        }
    }
    Ok(())
}

fn check_dates(certificate: &X509Certificate<'_>, now: OffsetDateTime) -> Result<(), WrongCertificate> {
    let not_before = date(certificate.validity().not_before);
    let not_after = date(certificate.validity().not_after);
    if not_before <= now + CLOCK_SKEW && now < not_after {
        Ok(())
    } else {
        Err(WrongCertificate::Dates { not_before, not_after })
    }
}

/// In UTC, whatever offset it was written with. A certificate may have no end (RFC 5280 section 4.1.2.5).
fn date(at: ASN1Time) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.timestamp()).map_or(LATEST, |at| at.min(LATEST))
}

fn check_roots(chain: &[Vec<u8>], roots: &TrustedRoots, now: OffsetDateTime) -> Result<(), WrongCertificate> {
    let untrusted = |error: webpki::Error| WrongCertificate::Untrusted(error.to_string());
    let anchors: Result<Vec<TrustAnchor<'_>>, _> =
        roots.certificates().iter().map(webpki::anchor_from_trusted_cert).collect();
    let ders: Vec<_> = chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    // The clock may be behind the CA's, which `check_dates` has allowed for.
    let leaf_begin = parse(&chain[0])?.validity().not_before.timestamp();
    let at = u64::try_from(now.unix_timestamp().max(leaf_begin)).unwrap_or_default();
    webpki::EndEntityCert::try_from(&ders[0])
        .and_then(|leaf| {
            leaf.verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &anchors?,
                &ders[1..],
                UnixTime::since_unix_epoch(std::time::Duration::from_secs(at)),
                webpki::KeyUsage::server_auth(),
                None,
                None,
            )
            .map(|_| ())
        })
        .map_err(untrusted)
}

/// Without the zero byte that keeps a DER integer positive.
fn significant(serial: &[u8]) -> &[u8] {
    match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

#[cfg(test)]
#[path = "issued_tests.rs"]
mod tests;
