//! The addresses of a name, as resolvers see them.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use certmill_model::Hostname;
use hickory_proto::rr::{Name, RData, RecordType};

use crate::{
    LookupError, Resolver,
    name::{self, text, texts},
    resolver::Lookup,
};

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

impl Resolver {
    /// Looks up A and AAAA records at once, and follows CNAME records. Of a wildcard, the name without its `*.`.
    pub async fn addresses(&self, name: &Hostname) -> Result<Addresses, LookupError> {
        self.addresses_at(&name::parse(name.base())?).await
    }

    pub(crate) async fn addresses_at(&self, start: &Name) -> Result<Addresses, LookupError> {
        let both = async {
            Ok(tokio::join!(self.look_up(start, RecordType::A), self.look_up(start, RecordType::AAAA)))
        };
        match self.bounded(start, both).await? {
            (Ok(v4), Ok(v6)) => merge(v4, v6),
            // Whoever can connect by one kind of address does not mind that the other kind is broken.
            (Ok(found), Err(_)) | (Err(_), Ok(found)) if !found.records.is_empty() => Ok(found.into()),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }
}

impl From<Lookup> for Addresses {
    fn from(lookup: Lookup) -> Self {
        let v4 = |record: &RData| if let RData::A(address) = record { Some(address.0) } else { None };
        let v6 = |record: &RData| if let RData::AAAA(address) = record { Some(address.0) } else { None };
        let mut passed = texts(&lookup.chain);
        if !passed.is_empty() {
            passed.remove(0);
            passed.push(text(&lookup.end));
        }
        Self {
            v4: lookup.records.iter().filter_map(v4).collect(),
            v6: lookup.records.iter().filter_map(v6).collect(),
            cname_chain: passed,
            seen_from: lookup.server,
        }
    }
}

fn merge(v4: Lookup, v6: Lookup) -> Result<Addresses, LookupError> {
    let (mut longer, other) = if v4.records.is_empty() { (v6, v4) } else { (v4, v6) };
    if longer.records.is_empty() {
        // A name that exists for one kind of question exists.
        let missing = if other.exists { other } else { longer };
        let (name, cname_chain) = (text(&missing.end), texts(&missing.chain));
        return Err(if missing.exists {
            LookupError::NoAddresses { name, cname_chain }
        } else {
            LookupError::NotFound { name, cname_chain }
        });
    }
    longer.records.extend(other.records);
    Ok(longer.into())
}
