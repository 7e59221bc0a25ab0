//! Sealing and opening.
//!
//! Secrets are sealed in two forms; the other one is in [`sealing_key`]. A sealed secret is `version (1) | key id (16) | nonce (12) | wrapped data key (48) | nonce (12) | ciphertext`.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use certmill_model::TenantId;
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::{
    MasterKey, Secret,
    sealing_key::{self, SealingKey},
};

const VERSION: u8 = 1;
const KEY_ID: std::ops::Range<usize> = 1..17;
const DATA_KEY: std::ops::Range<usize> = 17..77;
const NONCE_LENGTH: usize = 12;

/// Where a sealed secret stands: it opens nowhere else.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The tenant; `None` for secrets of the platform.
    pub tenant: Option<TenantId>,
    /// The row's id, 16 bytes.
    pub row: [u8; 16],
}

/// Seals and opens secrets.
pub struct Vault {
    active: MasterKey,
    others: Vec<MasterKey>,
}

/// Why a sealed secret does not open.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VaultError {
    /// Its master key is not in the key file: the wrong file, or a key retired too early.
    #[error("the master key {0} is not in the key file")]
    UnknownKey(String),
    /// It was altered, or stands in another place than where it was sealed.
    #[error("the sealed secret does not open in {table}.{column}: it was altered or moved")]
    NotAuthentic {
        /// The table where it stands.
        table: String,
        /// The column where it stands.
        column: String,
    },
}

impl Vault {
    /// A vault that seals with the first of `keys` and opens with all; `None` without a key.
    pub fn new(keys: Vec<MasterKey>) -> Option<Self> {
        let mut keys = keys.into_iter();
        Some(Self { active: keys.next()?, others: keys.collect() })
    }

    /// The public side of the key that it seals with, for those who open nothing.
    pub fn sealing_key(&self) -> SealingKey {
        self.active.sealing_key()
    }

    /// Seals `secret` for `place`.
    pub fn seal(&self, place: &Place<'_>, secret: &Secret) -> Vec<u8> {
        let mut data_key = Zeroizing::new([0; 32]);
        random(&mut *data_key);
        let context = place.context(VERSION, &self.active.id);
        let mut sealed = vec![VERSION];
        sealed.extend(self.active.id);
        sealed.extend(encrypt(&self.active.bytes, &context, &*data_key));
        sealed.extend(encrypt(&data_key, &context, secret.expose()));
        sealed
    }

    /// Opens what was sealed for `place`.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Secret, VaultError> {
        let not_authentic =
            || VaultError::NotAuthentic { table: place.table.to_owned(), column: place.column.to_owned() };
        let (Some(version), Some(key_id)) = (sealed.first(), sealed.get(KEY_ID)) else {
            return Err(not_authentic());
        };
        if *version == sealing_key::VERSION {
            return self.key(key_id)?.open_sealed(place, sealed).ok_or_else(not_authentic);
        }
        if *version != VERSION || sealed.len() < DATA_KEY.end {
            return Err(not_authentic());
        }
        let key = self.key(key_id)?;
        let context = place.context(VERSION, &key.id);
        let data_key = decrypt(&key.bytes, &context, &sealed[DATA_KEY]).ok_or_else(not_authentic)?;
        let data_key: &[u8; 32] = data_key.expose().try_into().map_err(|_| not_authentic())?;
        decrypt(data_key, &context, &sealed[DATA_KEY.end..]).ok_or_else(not_authentic)
    }

    fn key(&self, id: &[u8]) -> Result<&MasterKey, VaultError> {
        let mut keys = std::iter::once(&self.active).chain(&self.others);
        keys.find(|key| key.id == id).ok_or_else(|| VaultError::UnknownKey(HEXLOWER.encode(id)))
    }
}

