//! All names in trouble of one look, folded by cause, in constant memory for each.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{AlertLevel, Cause, Hit, Outage};
use crate::{DomainId, Hostname};

/// Names that a letter lists.
pub const TOP: usize = 10;

/// A name that a letter lists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Victim {
    /// Its domain.
    pub domain_id: DomainId,
    /// The name.
    pub name: Hostname,
    /// When what is served for it ends; `None`: it never had a certificate.
    pub ends_at: Option<OffsetDateTime>,
}

/// What one look found of a cause.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gathered {
    /// The cause.
    pub cause: Cause,
    /// How many names have it.
    pub names: u64,
    /// The most pressing of them, or the cause itself; `None`: nobody is told.
    pub level: Option<AlertLevel>,
    /// Those that end soonest, [`TOP`] at most.
    pub first: Vec<Victim>,
    /// Since when the first of them has it.
    pub since: OffsetDateTime,
    /// The last attempt.
    pub last_attempt_at: OffsetDateTime,
    /// The next one, if one is planned.
    pub next_attempt_at: Option<OffsetDateTime>,
    /// What was said of the one that ends soonest.
    pub detail: String,
}

/// The fold.
pub struct Gathering {
    now: OffsetDateTime,
    outages: Vec<Outage>,
    causes: BTreeMap<Cause, Gathered>,
}

impl Gathering {
    /// A look at `now`, while `outages` last. An outage is a cause even if no name is in trouble yet.
    pub fn new(outages: Vec<Outage>, now: OffsetDateTime) -> Self {
        let causes = outages.iter().map(|outage| (outage.cause(), Gathered::of_outage(outage))).collect();
        Self { now, outages, causes }
    }

    /// Adds a name.
    pub fn add(&mut self, hit: Hit) {
        let level = hit.level(self.now);
        // Names that were never served are no part of what ends: they would drown what is.
        if level.is_none() && hit.ends_at().is_none_or(|end| end <= self.now) {
            return;
        }
        let outage = self.outages.iter().find(|outage| outage.explains(&hit));
        let cause = outage.map_or_else(|| hit.cause(), Outage::cause);
        match self.causes.get_mut(&cause) {
            Some(known) => known.add(hit, level),
            None => {
                self.causes.insert(cause.clone(), Gathered::of_hit(cause, hit, level));
            }
        }
    }

    /// The causes that somebody is told of.
    pub fn finish(self) -> Vec<Gathered> {
        let now = self.now;
        let told = self.causes.into_values().filter_map(|mut cause| {
            cause.level = cause.level.max(cause.cause.lasting(cause.since, now));
            cause.level.is_some().then_some(cause)
        });
        told.collect()
    }
}

impl Gathered {
    fn of_outage(outage: &Outage) -> Self {
        Self {
            cause: outage.cause(),
            names: 0,
            level: None,
            first: Vec::new(),
            since: outage.since,
            last_attempt_at: outage.since,
            next_attempt_at: None,
            detail: outage.detail.clone(),
        }
    }

    fn of_hit(cause: Cause, hit: Hit, level: Option<AlertLevel>) -> Self {
        let mut new = Self {
            cause,
            names: 0,
            level: None,
            first: Vec::new(),
            since: hit.since,
            last_attempt_at: hit.last_attempt_at,
            next_attempt_at: None,
            detail: String::new(),
        };
        new.add(hit, level);
        new
    }

    fn add(&mut self, hit: Hit, level: Option<AlertLevel>) {
        self.names += 1;
        self.level = self.level.max(level);
        self.since = self.since.min(hit.since);
        self.last_attempt_at = self.last_attempt_at.max(hit.last_attempt_at);
        self.next_attempt_at = match (self.next_attempt_at, hit.next_attempt_at) {
            (Some(known), Some(new)) => Some(known.min(new)),
            (known, new) => known.or(new),
        };
        let ends_at = hit.ends_at();
        let place = self.first.partition_point(|other| sooner(other, ends_at, &hit.name));
        if place == 0 && !hit.detail.is_empty() {
            self.detail = hit.detail;
        }
        if place < TOP {
            self.first.insert(place, Victim { domain_id: hit.domain_id, name: hit.name, ends_at });
            self.first.truncate(TOP);
        }
    }
}

/// By end, names that never had a certificate last; then by name, so that two looks list the same.
fn sooner(one: &Victim, ends_at: Option<OffsetDateTime>, name: &Hostname) -> bool {
    let key = |end: Option<OffsetDateTime>| (end.is_none(), end);
    (key(one.ends_at), one.name.as_str()) < (key(ends_at), name.as_str())
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::{
        ProblemCode, TargetId,
        alerts::{About, properties::hit},
    };

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    #[test]
    fn a_thousand_names_of_one_cause_are_one_with_the_ten_that_end_soonest() {
        let mut gathering = Gathering::new(Vec::new(), NOW);
        for number in (0..1_000).rev() {
            gathering.add(hit(number));
        }
        let causes = gathering.finish();
        assert_eq!(causes.len(), 1);
        assert_eq!(causes[0].names, 1_000);
        let listed: Vec<_> = causes[0].first.iter().map(|victim| victim.ends_at.unwrap()).collect();
        assert_eq!(listed.len(), TOP);
        assert!(listed.is_sorted());
        assert_eq!(causes[0].first[0].name, hit(0).name);
    }

    #[test]
    fn what_is_down_takes_its_children_with_it_and_is_told_once() {
        let down = TargetId::nil();
        let outage = Outage {
            about: About::Target(down),
            since: NOW - Duration::HOUR,
            detail: "connection refused".into(),
        };
        let mut gathering = Gathering::new(vec![outage.clone()], NOW);
        for number in 0..50 {
            gathering.add(Hit { code: ProblemCode::HttpUnreachable, unreachable: vec![down], ..hit(number) });
        }
        let causes = gathering.finish();
        assert_eq!(causes.len(), 1);
        assert_eq!((causes[0].cause.clone(), causes[0].names), (outage.cause(), 50));
        assert_eq!(causes[0].level, Some(AlertLevel::Urgent));
    }

    #[test]
    fn a_load_balancer_that_is_away_for_a_moment_alarms_nobody() {
        let outage = Outage {
            about: About::Target(TargetId::nil()),
            since: NOW - Duration::MINUTE,
            detail: String::new(),
        };
        assert_eq!(Gathering::new(vec![outage], NOW).finish(), []);
    }
}
