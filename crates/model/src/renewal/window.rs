//! What a CA says about the renewal of a certificate (RFC 9773).

use time::{Duration, OffsetDateTime};

/// The time in which a CA suggests that a certificate be renewed, in whole seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SuggestedWindow {
    start: OffsetDateTime,
    end: OffsetDateTime,
}

/// The window does not end after its start.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the suggested window from {start} to {end} does not end after its start")]
pub struct InvalidWindow {
    start: OffsetDateTime,
    end: OffsetDateTime,
}

/// A CA's answer to the question when a certificate should be renewed, by what happens next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RenewalAnswer {
    /// A window.
    Window {
        /// The window.
        window: SuggestedWindow,
        /// A page that tells people why, if the CA names one.
        explanation_url: Option<String>,
        /// When the CA wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The CA cannot answer just now (a timeout, 429, 5xx): it is asked again, less and less often.
    Busy {
        /// When the CA wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The answer is of no use and will stay so for a while (garbled, a window that ends before it starts, 404 and
    /// other 4xx): it is asked again after six hours (RFC 9773 section 4.3.3).
    Useless,
}

impl SuggestedWindow {
    /// The window from `start` to `end`, which must be later by a second at least.
    pub fn new(start: OffsetDateTime, end: OffsetDateTime) -> Result<Self, InvalidWindow> {
        let [start, end] = [start, end].map(to_seconds);
        if end > start { Ok(Self { start, end }) } else { Err(InvalidWindow { start, end }) }
    }

    /// Its first instant.
    pub fn start(&self) -> OffsetDateTime {
        self.start
    }

    /// The first instant that is not part of it any more.
    pub fn end(&self) -> OffsetDateTime {
        self.end
    }

    /// Whether a CA that exempts renewals within the window from its limits does so at `now`.
    pub fn contains(&self, now: OffsetDateTime) -> bool {
        self.start <= now && now < self.end
    }

    /// Whether it is over. A CA says so to have a certificate replaced at once.
    pub fn is_past(&self, now: OffsetDateTime) -> bool {
        self.end <= now
    }

    /// The instant at `fraction` in `0.0..1.0` of what lies before `latest`; `latest` if nothing does.
    pub(super) fn pick(&self, latest: OffsetDateTime, fraction: f64) -> OffsetDateTime {
        let seconds = (self.end.min(latest) - self.start).whole_seconds();
        let into = Duration::seconds((seconds as f64 * fraction.clamp(0.0, 1.0)) as i64);
        if seconds > 0 { self.start + into } else { self.start.min(latest) }
    }
}

/// What CAs write; and it equals itself after a round trip through any database.
fn to_seconds(instant: OffsetDateTime) -> OffsetDateTime {
    instant.replace_nanosecond(0).expect("0 is a valid nanosecond count")
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    #[test]
    fn a_window_that_ends_with_or_before_its_start_is_refused() {
        assert!(SuggestedWindow::new(START, START).is_err());
        assert!(SuggestedWindow::new(START, START - Duration::HOUR).is_err());
        assert!(SuggestedWindow::new(START, START + Duration::milliseconds(999)).is_err());
        assert!(SuggestedWindow::new(START, START + Duration::SECOND).is_ok());
    }

    #[test]
    fn the_end_is_no_part_of_the_window() {
        let window = SuggestedWindow::new(START, START + Duration::HOUR).unwrap();
        assert!(window.contains(START) && !window.contains(START + Duration::HOUR));
        assert!(window.is_past(START + Duration::HOUR));
    }
}
