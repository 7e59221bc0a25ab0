//! What only the holder of a token can open: the database keeps it, and the text of the token, which is kept nowhere, is its
//! key.

use crate::{
    ApiToken, Secret,
    envelope::{decrypt, encrypt},
    sealing_key::derived,
};

const PURPOSE: &[u8] = b"certmill for the holder of a token";

impl ApiToken {
    /// Seals `plain` so that it opens with this token and the same `context` alone.
    pub fn seal_for_holder(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        encrypt(&derived(PURPOSE, self.expose().as_bytes(), &[]), context.as_bytes(), plain)
    }

    /// Opens what [`Self::seal_for_holder`] sealed; `None`: by another token, in another context, or altered.
    pub fn open_as_holder(&self, context: &str, sealed: &[u8]) -> Option<Secret> {
        decrypt(&derived(PURPOSE, self.expose().as_bytes(), &[]), context.as_bytes(), sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_token_opens_it_and_only_where_it_was_meant_to_stand() {
        let (token, other) = (ApiToken::generate(), ApiToken::generate());
        let sealed = token.seal_for_holder("key 1", b"whsec_secret");
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        let opened = token.open_as_holder("key 1", &sealed);
        assert_eq!(opened.expect("the same token").expose(), b"whsec_secret");
        assert!(token.open_as_holder("key 2", &sealed).is_none());
        assert!(other.open_as_holder("key 1", &sealed).is_none());
        let mut altered = sealed;
        altered[20] ^= 1;
        assert!(token.open_as_holder("key 1", &altered).is_none());
    }
}
