//! The look at `_acme-challenge`, step by step, so that nobody is asked for a name of ours before it has its record:
//! a resolver would remember that there is none.

use std::net::SocketAddr;

use certmill_model::Hostname;
use hickory_proto::rr::{Name, RData, RecordType};

use super::{Delegation, DelegationFault, NotDelegated};
use crate::{
    LookupError, Resolver,
    name::{self, text, texts},
    record_text,
    resolver::check_chain,
};

const PREFIX: &str = "_acme-challenge";

/// What may stand where the CNAME record belongs, and keeps it out (RFC 1034 section 3.6.2).
const OBSTACLES: [RecordType; 4] = [RecordType::TXT, RecordType::NS, RecordType::A, RecordType::AAAA];

impl Resolver {
    /// Looks whether CNAME records lead from `_acme-challenge` below `name` (of a wildcard, without its `*.`) to
    /// `wanted`, `<label>.<zone>` in any case. What stands at `wanted` itself is not looked at.
    pub async fn delegation(&self, name: &Hostname, wanted: &str) -> Result<Delegation, LookupError> {
        let target = name::parse(wanted)?;
        let record_name = format!("{PREFIX}.{}", name.base());
        let not_delegated = |fault, seen_from| {
            let (record_name, wanted) = (record_name.clone(), text(&target));
            Delegation::Wrong(NotDelegated { record_name, wanted, fault, seen_from })
        };
        let Ok(start) = name::parse(&record_name) else {
            return Ok(not_delegated(DelegationFault::NameTooLong, None));
        };
        let look = Look { resolver: self, start, probe: probe(name, &target), target: &target };
        Ok(match self.bounded(&look.start, look.look()).await? {
            Seen { fault: None, chain, server } => {
                Delegation::Right { chain: texts(&chain), seen_from: server }
            }
            Seen { fault: Some(fault), server, .. } => not_delegated(fault, Some(server)),
        })
    }
}

/// A name beside `_acme-challenge` that nobody has set: what answers there is a wildcard record. Made of our label, which
/// is random, so that each domain has its own and always the same one.
fn probe(name: &Hostname, target: &Name) -> Option<Name> {
    let labels = text(target);
    let label = labels.split('.').find(|label| !label.starts_with('_'))?;
    let label: String = format!("certmill-{label}").chars().take(63).collect();
    name::parse(&format!("{label}.{}", name.base())).ok()
}

struct Look<'a> {
    resolver: &'a Resolver,
    /// `_acme-challenge` below the name.
    start: Name,
    /// What only a wildcard record answers for; none if that name would be too long.
    probe: Option<Name>,
    target: &'a Name,
}

struct Seen {
    fault: Option<DelegationFault>,
    chain: Vec<Name>,
    server: SocketAddr,
}

impl Look<'_> {
    async fn look(&self) -> Result<Seen, LookupError> {
        let mut chain = vec![self.start.clone()];
        loop {
            let end = chain.last().expect("a chain has its start");
            let step = self.resolver.look_up(end, RecordType::CNAME).await?;
            let server = step.server;
            let Some(RData::CNAME(next)) = step.records.into_iter().next() else {
                let fault = match chain.as_slice() {
                    [_] => self.without_cname(step.exists).await?,
                    [_, first, ..] => self.elsewhere(first, &chain).await?,
                    [] => DelegationFault::Missing,
                };
                return Ok(Seen { fault: Some(fault), chain, server });
            };
            if next.0 == *self.target {
                chain.push(next.0);
                return Ok(Seen { fault: None, chain, server });
            }
            check_chain(&chain, &next.0)?;
            chain.push(next.0);
        }
    }

    async fn without_cname(&self, exists: bool) -> Result<DelegationFault, LookupError> {
        if !exists {
            return Ok(DelegationFault::Missing);
        }
        let records = self.obstacles(&self.start).await?;
        if records.is_empty() {
            return Ok(DelegationFault::Missing);
        }
        match &self.probe {
            Some(probe) if self.obstacles(probe).await? == records => {
                Ok(DelegationFault::Wildcard { records })
            }
            _ => Ok(DelegationFault::NotCname { records }),
        }
    }

    async fn elsewhere(&self, first: &Name, chain: &[Name]) -> Result<DelegationFault, LookupError> {
        if let Some(probe) = &self.probe {
            let beside = self.resolver.look_up(probe, RecordType::CNAME).await?;
            if matches!(beside.records.first(), Some(RData::CNAME(target)) if target.0 == *first) {
                return Ok(DelegationFault::Wildcard { records: vec![format!("CNAME {}", text(first))] });
            }
        }
        Ok(DelegationFault::Elsewhere { chain: texts(chain) })
    }

    /// The records at `name` that no CNAME record can stand beside, in text, sorted.
    async fn obstacles(&self, name: &Name) -> Result<Vec<String>, LookupError> {
        let mut records = Vec::new();
        for kind in OBSTACLES {
            records.extend(record_text::several(&self.resolver.look_up(name, kind).await?.records));
        }
        Ok(records)
    }
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
