//! From columns to types, with the table's name in the error.

use std::str::FromStr;

use certmill_model::Hostname;

use crate::StoreError;

/// Parses a column of `table`.
pub(crate) fn parsed<T>(table: &'static str, text: &str) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|error| StoreError::inconsistent(table, error))
}

/// A stored name of `table`.
pub(crate) fn hostname(table: &'static str, text: &str) -> Result<Hostname, StoreError> {
    Hostname::from_stored(text).map_err(|error| StoreError::inconsistent(table, error))
}
