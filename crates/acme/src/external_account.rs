//! An account that an operator has at a CA by other means (RFC 8555 section 7.3.4).

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

/// CAs hand the key out with padding and without.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An account at the CA to which the ACME account is bound when it is made. The key is wiped from memory when dropped,
/// and printed nowhere.
#[derive(Clone)]
pub struct ExternalAccount {
    key_id: String,
    hmac_key: Zeroizing<Vec<u8>>,
}

/// An external account that no CA could have given out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidExternalAccount {
    /// Empty, longer than 1,000 bytes, or with control characters.
    #[error("the key id of an external account must be a line of text")]
    KeyId,
    /// Not base64url, or nothing.
    #[error("the HMAC key of an external account must be base64url text, as the CA shows it")]
    HmacKey,
}

impl ExternalAccount {
    /// Takes the key as CAs show it: base64url, padded or not.
    pub fn new(key_id: &str, hmac_key: &str) -> Result<Self, InvalidExternalAccount> {
        if key_id.is_empty() || key_id.len() > 1_000 || key_id.contains(char::is_control) {
            return Err(InvalidExternalAccount::KeyId);
        }
        let hmac_key = BASE64URL.decode(hmac_key.trim()).map_err(|_| InvalidExternalAccount::HmacKey)?;
        let hmac_key = Zeroizing::new(hmac_key);
        if hmac_key.is_empty() {
            return Err(InvalidExternalAccount::HmacKey);
        }
        Ok(Self { key_id: key_id.to_owned(), hmac_key })
    }

    /// By which name the CA knows the key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    pub(crate) fn hmac_key(&self) -> &[u8] {
        &self.hmac_key
    }
}

impl std::fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExternalAccount").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_with_padding_and_without() {
        for text in ["_-8", "_-8=", " _-8=\n"] {
            assert_eq!(ExternalAccount::new("kid-1", text).unwrap().hmac_key(), [0xff, 0xef], "{text:?}");
        }
    }

    #[test]
    fn what_no_ca_gives_out_is_refused() {
        for bad in ["", "=", "+/8=", "a b", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajV\"", "x"] {
            let refused = ExternalAccount::new("kid-1", bad).err();
            assert_eq!(refused, Some(InvalidExternalAccount::HmacKey), "{bad:?}");
        }
        for bad in ["", "a\nb", &"x".repeat(1_001)] {
            let refused = ExternalAccount::new(bad, "_-8").err();
            assert_eq!(refused, Some(InvalidExternalAccount::KeyId), "{bad:?}");
        }
    }

    #[test]
    fn the_key_is_not_printed() {
        let account = ExternalAccount::new("kid-1", "c2VjcmV0").unwrap();
        assert_eq!(format!("{account:?}"), r#"ExternalAccount { key_id: "kid-1", .. }"#);
    }
}
