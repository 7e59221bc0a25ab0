//! The life of a certificate.

use time::{Duration, OffsetDateTime};

/// Certificates that live less than this are renewed at half their life, as Let's Encrypt's integration guide asks.
const SHORT_LIVED: Duration = Duration::days(10);

/// How much earlier than its fallback a renewal without a suggested window may be, as a part of the lifetime.
const JITTER: f64 = 0.02;

/// The least part of its life that a certificate serves before a renewal is moved forward for the sake of others.
const SERVED_AT_LEAST: i32 = 10;

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// Its first instant.
    pub not_before: OffsetDateTime,
    /// Its last instant.
    pub not_after: OffsetDateTime,
}

impl Validity {
    /// How long it lives.
    pub fn lifetime(&self) -> Duration {
        self.not_after - self.not_before
    }

    /// When it is renewed at the latest, whatever a CA suggests: with a third of its life left, half if it lives less
    /// than 10 days.
    pub fn fallback(&self) -> OffsetDateTime {
        let lifetime = self.lifetime();
        self.not_after - if lifetime < SHORT_LIVED { lifetime / 2 } else { lifetime / 3 }
    }

    /// An instant up to 2 % of the life before the fallback, by `fraction` in `0.0..1.0`.
    pub(super) fn jittered(&self, fraction: f64) -> OffsetDateTime {
        self.fallback() - self.lifetime() * (JITTER * fraction.clamp(0.0, 1.0))
    }

    /// How long it serves when it is renewed at its fallback.
    pub(super) fn cycle(&self) -> Duration {
        self.fallback() - self.not_before
    }

    /// From when on a renewal may be moved forward for the sake of others.
    pub(super) fn floor(&self) -> OffsetDateTime {
        self.not_before + self.lifetime() / SERVED_AT_LEAST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_the_life_is_left_and_half_of_a_short_one() {
        let start = OffsetDateTime::UNIX_EPOCH;
        let hours = |lifetime| {
            let validity = Validity { not_before: start, not_after: start + Duration::hours(lifetime) };
            (validity.fallback() - start).whole_hours()
        };
        assert_eq!([160, 45 * 24, 64 * 24, 90 * 24, 200 * 24].map(hours), [80, 720, 1_024, 1_440, 3_200]);
    }

    #[test]
    fn chance_only_makes_earlier() {
        let start = OffsetDateTime::UNIX_EPOCH;
        let validity = Validity { not_before: start, not_after: start + Duration::days(100) };
        assert_eq!(validity.jittered(0.0), validity.fallback());
        assert_eq!(validity.fallback() - validity.jittered(1.0), Duration::days(2));
    }
}
