//! Orders of a list of domains, and places in it.

use std::{fmt, str::FromStr};

use certmill_model::{DomainId, in_utc};
use time::OffsetDateTime;

/// What a list of domains is sorted by.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DomainSort {
    /// The name; where names are searched for, those that begin with what is searched for come first.
    #[default]
    Name,
    /// The end of the certificate, the soonest first; domains without one are left out.
    NotAfter,
    /// The last change, the oldest first.
    UpdatedAt,
}

/// A place in a list of domains, behind one of them. Its text is for cursors.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DomainPosition {
    /// By name.
    Name {
        /// Whether those that begin with what is searched for are all before.
        is_inner: bool,
        /// The name.
        name: String,
    },
    /// By an instant.
    Instant {
        /// The instant.
        at: OffsetDateTime,
        /// Of several with this instant, those up to here are before.
        id: DomainId,
    },
}

/// A text that is no place in a list.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not a place in this list")]
pub struct InvalidPosition;

impl DomainPosition {
    /// Whether it is a place in a list of this order.
    pub fn suits(&self, sort: DomainSort) -> bool {
        matches!(self, Self::Name { .. }) == (sort == DomainSort::Name)
    }
}

impl fmt::Display for DomainPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { is_inner: false, name } => write!(f, "n{name}"),
            Self::Name { is_inner: true, name } => write!(f, "i{name}"),
            Self::Instant { at, id } => write!(f, "t{}:{id}", at.unix_timestamp_nanos()),
        }
    }
}

impl FromStr for DomainPosition {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let name = |is_inner, name: &str| {
            // The database takes no NUL, and no name has one.
            if name.contains('\0') {
                Err(InvalidPosition)
            } else {
                Ok(Self::Name { is_inner, name: name.to_owned() })
            }
        };
        match text.split_at_checked(1) {
            Some(("n", rest)) => name(false, rest),
            Some(("i", rest)) => name(true, rest),
            Some(("t", rest)) => {
                let (at, id) = instant_and_id(rest)?;
                Ok(Self::Instant { at, id })
            }
            _ => Err(InvalidPosition),
        }
    }
}

/// A place in what is sorted by an instant and then by ids: `<nanoseconds>:<id>`.
pub(in crate::api) fn instant_and_id<T: FromStr>(text: &str) -> Result<(OffsetDateTime, T), InvalidPosition> {
    let (at, id) = text.split_once(':').ok_or(InvalidPosition)?;
    let nanos = at.parse().map_err(|_| InvalidPosition)?;
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok().and_then(in_utc).ok_or(InvalidPosition)?;
    Ok((at, id.parse().map_err(|_| InvalidPosition)?))
}
