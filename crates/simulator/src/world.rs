//! The virtual world: a clock that moves by the minute, domains, our state and the CA's.

use certmill_model::{Breaker, Chance, Forecast, RenewalAnswer};
use time::OffsetDateTime;

use crate::{
    Day, Outcome, Scenario, Start,
    authority::Authority,
    backlog::Backlog,
    calendar::Calendar,
    domain::{Domain, Purpose, day_of},
    instant::{DAY, HOUR, MINUTE, NEVER, START, Second, instant, second},
    ledger::Ledger,
    outcome::Replacement,
    tenants::Tenants,
};

pub(crate) struct World<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) chance: Chance,
    pub(crate) domains: Vec<Domain>,
    pub(crate) calendar: Calendar,
    pub(crate) backlog: Backlog,
    pub(crate) ledger: Ledger,
    pub(crate) breaker: Breaker,
    pub(crate) forecast: Forecast,
    pub(crate) authority: Authority,
    /// The last whole minute.
    pub(crate) now: Second,
    /// Until when the workers are busy.
    pub(crate) free_at: OffsetDateTime,
    pub(crate) deferred: u32,
    pub(crate) certificates: u32,
    pub(crate) outcome: Outcome,
}

impl<'a> World<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let end = START + scenario.days * DAY;
        let outages = scenario.outages.iter().filter_map(|outage| match outage.start {
            Start::Hour(hour) => Some((START + hour * HOUR, START + (hour + outage.hours) * HOUR)),
            Start::Worst => None,
        });
        let limits = &scenario.limits;
        let mut world = Self {
            scenario,
            chance: Chance::seeded(scenario.seed),
            domains: Vec::new(),
            calendar: Calendar::new(START, end),
            backlog: Backlog::default(),
            ledger: Ledger::new(limits.profile.clone()),
            breaker: Breaker::default(),
            forecast: Forecast::default(),
            authority: Authority::new(limits.published, scenario.lifetime, outages.collect()),
            now: START,
            free_at: instant(START),
            deferred: 0,
            certificates: 0,
            outcome: Outcome::new(scenario),
        };
        world.register();
        world
    }

    pub(crate) fn run(mut self, progress: &mut impl FnMut(u32, u32)) -> Outcome {
        for day in 0..self.scenario.days {
            self.begin_day(day);
            for _ in 0..DAY / MINUTE {
                self.pass_minute();
            }
            self.end_day();
            progress(day + 1, self.scenario.days);
        }
        self.count_ended();
        self.outcome
    }

    /// The names that are there from the beginning.
    fn register(&mut self) {
        let Scenario { domains, ramp, imports, .. } = self.scenario;
        let tenants = Tenants::new();
        let total = *domains + imports.iter().map(|import| import.domains).sum::<u32>();
        self.domains.reserve_exact(total as usize);
        for number in 0..*domains {
            let into = u64::from(number) * u64::from(ramp * DAY) / u64::from((*domains).max(1));
            self.add(Domain::registered(tenants.pick(self.chance.fraction()), START + into as Second));
        }
    }

    fn add(&mut self, domain: Domain) {
        self.calendar.put(self.domains.len() as u32, domain.next_at);
        self.domains.push(domain);
    }

    fn begin_day(&mut self, day: u32) {
        self.outcome.days.push(Day::empty());
        self.ledger.tidy(self.now);
        self.authority.tidy(self.now);
        for (number, import) in
            self.scenario.imports.iter().enumerate().filter(|(_, import)| import.day == day)
        {
            let tenant = Tenants::COUNT + number as u16;
            (0..import.domains).for_each(|_| self.add(Domain::registered(tenant, self.now)));
        }
        for revocation in self.scenario.revocations.iter().filter(|revocation| revocation.day == day) {
            self.revoke(f64::from(revocation.percent) / 100.0);
        }
    }

    fn end_day(&mut self) {
        let polls = u64::from(self.certificates) * u64::from(DAY / Authority::ASKED_AGAIN);
        let (deferred, waiting) = (self.deferred, self.backlog.len() as u32);
        let day = self.today();
        day.polls += polls;
        (day.deferred, day.waiting) = (deferred, waiting);
    }

    pub(crate) fn today(&mut self) -> &mut Day {
        self.outcome.days.last_mut().expect("a day has begun")
    }

    /// A part of all certificates is revoked. Each is heard of when its renewal is next asked about.
    fn revoke(&mut self, part: f64) {
        let mut revoked = 0;
        for number in 0..self.domains.len() as u32 {
            if !self.domains[number as usize].has_certificate() || self.chance.fraction() >= part {
                continue;
            }
            revoked += 1;
            self.authority.revoke(number);
            let heard_at = self.now + (self.chance.fraction() * f64::from(Authority::ASKED_AGAIN)) as Second;
            let domain = &mut self.domains[number as usize];
            if domain.next_at != NEVER && heard_at < domain.next_at && !domain.deferred {
                (domain.next_at, domain.purpose) = (heard_at, Purpose::Poll);
                self.calendar.put(number, heard_at);
            }
        }
        self.outcome.replacements.push(Replacement { at: self.now, revoked, left: revoked, last: self.now });
    }

    fn pass_minute(&mut self) {
        self.now += MINUTE;
        let domains = &self.domains;
        for number in self.calendar.next_minute(|domain| domains[domain as usize].next_at) {
            // Whoever was put down elsewhere meanwhile is not due.
            if self.domains[number as usize].next_at <= self.now {
                match self.domains[number as usize].purpose {
                    Purpose::Order => self.queue(number),
                    Purpose::Poll => self.poll(number),
                }
            }
        }
        if self.backlog.len() > 0 {
            self.work();
        }
    }

    /// Puts a domain behind those that wait for a worker.
    pub(crate) fn queue(&mut self, number: u32) {
        let domain = &mut self.domains[number as usize];
        domain.next_at = NEVER;
        domain.waited |= domain.deferred;
        self.deferred -= u32::from(std::mem::take(&mut domain.deferred));
        let expires_at = domain.has_certificate().then(|| domain.expires_at(self.scenario.lifetime));
        self.backlog.push(number, domain.tenant, expires_at);
    }

    /// Hears what the CA says about the renewal of a certificate that was revoked.
    fn poll(&mut self, number: u32) {
        let now = instant(self.now);
        let domain = self.domains[number as usize];
        let validity = domain.validity(self.scenario.lifetime);
        let answer = self.authority.renewal_info(number, now);
        let window = Authority::suggested(domain.issued_at, self.scenario.lifetime);
        self.forecast.remove(instant(domain.renew_at));
        let plan = domain.plan(window, now).answered(validity, &answer, &self.forecast, &self.chance, now);
        self.forecast.add(plan.renew_at);
        let heard = matches!(answer, RenewalAnswer::Window { .. });
        let domain = &mut self.domains[number as usize];
        domain.renew_at = second(plan.renew_at);
        domain.due_at = domain.renew_at;
        domain.heard = heard;
        domain.poll_failures = plan.poll_failures.min(200) as u8;
        let again_at = plan.poll_at.filter(|_| !heard).map_or(NEVER, second);
        domain.purpose = if again_at < domain.renew_at { Purpose::Poll } else { Purpose::Order };
        domain.next_at = again_at.min(domain.renew_at);
        self.calendar.put(number, domain.next_at);
    }

    /// Certificates that have ended and were not replaced.
    fn count_ended(&mut self) {
        for domain in self.domains.iter().filter(|domain| domain.has_certificate()) {
            let expires_at = domain.expires_at(self.scenario.lifetime);
            if expires_at < self.now {
                self.outcome.days[day_of(expires_at)].expired += 1;
            }
        }
    }
}
