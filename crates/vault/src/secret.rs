//! Bytes that are wiped, and never printed.

use zeroize::Zeroizing;

/// Secret bytes: wiped when dropped, without `Debug`, `Display` or `Serialize`.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves: for a cipher, a signer or a peer that must have them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}
