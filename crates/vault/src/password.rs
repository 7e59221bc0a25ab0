//! Passwords of people: argon2id, of which only the hash is kept.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHash as Phc, PasswordHasher, PasswordVerifier, SaltString},
};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// Memory in KiB, passes and lanes, as OWASP's cheat sheet on the storage of passwords has them in 2026.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

const SALT_LENGTH: usize = 16;

/// A password as somebody typed it. Without `Debug`.
pub struct Password(Zeroizing<String>);

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidPassword {
    /// Fewer characters than that.
    #[error("it has fewer than {} characters", Password::MIN)]
    TooShort,
    /// More characters than that.
    #[error("it has more than {} characters", Password::MAX)]
    TooLong,
}

impl Password {
    const MIN: usize = 12;
    const MAX: usize = 200;

    /// A password that somebody wants to have: 12 to 200 characters, of any kind (NIST SP 800-63B asks for length alone).
    pub fn choose(text: String) -> Result<Self, InvalidPassword> {
        match text.chars().count() {
            ..Self::MIN => Err(InvalidPassword::TooShort),
            length if length > Self::MAX => Err(InvalidPassword::TooLong),
            _ => Ok(Self(Zeroizing::new(text))),
        }
    }

    /// A password that somebody typed to log in. One that could never have been chosen is nobody's, and is cut before it
    /// costs anything.
    pub fn typed(mut text: String) -> Self {
        if let Some((end, _)) = text.char_indices().nth(Self::MAX + 1) {
            text.truncate(end);
        }
        Self(Zeroizing::new(text))
    }

    /// What is kept of it, in PHC string form. Takes some 20 ms of a core: not for an async thread.
    pub fn hash(&self) -> String {
        let mut salt = [0; SALT_LENGTH];
        SystemRandom::new().fill(&mut salt).expect("the system's random number generator works");
        let salt = SaltString::encode_b64(&salt).expect("16 bytes are a salt");
        argon2().hash_password(self.0.as_bytes(), &salt).expect("any bytes can be hashed").to_string()
    }

    /// Whether it is the one that `hash` was made of. Takes as long without a hash, so that nobody learns from the time
    /// whether there is one. Not for an async thread.
    pub fn matches(&self, hash: Option<&str>) -> bool {
        let Some(hash) = hash else {
            self.hash();
            return false;
        };
        Phc::new(hash).is_ok_and(|hash| argon2().verify_password(self.0.as_bytes(), &hash).is_ok())
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY, PASSES, LANES, None).expect("the parameters are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_own_hash_alone() {
        let password = Password::choose("correct horse battery".into()).unwrap();
        let hash = password.hash();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(password.matches(Some(&hash)));
        assert!(!Password::typed("correct horse batterz".into()).matches(Some(&hash)));
        assert!(!password.matches(None) && !password.matches(Some("no hash")));
        assert_ne!(password.hash(), hash, "each has a salt of its own");
    }

    #[test]
    fn a_password_has_12_to_200_characters() {
        assert!(matches!(Password::choose("x".repeat(11)), Err(InvalidPassword::TooShort)));
        assert!(matches!(Password::choose("ä".repeat(201)), Err(InvalidPassword::TooLong)));
        let longest = Password::choose("ä".repeat(200)).unwrap();
        assert!(!Password::typed("ä".repeat(5000)).matches(Some(&longest.hash())));
    }
}
