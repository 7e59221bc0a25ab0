//! The public side of a master key: whoever has it seals, and opens nothing.
//!
//! A secret that is sealed so is `version (1) | key id (16) | ephemeral public key (32) | nonce (12) | ciphertext`. The key is
//! agreed upon by X25519 between a key of this one secret and one that follows from the master key.

use aws_lc_rs::{
    agreement::{self, PrivateKey, UnparsedPublicKey, X25519},
    error::Unspecified,
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use zeroize::Zeroizing;

use crate::{
    MasterKey, Place, Secret,
    envelope::{decrypt, encrypt},
};

pub(crate) const VERSION: u8 = 2;
const EPHEMERAL: std::ops::Range<usize> = 17..49;

/// What seals secrets that only the holder of a master key opens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SealingKey {
    id: [u8; 16],
    public: [u8; 32],
}

impl SealingKey {
    /// From what is stored of it; `None` for what is none.
    pub fn from_parts(id: &[u8], public: &[u8]) -> Option<Self> {
        Some(Self { id: id.try_into().ok()?, public: public.try_into().ok()? })
    }

    /// The id of its master key.
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// The key itself, which is no secret.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Seals `secret` for `place`.
    pub fn seal(&self, place: &Place<'_>, secret: &Secret) -> Vec<u8> {
        let own = PrivateKey::generate(&X25519).expect("the system's random number generator works");
        let ephemeral = public_of(&own);
        let key = agree(&own, &self.public, &ephemeral, &self.public)
            .expect("a stored public key was made by us, and is no point of small order");
        let sealed = encrypt(&key, &place.context(VERSION, &self.id), secret.expose());
        [&[VERSION][..], &self.id, &ephemeral, &sealed].concat()
    }
}

impl MasterKey {
    pub(crate) fn sealing_key(&self) -> SealingKey {
        SealingKey { id: self.id, public: public_of(&self.private()) }
    }

    /// Opens what its sealing key sealed for `place`; `None`: it was altered or moved.
    pub(crate) fn open_sealed(&self, place: &Place<'_>, sealed: &[u8]) -> Option<Secret> {
        let ephemeral = sealed.get(EPHEMERAL)?;
        let own = self.private();
        let key = agree(&own, ephemeral, ephemeral, &public_of(&own)).ok()?;
        decrypt(&key, &place.context(VERSION, &self.id), &sealed[EPHEMERAL.end..])
    }

    fn private(&self) -> PrivateKey {
        let seed = derived(b"certmill sealing key", &*self.bytes, &[]);
        PrivateKey::from_private_key(&X25519, &*seed).expect("any 32 bytes are a key of X25519")
    }
}

fn public_of(key: &PrivateKey) -> [u8; 32] {
    let public = key.compute_public_key().expect("a private key has a public one");
    public.as_ref().try_into().expect("a public key of X25519 has 32 bytes")
}

/// The key that the two sides agree upon; both public keys are part of it, so that it belongs to this pair alone.
fn agree(
    own: &PrivateKey,
    other: &[u8],
    ephemeral: &[u8],
    public: &[u8],
) -> Result<Zeroizing<[u8; 32]>, Unspecified> {
    let other = UnparsedPublicKey::new(&X25519, other);
    agreement::agree(own, other, Unspecified, |shared| {
        Ok(derived(b"certmill sealed secret", shared, &[ephemeral, public]))
    })
}

struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        32
    }
}

pub(crate) fn derived(salt: &[u8], secret: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let info = if info.is_empty() { &[&[][..]][..] } else { info };
    Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(info, KeyLength)
        .and_then(|expanded| expanded.fill(&mut *key))
        .expect("HKDF gives 32 bytes");
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Vault, VaultError};

    fn place() -> Place<'static> {
        Place { table: "webhook_secrets", column: "sealed_secret", tenant: None, row: [3; 16] }
    }

    #[test]
    fn who_has_the_public_side_seals_and_only_the_vault_opens() {
        let vault = Vault::new(vec![MasterKey::generate()]).expect("one key");
        let stored = vault.sealing_key();
        let sealing = SealingKey::from_parts(stored.id(), stored.public()).expect("what was stored");
        let secret = Secret::new(b"a secret of a webhook".to_vec());
        let sealed = sealing.seal(&place(), &secret);
        assert!(vault.open(&place(), &sealed) == Ok(secret.clone()));
        assert_ne!(sealing.seal(&place(), &secret), sealed, "each time with a key of its own");
        assert!(!sealed.windows(6).any(|part| part == b"secret"));

        let moved = Place { row: [4; 16], ..place() };
        assert!(matches!(vault.open(&moved, &sealed), Err(VaultError::NotAuthentic { .. })));
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[index] ^= 1;
            assert!(vault.open(&place(), &altered).is_err(), "byte {index}");
            assert!(vault.open(&place(), &sealed[..index]).is_err(), "first {index} bytes");
        }
        let stranger = Vault::new(vec![MasterKey::generate()]).expect("one key");
        assert!(matches!(stranger.open(&place(), &sealed), Err(VaultError::UnknownKey(_))));
    }

    #[test]
    fn a_sealing_key_follows_from_its_master_key() {
        let line = MasterKey::generate().to_line();
        let read = || MasterKey::parse_file(&line).expect("a key file").remove(0);
        assert_eq!(read().sealing_key(), read().sealing_key());
    }
}