impl Place<'_> {
    /// The additional authenticated data: every part with its length in front, so that no two places coincide.
    pub(crate) fn context(&self, version: u8, key_id: &[u8]) -> Vec<u8> {
        let tenant = self.tenant.map(|tenant| tenant.uuid().into_bytes());
        let tenant = tenant.as_ref().map_or(&[][..], |bytes| bytes);
        let parts = [
            b"certmill",
            &[version][..],
            self.table.as_bytes(),
            self.column.as_bytes(),
            tenant,
            &self.row,
            key_id,
        ];
        let mut context = Vec::with_capacity(128);
        for part in parts {
            context.extend((part.len() as u64).to_be_bytes());
            context.extend(part);
        }
        context
    }
}

pub(crate) fn encrypt(key: &[u8; 32], context: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut nonce = [0; NONCE_LENGTH];
    random(&mut nonce);
    let mut text = plain.to_vec();
    cipher(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut text)
        .expect("a secret is far shorter than what AES-GCM can seal");
    [&nonce[..], &text].concat()
}

pub(crate) fn decrypt(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Option<Secret> {
    let (nonce, text) = sealed.split_at_checked(NONCE_LENGTH)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = Zeroizing::new(text.to_vec());
    let plain = cipher(key).open_in_place(nonce, Aad::from(context), &mut text).ok()?;
    Some(Secret::new(plain.to_vec()))
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes 32 bytes"))
}

fn random(bytes: &mut [u8]) {
    SystemRandom::new().fill(bytes).expect("the system's random number generator works");
}

#[cfg(test)]
mod tests {
    use certmill_model::Chance;
    use time::OffsetDateTime;

    use super::*;

    fn vault() -> Vault {
        Vault::new(vec![MasterKey::generate()]).expect("one key")
    }

    fn place() -> Place<'static> {
        let tenant = TenantId::new(&Chance::seeded(1), OffsetDateTime::UNIX_EPOCH);
        Place { table: "certificates", column: "sealed_key", tenant: Some(tenant), row: [7; 16] }
    }

    #[test]
    fn a_secret_comes_back_and_is_not_in_the_sealed_bytes() {
        let vault = vault();
        let secret = Secret::new(b"the private key of a shop".to_vec());
        let sealed = vault.seal(&place(), &secret);
        assert!(vault.open(&place(), &sealed) == Ok(secret));
        assert!(!sealed.windows(11).any(|part| part == b"private key"));
    }

    #[test]
    fn a_secret_opens_in_no_other_row_tenant_column_or_table() {
        let vault = vault();
        let sealed = vault.seal(&place(), &Secret::new(vec![1; 40]));
        let moved = [
            Place { row: [8; 16], ..place() },
            Place { tenant: None, ..place() },
            Place { tenant: Some(TenantId::new(&Chance::seeded(2), OffsetDateTime::UNIX_EPOCH)), ..place() },
            Place { column: "sealed_credentials", ..place() },
            Place { table: "orders", ..place() },
        ];
        for place in moved {
            assert!(matches!(vault.open(&place, &sealed), Err(VaultError::NotAuthentic { .. })));
        }
    }

    #[test]
    fn every_altered_or_missing_byte_is_noticed() {
        let vault = vault();
        let sealed = vault.seal(&place(), &Secret::new(vec![1; 8]));
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[index] ^= 1;
            assert!(vault.open(&place(), &altered).is_err(), "byte {index}");
            assert!(vault.open(&place(), &sealed[..index]).is_err(), "first {index} bytes");
        }
    }

    #[test]
    fn an_older_key_still_opens_and_a_missing_one_is_named() {
        let old = MasterKey::generate();
        let (old_id, old_line) = (HEXLOWER.encode(&old.id), old.to_line());
        let sealed = Vault::new(vec![old]).expect("one key").seal(&place(), &Secret::new(vec![1]));
        let old = MasterKey::parse_file(&old_line).expect("a key file").remove(0);
        let both = Vault::new(vec![MasterKey::generate(), old]).expect("two keys");
        assert!(both.open(&place(), &sealed).is_ok());
        assert!(vault().open(&place(), &sealed) == Err(VaultError::UnknownKey(old_id)));
    }
}
