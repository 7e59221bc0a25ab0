//! Addresses of people.

use std::fmt;

/// An e-mail address, in lower case: what stands before the `@` counts in any case with no provider that matters, and one
/// person is not to have two accounts.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EmailAddress(String);

/// A text that is no address which mail can be sent to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it is no e-mail address like name@example.com")]
pub struct InvalidEmail;

impl EmailAddress {
    /// Parses an address: the dot-atom form of RFC 5321 section 4.1.2, at a host name in ASCII, 254 characters at most.
    pub fn parse(input: &str) -> Result<Self, InvalidEmail> {
        let (local, host) = input.rsplit_once('@').ok_or(InvalidEmail)?;
        let atom = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte))
        };
        let label = |text: &str| {
            (1..=63).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !text.starts_with('-')
                && !text.ends_with('-')
        };
        let fits = local.len() <= 64 && input.len() <= 254;
        if fits && local.split('.').all(atom) && host.contains('.') && host.split('.').all(label) {
            return Ok(Self(input.to_ascii_lowercase()));
        }
        Err(InvalidEmail)
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for EmailAddress {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_in_lower_case_and_anything_else_is_refused() {
        assert_eq!(EmailAddress::parse("Ada.L+x@Example.COM").unwrap().as_str(), "ada.l+x@example.com");
        for bad in [
            "",
            "a",
            "a@",
            "@b.c",
            "a@b",
            "a b@c.de",
            "a@b..c",
            "a\r\nBcc: x@b.c",
            "<a@b.cd>",
            "a@-b.de",
            "ä@b.de",
            "a.@b.de",
        ] {
            assert_eq!(EmailAddress::parse(bad), Err(InvalidEmail), "{bad}");
        }
    }
}
