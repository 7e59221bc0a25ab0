//! How control of a name is proved to a CA, and which way suits a name.

use crate::status::{UnknownStatus, closed_set};

closed_set! {
    /// The kinds of challenge that are met (RFC 8555 section 8).
    ChallengeKind {
        /// A file below `/.well-known/acme-challenge/` of the name itself.
        Http01 = "http-01",
        /// A TXT record at `_acme-challenge` below the name, or where a CNAME record there leads.
        Dns01 = "dns-01",
    }
}

/// The ways in which a name can be proved as it stands, the preferred one first. None: its owner must set a record.
///
/// A wildcard has only dns-01 (RFC 8555 section 8.3 knows no way for it). Of the others http-01 goes first: it shows
/// that shoppers reach us as well, and needs no write to DNS.
pub fn possible_challenges(is_wildcard: bool, points_at_us: bool, is_delegated: bool) -> Vec<ChallengeKind> {
    let http = points_at_us && !is_wildcard;
    let ways = [(http, ChallengeKind::Http01), (is_delegated, ChallengeKind::Dns01)];
    ways.into_iter().filter_map(|(possible, kind)| possible.then_some(kind)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChallengeKind::{Dns01, Http01};

    #[test]
    fn a_wildcard_is_proved_by_dns_alone() {
        assert_eq!(possible_challenges(true, true, true), [Dns01]);
        assert_eq!(possible_challenges(true, true, false), []);
    }

    #[test]
    fn a_name_that_points_at_us_is_proved_by_http_and_by_dns_where_http_will_not_do() {
        assert_eq!(possible_challenges(false, true, true), [Http01, Dns01]);
        assert_eq!(possible_challenges(false, true, false), [Http01]);
    }

    #[test]
    fn a_name_that_points_elsewhere_is_proved_by_dns_if_it_is_delegated_and_waits_if_not() {
        assert_eq!(possible_challenges(false, false, true), [Dns01]);
        assert_eq!(possible_challenges(false, false, false), []);
    }
}
