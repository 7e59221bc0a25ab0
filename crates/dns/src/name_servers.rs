//! The name servers of a zone, and what each of them has itself.

use std::{fmt, net::SocketAddr};

use certmill_model::Hostname;
use futures_util::future::join_all;
use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, RecordType},
};

use crate::{
    LookupError, Resolver,
    answer::{name_of, records_at},
    name::{self, text},
    query::{NoAnswer, Question, ask},
};

/// More name servers than any zone has.
const MAX_SERVERS: usize = 16;

/// More addresses than any name server has, of each kind.
const MAX_ADDRESSES: usize = 4;

/// One name server at one address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NameServer {
    /// Its name, without the dot behind it.
    pub name: String,
    /// Where it listens; none if its name has no address, so that it cannot be asked.
    pub address: Option<SocketAddr>,
}

/// Why a name server does not show what it should; each says so behind the server's name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ServerTrouble {
    /// What was to be asked for is no DNS name.
    #[error("cannot be asked for what is no DNS name")]
    InvalidName,
    /// Its name has no address.
    #[error("has no address")]
    NoAddress,
    /// This machine has no way to such addresses, as one without IPv6.
    #[error("cannot be reached from here")]
    NoRoute,
    /// No answer came.
    #[error("does not answer")]
    Dead,
    /// It answers for the zone, but without the value: an update has not reached it.
    #[error("does not have the value yet{}", of_zone(*.serial))]
    Stale {
        /// The version of the zone that it has, if it said so.
        serial: Option<u32>,
    },
    /// It answers, but not for this zone.
    #[error("does not answer for the zone with authority")]
    NotAuthoritative,
    /// It answers with an error, or with nonsense.
    #[error("answers {0}")]
    Failing(String),
}

impl NameServer {
    /// A server that is known by its address.
    pub fn new(name: impl Into<String>, address: SocketAddr) -> Self {
        Self { name: name.into(), address: Some(address) }
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{} ({address})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Resolver {
    /// Looks up every name server of `zone` with all its addresses, at port 53. One whose address cannot be found is
    /// among them without address. At least one.
    pub async fn authoritative_servers(&self, zone: &Hostname) -> Result<Vec<NameServer>, LookupError> {
        let zone = name::parse(zone.base())?;
        let lookup = self.look_up(&zone, RecordType::NS).await?;
        let (name, server) = (text(&zone), lookup.server);
        if !lookup.exists {
            return Err(LookupError::NotFound { name, cname_chain: Vec::new() });
        }
        // A zone cannot begin at a CNAME record (RFC 1034 section 3.6.2): whatever is behind one is another zone.
        if lookup.records.is_empty() || !lookup.chain.is_empty() {
            return Err(LookupError::NotAZone { name, server });
        }
        let names = lookup.records.iter().take(MAX_SERVERS).filter_map(server_name);
        Ok(join_all(names.map(|name| self.at_all_addresses(name))).await.concat())
    }

    async fn at_all_addresses(&self, name: &Name) -> Vec<NameServer> {
        let found = self.addresses_at(name).await;
        let name = text(name);
        let Ok(found) = found else { return vec![NameServer { name, address: None }] };
        let v4 = found.v4.into_iter().take(MAX_ADDRESSES).map(|address| (address, 53).into());
        let v6 = found.v6.into_iter().take(MAX_ADDRESSES).map(|address| (address, 53).into());
        v4.chain(v6).map(|address| NameServer::new(&name, address)).collect()
    }
}

/// The TXT values that `server` itself has at `record_name`; none if there are none. Other records there, also a CNAME
/// record, do not count. A value of several strings is one text.
pub async fn values_at(server: &NameServer, record_name: &str) -> Result<Vec<String>, ServerTrouble> {
    let (name, message) = txt_at(server, record_name).await?;
    Ok(values(&message, &name).map(|value| String::from_utf8_lossy(&value).into_owned()).collect())
}

/// The answer of `server`, with authority, about TXT records at this name.
pub(crate) async fn txt_at(server: &NameServer, name: &str) -> Result<(Name, Message), ServerTrouble> {
    let name = name::parse(name).map_err(|_| ServerTrouble::InvalidName)?;
    let address = server.address.ok_or(ServerTrouble::NoAddress)?;
    let message = ask(address, &Question::direct(name.clone(), RecordType::TXT)).await?;
    let code = message.metadata.response_code;
    if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return Err(ServerTrouble::Failing(name_of(code)));
    }
    if message.metadata.authoritative { Ok((name, message)) } else { Err(ServerTrouble::NotAuthoritative) }
}

pub(crate) fn values(message: &Message, name: &Name) -> impl Iterator<Item = Vec<u8>> {
    records_at(&message.answers, name, RecordType::TXT).filter_map(|data| match data {
        RData::TXT(value) => Some(value.txt_data.concat()),
        _ => None,
    })
}

/// The version of the zone that a server without the records speaks of (RFC 2308 section 3).
pub(crate) fn serial_of_zone(message: &Message) -> Option<u32> {
    message.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    })
}

impl From<NoAnswer> for ServerTrouble {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            NoAnswer::Silence => Self::Dead,
            NoAnswer::NoRoute => Self::NoRoute,
            NoAnswer::Unreadable => Self::Failing("what cannot be read".to_owned()),
        }
    }
}

fn server_name(data: &RData) -> Option<&Name> {
    match data {
        RData::NS(server) => Some(&server.0),
        _ => None,
    }
}

fn of_zone(serial: Option<u32>) -> String {
    serial.map(|serial| format!(" (its zone has serial {serial})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::resolver;

    #[tokio::test]
    async fn a_name_server_whose_address_cannot_be_found_is_kept_so_that_somebody_is_told() {
        let (resolver, _) = resolver(&[
            ("acme.test", "NS ns1.acme.test"),
            ("acme.test", "NS lost.test"),
            ("acme.test", "NS broken.test"),
            ("ns1.acme.test", "A 192.0.2.1"),
            ("ns1.acme.test", "A 192.0.2.2"),
            ("broken.test", "SERVFAIL"),
        ])
        .await;
        let servers = resolver.authoritative_servers(&Hostname::parse("acme.test").unwrap()).await.unwrap();
        let known = ["192.0.2.1:53", "192.0.2.2:53"];
        let mut expected = known.map(|at| NameServer::new("ns1.acme.test", at.parse().unwrap())).to_vec();
        expected.extend(
            ["lost.test", "broken.test"].map(|name| NameServer { name: name.to_owned(), address: None }),
        );
        assert_eq!(servers, expected);
        assert_eq!(values_at(&servers[2], "x.acme.test").await, Err(ServerTrouble::NoAddress));
    }

    #[tokio::test]
    async fn a_name_that_is_an_alias_of_a_zone_is_none() {
        let (resolver, _) =
            resolver(&[("alias.test", "CNAME acme.test"), ("acme.test", "NS ns1.acme.test")]).await;
        let error =
            resolver.authoritative_servers(&Hostname::parse("alias.test").unwrap()).await.unwrap_err();
        assert!(matches!(error, LookupError::NotAZone { name, .. } if name == "alias.test"));
    }
}
