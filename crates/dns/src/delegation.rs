//! Whether a name's owner has handed `_acme-challenge` over to us, and what to set if not (RFC 8555 section 8.4 follows
//! CNAME records).

mod lookup;

use std::{fmt, net::SocketAddr};

use certmill_model::ProblemCode;

/// What stands at `_acme-challenge` below a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Delegation {
    /// It leads to us.
    Right {
        /// The names on the way: `_acme-challenge.…` first, our target last. Without dots behind them.
        chain: Vec<String>,
        /// The resolver that said so.
        seen_from: SocketAddr,
    },
    /// It does not, and its owner is to change that.
    Wrong(NotDelegated),
}

/// A name whose `_acme-challenge` does not lead to us.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotDelegated {
    /// Where the record belongs: `_acme-challenge.shop.example`.
    pub record_name: String,
    /// Where it is to lead: `x.acme.platform.example`.
    pub wanted: String,
    /// What is there instead.
    pub fault: DelegationFault,
    /// What the name itself has from a wildcard record above it, as in `CNAME lb.platform.example`. It loses that when a
    /// record is set below it, because it then exists (RFC 4592 section 2.2.2).
    pub would_lose: Vec<String>,
    /// The resolver that said so; none if there was nothing to ask for.
    pub seen_from: Option<SocketAddr>,
}

/// What is where the record belongs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DelegationFault {
    /// Nothing.
    Missing,
    /// Nothing of its own: a wildcard record of the owner answers for it.
    Wildcard {
        /// What the wildcard record gives, as in `CNAME lb.platform.example`.
        records: Vec<String>,
    },
    /// A CNAME record to somebody else.
    Elsewhere {
        /// The names on the way, the record's own name first.
        chain: Vec<String>,
    },
    /// Records that cannot stand beside a CNAME record.
    NotCname {
        /// The records, as in `TXT "xyz"`.
        records: Vec<String>,
    },
    /// Nothing can be there: with `_acme-challenge.` in front the name is longer than DNS allows.
    NameTooLong,
}

impl NotDelegated {
    /// The kind of problem that a domain shows for it.
    pub fn problem_code(&self) -> ProblemCode {
        match self.fault {
            DelegationFault::Missing | DelegationFault::NameTooLong => ProblemCode::DnsDelegationMissing,
            DelegationFault::Wildcard { .. }
            | DelegationFault::Elsewhere { .. }
            | DelegationFault::NotCname { .. } => ProblemCode::DnsDelegationWrong,
        }
    }

    /// The exact records to set and to remove, one sentence each.
    pub fn fix(&self) -> String {
        let set = self.set();
        match &self.fault {
            DelegationFault::Missing => set,
            DelegationFault::Wildcard { .. } => format!(
                "{set} The wildcard record may stay: a CNAME record of its own at _acme-challenge beats it."
            ),
            DelegationFault::Elsewhere { chain } => match chain.get(1) {
                Some(target) => format!("{set} Remove {} CNAME {target}.", self.record_name),
                None => set,
            },
            DelegationFault::NotCname { records } => {
                let remove = records.iter().map(|record| format!("{} {record}", self.record_name));
                format!("Remove {}. {set}", remove.collect::<Vec<_>>().join(" and "))
            }
            DelegationFault::NameTooLong => {
                "Use a shorter name, or point the name itself at the load balancers.".to_owned()
            }
        }
    }
}

impl NotDelegated {
    fn set(&self) -> String {
        let set = format!("Set {} CNAME {}.", self.record_name, self.wanted);
        let Some((_, name)) = self.record_name.split_once('.').filter(|_| !self.would_lose.is_empty()) else {
            return set;
        };
        let kept: Vec<_> = self.would_lose.iter().map(|record| format!("{name} {record}")).collect();
        format!("{set} Set also {}: no wildcard record answers for it any more then.", kept.join(" and "))
    }
}

impl fmt::Display for NotDelegated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.record_name;
        match &self.fault {
            DelegationFault::Missing => write!(f, "{name} has no CNAME record"),
            DelegationFault::Wildcard { records } => {
                write!(f, "{name} has no record of its own, a wildcard record answers for it: ")?;
                f.write_str(&records.join(", "))
            }
            DelegationFault::Elsewhere { chain } => {
                write!(f, "{name} leads elsewhere: {}", chain.join(" -> "))
            }
            DelegationFault::NotCname { records } => {
                write!(f, "{name} has other records than a CNAME record: {}", records.join(", "))
            }
            DelegationFault::NameTooLong => {
                write!(f, "{name} cannot exist in DNS: it is longer than 253 characters")
            }
        }
    }
}

impl std::error::Error for NotDelegated {}

#[cfg(test)]
#[path = "delegation/tests.rs"]
mod tests;
