//! What the CA itself says it did.

use certmill_lab::{Lab, Part};

/// Counts from the CA's own log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CaLog {
    /// Orders that were placed.
    pub orders: usize,
    /// Certificates that were issued.
    pub certificates: usize,
}

impl CaLog {
    /// What it did so far.
    pub fn read(lab: &Lab) -> Self {
        let log = std::fs::read_to_string(lab.description().log(Part::Pebble)).unwrap();
        let count = |words: &str| log.lines().filter(|line| line.contains(words)).count();
        Self { orders: count("Added order "), certificates: count("Issued certificate serial ") }
    }

    /// What it did since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self { orders: self.orders - before.orders, certificates: self.certificates - before.certificates }
    }
}
