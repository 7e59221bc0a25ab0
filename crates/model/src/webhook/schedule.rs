//! What an answer means, and when a delivery that failed is tried again.

use time::Duration;

/// The waits before each attempt (Standard Webhooks, "Reliability": a schedule over some three days).
pub const WEBHOOK_RETRIES: [Duration; 10] = [
    Duration::ZERO,
    Duration::seconds(5),
    Duration::minutes(5),
    Duration::minutes(30),
    Duration::hours(2),
    Duration::hours(5),
    Duration::hours(10),
    Duration::hours(14),
    Duration::hours(20),
    Duration::hours(24),
];

/// How much later than planned an attempt may be, as a part of its wait: those that failed together do not come together.
const JITTER: f64 = 0.1;

/// No endpoint has a reason to ask for more patience.
const LONGEST_ASKED: Duration = Duration::DAY;

/// How long nothing at all may reach an endpoint until nothing is sent to it any more: longer than one delivery is tried.
const PATIENCE: Duration = Duration::days(5);

/// What the answer to a webhook means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WebhookVerdict {
    /// It was taken.
    Delivered,
    /// Nobody is there any more, and nothing is to be sent again (410).
    Gone,
    /// It was not taken; a redirect is none either.
    Failed,
}

/// What an HTTP status means.
pub fn webhook_verdict(status: u16) -> WebhookVerdict {
    match status {
        200..=299 => WebhookVerdict::Delivered,
        410 => WebhookVerdict::Gone,
        _ => WebhookVerdict::Failed,
    }
}

/// The wait after the failed attempt number `attempts` (the first is 1); `None`: that was the last one. An endpoint that
/// `asked` for a wait gets it, within reason. `chance` in `0.0..1.0` spreads attempts.
pub fn retry_webhook_after(attempts: u32, asked: Option<Duration>, chance: f64) -> Option<Duration> {
    let planned = *WEBHOOK_RETRIES.get(attempts as usize)?;
    let wait = planned.max(asked.unwrap_or_default().min(LONGEST_ASKED));
    Some(wait + wait * (JITTER * chance.clamp(0.0, 1.0)))
}

/// Whether nothing is sent any more to an endpoint that has taken nothing for so long.
pub fn gives_up_on_endpoint(failing_for: Duration) -> bool {
    failing_for >= PATIENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_tried_ten_times_over_more_than_three_days() {
        let waits: Vec<_> = (1..).map_while(|attempts| retry_webhook_after(attempts, None, 0.0)).collect();
        assert_eq!(waits, WEBHOOK_RETRIES[1..]);
        let all: Duration = waits.into_iter().sum();
        assert_eq!(all.whole_hours(), 75);
        assert_eq!(retry_webhook_after(10, Some(Duration::HOUR), 0.0), None);
        assert!(!gives_up_on_endpoint(all) && gives_up_on_endpoint(Duration::days(5)));
    }

    #[test]
    fn a_wait_that_is_asked_for_is_kept_within_reason_and_never_makes_sooner() {
        assert_eq!(retry_webhook_after(1, Some(Duration::minutes(2)), 0.0), Some(Duration::minutes(2)));
        assert_eq!(retry_webhook_after(1, Some(Duration::days(900)), 0.0), Some(Duration::DAY));
        assert_eq!(retry_webhook_after(2, Some(Duration::SECOND), 0.0), Some(Duration::minutes(5)));
        assert_eq!(retry_webhook_after(2, None, 1.0), Some(Duration::seconds(330)));
    }

    #[test]
    fn only_2xx_is_success_and_a_redirect_is_none() {
        assert_eq!(webhook_verdict(204), WebhookVerdict::Delivered);
        assert_eq!(webhook_verdict(410), WebhookVerdict::Gone);
        for status in [100, 301, 302, 307, 308, 400, 404, 429, 500, 503] {
            assert_eq!(webhook_verdict(status), WebhookVerdict::Failed, "{status}");
        }
    }
}
