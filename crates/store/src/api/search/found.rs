//! What a search comes to.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Domain, DomainPosition, with_ids};
use crate::StoreError;

/// A page of a list of domains.
#[derive(Debug)]
pub struct DomainPage {
    /// The domains, in their order.
    pub domains: Vec<Domain>,
    /// Where the next page begins; `None`: there is none.
    pub next: Option<DomainPosition>,
    /// How they were found.
    pub found: Found,
}

/// How domains were found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Found {
    /// They suit what was asked for.
    #[default]
    Suiting,
    /// None does; these names are similar.
    Similar,
    /// There may be more: not all was looked at. The next page goes on, if there is one; else more letters help.
    InPart,
}

/// How many there are, as far as that is quickly counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CappedCount {
    /// So many.
    Exactly(u64),
    /// More than that.
    MoreThan(u64),
    /// Counting took too long.
    Unknown,
}

/// Rows of a page, with one more that tells whether there is a next one.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) places: Vec<(Uuid, DomainPosition)>,
    pub(super) found: Found,
    /// Where to go on when not all was looked at.
    pub(super) resume: Option<DomainPosition>,
}

impl From<Vec<(Uuid, DomainPosition)>> for Rows {
    fn from(rows: Vec<(Uuid, DomainPosition)>) -> Self {
        Self { places: rows, ..Self::default() }
    }
}

impl Rows {
    /// The domains themselves, read at once.
    pub(super) async fn into_page(
        mut self,
        connection: &mut PgConnection,
        limit: usize,
    ) -> Result<DomainPage, StoreError> {
        let is_more = self.places.len() > limit;
        self.places.truncate(limit);
        let next =
            if is_more { self.places.last().map(|(_, position)| position.clone()) } else { self.resume };
        let ids: Vec<_> = self.places.iter().map(|(id, _)| *id).collect();
        Ok(DomainPage { domains: with_ids(connection, &ids).await?, next, found: self.found })
    }
}
