//! API tokens, login links and session ids: random texts of which only a hash is kept.

use aws_lc_rs::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use zeroize::Zeroizing;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_LENGTH: usize = 30;
const CHECK_LENGTH: usize = 6;

/// A token: `certmill_`, 30 random characters (178 bits), `_` and 6 of checksum, by which a scanner for leaked secrets
/// knows it. Without `Debug`: it is shown once, to whom it is given.
pub struct ApiToken(Zeroizing<String>);

/// SHA-256 of a token: with that much chance in a token, a slow hash would add nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TokenHash([u8; 32]);

/// A text that is no token; it is not repeated in the message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this is not a certmill token: one begins with {}", ApiToken::PREFIX)]
pub struct InvalidApiToken;

impl ApiToken {
    const PREFIX: &'static str = "certmill_";

    /// A new token.
    pub fn generate() -> Self {
        let random: String = (0..RANDOM_LENGTH).map(|_| random_character()).collect();
        let check = checksum(&random);
        Self(Zeroizing::new(format!("{}{random}_{check}", Self::PREFIX)))
    }

    /// Parses a text; a mistyped one is told from an unknown one by its checksum.
    pub fn parse(text: &str) -> Result<Self, InvalidApiToken> {
        let rest = text.strip_prefix(Self::PREFIX).ok_or(InvalidApiToken)?;
        let (random, check) = rest.split_once('_').ok_or(InvalidApiToken)?;
        let valid = random.len() == RANDOM_LENGTH && checksum(random) == check;
        valid.then(|| Self(Zeroizing::new(text.to_owned()))).ok_or(InvalidApiToken)
    }

    /// The text, to be shown to its owner.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> TokenHash {
        let digest = digest::digest(&digest::SHA256, self.0.as_bytes());
        TokenHash(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl TokenHash {
    /// The bytes in the database.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn random_character() -> char {
    let random = SystemRandom::new();
    loop {
        let mut byte = [0];
        random.fill(&mut byte).expect("the system's random number generator works");
        // The largest multiple of 62 below 256: every character is equally likely.
        if byte[0] < 248 {
            return char::from(ALPHABET[usize::from(byte[0] % 62)]);
        }
    }
}

fn checksum(random: &str) -> String {
    let mut value = crc32(random.as_bytes());
    let mut digits = [b'0'; CHECK_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(value % 62) as usize];
        value /= 62;
    }
    digits.iter().copied().map(char::from).collect()
}

/// CRC-32 (IEEE 802.3), which secret scanners compute too.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_common_crc32() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_token_comes_back_and_a_mistyped_one_does_not() {
        let token = ApiToken::generate();
        let text = token.expose();
        assert_eq!(text.len(), 9 + 30 + 1 + 6);
        assert!(ApiToken::parse(text).is_ok_and(|parsed| parsed.hash() == token.hash()));
        let swapped = text.replacen(&text[12..13], if &text[12..13] == "a" { "b" } else { "a" }, 1);
        assert!(ApiToken::parse(&swapped).is_err());
        assert!(ApiToken::parse("").is_err() && ApiToken::parse("certmill_x").is_err());
    }
}
