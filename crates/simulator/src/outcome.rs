//! What came of a simulation.

use time::Duration;

use crate::{
    Day, Scenario,
    domain::{day_of, validity},
    instant::{START, Second, instant},
};

/// What came of a simulation.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Each day.
    pub days: Vec<Day>,
    pub(crate) hours: Vec<u32>,
    pub(crate) replacements: Vec<Replacement>,
    /// The last instant at which anything but ordinary renewals happened.
    pub(crate) disturbed_until: Second,
    /// When the last of the names that were there from the beginning had its first certificate.
    pub(crate) begun_until: Second,
    initial: u32,
    /// Whether names were still without a certificate at the end.
    pub(crate) without: u32,
    cycle_days: usize,
}

/// What became of the certificates that were revoked on one occasion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replacement {
    pub(crate) at: Second,
    pub(crate) revoked: u32,
    pub(crate) left: u32,
    pub(crate) last: Second,
}

/// How orders were spread over a run of days.
#[derive(Clone, Copy, Debug)]
pub struct Settled {
    /// The first of them.
    pub from: usize,
    /// Orders a day.
    pub mean: f64,
    /// Orders at the busiest time, a day long.
    pub peak: u32,
}

impl Outcome {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let certificate = validity(instant(START), scenario.lifetime);
        let cycle = (certificate.fallback() - certificate.not_before).as_seconds_f64() / 86_400.0;
        let imported: u32 = scenario.imports.iter().map(|import| import.domains).sum();
        Self {
            days: Vec::with_capacity(scenario.days as usize),
            hours: vec![0; scenario.days as usize * 24 + 2],
            replacements: Vec::new(),
            disturbed_until: START,
            begun_until: START,
            initial: scenario.domains,
            without: scenario.domains + imported,
            cycle_days: cycle.ceil() as usize,
        }
    }

    pub(crate) fn note_new(&mut self, number: u32, at: Second) {
        self.without -= 1;
        self.disturbed_until = self.disturbed_until.max(at);
        if number < self.initial {
            self.begun_until = self.begun_until.max(at);
        }
    }

    pub(crate) fn note_replaced(&mut self, at: Second) {
        self.disturbed_until = self.disturbed_until.max(at);
        if let Some(replacement) = self.replacements.last_mut() {
            (replacement.left, replacement.last) = (replacement.left.saturating_sub(1), at);
        }
    }

    /// How the days were spread after the first round that followed the last event; `None` if there was no time for one.
    pub fn settled(&self) -> Option<Settled> {
        self.spread(self.disturbed_until)
    }

    /// The busiest 24 hours after the names from the beginning were settled, events included, beside the mean of those days.
    pub fn raw(&self) -> Option<Settled> {
        let settled = self.spread(self.begun_until)?;
        let hours = self.hours[settled.from * 24..].windows(24);
        let peak = hours.map(|hours| hours.iter().sum()).max().unwrap_or(settled.peak);
        Some(Settled { peak, ..settled })
    }

    /// Certificates that ended before they were replaced.
    pub fn expired(&self) -> u32 {
        self.days.iter().map(|day| day.expired).sum()
    }

    /// 429s that our ledger should have foreseen.
    pub fn foreseeable(&self) -> u32 {
        self.days.iter().map(|day| day.rate_limited).sum()
    }

    /// Names that never had a certificate.
    pub fn without(&self) -> u32 {
        self.without
    }

    /// For each revocation: how many certificates, how many of them were not replaced, and how long the last one took.
    pub fn replacements(&self) -> impl Iterator<Item = (u32, u32, Duration)> {
        self.replacements.iter().map(|replacement| {
            let took = Duration::seconds(i64::from(replacement.last - replacement.at));
            (replacement.revoked, replacement.left, took)
        })
    }

    /// The hour from which on an outage of so many hours meets most orders, once the names are settled.
    pub(crate) fn busiest_hour(&self, hours: u32) -> u32 {
        let from = self.raw().map_or(0, |settled| settled.from * 24);
        let met = |start: &usize| self.hours[*start..].iter().take(hours as usize).sum::<u32>();
        let last = self.hours.len().saturating_sub(hours as usize + self.cycle_days * 2 * 24);
        (from..last.max(from + 1)).max_by_key(met).unwrap_or(from) as u32
    }

    fn spread(&self, after: Second) -> Option<Settled> {
        let from = day_of(after) + 1 + self.cycle_days;
        let days = self.days.get(from..).filter(|days| !days.is_empty() && self.without == 0)?;
        let orders = days.iter().map(Day::orders);
        let mean = orders.clone().map(f64::from).sum::<f64>() / days.len() as f64;
        Some(Settled { from, mean, peak: orders.max().unwrap_or_default() })
    }
}

impl Settled {
    /// Of the busiest day to the mean.
    pub fn peak_to_mean(&self) -> f64 {
        if self.mean > 0.0 { f64::from(self.peak) / self.mean } else { 1.0 }
    }
}
