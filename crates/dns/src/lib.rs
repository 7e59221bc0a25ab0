//! Lookups that explain themselves.
