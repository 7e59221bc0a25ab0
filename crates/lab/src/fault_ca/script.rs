//! The rules, in order.

use std::time::Instant;

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::action::Action;
use super::request::Asked;
use super::when::When;

/// A rule of a CA.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RuleId(usize);

/// What a rule wants done.
pub(super) struct Order {
    pub(super) rule: RuleId,
    pub(super) action: Action,
}

pub(super) struct Script {
    rules: Vec<Rule>,
    chance: StdRng,
}

struct Rule {
    when: When,
    action: Action,
    added: Instant,
    in_force: bool,
    /// How many requests it was about.
    about: usize,
    acted: usize,
}

impl Script {
    pub(super) fn new(seed: u64) -> Self {
        Self { rules: Vec::new(), chance: StdRng::seed_from_u64(seed) }
    }

    pub(super) fn add(&mut self, when: When, action: Action) -> RuleId {
        assert!(when.can_be(), "a rule that never acts: {when:?}");
        self.rules.push(Rule { when, action, added: Instant::now(), in_force: true, about: 0, acted: 0 });
        RuleId(self.rules.len() - 1)
    }

    pub(super) fn remove(&mut self, rule: RuleId) {
        self.rules[rule.0].in_force = false;
    }

    /// What the first rule that fits this request wants done.
    pub(super) fn decide(&mut self, asked: &Asked) -> Option<Order> {
        for (number, rule) in self.rules.iter_mut().enumerate() {
            if rule.in_force && rule.when.is_about(asked, rule.added.elapsed()) {
                rule.about += 1;
                if rule.when.acts_on(rule.about, || self.chance.random()) {
                    return Some(Order { rule: RuleId(number), action: rule.action.clone() });
                }
            }
        }
        None
    }

    /// Notes that a rule acted, and answers with its words.
    pub(super) fn note_acted(&mut self, rule: RuleId) -> String {
        let rule = &mut self.rules[rule.0];
        rule.acted += 1;
        format!("{:?}", rule.action)
    }

    pub(super) fn acted(&self, rule: RuleId) -> usize {
        self.rules[rule.0].acted
    }

    /// The rules that never acted.
    pub(super) fn idle(&self) -> Vec<String> {
        let idle = self.rules.iter().filter(|rule| rule.acted == 0);
        idle.map(|rule| format!("{:?} {:?}", rule.when, rule.action)).collect()
    }
}
