//! How a benchmark went, read in the timelines of its domains afterwards.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::BenchError;

/// What certmill did.
pub(super) struct Issued {
    /// Certificates in a second, from the first order's start to the last certificate.
    pub(super) per_second: f64,
    /// Seconds from the last certificate to the last handshake that showed one.
    pub(super) tail: f64,
}

/// Reads it out of all events of so many domains.
pub(super) fn evaluate(events: &[Value], domains: usize) -> Result<Issued, BenchError> {
    let last_certificate = last(events, "certificate_issued")?;
    Ok(Issued {
        per_second: domains as f64 / seconds(first(events, "order_started")?, last_certificate),
        tail: seconds(last_certificate, last(events, "served")?),
    })
}

pub(super) fn first(events: &[Value], kind: &'static str) -> Result<OffsetDateTime, BenchError> {
    moments(events, kind).min().ok_or(BenchError::NoEvent(kind))
}

pub(super) fn last(events: &[Value], kind: &'static str) -> Result<OffsetDateTime, BenchError> {
    moments(events, kind).max().ok_or(BenchError::NoEvent(kind))
}

pub(super) fn seconds(from: OffsetDateTime, to: OffsetDateTime) -> f64 {
    (to - from).as_seconds_f64()
}

fn moments<'a>(events: &'a [Value], kind: &'static str) -> impl Iterator<Item = OffsetDateTime> + 'a {
    let of_kind = events.iter().filter(move |event| event["kind"] == kind);
    of_kind.filter_map(|event| OffsetDateTime::parse(event["at"].as_str()?, &Rfc3339).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_clock_runs_from_the_first_order_to_the_last_certificate() {
        let event = |kind: &str, at: &str| json!({ "kind": kind, "at": format!("2026-11-21T10:00:{at}Z") });
        let events = [
            event("domain_created", "00"),
            event("order_started", "02.5"),
            event("order_started", "01"),
            event("certificate_issued", "03"),
            event("certificate_issued", "05"),
            event("served", "06.25"),
            event("served", "04"),
        ];
        let measured = evaluate(&events, 2).unwrap();
        assert!((measured.per_second - 0.5).abs() < 1e-9 && (measured.tail - 1.25).abs() < 1e-9);
        assert!(matches!(last(&events, "domain_active"), Err(BenchError::NoEvent("domain_active"))));
    }
}
