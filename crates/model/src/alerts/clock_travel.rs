//! Lives of certificates with all that goes wrong in them, against a clock that flies: nobody is left in the dark, and nobody is
//! written to twice.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use time::{Duration, OffsetDateTime};

use super::*;
use crate::{Chance, DomainId, Hostname, ProblemCode, TenantId, Validity, backoff};

const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const LIFETIMES: [i64; 4] = [6, 45, 64, 90];

/// What becomes of the renewals of a name.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// The first so many attempts fail.
    Fails(u32),
    /// Nobody even tries, for so long.
    Sleeps(Duration),
    /// It is renewed in time, but the load balancers go on serving the old certificate for so long.
    NotDelivered(Duration),
}

struct Name {
    number: u32,
    code: ProblemCode,
    tenant_id: TenantId,
    fate: Fate,
    served: Validity,
    renew_at: OffsetDateTime,
    failures: u32,
    next_attempt: OffsetDateTime,
}

impl Name {
    /// Everything that happens to it until `now`.
    fn live(&mut self, now: OffsetDateTime, chance: &Chance) {
        while now >= self.next_attempt {
            let at = self.next_attempt;
            match self.fate {
                Fate::Fails(times) if self.failures < times => {
                    self.failures += 1;
                    self.next_attempt = at + backoff(self.failures, chance.fraction());
                }
                Fate::Sleeps(time) if at < self.renew_at + time => self.next_attempt = self.renew_at + time,
                Fate::NotDelivered(time) if at < self.renew_at + time => {
                    self.next_attempt = self.renew_at + time;
                }
                _ => {
                    let lifetime = self.served.lifetime();
                    self.served = Validity { not_before: at, not_after: at + lifetime };
                    self.renew_at = self.served.fallback() - lifetime / 5 * chance.fraction();
                    self.failures = 0;
                    self.next_attempt = self.renew_at;
                    self.fate = fate(lifetime, chance);
                }
            }
        }
    }

    fn hit(&self, now: OffsetDateTime) -> Option<Hit> {
        let hit = properties::hit(self.number);
        // The engine plans the renewal of the new certificate, which is not served yet.
        let renew_at = match self.fate {
            Fate::NotDelivered(_) => self.renew_at + self.served.lifetime() / 2,
            _ => self.renew_at,
        };
        (now >= self.renew_at).then(|| Hit {
            name: Hostname::parse(&format!("shop{}.shops.example", self.number)).unwrap(),
            domain_id: DomainId::nil(),
            tenant_id: self.tenant_id,
            code: self.code,
            served: Served::Valid(self.served),
            renew_at: Some(renew_at),
            failures: self.failures,
            ..hit
        })
    }

    /// A third of what was left when the renewal was due has passed, by what is served.
    fn must_be_told(&self, now: OffsetDateTime) -> bool {
        let due = match self.fate {
            Fate::NotDelivered(_) => self.served.fallback(),
            _ => self.renew_at,
        };
        now >= due + (self.served.not_after - due) / 3 && now < self.served.not_after
    }
}

fn fate(lifetime: Duration, chance: &Chance) -> Fate {
    let time = lifetime * chance.fraction();
    match (chance.fraction() * 8.0) as u32 {
        0..4 => Fate::Fails(0),
        4 => Fate::Fails((chance.fraction() * 3.0) as u32),
        5 => Fate::Fails((chance.fraction() * 60.0) as u32),
        6 => Fate::Sleeps(time),
        _ => Fate::NotDelivered(time),
    }
}

/// The letters of alerts, by a number of each alert, and what is open.
#[derive(Default)]
struct Post {
    open: BTreeMap<Cause, (u32, AlertState)>,
    alerts: u32,
    sent: Vec<(u32, Word)>,
    keys: HashSet<(u32, &'static str)>,
}

impl Post {
    fn look(&mut self, hits: impl Iterator<Item = Hit>, now: OffsetDateTime) {
        let mut gathering = Gathering::new(Vec::new(), now);
        hits.for_each(|hit| gathering.add(hit));
        let seen: BTreeMap<_, _> =
            gathering.finish().into_iter().map(|gathered| (gathered.cause.clone(), gathered)).collect();
        let causes: BTreeSet<_> = self.open.keys().chain(seen.keys()).cloned().collect();
        for cause in causes {
            let before = self.open.get(&cause).copied();
            let Some(turn) = take_turn(before.map(|(_, state)| state), seen.get(&cause), now) else {
                continue;
            };
            let number = before.map_or(self.alerts, |(number, _)| number);
            self.alerts = self.alerts.max(number + 1);
            if let Some(word) = turn.word {
                assert!(self.keys.insert((number, word.key())), "{word:?} of one alert twice");
                self.sent.push((number, word));
            }
            if turn.is_over {
                self.open.remove(&cause);
            } else {
                self.open.insert(cause, (number, turn.state));
            }
        }
    }

