//! Orders: what the workers do.

use certmill_model::{Exemption, RenewalPlan, ca_retry, exemption};
use time::{Duration, OffsetDateTime};

use crate::{
    authority::{Authority, Refusal},
    domain::{Domain, Purpose, day_of, hour_of},
    instant::{HOUR, MINUTE, Second, instant, second},
    world::World,
};

/// What it costs to find that a limit puts a name off: no request, but a few statements.
const PUTTING_OFF: Duration = Duration::milliseconds(2);

/// Renewals that come later than this after they were due are the trace of some event.
const LATE: Second = HOUR;

impl World<'_> {
    /// Works off what a minute leaves time for.
    pub(crate) fn work(&mut self) {
        let (mut at, end) = (instant(self.now).max(self.free_at), instant(self.now + MINUTE));
        let room = (60.0 * self.ledger.orders_per_second()).ceil() as usize;
        while at < end && self.backlog.len() > 0 {
            let mut line = self.backlog.take(room, &self.domains).into_iter();
            while at < end
                && let Some(number) = line.next()
            {
                // A CA that is being left alone is waited for, with the place in the line.
                while let Err(until) = self.breaker.available(at) {
                    at = until;
                    if at >= end {
                        self.queue(number);
                        break;
                    }
                }
                if at < end {
                    at = self.order(number, at).unwrap_or(at + PUTTING_OFF);
                }
            }
            line.for_each(|number| self.queue(number));
        }
        self.free_at = at;
    }

    /// Orders, if limits leave room, as soon as its requests may go; when the next order begins. `None`: no CA was asked.
    fn order(&mut self, number: u32, at: OffsetDateTime) -> Option<OffsetDateTime> {
        let domain = self.domains[number as usize];
        let issued_at = domain.has_certificate().then_some(domain.issued_at);
        let window = issued_at.filter(|_| !domain.heard);
        let window = window.map(|issued_at| Authority::suggested(issued_at, self.scenario.lifetime));
        let exemption = exemption(issued_at.is_some(), window, issued_at.map(instant), at);
        let taken = match self.ledger.take(number, (domain.tenant, domain.waited), exemption, at) {
            Ok(taken) => taken,
            Err(until) => {
                self.defer(number, until);
                return None;
            }
        };
        let (at, next_at) = self.ledger.take_requests(at);
        if self.breaker.admit(at).is_err() {
            unreachable!("a breaker lets through what it has just called available");
        }
        let was_revoked = self.authority.is_revoked(number);
        match self.authority.order(number, issued_at, at) {
            Ok(issued_at) => {
                self.breaker.succeeded(at);
                if was_revoked {
                    self.outcome.note_replaced(issued_at);
                }
                self.issued(number, issued_at, exemption, at);
            }
            Err(refusal) => {
                self.ledger.give_back(&taken, domain.tenant, at);
                self.refused(number, refusal, at);
            }
        }
        Some(next_at)
    }

    fn refused(&mut self, number: u32, refusal: Refusal, at: OffsetDateTime) {
        match refusal {
            Refusal::Unavailable => {
                self.today().unavailable += 1;
                self.breaker.failed(at, None, self.chance.fraction());
                let domain = &mut self.domains[number as usize];
                domain.failures = domain.failures.saturating_add(1);
                let wait = ca_retry(u32::from(domain.failures), self.chance.fraction());
                domain.next_at = second(at + wait);
                self.calendar.put(number, domain.next_at);
            }
            Refusal::RateLimited { limit, retry_after } => {
                self.today().rate_limited += 1;
                self.breaker.succeeded(at);
                self.ledger.hold(limit, number, at + retry_after, at);
                self.defer(number, at + retry_after);
            }
        }
    }

    fn defer(&mut self, number: u32, until: OffsetDateTime) {
        let domain = &mut self.domains[number as usize];
        (domain.next_at, domain.deferred) = (second(until), true);
        self.deferred += 1;
        self.calendar.put(number, domain.next_at);
    }

    fn issued(&mut self, number: u32, issued_at: Second, exemption: Exemption, at: OffsetDateTime) {
        let before = self.domains[number as usize];
        if before.has_certificate() {
            self.renewed(&before, exemption, second(at));
        } else {
            self.certificates += 1;
            self.today().new += 1;
            self.outcome.note_new(number, self.now);
        }
        self.outcome.hours[hour_of(self.now)] += 1;
        let replaced = Domain { issued_at, ..before };
        let plan = self.plan(number, &replaced, at);
        self.forecast.add(plan.renew_at);
        let renew_at = second(plan.renew_at);
        self.domains[number as usize] = Domain {
            next_at: renew_at,
            due_at: renew_at,
            renew_at,
            failures: 0,
            poll_failures: 0,
            purpose: Purpose::Order,
            heard: false,
            waited: false,
            ..replaced
        };
        self.calendar.put(number, renew_at);
    }

    /// The plan of a new certificate, whose CA is asked about its renewal at once.
    fn plan(&mut self, number: u32, domain: &Domain, at: OffsetDateTime) -> RenewalPlan {
        let validity = domain.validity(self.scenario.lifetime);
        self.today().polls += 1;
        let answer = self.authority.renewal_info(number, at);
        let first = RenewalPlan::first(validity, true, &self.forecast, &self.chance, at);
        first.answered(validity, &answer, &self.forecast, &self.chance, at)
    }

    fn renewed(&mut self, before: &Domain, exemption: Exemption, at: Second) {
        self.forecast.remove(instant(before.renew_at));
        let expires_at = before.expires_at(self.scenario.lifetime);
        if at > expires_at {
            self.outcome.days[day_of(expires_at)].expired += 1;
        }
        let age = at.saturating_sub(before.due_at);
        if age > LATE {
            self.outcome.disturbed_until = self.outcome.disturbed_until.max(at);
        }
        let day = self.today();
        day.renewed += 1;
        day.in_window += u32::from(exemption == Exemption::Window);
        day.note_age(age);
    }
}
