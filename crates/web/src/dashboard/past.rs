//! What there was of a domain: its orders, certificates and places on load balancers, as rows and as a picture.

use certmill_model::{CertificateStatus, EventKind};
use certmill_store::{CertificateOfDomain, DomainEvent, OrderOfDomain, PlacementOfDomain};
use time::{Duration, OffsetDateTime};

use super::{
    moment::Moment,
    words::{self, Look},
};

/// An order.
pub(super) struct OrderRow {
    pub(super) id: String,
    pub(super) look: Look,
    pub(super) names: Vec<(String, String)>,
    pub(super) authority: String,
    pub(super) began: Moment,
    /// The CA's own words.
    pub(super) words: Option<String>,
    /// The whole of what the CA said.
    pub(super) document: Option<String>,
}

/// A certificate.
pub(super) struct CertificateRow {
    pub(super) id: String,
    pub(super) look: Look,
    pub(super) names: String,
    pub(super) serial_number: String,
    pub(super) until: Moment,
}

/// A place on a load balancer.
pub(super) struct PlacementRow {
    pub(super) target: String,
    pub(super) look: Look,
    pub(super) served: Option<Moment>,
    pub(super) next: Option<Moment>,
    pub(super) failures: i32,
}

/// What happened over the last weeks, a lane for each kind of thing.
pub(super) struct Weeks {
    pub(super) lanes: Vec<Lane>,
    /// Where now is.
    pub(super) now: f64,
    pub(super) axis: Vec<String>,
}

/// One lane.
pub(super) struct Lane {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) bars: Vec<Span>,
}

/// A bar of a lane.
pub(super) struct Span {
    pub(super) tone: &'static str,
    pub(super) x: f64,
    pub(super) width: f64,
    pub(super) words: String,
    pub(super) from: String,
    pub(super) until: String,
}

/// The width of a lane, in its own units, and the least of a bar.
const WIDTH: f64 = 1000.0;
const LEAST: f64 = 5.0;

/// How far the picture reaches.
const BACK: Duration = Duration::days(90);
const AHEAD: Duration = Duration::days(90);

impl OrderRow {
    pub(super) fn new(order: OrderOfDomain, now: OffsetDateTime) -> Self {
        let kinds = order.challenges.into_iter().chain(std::iter::repeat("http-01".to_owned()));
        let text = |key: &str| {
            order.problem.as_ref().and_then(|problem| problem.get(key)).and_then(|text| text.as_str())
        };
        let kind = text("type").map(|kind| kind.rsplit(':').next().unwrap_or(kind));
        let said = text("detail");
        Self {
            id: order.order_id.to_string(),
            look: words::order(order.status),
            authority: words::authority(&order.directory_url),
            began: Moment::new(order.created_at, now),
            words: match (kind, said) {
                (Some(kind), Some(said)) => Some(format!("{kind}: {said}")),
                (kind, said) => kind.or(said).map(str::to_owned),
            },
            document: order.problem.as_ref().and_then(|problem| serde_json::to_string_pretty(problem).ok()),
            names: order.names.into_iter().zip(kinds).collect(),
        }
    }
}

impl CertificateRow {
    pub(super) fn new(found: CertificateOfDomain, now: OffsetDateTime) -> Self {
        Self {
            id: found.certificate_id.to_string(),
            look: words::certificate(found.status),
            names: found.names.join(", "),
            serial_number: found.serial_number,
            until: Moment::new(found.not_after, now),
        }
    }
}

/// How a domain stands on each load balancer; those that its tenant does not know have a number.
pub(super) fn placements(found: Vec<PlacementOfDomain>, now: OffsetDateTime) -> Vec<PlacementRow> {
    (1..).zip(found).map(|(number, found)| PlacementRow::new(number, found, now)).collect()
}

impl PlacementRow {
    fn new(number: usize, found: PlacementOfDomain, now: OffsetDateTime) -> Self {
        Self {
            target: found.target.unwrap_or_else(|| format!("Load balancer {number}")),
            look: words::placement(found.is_pending, found.is_proved, found.failures),
            served: found.served_at.map(|at| Moment::new(at, now)),
            next: Some(found.next_attempt_at)
                .filter(|at| found.is_pending && *at > now)
                .map(|at| Moment::new(at, now)),
            failures: found.failures,
        }
    }
}

/// From where to where the picture reaches.
#[derive(Clone, Copy)]
struct Reach {
    from: OffsetDateTime,
    until: OffsetDateTime,
}

impl Reach {
    fn place(self, at: OffsetDateTime) -> f64 {
        let part = (at - self.from).as_seconds_f64() / (self.until - self.from).as_seconds_f64();
        part.clamp(0.0, 1.0) * WIDTH
    }

