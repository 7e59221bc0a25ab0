//! Cursors: where a page ended, opaque to callers.

use std::str::FromStr;

use certmill_store::Reach;
use data_encoding::BASE64URL_NOPAD;
use http::StatusCode;
use sha2::{Digest, Sha256};

use crate::problem::Problem;

/// The version of the form below; an older or newer cursor is refused, and its holder begins anew.
const VERSION: u8 = 1;

const CHECK_LENGTH: usize = 12;

/// The longest text that can be a cursor.
const MAX_LENGTH: usize = 600;

/// A cursor of a caller with this `reach` that stands at `position` in `list`.
///
/// The check is no secret: a forged cursor leads only to another place in the caller's own list. It tells the caller
/// that a cursor was altered, cut or is another's, where going on would silently skip.
pub(super) fn cursor(reach: Reach, list: &str, position: &str) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&check(reach, list, position));
    bytes.extend_from_slice(position.as_bytes());
    BASE64URL_NOPAD.encode(&bytes)
}

/// Where the cursor `text` stands, if a caller with this `reach` got it from `list`.
pub(super) fn position<T: FromStr>(reach: Reach, list: &str, text: &str) -> Result<T, Problem> {
    // A forged cursor can hold anything, so that its position is parsed like all that comes from outside.
    decode(reach, list, text).and_then(|position| position.parse().ok()).ok_or_else(invalid)
}

/// The answer to a cursor that serves nobody here.
pub(super) fn invalid() -> Problem {
    let detail = "The cursor is not one that this list gave to this caller. Begin without a cursor.";
    Problem::new(StatusCode::BAD_REQUEST, "invalid_cursor", "Invalid cursor", detail)
}

fn decode(reach: Reach, list: &str, text: &str) -> Option<String> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (found, position) = rest.split_at_checked(CHECK_LENGTH)?;
    let position = str::from_utf8(position).ok()?;
    (*version == VERSION && found == check(reach, list, position)).then(|| position.to_owned())
}

fn check(reach: Reach, list: &str, position: &str) -> [u8; CHECK_LENGTH] {
    let owner = match reach {
        Reach::Tenant(tenant) => tenant.to_string(),
        Reach::Platform => "platform".to_owned(),
    };
    let digest = Sha256::digest(format!("certmill cursor\0{owner}\0{list}\0{position}"));
    digest[..CHECK_LENGTH].try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use certmill_model::{Chance, TenantId};
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn a_cursor_serves_its_owner_and_list_alone() {
        let chance = Chance::seeded(1);
        let tenant = || Reach::Tenant(TenantId::new(&chance, OffsetDateTime::UNIX_EPOCH));
        let (owner, other) = (tenant(), tenant());
        let text = cursor(owner, "domains", "shop.example.com");
        assert_eq!(decode(owner, "domains", &text).as_deref(), Some("shop.example.com"));
        assert_eq!(decode(other, "domains", &text), None);
        assert_eq!(decode(Reach::Platform, "domains", &text), None);
        assert_eq!(decode(owner, "timeline", &text), None);
    }

    #[test]
    fn a_cursor_with_any_bit_flipped_is_refused() {
        let text = cursor(Reach::Platform, "domains", "a.example.com");
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let flipped = BASE64URL_NOPAD.encode(&flipped);
            assert_eq!(decode(Reach::Platform, "domains", &flipped), None, "bit {bit}");
        }
    }
}
