//! The machine's or an operator's resolvers, and one question to them.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hickory_proto::rr::{Name, RData, RecordType};
use tokio::time::timeout;

use crate::{
    LookupError,
    answer::{self, Answer, Endless, Known, MAX_CNAMES},
    name::{text, texts},
    query::{NoAnswer, Question, ask},
};

/// How often each server is tried before a name's lookup is given up.
const ROUNDS: usize = 2;

/// The longest time for everything that one look takes: whoever answers each question just in time is not waited for.
const LONGEST_LOOK: Duration = Duration::from_secs(30);

/// Asks a machine's or an operator's resolvers. Cheap to clone, and any number of lookups run at once. Nothing is
/// cached here: a person who has just changed a record wants to see the change.
#[derive(Clone, Debug)]
pub struct Resolver {
    pub(crate) servers: Arc<[SocketAddr]>,
}

/// There is no server to ask.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no DNS server to ask: name some, or put `nameserver` lines into /etc/resolv.conf")]
pub struct NoServers;

/// What a lookup of one kind of record found.
pub(crate) struct Lookup {
    /// The records at the end of all CNAME records.
    pub(crate) records: Vec<RData>,
    /// The names on the way, the name asked for first; empty without CNAME records.
    pub(crate) chain: Vec<Name>,
    pub(crate) end: Name,
    /// Whether the end exists, with these records or with others.
    pub(crate) exists: bool,
    /// The resolver that said so.
    pub(crate) server: SocketAddr,
}

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

    /// Looks up records of one kind, and follows CNAME records also where the server did not, unless they are the kind.
    pub(crate) async fn look_up(&self, start: &Name, kind: RecordType) -> Result<Lookup, LookupError> {
        let mut chain: Vec<Name> = Vec::new();
        let mut name = start.clone();
        loop {
            let (answer, server) = self.ask_one(&name, kind).await?;
            let Known { cname_chain, end, records, exists } = match answer {
                Answer::Known(known) => known,
                Answer::Endless(Endless::Loop(more)) => {
                    return Err(LookupError::CnameLoop(texts(&[chain, more].concat())));
                }
                Answer::Endless(Endless::TooLong(more)) => {
                    return Err(LookupError::CnameTooLong(texts(&[chain, more].concat())));
                }
                Answer::Failure(answer) => {
                    return Err(LookupError::ServerFailure { name: text(start), answer, server });
                }
            };
            chain.extend(cname_chain);
            // Done, or the end is where we asked: it was there to be answered for.
            if !records.is_empty() || !exists || end == name {
                return Ok(Lookup { records, chain, end, exists, server });
            }
            check_chain(&chain, &end)?;
            name = end;
        }
    }

    /// The first server that has something to say; one that fails is believed only when no other does better.
    async fn ask_one(&self, name: &Name, kind: RecordType) -> Result<(Answer, SocketAddr), LookupError> {
        let question = Question::recursive(name.clone(), kind);
        let mut failure = None;
        for _ in 0..ROUNDS {
            for server in self.servers.iter().copied() {
                match ask(server, &question).await.map(|message| answer::read(&message, &question.query)) {
                    Ok(Answer::Failure(code)) => failure = Some((Answer::Failure(code), server)),
                    Ok(answer) => return Ok((answer, server)),
                    Err(NoAnswer::Unreadable) => {
                        failure = Some((Answer::Failure("an answer that cannot be read".to_owned()), server));
                    }
                    Err(NoAnswer::Silence | NoAnswer::NoRoute) => {}
                }
            }
            if let Some(failure) = failure.take() {
                return Ok(failure);
            }
        }
        Err(self.timeout(name))
    }

    /// Bounds the time of a look at `name` that takes several questions.
    pub(crate) async fn bounded<T>(
        &self,
        name: &Name,
        look: impl Future<Output = Result<T, LookupError>>,
    ) -> Result<T, LookupError> {
        timeout(LONGEST_LOOK, look).await.unwrap_or_else(|_| Err(self.timeout(name)))
    }

    fn timeout(&self, name: &Name) -> LookupError {
        let server = *self.servers.last().expect("there is a server");
        LookupError::Timeout { name: text(name), server }
    }
}

/// Whether a chain of CNAME records may go on to `end`.
pub(crate) fn check_chain(chain: &[Name], end: &Name) -> Result<(), LookupError> {
    let whole = || texts(&[chain, std::slice::from_ref(end)].concat());
    if chain.contains(end) {
        return Err(LookupError::CnameLoop(whole()));
    }
    if chain.len() > MAX_CNAMES {
        return Err(LookupError::CnameTooLong(whole()));
    }
    Ok(())
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
