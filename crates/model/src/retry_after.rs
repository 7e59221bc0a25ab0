//! The `Retry-After` header (RFC 9110 section 10.2.3).

use time::{
    Duration, OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem,
    macros::format_description,
};

/// Nobody may park us for longer, whatever they say.
const LONGEST: Duration = Duration::days(7);

/// `Fri, 31 Dec 1999 23:59:59 GMT`; the two obsolete forms are not sent by anybody any more.
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// The wait that a header value asks for at `now`; `None` for what is neither seconds nor a date.
pub fn parse_retry_after(value: &str, now: OffsetDateTime) -> Option<Duration> {
    let value = value.trim();
    let wait = if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        value.parse().map_or(LONGEST, Duration::seconds)
    } else {
        PrimitiveDateTime::parse(value, HTTP_DATE).ok()?.assume_utc() - now
    };
    Some(wait.clamp(Duration::ZERO, LONGEST))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00:00 UTC);

    #[test]
    fn seconds_and_dates_are_understood() {
        assert_eq!(parse_retry_after("3600", NOW), Some(Duration::hours(1)));
        assert_eq!(parse_retry_after(" 0 ", NOW), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("Sat, 21 Nov 2026 12:01:30 GMT", NOW), Some(Duration::seconds(90)));
    }

    #[test]
    fn a_date_in_the_past_means_now() {
        assert_eq!(parse_retry_after("Sat, 21 Nov 2026 11:00:00 GMT", NOW), Some(Duration::ZERO));
    }

    #[test]
    fn nobody_parks_us_for_years() {
        for long in ["31536000", "99999999999999999999", "Sat, 21 Nov 2037 12:00:00 GMT"] {
            assert_eq!(parse_retry_after(long, NOW), Some(LONGEST), "{long}");
        }
    }

    #[test]
    fn nonsense_is_no_wait() {
        for bad in ["", "-1", "soon", "1.5", "1999-12-31", "Foo, 99 Bar 2026 25:61:61 GMT"] {
            assert_eq!(parse_retry_after(bad, NOW), None, "{bad}");
        }
    }
}
