//! What is simulated.

use certmill_model::{LimitProfile, Rate};
use time::Duration;

use crate::{
    instant::HOUR,
    published::{Allowance, Published},
};

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Names that are there from the beginning.
    pub domains: u32,
    /// How many days pass.
    pub days: u32,
    /// The lifetime of the CA's certificates.
    pub lifetime: Duration,
    /// The CA's limits, and what our ledger knows of them.
    pub limits: Limits,
    /// Over how many days the names come in; 0: all at once.
    pub ramp: u32,
    /// When the CA is out.
    pub outages: Vec<Outage>,
    /// What it revokes.
    pub revocations: Vec<Revocation>,
    /// Names that come in all at once later on, all of one tenant.
    pub imports: Vec<Import>,
    /// The same seed, the same year.
    pub seed: u64,
}

/// Limits of a CA: as it publishes them, and as our ledger keeps them.
#[derive(Clone, Debug)]
pub struct Limits {
    pub(crate) published: Published,
    pub(crate) profile: LimitProfile,
}

/// A time in which the CA answers 503 to everything: `100+24h`, or `worst+24h`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outage {
    /// When it begins.
    pub start: Start,
    /// How many hours it lasts.
    pub hours: u32,
}

/// When an outage begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// This many hours after the beginning of the simulation.
    Hour(u32),
    /// When it meets most renewals.
    Worst,
}

/// On a day a part of all certificates is revoked, and its CA says so when it is asked about their renewal: `150:10`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Revocation {
    /// At whose beginning.
    pub day: u32,
    /// How many in a hundred.
    pub percent: u32,
}

/// Names that come in on a day: `120:300000`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Import {
    /// At whose beginning.
    pub day: u32,
    /// How many.
    pub domains: u32,
}

/// A scenario that cannot be simulated.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidScenario {
    /// No names, or more than there is room for.
    #[error("{0} domains: from 1 to 100,000,000 can be simulated")]
    Domains(u64),
    /// No days, or too many.
    #[error("{0} days: from 1 to 3,650 can be simulated")]
    Days(u32),
    /// A lifetime that no CA issues for.
    #[error("a lifetime of {0}: from 1 day to 398 days can be simulated")]
    Lifetime(Duration),
    /// An outage of no time at all, or of more than a year.
    #[error("an outage of {0} h: from 1 h to 8,760 h can be simulated")]
    Outage(u32),
    /// Something is to happen when the simulation is over.
    #[error("the {0} would come after the last day")]
    TooLate(&'static str),
}

impl Scenario {
    /// Whether it can be simulated, and why not.
    pub fn check(&self) -> Result<(), InvalidScenario> {
        let imported: u64 = self.imports.iter().map(|import| u64::from(import.domains)).sum();
        let domains = u64::from(self.domains) + imported;
        if self.domains == 0 || domains > 100_000_000 {
            return Err(InvalidScenario::Domains(domains));
        }
        if !(1..=3_650).contains(&self.days) {
            return Err(InvalidScenario::Days(self.days));
        }
        if !(Duration::DAY..=Duration::days(398)).contains(&self.lifetime) {
            return Err(InvalidScenario::Lifetime(self.lifetime));
        }
        if let Some(outage) = self.outages.iter().find(|outage| !(1..=8_760).contains(&outage.hours)) {
            return Err(InvalidScenario::Outage(outage.hours));
        }
        self.events()
            .find(|(_, day)| *day >= self.days)
            .map_or(Ok(()), |(what, _)| Err(InvalidScenario::TooLate(what)))
    }

    /// What happens, and on which day at the latest.
    fn events(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let outages = self.outages.iter().map(|outage| match outage.start {
            Start::Hour(hour) => ("outage", hour / 24),
            Start::Worst => ("outage", outage.hours / 24),
        });
        let revocations = self.revocations.iter().map(|revocation| ("revocation", revocation.day));
        let imports = self.imports.iter().map(|import| ("import", import.day));
        let ramp = (self.ramp > 0).then(|| ("end of the ramp", self.ramp - 1));
        outages.chain(revocations).chain(imports).chain(ramp)
    }
}

impl Outage {
    /// The same at a known hour, which `worst` finds for its length in hours.
    pub(crate) fn placed(self, worst: impl Fn(u32) -> u32) -> Self {
        match self.start {
            Start::Hour(_) => self,
            Start::Worst => Self { start: Start::Hour(worst(self.hours)), ..self },
        }
    }
}

impl Limits {
    /// The most orders in three hours that are taken for a limit.
    pub(crate) const MOST_ORDERS: u32 = 100_000_000;

    /// The same limits at the CA, with a ledger of ours that knows none of them.
    #[cfg(test)]
    pub(crate) fn unknown_to_us(self) -> Self {
        Self { profile: LimitProfile::default(), ..self }
    }

    /// The same limits at the CA, with a ledger of ours that does not count requests.
    #[cfg(test)]
    pub(crate) fn with_unknown_requests(mut self) -> Self {
        self.profile.requests.clear();
        self
    }

    /// Let's Encrypt's, with another limit of new orders in three hours, from 1 to [`Limits::MOST_ORDERS`].
    pub(crate) fn with_orders(self, orders: u32) -> Self {
        // A tenth less at once at the same speed, as in the built-in profiles.
        let kept = (orders * 9 / 10).max(1);
        let period = Duration::hours(3) * (f64::from(kept) / f64::from(orders));
        let orders_per_account = Some(Allowance::of(f64::from(orders), 3 * HOUR));
        Self {
            published: Published { orders_per_account, ..self.published },
            profile: LimitProfile { orders_per_account: Some(Rate::new(kept, period)), ..self.profile },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_lifetime;

    #[test]
    fn what_cannot_be_simulated_is_refused_with_the_reason() {
        let good = Scenario {
            domains: 10,
            days: 10,
            lifetime: parse_lifetime("160h").unwrap(),
            limits: "none".parse().unwrap(),
            ramp: 10,
            outages: Vec::new(),
            revocations: Vec::new(),
            imports: Vec::new(),
            seed: 1,
        };
        assert_eq!(good.check(), Ok(()));
        let too_late = Scenario { imports: vec!["10:5".parse().unwrap()], ..good.clone() };
        assert_eq!(too_late.check(), Err(InvalidScenario::TooLate("import")));
        assert_eq!(Scenario { domains: 0, ..good.clone() }.check(), Err(InvalidScenario::Domains(0)));
        for hours in [0, 8_761, 1_200_000, u32::MAX] {
            for outage in [format!("5+{hours}h"), format!("worst+{hours}h")] {
                let scenario = Scenario { outages: vec![outage.parse().unwrap()], ..good.clone() };
                assert_eq!(scenario.check(), Err(InvalidScenario::Outage(hours)), "{outage}");
            }
        }
        let late = Scenario { outages: vec!["99999999999+24h".parse().unwrap()], ..good.clone() };
        assert_eq!(late.check(), Err(InvalidScenario::TooLate("outage")));
        let lifetime = parse_lifetime("399d").unwrap();
        assert!(Scenario { lifetime, ..good }.check().is_err());
        assert!(parse_lifetime("45").is_err() && parse_lifetime("99999999999d").is_err());
    }
}
