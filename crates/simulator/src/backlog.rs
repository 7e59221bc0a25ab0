//! Who is due and waits for a worker.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashSet, VecDeque},
};

use certmill_model::{DueDomain, line_up};

use crate::{
    domain::{Domain, domain_id, number, tenant_id},
    instant::{Second, instant},
};

/// Like the planner it puts a bounded number of candidates before [`line_up`]: those that end soonest, and the first few
/// new names of each tenant.
#[derive(Default)]
pub(crate) struct Backlog {
    renewals: BinaryHeap<Reverse<(Second, u32)>>,
    new: BTreeMap<u16, VecDeque<u32>>,
    new_count: usize,
}

/// Of each tenant's new names, at least this many are candidates.
const FIRST_FEW: usize = 4;

impl Backlog {
    pub(crate) fn len(&self) -> usize {
        self.renewals.len() + self.new_count
    }

    /// `expires_at`: when the domain's certificate ends; `None` without one.
    pub(crate) fn push(&mut self, domain: u32, tenant: u16, expires_at: Option<Second>) {
        if let Some(at) = expires_at {
            self.renewals.push(Reverse((at, domain)));
        } else {
            self.new.entry(tenant).or_default().push_back(domain);
            self.new_count += 1;
        }
    }

    /// Takes up to `room` out, in the order in which they are to be worked on.
    pub(crate) fn take(&mut self, room: usize, domains: &[Domain]) -> Vec<u32> {
        let (ending, new) = (self.ending(room), self.first_of_each(room));
        let due = |domain: u32, expires_at: Option<Second>| DueDomain {
            domain: domain_id(domain),
            tenant: tenant_id(domains[domain as usize].tenant),
            expires_at: expires_at.map(instant),
            due_at: instant(domains[domain as usize].due_at),
        };
        let candidates = ending.iter().map(|(at, domain)| due(*domain, Some(*at)));
        let candidates = candidates.chain(new.iter().map(|domain| due(*domain, None))).collect();
        let line: Vec<u32> = line_up(candidates, room).into_iter().map(number).collect();
        let taken: HashSet<u32> = line.iter().copied().collect();
        self.renewals.extend(ending.into_iter().filter(|(_, domain)| !taken.contains(domain)).map(Reverse));
        for domain in new.into_iter().rev().filter(|domain| !taken.contains(domain)) {
            self.new.entry(domains[domain as usize].tenant).or_default().push_front(domain);
            self.new_count += 1;
        }
        line
    }

    fn ending(&mut self, room: usize) -> Vec<(Second, u32)> {
        std::iter::from_fn(|| self.renewals.pop()).take(room).map(|Reverse(next)| next).collect()
    }

    fn first_of_each(&mut self, room: usize) -> Vec<u32> {
        let few = FIRST_FEW.max(2 * room / self.new.len().max(1));
        let mut first = Vec::new();
        for names in self.new.values_mut() {
            let count = few.min(names.len());
            first.extend(names.drain(..count));
        }
        self.new.retain(|_, names| !names.is_empty());
        self.new_count -= first.len();
        first
    }
}
