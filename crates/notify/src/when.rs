//! Instants and spans in words.

use time::{Duration, OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

const INSTANT: &[BorrowedFormatItem<'_>] =
    format_description!("[day padding:none] [month repr:short] [year] [hour]:[minute] UTC");
const DAY: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short] [day padding:none] [month repr:short]");

/// As in `27 Nov 2026 09:14 UTC`.
pub(crate) fn instant(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC).format(INSTANT).expect("every instant has these parts")
}

/// As in `Fri 27 Nov`.
pub(crate) fn day(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC).format(DAY).expect("every instant has these parts")
}

/// As in `5 days`, `9 hours`: the largest unit of which there are two at least.
pub(crate) fn span(span: Duration) -> String {
    let (count, unit) = match span.abs() {
        span if span >= Duration::days(2) => (span.whole_days(), "days"),
        span if span >= Duration::hours(2) => (span.whole_hours(), "hours"),
        span => (span.whole_minutes(), "minutes"),
    };
    if count == 1 { "1 minute".to_owned() } else { format!("{count} {unit}") }
}

/// A number with thousands marks.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut marked = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            marked.push(',');
        }
        marked.push(digit);
    }
    marked
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn instants_spans_and_numbers_read_as_people_write_them() {
        assert_eq!(instant(datetime!(2026-11-27 09:14 UTC)), "27 Nov 2026 09:14 UTC");
        assert_eq!(day(datetime!(2026-11-27 09:14 UTC)), "Fri 27 Nov");
        let spans = [Duration::days(5), Duration::hours(47), Duration::minutes(119), Duration::SECOND * 70];
        assert_eq!(spans.map(span), ["5 days", "47 hours", "119 minutes", "1 minute"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
    }
}
