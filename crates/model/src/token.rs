//! The token of an http-01 challenge.

/// A challenge token (RFC 8555 section 8.3): base64url characters only, so that it can never be a path.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ChallengeToken(String);

/// A text that no CA may send, or no CA would ask for, as a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a challenge token has 1 to 128 characters of A-Z a-z 0-9 - _")]
pub struct InvalidChallengeToken;

impl ChallengeToken {
    /// Parses what a CA sent, or what is asked for below `/.well-known/acme-challenge/`.
    pub fn parse(input: &str) -> Result<Self, InvalidChallengeToken> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        ((1..=128).contains(&input.len()) && input.bytes().all(allowed))
            .then(|| Self(input.to_owned()))
            .ok_or(InvalidChallengeToken)
    }

    /// The token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_could_be_a_path_or_a_command_is_refused() {
        assert!(ChallengeToken::parse("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA").is_ok());
        let long = "a".repeat(129);
        for bad in ["", "../../x", "$(id)", "a.b", "a/b", "a\0", "a\r\n", long.as_str()] {
            assert!(ChallengeToken::parse(bad).is_err(), "{bad:?}");
        }
    }
}