    fn has_told(&self, cause: &Cause) -> bool {
        self.open.get(cause).is_some_and(|(_, state)| state.told.is_some())
    }
}

fn names(count: u32, days: i64, chance: &Chance, fate: impl Fn(Duration) -> Fate) -> Vec<Name> {
    let codes = [
        ProblemCode::CaaForbids,
        ProblemCode::HttpUnreachable,
        ProblemCode::DnsServfail,
        ProblemCode::RenewalLate,
    ];
    let tenants: Vec<_> = (0..6).map(|_| TenantId::new(chance, START)).collect();
    let lifetime = Duration::days(days);
    let name = |number: u32| {
        let not_before = START - lifetime / 2 * chance.fraction();
        let served = Validity { not_before, not_after: not_before + lifetime };
        let renew_at = served.fallback();
        Name {
            number,
            code: codes[number as usize % codes.len()],
            tenant_id: tenants[number as usize / codes.len() % tenants.len()],
            fate: fate(lifetime),
            served,
            renew_at,
            failures: 0,
            next_attempt: renew_at,
        }
    };
    (0..count).map(name).collect()
}

/// Lets `lives` lives of the names pass, with a look a thousand times in each, and calls `check` after each look.
fn travel(
    names: &mut [Name],
    days: i64,
    lives: i32,
    chance: &Chance,
    mut check: impl FnMut(&[Name], &Post, OffsetDateTime),
) -> Post {
    let mut post = Post::default();
    for look in 1..=lives * 1_000 {
        let now = START + Duration::days(days) / 1_000 * look;
        for name in names.iter_mut() {
            name.live(now, chance);
        }
        post.look(names.iter().filter_map(|name| name.hit(now)), now);
        check(names, &post, now);
    }
    post
}

#[test]
fn no_certificate_passes_a_third_of_its_remaining_life_without_an_alert() {
    for days in LIFETIMES {
        for seed in 0..4 {
            let chance = Chance::seeded(seed);
            let mut names = names(48, days, &chance, |lifetime| fate(lifetime, &chance));
            let mut checked = 0_u32;
            let post = travel(&mut names, days, 3, &chance, |names, post, now| {
                for name in names.iter().filter(|name| name.must_be_told(now)) {
                    let cause = name.hit(now).expect("what is overdue is a hit").cause();
                    assert!(
                        post.has_told(&cause),
                        "{days} days, seed {seed}: nobody knows of {cause:?} at {now}"
                    );
                    checked += 1;
                }
            });
            assert!(checked > 1_000 && !post.sent.is_empty(), "{days} days: only {checked} were overdue");
        }
    }
}

#[test]
fn renewals_that_fail_twice_and_then_succeed_make_no_letter() {
    for days in LIFETIMES {
        let chance = Chance::seeded(9);
        let mut names = names(48, days, &chance, |_| Fate::Fails((chance.fraction() * 3.0) as u32));
        let fails_less_than_thrice = |names: &mut [Name]| {
            for name in names.iter_mut() {
                name.fate = Fate::Fails((chance.fraction() * 3.0) as u32);
            }
        };
        fails_less_than_thrice(&mut names);
        let until = names.iter().map(|name| name.served.not_after).min().unwrap();
        let mut post = Post::default();
        let mut now = START;
        while now < until {
            now += Duration::days(days) / 1_000;
            for name in &mut names {
                name.live(now, &chance);
            }
            fails_less_than_thrice(&mut names);
            post.look(names.iter().filter_map(|name| name.hit(now)), now);
        }
        assert_eq!(post.sent, [], "{days} days");
    }
}

#[test]
fn a_thousand_names_with_one_cause_make_one_letter_and_one_when_it_is_over() {
    for days in LIFETIMES {
        let chance = Chance::seeded(3);
        let mut names = names(1_000, days, &chance, |_| Fate::Fails(3));
        for name in &mut names {
            (name.code, name.tenant_id) = (ProblemCode::CaaForbids, TenantId::nil());
            name.served = Validity { not_before: START, not_after: START + Duration::days(days) };
            // They are due within ten minutes of each other, as names of one wave are.
            name.renew_at = name.served.fallback() + Duration::minutes(10) * chance.fraction();
            name.next_attempt = name.renew_at;
        }
        let mut post = Post::default();
        let first = names[0].served.fallback();
        // The third failure is 11 minutes behind the first, and the attempt that succeeds 100 minutes behind that.
        for look in 0..60 {
            let now = first + Duration::minutes(4) * look;
            for name in &mut names {
                name.live(now, &chance);
            }
            post.look(names.iter().filter_map(|name| name.hit(now)), now);
        }
        let letters: Vec<_> = post.sent.iter().map(|(_, word)| *word).collect();
        assert_eq!(letters, [Word::Incident(AlertLevel::Notice), Word::Resolved], "{days} days");
    }
}
