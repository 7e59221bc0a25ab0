//! Instants that somebody else wrote.

use time::{OffsetDateTime, UtcOffset};

/// `at` in UTC; `None` outside of the years 1 to 9998: RFC 3339 has no year beyond 9999, PostgreSQL none before its own, and sums of
/// such dates may have none to name.
pub fn in_utc(at: OffsetDateTime) -> Option<OffsetDateTime> {
    let at = at.checked_to_offset(UtcOffset::UTC)?;
    (1..=9998).contains(&at.year()).then_some(at)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_instant_at_the_edge_of_time_is_none() {
        assert_eq!(in_utc(datetime!(2026-11-21 12:00 +1)), Some(datetime!(2026-11-21 11:00 UTC)));
        for edge in [
            datetime!(9999-12-31 23:59:59 -1),
            datetime!(9999-01-01 0:00 UTC),
            datetime!(-7537-01-01 0:00 UTC),
        ] {
            assert_eq!(in_utc(edge), None, "{edge}");
        }
    }
}
