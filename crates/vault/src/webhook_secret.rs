//! The secrets that webhooks are signed with.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::Secret;

/// How many bytes a new one has; the standard wants 24 to 64.
const LENGTH: usize = 32;
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// What a webhook is signed with: in text `whsec_` and base64 (Standard Webhooks, "Signature scheme"). Without `Debug`: it
/// is shown once, to whom it is given.
pub struct WebhookSecret(Secret);

impl WebhookSecret {
    const PREFIX: &'static str = "whsec_";

    /// A new secret.
    pub fn generate() -> Self {
        let mut bytes = vec![0; LENGTH];
        SystemRandom::new().fill(&mut bytes).expect("the system's random number generator works");
        Self(Secret::new(bytes))
    }

    /// Parses the text form; `None` for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text.strip_prefix(Self::PREFIX)?.as_bytes()).ok()?;
        LENGTHS.contains(&bytes.len()).then(|| Self(Secret::new(bytes)))
    }

    /// The text, to be shown to its owner.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}", Self::PREFIX, BASE64.encode(self.0.expose())))
    }

    /// The key of the signature.
    pub fn key(&self) -> &Secret {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_back_from_its_text_and_others_do_not() {
        let secret = WebhookSecret::generate();
        let text = secret.to_text();
        assert!(WebhookSecret::parse(&text).is_some_and(|read| read.key() == secret.key()));
        for bad in [
            "",
            "whsec_",
            "whsec_c2hvcnQ=",
            "whsec_!",
            &text[6..],
            &format!("{}{}", *text, "AAAA".repeat(20)),
        ] {
            assert!(WebhookSecret::parse(bad).is_none(), "{bad}");
        }
    }
}
