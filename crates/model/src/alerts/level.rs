//! How pressing it is, by the part of a certificate's life that is left.

use time::OffsetDateTime;

use crate::{
    Validity,
    status::{UnknownStatus, closed_set},
};

closed_set! {
    /// How pressing an alert is. Parts of a life and not days: certificates live 6 days as well as 90.
    AlertLevel {
        /// It goes on failing, but most of the time to mend it is left.
        Notice = "notice",
        /// A quarter of the certificate's life is left.
        Late = "late",
        /// An eighth is left.
        Urgent = "urgent",
        /// A sixteenth is left.
        Page = "page",
        /// No valid certificate is served: shoppers see a warning.
        Expired = "expired",
    }
}

impl AlertLevel {
    /// The level of a certificate by what is left of its life; `None` while more than a quarter is.
    pub fn of_life(validity: Validity, now: OffsetDateTime) -> Option<Self> {
        let (life, left) = (validity.lifetime(), validity.not_after - now);
        if now >= validity.not_after {
            return Some(Self::Expired);
        }
        let levels = [(16, Self::Page), (8, Self::Urgent), (4, Self::Late)];
        levels.into_iter().find(|(part, _)| left <= life / *part).map(|(_, level)| level)
    }
}

impl PartialOrd for AlertLevel {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AlertLevel {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (*self as u8).cmp(&(*other as u8))
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    fn level(lifetime: Duration, left: Duration) -> Option<AlertLevel> {
        let not_after = OffsetDateTime::UNIX_EPOCH + Duration::days(1_000);
        AlertLevel::of_life(Validity { not_before: not_after - lifetime, not_after }, not_after - left)
    }

    #[test]
    fn a_quarter_an_eighth_and_a_sixteenth_of_any_life_are_late_urgent_and_page() {
        for hours in [160, 6 * 24, 45 * 24, 64 * 24, 90 * 24] {
            let life = Duration::hours(hours);
            let minute = Duration::MINUTE;
            assert_eq!(level(life, life / 4 + minute), None);
            assert_eq!(level(life, life / 4), Some(AlertLevel::Late));
            assert_eq!(level(life, life / 8 + minute), Some(AlertLevel::Late));
            assert_eq!(level(life, life / 8), Some(AlertLevel::Urgent));
            assert_eq!(level(life, life / 16), Some(AlertLevel::Page));
            assert_eq!(level(life, minute), Some(AlertLevel::Page));
            assert_eq!(level(life, Duration::ZERO), Some(AlertLevel::Expired));
        }
    }

    #[test]
    fn levels_are_in_order() {
        assert!(AlertLevel::ALL.is_sorted());
    }
}
