//! Private keys: made, kept and wiped here, printed nowhere.

use certmill_model::KeyType;
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize,
    SignatureAlgorithm,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};
use zeroize::{Zeroize, Zeroizing};

/// The private key of a certificate, wiped from memory when dropped.
pub struct PrivateKey {
    pkcs8: Zeroizing<Vec<u8>>,
    key_type: KeyType,
}

/// The private key of an account at a CA: P-256, wiped from memory when dropped. Its own type, because CAs refuse an
/// account key as a certificate's key.
pub struct AccountKey(Zeroizing<Vec<u8>>);

/// Bytes that are no private key of a kind that is used here, in PKCS#8 DER.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this is not a private key of a known type in PKCS#8 form")]
pub struct InvalidKey;

impl PrivateKey {
    /// Makes a new key, on one of the runtime's threads for blocking work: RSA takes up to seconds.
    pub async fn generate(key_type: KeyType) -> Self {
        let generate = move || generate_pkcs8(key_type);
        let pkcs8 = tokio::task::spawn_blocking(generate).await.expect("making a key does not panic");
        Self { pkcs8, key_type }
    }

    /// Takes a key back from what [`PrivateKey::pkcs8`] gave, and finds out of which type it is.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, InvalidKey> {
        let key_type = recognize(pkcs8)?;
        Ok(Self { pkcs8: Zeroizing::new(pkcs8.to_vec()), key_type })
    }

    /// The key's algorithm and size.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The key in PKCS#8 DER, for sealing.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
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
        let pair = parse_pkcs8(&self.pkcs8, algorithm(self.key_type));
        let mut pair = pair.expect("only valid keys are in this type");
        let result = use_it(&pair);
        pair.zeroize();
        result
    }
}

impl AccountKey {
    /// Makes a new key. Store it before [`crate::register`], so that no crash loses the account.
    pub fn generate() -> Self {
        Self(generate_pkcs8(KeyType::EcdsaP256))
    }

    /// Takes a key back from what [`AccountKey::pkcs8`] gave.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, InvalidKey> {
        parse_pkcs8(pkcs8, &PKCS_ECDSA_P256_SHA256)?.zeroize();
        Ok(Self(Zeroizing::new(pkcs8.to_vec())))
    }

    /// The key in PKCS#8 DER, for sealing.
    pub fn pkcs8(&self) -> &[u8] {
        &self.0
    }
}

/// With what a key signs its request, and so what tells its kind.
fn algorithm(key_type: KeyType) -> &'static SignatureAlgorithm {
    match key_type {
        KeyType::EcdsaP256 => &PKCS_ECDSA_P256_SHA256,
        KeyType::EcdsaP384 => &PKCS_ECDSA_P384_SHA384,
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => &PKCS_RSA_SHA256,
    }
}

fn generate_pkcs8(key_type: KeyType) -> Zeroizing<Vec<u8>> {
    let rsa = |size| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size);
    let pair = match key_type {
        KeyType::EcdsaP256 | KeyType::EcdsaP384 => KeyPair::generate_for(algorithm(key_type)),
        KeyType::Rsa2048 => rsa(RsaKeySize::_2048),
        KeyType::Rsa3072 => rsa(RsaKeySize::_3072),
        KeyType::Rsa4096 => rsa(RsaKeySize::_4096),
    };
    let mut pair = pair.expect("the system gives random bytes");
    let pkcs8 = Zeroizing::new(pair.serialized_der().to_vec());
    pair.zeroize();
    pkcs8
}

fn recognize(pkcs8: &[u8]) -> Result<KeyType, InvalidKey> {
    for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384] {
        if let Ok(mut pair) = parse_pkcs8(pkcs8, algorithm(key_type)) {
            pair.zeroize();
            return Ok(key_type);
        }
    }
    let mut pair = parse_pkcs8(pkcs8, &PKCS_RSA_SHA256)?;
    let public_key = pair.subject_public_key_info();
    pair.zeroize();
    rsa_type(&public_key).ok_or(InvalidKey)
}

fn rsa_type(public_key: &[u8]) -> Option<KeyType> {
    let (_, public_key) = SubjectPublicKeyInfo::from_der(public_key).ok()?;
    match public_key.parsed().ok()?.key_size() {
        2048 => Some(KeyType::Rsa2048),
        3072 => Some(KeyType::Rsa3072),
        4096 => Some(KeyType::Rsa4096),
        _ => None,
    }
}

fn parse_pkcs8(pkcs8: &[u8], algorithm: &'static SignatureAlgorithm) -> Result<KeyPair, InvalidKey> {
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8), algorithm).map_err(|_| InvalidKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_of_each_type_comes_back_from_its_bytes_as_what_it_is() {
        for &key_type in KeyType::ALL {
            let key = PrivateKey::generate(key_type).await;
            assert_eq!(key.key_type(), key_type);
            let again = PrivateKey::from_pkcs8(key.pkcs8()).unwrap();
            assert_eq!(again.key_type(), key_type);
            assert_eq!(again.public_key(), key.public_key());
            assert!(key.to_pem().starts_with("-----BEGIN PRIVATE KEY-----\n"));
        }
    }

    #[tokio::test]
    async fn no_two_keys_are_the_same() {
        for key_type in [KeyType::EcdsaP256, KeyType::Rsa2048] {
            let (one, other) = (PrivateKey::generate(key_type).await, PrivateKey::generate(key_type).await);
            assert_ne!(one.public_key(), other.public_key());
        }
    }

    #[test]
    fn bytes_that_are_no_key_of_a_known_type_are_refused() {
        let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let p521 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        for bad in [b"".as_slice(), b"x", ed25519.serialized_der(), p521.serialized_der()] {
            assert!(PrivateKey::from_pkcs8(bad).is_err());
        }
    }

    #[tokio::test]
    async fn an_account_key_is_of_one_type() {
        assert!(AccountKey::from_pkcs8(AccountKey::generate().pkcs8()).is_ok());
        for key_type in [KeyType::EcdsaP384, KeyType::Rsa2048] {
            assert!(AccountKey::from_pkcs8(PrivateKey::generate(key_type).await.pkcs8()).is_err());
        }
    }
}
