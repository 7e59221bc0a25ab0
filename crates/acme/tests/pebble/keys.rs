//! Certificates for keys of every type.

use certmill_acme::{PlaceOrder, PrivateKey};
use certmill_model::KeyType;
use x509_parser::{public_key::PublicKey, x509::SubjectPublicKeyInfo};

use crate::ca::Ca;

#[tokio::test]
async fn a_certificate_has_the_key_of_the_type_that_was_asked_for() {
    let ca = Ca::up(0).await;
    let client = ca.client().await;
    for &key_type in KeyType::ALL {
        let name = format!("{}.owners.test", key_type.as_str().replace('_', "-"));
        let names = ca.names(&[&name]).await;
        let key = PrivateKey::generate(key_type).await;
        // As it comes back from where it was stored.
        let key = PrivateKey::from_pkcs8(key.pkcs8()).unwrap();
        let mut order = client.place(&PlaceOrder::of(&names)).await.unwrap();
        let chain = ca.finish(&mut order, &key).await.unwrap();
        let issued = ca.verify(&chain, &key, &names).await;
        let (_, leaf) = x509_parser::parse_x509_certificate(&issued.leaf_der).unwrap();
        assert_eq!(kind(leaf.public_key()), expected(key_type));
    }
    ca.lab.down().await.unwrap();
}

fn kind(public_key: &SubjectPublicKeyInfo<'_>) -> (&'static str, usize) {
    match public_key.parsed().unwrap() {
        PublicKey::EC(point) => ("ECDSA", point.key_size()),
        PublicKey::RSA(key) => ("RSA", key.key_size()),
        other => panic!("no key type of ours: {other:?}"),
    }
}

fn expected(key_type: KeyType) -> (&'static str, usize) {
    match key_type {
        KeyType::EcdsaP256 => ("ECDSA", 256),
        KeyType::EcdsaP384 => ("ECDSA", 384),
        KeyType::Rsa2048 => ("RSA", 2048),
        KeyType::Rsa3072 => ("RSA", 3072),
        KeyType::Rsa4096 => ("RSA", 4096),
    }
}
