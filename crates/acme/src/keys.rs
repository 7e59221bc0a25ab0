//! Private keys: made, kept and wiped here, printed nowhere.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls_pki_types::PrivatePkcs8KeyDer;
use zeroize::{Zeroize, Zeroizing};

/// The private key of a certificate: P-256, wiped from memory when dropped.
pub struct PrivateKey(Zeroizing<Vec<u8>>);

/// The private key of an account at a CA: P-256, wiped from memory when dropped. Its own type, because CAs refuse an
/// account key as a certificate's key.
pub struct AccountKey(Zeroizing<Vec<u8>>);

/// Bytes that are no P-256 private key in PKCS#8 DER.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this is not a P-256 private key in PKCS#8 form")]
pub struct InvalidKey;

impl PrivateKey {
    /// Makes a new key.
    pub fn generate() -> Self {
        Self(generate_pkcs8())
    }

    /// Takes a key back from what [`PrivateKey::pkcs8`] gave.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, InvalidKey> {
        check_pkcs8(pkcs8).map(Self)
    }

    /// The key in PKCS#8 DER, for sealing.
    pub fn pkcs8(&self) -> &[u8] {
        &self.0
    }

    /// The key as a `PRIVATE KEY` block of PEM.
    pub fn to_pem(&self) -> Zeroizing<String> {
        self.with_pair(|pair| Zeroizing::new(pair.serialize_pem()))
    }

    /// The `SubjectPublicKeyInfo` in DER.
    pub(crate) fn public_key(&self) -> Vec<u8> {
        self.with_pair(PublicKeyData::subject_public_key_info)
    }

    pub(crate) fn with_pair<T>(&self, use_it: impl FnOnce(&KeyPair) -> T) -> T {
        let mut pair = parse_pkcs8(&self.0).expect("only valid keys are in this type");
        let result = use_it(&pair);
        pair.zeroize();
        result
    }
}

impl AccountKey {
    /// Makes a new key. Store it before [`crate::register`], so that no crash loses the account.
    pub fn generate() -> Self {
        Self(generate_pkcs8())
    }

    /// Takes a key back from what [`AccountKey::pkcs8`] gave.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, InvalidKey> {
        check_pkcs8(pkcs8).map(Self)
    }

    /// The key in PKCS#8 DER, for sealing.
    pub fn pkcs8(&self) -> &[u8] {
        &self.0
    }
}

fn generate_pkcs8() -> Zeroizing<Vec<u8>> {
    let mut pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("the system gives random bytes");
    let pkcs8 = Zeroizing::new(pair.serialized_der().to_vec());
    pair.zeroize();
    pkcs8
}

fn check_pkcs8(pkcs8: &[u8]) -> Result<Zeroizing<Vec<u8>>, InvalidKey> {
    parse_pkcs8(pkcs8)?.zeroize();
    Ok(Zeroizing::new(pkcs8.to_vec()))
}

fn parse_pkcs8(pkcs8: &[u8]) -> Result<KeyPair, InvalidKey> {
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8), &PKCS_ECDSA_P256_SHA256)
        .map_err(|_| InvalidKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_bytes() {
        let key = PrivateKey::generate();
        let again = PrivateKey::from_pkcs8(key.pkcs8()).unwrap();
        assert_eq!(again.public_key(), key.public_key());
        assert!(key.to_pem().starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert!(AccountKey::from_pkcs8(AccountKey::generate().pkcs8()).is_ok());
    }

    #[test]
    fn no_two_keys_are_the_same() {
        assert_ne!(PrivateKey::generate().public_key(), PrivateKey::generate().public_key());
    }

    #[test]
    fn bytes_that_are_no_p256_key_are_refused() {
        let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        for bad in [b"".as_slice(), b"x", p384.serialized_der()] {
            assert!(PrivateKey::from_pkcs8(bad).is_err());
        }
    }
}
