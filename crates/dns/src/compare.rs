//! Whether a name points at us, and what to change if it does not.

use std::{collections::BTreeSet, fmt, net::IpAddr};

use certmill_model::{Hostname, ProblemCode};

use crate::Addresses;

/// A name that does not point at us, or not only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PointsElsewhere {
    /// The name.
    pub name: String,
    /// The addresses that are ours, of those that it has.
    pub ours: Vec<IpAddr>,
    /// The addresses that are not ours.
    pub foreign: Vec<IpAddr>,
    /// The addresses that would be right.
    pub wanted: Vec<IpAddr>,
    /// The names that its CNAME records led to.
    pub cname_chain: Vec<String>,
}

/// A name is right when it has addresses and all of them are among `wanted`: a CA, and every shopper, may pick any.
pub fn compare(name: &Hostname, seen: &Addresses, wanted: &BTreeSet<IpAddr>) -> Result<(), PointsElsewhere> {
    let v4 = seen.v4.iter().copied().map(IpAddr::V4);
    let v6 = seen.v6.iter().copied().map(IpAddr::V6);
    let (ours, foreign): (Vec<_>, Vec<_>) = v4.chain(v6).partition(|address| wanted.contains(address));
    if foreign.is_empty() && !ours.is_empty() {
        return Ok(());
    }
    Err(PointsElsewhere {
        name: name.base().to_owned(),
        ours,
        foreign,
        wanted: wanted.iter().copied().collect(),
        cname_chain: seen.cname_chain.clone(),
    })
}

impl PointsElsewhere {
    /// The kind of problem that a domain shows for it.
    pub fn problem_code(&self) -> ProblemCode {
        if self.ours.is_empty() { ProblemCode::DnsWrongTarget } else { ProblemCode::DnsExtraAddresses }
    }

    /// The exact records to set or to remove, one sentence each.
    pub fn fix(&self) -> String {
        let end = self.cname_chain.last().unwrap_or(&self.name);
        let foreign = records(end, &self.foreign).join(" and ");
        if !self.ours.is_empty() {
            return format!("Remove {foreign}.");
        }
        let set = format!("Set {}.", records(&self.name, &self.wanted).join(" or "));
        match self.cname_chain.first() {
            Some(target) => format!("{set} Remove {} CNAME {target}.", self.name),
            None => format!("{set} Remove {foreign}."),
        }
    }
}

impl fmt::Display for PointsElsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has ", self.name)?;
        match self.foreign.as_slice() {
            [] => f.write_str("no address")?,
            foreign => write!(f, "{}, not ours", list(foreign))?,
        }
        if !self.ours.is_empty() {
            write!(f, ", beside {}, ours", list(&self.ours))?;
        }
        if !self.cname_chain.is_empty() {
            write!(f, " (through CNAME records: {})", self.cname_chain.join(" -> "))?;
        }
        Ok(())
    }
}

impl std::error::Error for PointsElsewhere {}

/// As DNS providers' forms take them: without the dot behind a full name.
fn records(owner: &str, addresses: &[IpAddr]) -> Vec<String> {
    let record = |address: &IpAddr| {
        let kind = if address.is_ipv4() { "A" } else { "AAAA" };
        format!("{owner} {kind} {address}")
    };
    addresses.iter().map(record).collect()
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(addresses: &[&str], cname_chain: &[&str]) -> Addresses {
        let (mut v4, mut v6) = (BTreeSet::new(), BTreeSet::new());
        for address in addresses {
            match address.parse().unwrap() {
                IpAddr::V4(address) => v4.insert(address),
                IpAddr::V6(address) => v6.insert(address),
            };
        }
        let cname_chain = cname_chain.iter().map(ToString::to_string).collect();
        Addresses { v4, v6, cname_chain, seen_from: "192.0.2.53:53".parse().unwrap() }
    }

    fn check(addresses: &[&str], cname_chain: &[&str]) -> Result<(), PointsElsewhere> {
        let wanted = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|address| address.parse().unwrap()).into();
        compare(&Hostname::parse("shop.example.com").unwrap(), &seen(addresses, cname_chain), &wanted)
    }

    #[test]
    fn any_of_our_addresses_is_right() {
        assert_eq!(check(&["192.0.2.1"], &[]), Ok(()));
        assert_eq!(check(&["192.0.2.2", "2001:db8::1"], &["lb.platform.test"]), Ok(()));
    }

    #[test]
    fn a_stale_ipv6_address_is_named_with_the_record_to_remove() {
        let error = check(&["192.0.2.1", "2001:db8::bad"], &[]).unwrap_err();
        assert_eq!(error.problem_code(), ProblemCode::DnsExtraAddresses);
        assert_eq!(error.to_string(), "shop.example.com has 2001:db8::bad, not ours, beside 192.0.2.1, ours");
        assert_eq!(error.fix(), "Remove shop.example.com AAAA 2001:db8::bad.");
    }

    #[test]
    fn a_name_that_points_elsewhere_is_told_every_record() {
        let error = check(&["198.51.100.7"], &[]).unwrap_err();
        assert_eq!(error.problem_code(), ProblemCode::DnsWrongTarget);
        assert_eq!(
            error.fix(),
            "Set shop.example.com A 192.0.2.1 or shop.example.com A 192.0.2.2 or shop.example.com AAAA \
             2001:db8::1. Remove shop.example.com A 198.51.100.7."
        );
    }

    #[test]
    fn a_cname_to_elsewhere_is_to_be_replaced() {
        let error = check(&["198.51.100.7"], &["old-host.test"]).unwrap_err();
        assert!(error.to_string().ends_with("(through CNAME records: old-host.test)"));
        assert!(error.fix().ends_with(" Remove shop.example.com CNAME old-host.test."));
    }

    #[test]
    fn no_address_at_all_is_not_right() {
        assert_eq!(check(&[], &[]).unwrap_err().problem_code(), ProblemCode::DnsWrongTarget);
    }
}
