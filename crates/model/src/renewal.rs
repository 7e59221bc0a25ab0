//! When a certificate is renewed.

use time::{Duration, OffsetDateTime};

/// Certificates that live less than this are renewed at half their life, as Let's Encrypt's integration guide asks.
const SHORT_LIVED: Duration = Duration::days(10);

/// How much earlier than its point a renewal may start, as a part of the lifetime.
const JITTER: f64 = 0.02;

/// The instant at which a certificate is to be renewed: with a third of its life left (half, if it lives less than
/// 10 days), and up to 2 % of the life earlier by `chance` in `0.0..1.0`, so that what was issued together is not
/// renewed together.
pub fn renew_after(not_before: OffsetDateTime, not_after: OffsetDateTime, chance: f64) -> OffsetDateTime {
    let lifetime = not_after - not_before;
    let left = if lifetime < SHORT_LIVED { lifetime / 2 } else { lifetime / 3 };
    not_after - left - lifetime * (JITTER * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_90_day_certificate_is_renewed_after_60_days_and_a_6_day_one_after_3() {
        let start = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(renew_after(start, start + Duration::days(90), 0.0), start + Duration::days(60));
        assert_eq!(renew_after(start, start + Duration::days(6), 0.0), start + Duration::days(3));
    }

    #[test]
    fn chance_only_makes_earlier() {
        let start = OffsetDateTime::UNIX_EPOCH;
        let early = renew_after(start, start + Duration::days(100), 1.0);
        let late = renew_after(start, start + Duration::days(100), 0.0);
        assert_eq!(late - early, Duration::days(2));
    }
}
