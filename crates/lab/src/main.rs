//! The laboratory on its own.
fn main() {}
