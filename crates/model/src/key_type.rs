//! The kinds of private key that a certificate may have.

use crate::status::{UnknownStatus, closed_set};

closed_set! {
    /// A key's algorithm and size: those that Let's Encrypt signs.
    KeyType {
        /// ECDSA on P-256: small, fast, and known to every browser.
        EcdsaP256 = "ecdsa_p256",
        /// ECDSA on P-384.
        EcdsaP384 = "ecdsa_p384",
        /// RSA with 2048 bits, for clients of before 2014.
        Rsa2048 = "rsa_2048",
        /// RSA with 3072 bits.
        Rsa3072 = "rsa_3072",
        /// RSA with 4096 bits.
        Rsa4096 = "rsa_4096",
    }
}
