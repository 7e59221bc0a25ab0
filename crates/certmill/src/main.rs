//! TLS certificates for white-label platforms.
fn main() {}