    /// A bar, if any of it is within reach.
    fn bar(
        self,
        tone: &'static str,
        words: String,
        from: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Option<Span> {
        if until < self.from || from > self.until {
            return None;
        }
        let x = self.place(from).min(WIDTH - LEAST);
        let (date, end) = (Moment::new(from, from), Moment::new(until, from));
        let width = (self.place(until) - x).max(LEAST);
        Some(Span { tone, x, width, words, from: date.full, until: end.full })
    }
}

impl Weeks {
    /// Draws the picture; `events` are the latest first.
    pub(super) fn new(
        registered: OffsetDateTime,
        events: &[DomainEvent],
        orders: &[OrderOfDomain],
        certificates: &[CertificateOfDomain],
        now: OffsetDateTime,
    ) -> Self {
        let end = certificates.iter().map(|found| found.not_after).max().unwrap_or(now);
        let from = registered.max(now - BACK);
        let until = end.clamp(now, now + AHEAD).max(from + Duration::hours(1));
        let reach = Reach { from, until };
        let order = |order: &OrderOfDomain| {
            let look = words::order(order.status);
            reach.bar(look.tone, look.words.to_owned(), order.created_at, order.updated_at)
        };
        let certificate = |found: &CertificateOfDomain| {
            let look = words::certificate(found.status);
            let next = certificates.iter().map(|other| other.not_before).filter(|at| *at > found.not_before);
            let is_over = found.status == CertificateStatus::Superseded;
            // Beneath the one that took its place it would not be seen.
            let end = next.min().filter(|_| is_over).unwrap_or(found.not_after);
            reach.bar(look.tone, look.words.to_owned(), found.not_before, end.min(found.not_after))
        };
        let served = events.iter().filter(|event| event.kind == EventKind::Served).filter_map(|event| {
            reach.bar("good", "Served by a load balancer".into(), event.happened_at, event.happened_at)
        });
        let lane = |id, title, bars: Vec<Span>| Lane { id, title, bars };
        let lanes = vec![
            lane("dns", "DNS", dns(events, reach, now)),
            lane("orders", "Orders", orders.iter().rev().filter_map(order).collect()),
            lane("deliveries", "Delivered", served.collect()),
            lane("certificates", "Certificates", certificates.iter().rev().filter_map(certificate).collect()),
        ];
        let date = |part: i32| Moment::new(from + (until - from) * part / 3, now).date;
        Self { lanes, now: reach.place(now).min(WIDTH - 3.0), axis: (0..4).map(date).collect() }
    }
}

/// Whether the DNS records were right, from the events that tell of it.
fn dns(events: &[DomainEvent], reach: Reach, now: OffsetDateTime) -> Vec<Span> {
    let state = |kind| match kind {
        EventKind::DomainCreated => Some(("busy", "Waiting for DNS")),
        EventKind::DnsVerified | EventKind::DomainReturned => Some(("good", "DNS is right")),
        EventKind::DomainMoved => Some(("warn", "Moved away")),
        EventKind::DomainFailed => Some(("bad", "Not working")),
        _ => None,
    };
    let mut spans = Vec::new();
    let mut until = now;
    for event in events {
        let Some((tone, words)) = state(event.kind) else { continue };
        spans.extend(reach.bar(tone, words.to_owned(), event.happened_at, until));
        until = event.happened_at;
    }
    spans.reverse();
    spans
}

#[cfg(test)]
mod tests {
    use certmill_model::{Chance, EventId};
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    fn event(kind: EventKind, days_ago: i64) -> DomainEvent {
        let happened_at = NOW - Duration::days(days_ago);
        let event_id = EventId::new(&Chance::seeded(1), happened_at);
        DomainEvent { event_id, kind, detail: String::new(), happened_at }
    }

    #[test]
    fn the_lane_of_dns_changes_its_tone_with_what_was_seen() {
        let events = [
            event(EventKind::DomainMoved, 10),
            event(EventKind::Served, 20),
            event(EventKind::DnsVerified, 30),
            event(EventKind::DomainCreated, 40),
        ];
        let lanes = Weeks::new(NOW - Duration::days(40), &events, &[], &[], NOW);
        let bars: Vec<_> = lanes.lanes[0].bars.iter().map(|bar| (bar.tone, bar.x, bar.width)).collect();
        assert_eq!(bars, [("busy", 0.0, 250.0), ("good", 250.0, 500.0), ("warn", 750.0, 250.0)]);
        assert_eq!(lanes.lanes[2].bars.len(), 1);
    }

    #[test]
    fn a_domain_that_was_registered_just_now_has_a_picture() {
        let lanes = Weeks::new(NOW, &[event(EventKind::DomainCreated, 0)], &[], &[], NOW);
        let bar = &lanes.lanes[0].bars[0];
        assert!(bar.x >= 0.0 && bar.width >= LEAST && bar.x + bar.width <= WIDTH, "{} {}", bar.x, bar.width);
    }
}
