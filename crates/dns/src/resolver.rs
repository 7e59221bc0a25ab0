//! The addresses of a name, as resolvers see them.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use certmill_model::Hostname;
use hickory_proto::{
    op::Query,
    rr::{Name, RecordType},
};

use crate::{
    LookupError,
    answer::{Answer, Endless, MAX_CNAMES},
    query::{NoAnswer, ask},
};

/// How often each server is tried before a name's lookup is given up.
const ROUNDS: usize = 2;

/// Asks a machine's or an operator's resolvers. Cheap to clone, and any number of lookups run at once. Nothing is
/// cached here: a person who has just changed a record wants to see the change.
#[derive(Clone, Debug)]
pub struct Resolver {
    servers: Arc<[SocketAddr]>,
}

/// What a name has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Addresses {
    /// Its A records.
    pub v4: BTreeSet<Ipv4Addr>,
    /// Its AAAA records.
    pub v6: BTreeSet<Ipv6Addr>,
    /// The names that its CNAME records led to, the last one having the addresses; empty without CNAME records.
    pub cname_chain: Vec<String>,
    /// The resolver that said so.
    pub seen_from: SocketAddr,
}

/// There is no server to ask.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no DNS server to ask: name some, or put `nameserver` lines into /etc/resolv.conf")]
pub struct NoServers;

impl Resolver {
    /// Asks these servers, in this order; they must do the recursion. At least one.
    pub fn new(servers: Vec<SocketAddr>) -> Result<Self, NoServers> {
        if servers.is_empty() {
            return Err(NoServers);
        }
        Ok(Self { servers: servers.into() })
    }

    /// Asks the servers that the machine itself asks.
    pub fn from_system() -> Result<Self, NoServers> {
        let configuration = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        Self::new(name_servers(&configuration))
    }

    /// Looks up A and AAAA records at once, and follows CNAME records. Of a wildcard, the name without its `*.`.
    pub async fn addresses(&self, name: &Hostname) -> Result<Addresses, LookupError> {
        let start = Name::from_ascii(format!("{}.", name.base())).expect("a host name is a DNS name");
        let (v4, v6) =
            tokio::join!(self.follow(&start, RecordType::A), self.follow(&start, RecordType::AAAA));
        match (v4, v6) {
            (Ok(v4), Ok(v6)) => merge(v4, v6),
            // Whoever can connect by one kind of address does not mind that the other kind is broken.
            (Ok(found), Err(_)) | (Err(_), Ok(found)) if !found.addresses.is_empty() => Ok(found.into()),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// Follows CNAME records further where the server did not.
    async fn follow(&self, start: &Name, kind: RecordType) -> Result<Lookup, LookupError> {
        let mut chain: Vec<Name> = Vec::new();
        let mut name = start.clone();
        loop {
            let (answer, server) = self.ask_one(&name, kind).await?;
            let (passed, end, addresses) = match answer {
                Answer::Found { cname_chain, end, addresses } => (cname_chain, end, addresses),
                Answer::NotFound { cname_chain, end } => {
                    chain.extend(cname_chain);
                    return Err(LookupError::NotFound { name: text(&end), cname_chain: texts(&chain) });
                }
                Answer::Endless(Endless::Loop(more)) => {
                    return Err(LookupError::CnameLoop(texts(&[chain, more].concat())));
                }
                Answer::Endless(Endless::TooLong(more)) => {
                    return Err(LookupError::CnameTooLong(texts(&[chain, more].concat())));
                }
                Answer::Failure(answer) => {
                    return Err(LookupError::ServerFailure { name: text(start), answer, server });
                }
                Answer::Truncated => unreachable!("a truncated answer is asked for again by TCP"),
            };
            chain.extend(passed);
            // Done, or the end is where we asked: it was there to be answered for.
            if !addresses.is_empty() || end == name {
                return Ok(Lookup { addresses, chain, end, server });
            }
            check_chain(&chain, &end)?;
            name = end;
        }
    }

    /// The first server that has something to say; one that fails is believed only when no other does better.
    async fn ask_one(&self, name: &Name, kind: RecordType) -> Result<(Answer, SocketAddr), LookupError> {
        let query = Query::query(name.clone(), kind);
        let mut failure = None;
        for _ in 0..ROUNDS {
            for server in self.servers.iter().copied() {
                match ask(server, &query).await {
                    Ok(Answer::Failure(answer)) => failure = Some((Answer::Failure(answer), server)),
                    Ok(answer) => return Ok((answer, server)),
                    Err(NoAnswer) => {}
                }
            }
            if let Some(failure) = failure.take() {
                return Ok(failure);
            }
        }
        let server = *self.servers.last().expect("there is a server");
        Err(LookupError::Timeout { name: text(name), server })
    }
}

/// What a lookup of one kind of record found.
struct Lookup {
    addresses: BTreeSet<IpAddr>,
    chain: Vec<Name>,
    end: Name,
    server: SocketAddr,
}

impl From<Lookup> for Addresses {
    fn from(lookup: Lookup) -> Self {
        let (mut v4, mut v6) = (BTreeSet::new(), BTreeSet::new());
        for address in lookup.addresses {
            match address {
                IpAddr::V4(address) => v4.insert(address),
                IpAddr::V6(address) => v6.insert(address),
            };
        }
        let mut passed = texts(&lookup.chain);
        if !passed.is_empty() {
            passed.remove(0);
            passed.push(text(&lookup.end));
        }
        Self { v4, v6, cname_chain: passed, seen_from: lookup.server }
    }
}

fn merge(v4: Lookup, v6: Lookup) -> Result<Addresses, LookupError> {
    let (mut longer, other) = if v4.addresses.is_empty() { (v6, v4) } else { (v4, v6) };
    longer.addresses.extend(other.addresses);
    if longer.addresses.is_empty() {
        return Err(LookupError::NoAddresses { name: text(&longer.end), cname_chain: texts(&longer.chain) });
    }
    Ok(longer.into())
}

fn check_chain(chain: &[Name], end: &Name) -> Result<(), LookupError> {
    let whole = || texts(&[chain, std::slice::from_ref(end)].concat());
    if chain.contains(end) {
        return Err(LookupError::CnameLoop(whole()));
    }
    if chain.len() > MAX_CNAMES {
        return Err(LookupError::CnameTooLong(whole()));
    }
    Ok(())
}

fn text(name: &Name) -> String {
    name.to_lowercase().to_ascii().trim_end_matches('.').to_owned()
}

fn texts(names: &[Name]) -> Vec<String> {
    names.iter().map(text).collect()
}

/// The `nameserver` lines of a resolv.conf(5).
fn name_servers(configuration: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse::<IpAddr>().ok())?
    };
    configuration.lines().filter_map(address).map(|address| (address, 53).into()).collect()
}

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
