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
        let wrong = |fault, would_lose, seen_from| {
            let (record_name, wanted) = (record_name.clone(), text(&target));
            Delegation::Wrong(NotDelegated { record_name, wanted, fault, would_lose, seen_from })
        };
        let Ok(start) = name::parse(&record_name) else {
            return Ok(wrong(DelegationFault::NameTooLong, Vec::new(), None));
        };
        let look = Look { resolver: self, name, start, target: &target };
        let seen = self.bounded(&look.start, look.look()).await?;
        Ok(match seen.fault {
            None => Delegation::Right { chain: texts(&seen.chain), seen_from: seen.server },
            Some(fault) => wrong(fault, seen.would_lose, Some(seen.server)),
        })
    }
}

struct Look<'a> {
    resolver: &'a Resolver,
    name: &'a Hostname,
    /// `_acme-challenge` below the name.
    start: Name,
    target: &'a Name,
}

struct Seen {
    fault: Option<DelegationFault>,
    would_lose: Vec<String>,
    chain: Vec<Name>,
    server: SocketAddr,
}

impl Look<'_> {
    async fn look(&self) -> Result<Seen, LookupError> {
        let mut seen = self.follow().await?;
        if let Some(DelegationFault::Elsewhere { .. } | DelegationFault::NotCname { .. }) = seen.fault {
            let records = self.standing(&self.start).await?;
            // Empty only if somebody has just removed them.
            if !records.is_empty() && self.is_only_a_wildcard_s(&records).await? {
                seen.would_lose = self.would_lose(&records).await?;
                seen.fault = Some(DelegationFault::Wildcard { records });
            }
        }
        Ok(seen)
    }

    /// Goes along the CNAME records, and no further than to our target.
    async fn follow(&self) -> Result<Seen, LookupError> {
        let mut chain = vec![self.start.clone()];
        loop {
            let end = chain.last().expect("a chain has its start");
            let step = self.resolver.look_up(end, RecordType::CNAME).await?;
            let seen = |fault, chain| Seen { fault, would_lose: Vec::new(), chain, server: step.server };
            let Some(RData::CNAME(next)) = step.records.first() else {
                let fault = if chain.len() > 1 {
                    DelegationFault::Elsewhere { chain: texts(&chain) }
                } else {
                    self.without_cname(step.exists).await?
                };
                return Ok(seen(Some(fault), chain));
            };
            if next.0 != *self.target {
                check_chain(&chain, &next.0)?;
            }
            chain.push(next.0.clone());
            if next.0 == *self.target {
                return Ok(seen(None, chain));
            }
        }
    }

    async fn without_cname(&self, exists: bool) -> Result<DelegationFault, LookupError> {
        let records = if exists { self.obstacles(&self.start).await? } else { Vec::new() };
        Ok(if records.is_empty() { DelegationFault::Missing } else { DelegationFault::NotCname { records } })
    }

    async fn is_only_a_wildcard_s(&self, records: &[String]) -> Result<bool, LookupError> {
        match self.probe(self.name.base()) {
            Some(probe) => Ok(self.standing(&probe).await? == records),
            None => Ok(false),
        }
    }

    /// What the name itself has from the wildcard record that answers with `records`.
    async fn would_lose(&self, records: &[String]) -> Result<Vec<String>, LookupError> {
        let base = self.name.base();
        let above = base.split_once('.').filter(|_| base != self.name.registered_domain());
        let Some(above) = above.and_then(|(_, above)| self.probe(above)) else { return Ok(Vec::new()) };
        let is_lost =
            self.standing(&above).await? == records && self.standing(&name::parse(base)?).await? == records;
        Ok(if is_lost { records.to_vec() } else { Vec::new() })
    }

    /// A name below `parent` that nobody has set: what answers there is a wildcard record. Made of our label, which is
    /// random, so that each domain has its own and always the same one. None if it would be too long.
    fn probe(&self, parent: &str) -> Option<Name> {
        let target = text(self.target);
        let label = target.split('.').find(|label| !label.starts_with('_'))?;
        let label: String = format!("certmill-{label}").chars().take(63).collect();
        name::parse(&format!("{label}.{parent}")).ok()
    }

    /// The records at `name` as far as they matter here, in text, sorted.
    async fn standing(&self, name: &Name) -> Result<Vec<String>, LookupError> {
        let cname = self.resolver.look_up(name, RecordType::CNAME).await?;
        match cname.records.as_slice() {
            [] if cname.exists => self.obstacles(name).await,
            records => Ok(record_text::several(records)),
        }
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
